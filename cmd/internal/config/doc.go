// Package config reads wsfront.yaml: the one file that says what wsfront
// serves.
//
// File is the whole of it, made of proxy.Config and pusher.Config, whose
// comments are the reference of its keys. Reading goes through four files:
//
//	file.go    finds and reads the file; its structs; what it means for proxy
//	syntax.go  makes YAML nodes of the text, and plain words of YAML's errors
//	decode.go  fills the structs (scalar.go, fields.go) and keeps the position
//	           of every value
//	check.go   asks proxy and pusher to validate their parts, adds what only
//	           shows when both are known, and turns fields into positions
//
// Every problem is reported at once (problem.go), with its position and the
// line:
//
//	wsfront.yaml:5:14: sites[0].routes[0].app: "localhost:8080" has no scheme; write http://localhost:8080
//	    5 |         app: localhost:8080
//	      |              ^
//
// probe.go tries what can be tried without serving, for wsfront check. The
// JSON Schema in deploy/wsfront.schema.json is generated from the same structs
// by this package's tests, with -update.
package config
