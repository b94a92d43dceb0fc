package proxy

import (
	"crypto/tls"

	"wsfront/proxy/http2"
)

// controlFrames is how many frames that ask for nothing are allowed for each
// reset that is: they cost a tenth of one at most.
const controlFrames = 10

// newStreamServer makes what serves connections of HTTP/2 within limits.
func (s *Server) newStreamServer(l Limits) *http2.Server {
	return http2.NewServer(http2.Config{
		Handler:          s.serveStream,
		Hit:              hitOverStreams,
		Panic:            func(_, cause any, stack []byte) { s.notePanic("", traceNames{}, cause, stack) },
		MaxStreams:       l.MaxStreams,
		MaxHeader:        int(l.MaxHeader),
		MaxHeaderFields:  l.MaxHeaderFields,
		MaxContinuations: l.MaxContinuations,
		MaxResets:        l.MaxResets,
		MaxControlFrames: controlFrames * l.MaxResets,
		HeaderTimeout:    l.HeaderTimeout,
		IdleTimeout:      l.IdleTimeout,
		RestAfter:        parkAfter + deadlineSlack,
		WriteTimeout:     l.WriteTimeout,
	})
}

// hitOverStreams counts a limit that a connection of HTTP/2 has reached.
func hitOverStreams(owner any, limit http2.Limit) {
	c := owner.(*clientConn)
	switch limit {
	case http2.HitIdleTimeout: // everybody does
	case http2.HitControlFrames:
		c.server.hits.add(limitMaxResets, c.peer)
	default:
		c.server.hits.add(string(limit), c.peer)
	}
}

// speakHTTP2 begins with HTTP/2 on a connection.
func (c *clientConn) speakHTTP2() {
	conn := c.Conn
	if source, ok := c.source.(*tlsSource); ok {
		conn = awaitedTLS{source.conn, source}
	}
	// From now on GOAWAY sees to it that no request is lost.
	c.settle()
	if !c.server.conns.speaks(c, c.server.streamServer.Load().NewConn(conn, c)) {
		c.end()
		return
	}
	c.serveStreams()
}

// serveStreams serves a connection of HTTP/2 until it ends or is parked.
func (c *clientConn) serveStreams() {
	defer c.contain()
	// Whatever ends it is the client's to know.
	resting, _ := c.streams.Serve(true)
	if resting {
		if c.park(c.streams.IdleEnd()) {
			return // another goroutine may have it by now
		}
		_, _ = c.streams.Serve(false)
	}
	c.end()
}

// speaks notes that a connection speaks HTTP/2. It reports false if there are to
// be no more.
func (s *clientConns) speaks(c *clientConn, h *http2.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		c.streams = h
	}
	return !s.closed
}

// awaitedTLS is a connection of TLS 1.2 that can be waited for without a buffer.
type awaitedTLS struct {
	*tls.Conn
	source *tlsSource
}

func (c awaitedTLS) Read(p []byte) (int, error) { return c.source.Read(p) }

// Await is that of tlsSource.
func (c awaitedTLS) Await() error { return c.source.Await() }
