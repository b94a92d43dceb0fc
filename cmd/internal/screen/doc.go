// Package screen writes what a running server tells of itself for a person at a
// terminal: wsfront status, failures, tunnels and certificates print what it
// makes, and wsfront top is built of its parts.
//
// What a server tells comes in part from its clients (user agents, paths, hosts)
// and is not to be trusted by a terminal, which takes orders from control
// characters. Therefore each text goes through Clean on its way, which tables and
// paragraphs do by themselves.
//
//	clean.go         what may not reach a terminal
//	figure.go        bytes, counts, rates and ages
//	style.go         width, colour and paragraphs
//	table.go         columns that fit the terminal
//	size.go          how wide it is
//	status.go        wsfront status
//	wrong.go         what stands at its top
//	tunnels.go, certificates.go, failures.go
package screen
