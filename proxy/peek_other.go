//go:build !unix

package proxy

import "net"

// peekSocket finds no connection fit to be used again, where there is no way
// to ask whether the backend has closed it.
func (b *backendConn) peekSocket(uintptr) bool { return true }

// withAwait is for systems where a connection can be waited for without a
// buffer.
func withAwait(conn net.Conn) net.Conn { return conn }
