//go:build unix

package proxy

import (
	"net"
	"syscall"
)

// peekSocket notes whether nothing has come from the backend, its end included.
func (b *backendConn) peekSocket(fd uintptr) bool {
	var one [1]byte
	_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	b.quiet = err == syscall.EAGAIN
	return true
}

// plainConn is a client's connection without TLS that can be waited for without
// a buffer. As net.Conn has it, one goroutine at a time may read or wait.
type plainConn struct {
	*net.TCPConn
	raw   syscall.RawConn
	ready func(fd uintptr) bool // bound once
}

// withAwait is conn with a method Await, where that is possible.
func withAwait(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn
	}
	return &plainConn{tcp, raw, isReadable}
}

// Await blocks until a Read will not. It obeys the read deadline.
func (c *plainConn) Await() error { return c.raw.Read(c.ready) }

func isReadable(fd uintptr) bool {
	var one [1]byte
	_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err != syscall.EAGAIN
}

// NetConn is the connection as the net package knows it.
func (c *plainConn) NetConn() net.Conn { return c.TCPConn }
