// Package frame follows the WebSocket frames (RFC 6455 §5) of a tunnel whose
// bytes pass as they are: it ends no WebSocket, copies no payload and unmasks
// none but that of Close frames and of pongs it takes out. It knows no sockets;
// whoever moves the bytes shows them to it.
//
// # The walk of the bytes
//
//	follower.go    a Follower is shown all bytes of one direction in turn: Feed
//	               skips over the payload, stops at each header, and says what
//	               of the bytes goes on
//	hold.go        the start of a frame that was split over two reads: gathered,
//	               and held back where the frame may yet be refused or taken out
//	header.go      the fixed part of a header: opcodes, sizes, lengths
//	judge.go       the header against RFC 6455
//	rules.go       Rules, the limits among them, and the Violation that ends
//	closing.go     the Close frame's status code and reason
//	pong.go        our own pings' pongs: expected, recognised, taken out
//	build.go       the control frames that the tunnel puts in itself
//	extensions.go  what the handshake's extensions do to the reserved bits
//
// # What is held back
//
// A payload never is. A header is, when Rules may refuse its frame, so that
// nothing of a refused frame reaches the other side, which then is between two
// frames and can be sent a Close. A Close frame and a pong that may be ours are
// held until they are whole. That is at most 14 bytes, kept within the Follower,
// but for a Close frame with a reason (at most 131 bytes), for which memory is
// taken while it is incomplete.
//
// A frame that is no WebSocket frame, where no rule refuses it, ends the
// following: the Follower is lost, all bytes pass, and nothing may be put
// between them any more, as nobody knows where a frame ends.
package frame
