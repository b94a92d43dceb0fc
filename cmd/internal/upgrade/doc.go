// Package upgrade lets another process of the same program take the place of
// this one, without a moment in which its ports are closed: it hands the
// listening sockets over and keeps the two in step.
//
//	successor.go    the old process: starts the new one, and leads it on
//	predecessor.go  the new process: what it finds and is told by the old one
//	words.go        what they say to each other, by a socket that outlives the
//	                change, as the old process may drain for long
//	start_linux.go  has the new process be a child of whoever started the old one
//
// The order in which things happen is
//
//	old: starts the new one
//	new: checks its configuration and takes the sockets     → prepared
//	old: gives up what only one process may have            → proceed
//	new: takes that, and serves                             → serving
//	old: tells systemd of the new one, accepts no more      → lead
//
// and until serving a failure of the new one, or its end, leaves the old one in
// its place. Afterwards the new one may tell the old one to hurry, or to open its
// log anew.
//
// It is not done by cloudflare/tableflip, since that has one step where two are
// needed, because a durable history belongs to one process at a time; and since
// there the third process cannot start before the first has ended, which may
// take as long as a tunnel lives.
package upgrade
