package pusher

import "net"

// What the poller asks of a connection that is more than a socket. It is
// implemented elsewhere, by whoever serves HTTP for this package.

// detachable is a connection that seals and opens what passes, as TLS does, and
// can be taken apart.
type detachable interface {
	// Release gives away the socket, the sealer, data that was received and not
	// read, and behind that what was not opened yet. The connection is not used
	// any more after it.
	Release() (conn net.Conn, keys any, plain, sealed []byte)
}

// sealer is the part of such a connection that does no I/O: see package record
// of the proxy, whose Keys are one.
type sealer interface {
	// Seal appends plain, sealed, to dst.
	Seal(dst, plain []byte) []byte
	// Open opens the first record in buf, in place; n is its length, or 0 if buf
	// does not hold all of it. The error is io.EOF for the peer's end.
	Open(buf []byte) (plain []byte, n int, err error)
	// CloseNotify appends our end to dst.
	CloseNotify(dst []byte) []byte
	// Alert appends what tells the peer of an error of Open.
	Alert(dst []byte, err error) []byte
	// Rest gives up what an idle connection can do without.
	Rest()
}
