package proxy

import (
	"crypto/tls"
	"net"

	"wsfront/proxy/http2"
)

// newStreamServer makes what serves connections of HTTP/2.
func (s *Server) newStreamServer() *http2.Server {
	return http2.NewServer(http2.Config{
		Handler:       s.serveStream,
		HeaderTimeout: headerTimeout,
		IdleTimeout:   idleTimeout,
		WriteTimeout:  writeTimeout,
		MaxHeader:     maxHeaderBytes,
	})
}

// serveStreams serves a connection whose client has chosen HTTP/2, until it ends.
func (c *clientConn) serveStreams(conn net.Conn) {
	if tc, ok := conn.(*tls.Conn); ok {
		if below, ok := tc.NetConn().(awaited); ok {
			conn = awaitedTLS{tc, &tlsSource{tc, below, false}}
		}
	}
	// From now on GOAWAY sees to it that no request is lost.
	c.settle()
	if h := c.server.streamServer.Load().NewConn(conn, c); c.server.conns.speaks(c, h) {
		_ = h.Serve() // whatever ends it is the client's to know
	} else {
		_ = conn.Close()
	}
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
