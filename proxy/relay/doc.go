// Package relay joins two connections into a tunnel once its handshake is over:
// a client's on one side, the backend's on the other. It knows no HTTP. The
// bytes pass as they are; where they are WebSocket frames (RFC 6455), it can
// follow them, and put control frames of its own in between.
//
// # The walk of the bytes
//
//	engine.go         an Engine starts tunnels, lists and cuts them
//	drain.go          has them all go, or those of a group
//	loop_linux.go     an event loop waits for the sockets of its tunnels and,
//	                  for each that is ready,
//	move_linux.go     reads once, opens the records of TLS, has the tunnel say
//	                  what of it goes on, seals that, and writes once
//	goroutines.go     the same by two goroutines and a buffer for each way, for
//	                  whatever no loop can carry
//
// What both have in common is all but the I/O:
//
//	tunnel.go         the state of a tunnel, under one lock: who has ended, who
//	                  broke off, and what it all means for the account
//	way.go            one direction: what goes on of what was said, and where a
//	                  control frame is put in
//	closing.go        the end by Close frames between two frames
//	clock.go          what is due when: idleness, linger, pings, lifetime
//	outbox.go         what goes out by one write
//	options.go        what tunnels are held to
//	result.go         what is told about them
//
// And of a loop's own concerns:
//
//	looped_linux.go   how a loop takes a tunnel in, and closes it
//	socket_linux.go   how a socket is taken out of its net.Conn
//	kept_linux.go     buffers for bytes that cannot go on at once
//	clock_linux.go    one clock for all tunnels of a loop
//	close.go          the ways a net.Conn is ended
//
// # What an idle tunnel holds
//
// In a loop, two descriptors, the Tunnel itself (less than 600 bytes), and the
// keys of each side that is TLS, 2.6 KiB in all for wss: no buffer, no goroutine
// and no timer. A loop has one buffer to read into and one to seal into, which
// all its tunnels share. By goroutines it holds 16 KiB each way, two stacks,
// and what its connections hold.
//
// # What a tunnel holds that is held up
//
// A destination that stops reading stops the reading from its source: the bytes
// pile up in the kernel until its window is shut, and the sender is slowed by
// TCP itself. What had been read is kept until then, at most one buffer (88 KiB)
// each way, of the smallest of three sizes that it fits; and likewise the
// beginning of a TLS record that has not arrived whole, 17 KiB at most. In one
// turn a tunnel moves no more than 64 KiB each way, so that it cannot keep
// others waiting.
//
// # How a tunnel ends
//
// A source that ends cleanly (a FIN; for TLS close_notify, RFC 8446 §6.1) has
// its end passed on, and the opposite way goes on: a client that half-closed
// still receives its reply. When both have ended, both connections are closed. A
// FIN between two records of TLS is taken for close_notify, as crypto/tls does,
// since many peers send nothing else, and so it is a clean end here as well.
//
// A source that breaks off (a reset; for TLS also a FIN within a record, or a
// record that does not verify, which is answered by an alert) ends the tunnel at
// once. The other side is reset, since a clean end would tell it that all had
// been said. A unix socket cannot be reset; there the other side sees an end.
//
// Where frames are followed, an end of our own (by Options, Tunnel.Close or
// Engine.Shutdown, or as a side broke a rule) is a Close to both sides, each
// between two frames, and their answers; see Tunnel.Close. Everything else is a
// cut: it closes both connections without waiting. What the kernel has accepted
// is still delivered, but no TLS close_notify is sent, and a side that was just
// written to is reset: it would otherwise take half a message for the whole.
package relay
