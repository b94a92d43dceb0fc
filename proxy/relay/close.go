package relay

import (
	"crypto/tls"
	"net"

	"wsfront/proxy/record"
)

// closeWrite tells c's peer that nothing more will come. A connection that has
// no CloseWrite (see Engine.Start) is left as it is.
func closeWrite(c net.Conn) {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		// An error needs no answer here. Either the peer is gone, which the
		// goroutine that reads from it learns by itself; or it has not made room
		// for a TLS close_notify within the 5 s that crypto/tls waits, and
		// then it will see an end without one, which is no clean end.
		_ = h.CloseWrite()
	}
}

// hangUp closes c without waiting for anything, and with reset lets the peer
// know that it was not the end: by a RST instead of a FIN, for which the kernel
// also drops what it has not delivered yet.
func hangUp(c net.Conn, reset bool) {
	// Closing a *tls.Conn would send close_notify, which says that the stream
	// is whole, and which waits up to 5 s for a peer that does not read.
	switch t := c.(type) {
	case *tls.Conn:
		c = t.NetConn()
	case *record.Conn:
		c = t.NetConn()
	}
	if reset {
		setLinger(c)
	}
	// Nobody is left who could be told of an error.
	_ = c.Close()
}

// setLinger makes the close of c a reset, where c or the connection that it
// wraps is TCP; there is nothing like it for other kinds.
func setLinger(c net.Conn) {
	for {
		if l, ok := c.(interface{ SetLinger(sec int) error }); ok {
			// It fails only on a connection that is already closed.
			_ = l.SetLinger(0)
			return
		}
		w, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return
		}
		c = w.NetConn()
	}
}
