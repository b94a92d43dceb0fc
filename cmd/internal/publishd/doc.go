// Package publishd serves the publish API on its own address, away from the
// sites.
//
// # The walk of a publish
//
//	server.go  accepts the connection, if there is room for one more (limits.go),
//	           and has quick.go read from it
//	quick.go   reads a request (proxy/http1). A plain publish, which almost all
//	           are, gets its answer from the API's handler with nothing of
//	           net/http's connection handling in between: that costs twice of what
//	           all else does that is not the kernel's
//	handed.go  with any other request the connection is net/http's from there on,
//	           with the bytes that were read
//
// The handler is the same in both ways, and sees the same of the request: but
// for fields that a publish has no use for, which the quick way leaves out.
package publishd
