// Package relay copies a tunnel between two connections once its handshake is
// over: a client's on one side, the backend's on the other. It knows no
// WebSocket and no HTTP; the bytes pass as they are.
//
// # The walk of the bytes
//
//	relay.go  Run starts one flow each way, watches the clock and the context,
//	          and waits for both flows
//	flow.go   a flow writes what was read with the handshake, then reads a
//	          buffer from its source, writes it to its destination, and only
//	          then reads again
//	close.go  the ways a connection is ended: a half-close passed on, a clean
//	          close, a cut, and a reset
//
// A flow never reads ahead. A destination that stops reading blocks the flow's
// write, the source's bytes pile up in the kernel until its window is shut, and
// the sender is slowed by TCP itself. A tunnel therefore holds one buffer of
// 16 KiB each way, however much is sent into it.
//
// # How a tunnel ends
//
// A source that ends cleanly (a FIN; for TLS close_notify, RFC 8446 §6.1) has
// its end passed on by CloseWrite, and the opposite flow goes on: a client that
// half-closed still receives its reply. When both have ended, both connections
// are closed. crypto/tls takes a FIN between two records for close_notify, since
// many peers send nothing else, and so it is a clean end here as well.
//
// A source that breaks off (a reset; for TLS also a FIN within a record, or a
// record that does not verify) ends the tunnel at once. The other side is
// reset, since a clean end would tell it that all had been said. A unix socket
// cannot be reset; there the other side sees an end.
//
// A cut for silence or by the context closes both connections without waiting.
// What the kernel has accepted is still delivered, but no TLS close_notify is
// sent, and a side that a flow was just writing to is reset: it would otherwise
// take half a message for the whole.
package relay
