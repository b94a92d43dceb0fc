// Package http1 reads the syntax and the framing of HTTP/1.1 messages
// (RFC 9112) out of pooled buffers. It knows no proxying and no TLS: who asks
// whom for what is decided by the packages that use it.
//
// # The walk of a message
//
//	reader.go    holds what a connection has sent, in a buffer taken from a pool
//	             when bytes come and given back when none are left
//	request.go   takes the buffer for a request's head, response.go for an
//	             answer's; both read the lines with fields.go, whose byte
//	             classes are in bytes.go, and number the names with known.go
//	target.go    splits a request's target and compares its authority with Host
//	framing.go   decides from the fields where the body ends (RFC 9112 §6.3)
//	body.go      hands the body out piece by piece, chunks.go following the
//	             chunked coding; what lies behind stays for the next message
//
// Nothing is copied on this walk but a trailer: names, values and pieces of
// bodies are slices of the buffer, valid until it is filled again.
//
// # What is refused
//
// A message that two readers could understand in two ways is refused and not
// repaired, with an *Error that says what is wrong: lines that do not end in
// CRLF, control characters, folded lines, spaces before a colon, framing that
// contradicts itself, more than one Host, or one that disagrees with the
// target. After an Error the connection has no known next message and must be
// closed (RFC 9112 §6.3).
//
// Stricter than the grammar are: Content-Length more than once in a request,
// transfer codings other than chunked alone, whitespace around the request
// line's parts, a percent sign or a comma in Host.
//
// # Concurrency
//
// Every value here belongs to one goroutine at a time.
package http1
