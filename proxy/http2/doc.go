// Package http2 is the server's side of HTTP/2 (RFC 9113), over a connection
// that TLS has chosen it for.
//
// # The walk of the bytes
//
//	conn.go      Conn.Serve greets, reads until the end, and says goodbye: the
//	             two GOAWAY frames of an orderly end, the one of a fault
//	read.go      reads frames in the buffer of an http1.Reader, which is held
//	             only while there are bytes in it; DATA is taken as it comes
//	headers.go   puts header blocks together; begins streams
//	hpack*.go    decodes and encodes them (RFC 7541)
//	head.go      what a request may look like; else its stream is reset
//	control.go   settings, windows, PING, RST_STREAM
//	stream.go    a Handler has a goroutine for each stream, and writes by its
//	             Stream
//	body.go      the request's body waits in chunks until the Handler reads it
//	write.go     frames of all streams gather in one buffer, which a goroutine
//	             writes while there is something in it; streams with more than
//	             that take turns, a frame each
//	rate.go      counts what a client should not do often
//	frame.go     how frames look; wait.go waits with a deadline
//
// # What is bounded by what
//
// A header block: by MaxHeader and MaxHeaderFields once it is decoded, which a
// Handler is told by Head.TooLarge, and by twice MaxHeader and MaxContinuations
// before, which end the connection; its table is 4 KiB of text, and ours is
// empty. Bodies: 1 MiB of a connection and 256 KiB of a stream may wait, in
// chunks that are at least a quarter full but the last of a stream, and the
// client may send more only when a Handler has taken a piece: bodies that nobody
// takes keep others of the connection from coming, which Stream.Starved tells. Answers: 64 KiB
// and a frame wait to be written and as much is being written; who has more,
// waits. Streams: MaxStreams, until their Handlers have returned.
//
// Work: a client that resets streams, or begins such as have to be reset, more
// often than it lets them be answered, meets MaxResets (CVE-2023-44487,
// CVE-2025-8671); one that sends PING, SETTINGS, PRIORITY, small
// WINDOW_UPDATE, empty DATA or frames that nobody knows for no reason, MaxControlFrames; one that
// does not read the answers to them may have 16 KiB of them.
//
// Time: HeaderTimeout for the preface, a header block, and a frame that is not
// DATA; IdleTimeout without a stream; WriteTimeout for a client to take what is
// written, which ends the connection, or to open a window, which ends the
// stream. How long a body may take is for the Handler to say, by
// SetReadDeadline.
//
// An idle connection holds its Conn of some 700 bytes, the table, and one
// goroutine, and no buffer.
//
// # Who owns what
//
// Conn.mu guards what streams share. Serve's goroutine alone reads. A Stream is
// its Handler's until that returns; then it is used again, so that a request
// allocates nothing in the steady state but its goroutine. Serve returns after
// all Handlers and the writer. Priorities (RFC 9113 §5.3) are not looked at, and
// neither server push nor extended CONNECT (RFC 8441) is offered.
package http2
