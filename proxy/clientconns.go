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
	active connList             // those that have a goroutine
	parked connList             // those that lot has, the one that has been idle the longest first
	count  int                  // of both, without those that were told to give way
	from   map[netip.Prefix]int // by address, or network of IPv6
	closed bool                 // those that come now are closed at once
	wg     sync.WaitGroup
	lot    park.Lot // has those that have been idle for a while

	newcomers newcomers
	counts    connCounts
}

// begin serves a connection that was accepted.
func (s *clientConns) begin(server *Server, l *listener, conn net.Conn) {
	c := &clientConn{server: server, listener: l, Conn: conn}
	s.counts.accept(l.secure)
	if ap, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		c.peer, c.port = ap.Addr().Unmap(), ap.Port()
	}
	if !l.secure {
		c.use(withAwait(conn))
	}
	switch {
	case l.secure && !server.beginHandshake(c.peer):
		s.counts.refuse(false)
		conn.Close()
		return
	case !s.add(c):
		if l.secure {
			server.endHandshake()
			s.counts.refuse(server.closing.Load())
		}
		conn.Close()
		return
	}
	if l.secure {
		c.carries(carriesHandshake)
	} else {
		c.carries(carriesHTTP1)
	}
	go c.run() // ended by the client or by drain, which waits for the connection
}

// add counts a connection, whether it has a goroutine or is parked, until done.
// It reports false if there is no place for it.
func (s *clientConns) add(c *clientConn) bool {
	limit, ok := s.enter(c)
	if limit != "" {
		c.server.hits.add(limit, c.peer)
	}
	return ok
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
	c.carries(carriesNothing)
	s.leave(c)
}

// drain closes what is idle and waits for the rest until ctx is done; then the
// rest is cut, which is its error.
func (s *clientConns) drain(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for _, list := range []connList{s.active, s.parked} {
		for c := list.first; c != nil; c = c.next {
			if c.streams != nil {
				c.streams.Shutdown()
			} else if c.idle.Load() {
				_ = c.SetReadDeadline(aLongTimeAgo)
			}
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
		return ctx.Err() // for what waits for a backend ends with it as well
	case <-ctx.Done():
	}
	s.mu.Lock()
	for _, list := range []connList{s.active, s.parked} {
		for c := list.first; c != nil; c = c.next {
			cut(c.Conn) // not Close, which waits where TLS 1.2 has its end to send
		}
	}
	s.mu.Unlock()
	<-ended
	return ctx.Err()
}
