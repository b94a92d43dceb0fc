package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// handedKey is under which the context of a connection that was handed over keeps
// it.
type handedKey struct{}

// handedConn is a connection that our own reader has begun to read.
type handedConn struct {
	net.Conn
	version uint16 // of TLS, 0 for none; net/http knows only those of crypto/tls
	read    []byte // what comes before the rest

	newcomers *newcomers
	isNew     atomic.Bool
}

// settle notes that the first request is being served, or never will be: net/http
// drops one that it has read, once it is told to shut down.
func (c *handedConn) settle() {
	if c.isNew.CompareAndSwap(true, false) {
		c.newcomers.remove()
	}
}

// Close closes the connection below.
func (c *handedConn) Close() error {
	c.settle()
	return c.Conn.Close()
}

func (c *handedConn) Read(p []byte) (int, error) {
	if len(c.read) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.read)
	if c.read = c.read[n:]; len(c.read) == 0 {
		c.read = nil // let go of the memory
	}
	return n, nil
}

// ReadFrom has the system send a file by itself, where nothing is sealed.
func (c *handedConn) ReadFrom(src io.Reader) (int64, error) {
	if to, ok := c.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, src)
}

// Bare is the connection below, unless bytes of it wait here to be read: this one
// adds nothing else to it.
func (c *handedConn) Bare() (net.Conn, bool) { return c.Conn, len(c.read) == 0 }

// NetConn is the connection below: what looks for the socket finds it.
func (c *handedConn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends our half.
func (c *handedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// handover is the net.Listener of an http.Server that serves what is handed
// over to it.
type handover struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandover(addr net.Addr) *handover {
	return &handover{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// give hands a connection over. It reports false if nobody takes it any more.
func (h *handover) give(conn net.Conn) bool {
	select {
	case h.conns <- conn:
		return true
	case <-h.done:
		return false
	}
}

// Accept waits for the next one.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr is that of the true listener.
func (h *handover) Addr() net.Addr { return h.addr }

// noteConn is http.Server.ConnContext for it.
func noteConn(ctx context.Context, conn net.Conn) context.Context {
	if h, ok := conn.(*handedConn); ok {
		return context.WithValue(ctx, handedKey{}, h)
	}
	return ctx
}
