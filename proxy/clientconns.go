package proxy

import (
	"context"
	"net"
	"net/netip"
	"sync"
)

// clientConns are the connections that our own reader serves.
type clientConns struct {
	mu     sync.Mutex
	open   map[*clientConn]struct{}
	closed bool // those that come now are closed at once
	wg     sync.WaitGroup
}

// begin serves a connection that was accepted.
func (s *clientConns) begin(server *Server, l *listener, conn net.Conn) {
	c := &clientConn{server: server, listener: l, Conn: conn}
	if ap, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		c.peer = ap.Addr().Unmap()
	}
	if !l.secure {
		c.Conn = withAwait(conn)
		c.reader.Reset(c.Conn)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return
	}
	if s.open == nil {
		s.open = map[*clientConn]struct{}{}
	}
	s.open[c] = struct{}{}
	s.wg.Go(c.run) // ended by the client or by drain, which waits for it
}

// replace puts the connection above TLS in the place of the one below it.
func (s *clientConns) replace(c *clientConn, conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Conn = conn
	c.reader.Reset(conn)
}

// done forgets a connection that has ended or is not ours any more.
func (s *clientConns) done(c *clientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// drain closes what is idle and waits for the rest until ctx is done; then the
// rest is cut, which is its error.
func (s *clientConns) drain(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		if c.idle.Load() {
			_ = c.SetReadDeadline(aLongTimeAgo)
		}
	}
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() { // ends with the connections, all of which are closed below
		s.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.open {
		_ = c.Conn.Close()
	}
	s.mu.Unlock()
	<-ended
	return ctx.Err()
}
