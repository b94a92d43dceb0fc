package proxy

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"wsfront/proxy/park"
)

// clientConns are the connections that our own reader serves.
type clientConns struct {
	mu     sync.Mutex
	first  *clientConn // of those that are open, linked by next
	closed bool        // those that come now are closed at once
	wg     sync.WaitGroup
	lot    park.Lot // has those that have been idle for a while

	newcomers newcomers
}

// begin serves a connection that was accepted.
func (s *clientConns) begin(server *Server, l *listener, conn net.Conn) {
	c := &clientConn{server: server, listener: l, Conn: conn}
	if ap, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		c.peer, c.port = ap.Addr().Unmap(), ap.Port()
	}
	if !l.secure {
		c.use(withAwait(conn))
	}
	if !s.add(c) {
		conn.Close()
		return
	}
	go c.run() // ended by the client or by drain, which waits for the connection
}

// add counts a connection, whether it has a goroutine or is parked, until done.
// It reports false if there are to be no more.
func (s *clientConns) add(c *clientConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if c.next = s.first; c.next != nil {
		c.next.prev = c
	}
	s.first = c
	c.isNew = true
	s.newcomers.add()
	s.wg.Add(1)
	return true
}

// replace puts the connection above TLS in the place of the one below it.
func (s *clientConns) replace(c *clientConn, conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.use(conn)
}

// done forgets a connection that has ended or is not ours any more.
func (s *clientConns) done(c *clientConn) {
	defer s.wg.Done()
	c.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.next != nil {
		c.next.prev = c.prev
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		s.first = c.next
	}
}

// drain closes what is idle and waits for the rest until ctx is done; then the
// rest is cut, which is its error.
func (s *clientConns) drain(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for c := s.first; c != nil; c = c.next {
		if c.idle.Load() {
			_ = c.SetReadDeadline(aLongTimeAgo)
		}
	}
	s.mu.Unlock()
	s.lot.Close()
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
	for c := s.first; c != nil; c = c.next {
		cut(c.Conn) // not Close, which waits where TLS 1.2 has its end to send
	}
	s.mu.Unlock()
	<-ended
	return ctx.Err()
}
