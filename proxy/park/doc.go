// Package park keeps connections that are idle for long without a goroutine
// each. A goroutine that waits in Read costs its stack, which is 2 to 8 KiB once
// it has done a TLS handshake; a parked connection costs about 100 bytes here,
// and nothing that runs.
//
// # The walk of a connection
//
//	lot.go        a Lot, which needs no preparation; Park and Close
//	lot_linux.go  Park gives the socket to the Lot's one epoll descriptor, which
//	              Go's own poller waits for in turn, so that no thread is
//	              blocked in epoll_wait. What has become readable is taken out,
//	              and its owner woken
//	clock_linux.go
//	              a heap of when the parked ones are due; while none is parked
//	              nothing ticks
//	lot_other.go  other systems park nothing: the caller goes on waiting as it
//	              did
//
// # Who owns what
//
// The socket stays with the connection and the connection with its owner, who
// does not touch it while it is parked. The first Park of a Lot opens its epoll
// descriptor and starts its goroutine, both of which Close ends. Each parked
// connection is woken exactly once: because it became readable, because its time
// was up, or by Close.
//
// Parking and waking cost two system calls each time. It is meant for
// connections that have been quiet for about a second, not for each pause
// between two requests.
package park
