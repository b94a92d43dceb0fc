package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"wsfront/proxy/http1"
)

const (
	// lingerTime is how long a client may go on sending what nobody wants,
	// after the answer that ends the connection: closed at once, the connection
	// would be reset, and the answer lost with it.
	lingerTime = 5 * time.Second
	// bodyTimeout is how long a client may pause within its request's body.
	bodyTimeout = 30 * time.Second
	// deadlineSlack is how much sooner than they say idle connections may be
	// closed: so often only is a deadline moved, which costs a lock or two.
	deadlineSlack = time.Second
	// unreadableHint is for a client whose request was none.
	unreadableHint = "This is not a request that this server understands."
)

// clientConn is a client's connection that speaks HTTP/1.1 to our own reader.
// Between requests it has a goroutine that waits, and holds no buffer.
type clientConn struct {
	net.Conn
	server   *Server
	listener *listener
	peer     netip.Addr
	version  uint16 // of TLS, 0 for none

	reader http1.Reader
	until  time.Time   // the read deadline that is set
	idle   atomic.Bool // between two requests: may be closed at once
	gone   bool        // given away: to net/http, or to a tunnel
}

// run serves a connection that was accepted, from its first byte to its end.
func (c *clientConn) run() {
	defer c.server.conns.done(c)
	if c.listener.secure && !c.secure() || c.server.onlyNetHTTP && c.handOver() {
		return
	}
	for c.next() {
	}
	if !c.gone {
		c.reader.Reset(nil)
		_ = c.Conn.Close()
	}
}

// secure does the TLS handshake. It reports false when the connection is not
// ours any more.
func (c *clientConn) secure() bool {
	ctx, cancel := context.WithTimeout(c.server.stopping, headerTimeout)
	defer cancel()
	conn, state, err := c.server.accepter.Handshake(ctx, c.Conn)
	if err != nil {
		c.server.handshakeRefused(c.Conn, err)
		_ = c.Conn.Close()
		return false
	}
	c.server.conns.replace(c, conn)
	switch state.NegotiatedProtocol {
	case "h2":
		c.listener.handover.give(conn)
		return false
	case "", "http/1.1":
		c.version = state.Version
		return true
	}
	_ = conn.Close() // an ACME challenge is over with its handshake (RFC 8737 §3)
	return false
}

// handshakeRefused deals with a client that did not get through its handshake.
// Such are everyday on an open port, so they are for debugging.
func (s *Server) handshakeRefused(conn net.Conn, err error) {
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record.RecordHeader) {
		_ = conn.SetWriteDeadline(time.Now().Add(switchTimeout))
		_, _ = io.WriteString(conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis port takes https only; write https:// in the address.\n")
	}
	if s.log.Enabled(context.Background(), slog.LevelDebug) {
		s.log.Debug(eventHTTPServer, "message", "TLS handshake error from "+conn.RemoteAddr().String()+": "+err.Error())
	}
}

// looksLikeHTTP reports whether what came instead of a TLS record begins like a
// request of HTTP.
func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}

// next serves one request. It reports false when the connection is over.
func (c *clientConn) next() bool {
	if !c.await() {
		return false
	}
	t := c.server.turns.Get().(*turn)
	t.begin(c)
	again := t.serve()
	t.release()
	return again
}

// await waits for the first byte of a request.
func (c *clientConn) await() bool {
	if len(c.reader.Buffered()) > 0 {
		return !c.server.draining.Load()
	}
	c.reader.Release()
	c.allow(idleTimeout)
	c.idle.Store(true)
	// In this order: whoever drains sets draining, and then looks who is idle.
	if c.server.draining.Load() {
		return false
	}
	err := c.reader.Fill()
	c.idle.Store(false)
	return err == nil
}

// allow sets how long reading may take.
func (c *clientConn) allow(d time.Duration) {
	until := time.Now().Add(d)
	if gap := until.Sub(c.until); gap < 0 || gap > deadlineSlack {
		c.until = until
		_ = c.SetReadDeadline(until) // an error means closed; reading tells
	}
}

// handOver gives the connection to net/http, with what has been read of it.
func (c *clientConn) handOver() bool {
	c.gone = true
	read := append([]byte(nil), c.reader.Buffered()...)
	c.reader.Reset(nil)
	_ = c.SetReadDeadline(noDeadline)
	c.listener.handover.give(&handedConn{Conn: c.Conn, version: c.version, read: read})
	return true
}

// hangUp closes the connection in a way that shows that something is missing:
// by a reset, and without TLS's close_notify.
func (c *clientConn) hangUp() {
	raw := c.Conn
	for {
		w, ok := raw.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		raw = w.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.reader.Reset(nil)
	_ = raw.Close()
}

// linger ends our half, and takes what the client still sends.
func (c *clientConn) linger() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if w, ok := c.Conn.(interface{ NetConn() net.Conn }); ok { // TLS's end is not the end of the connection
		if tcp, ok := w.NetConn().(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}
	c.until = time.Now().Add(lingerTime)
	_ = c.SetReadDeadline(c.until)
	for c.reader.Fill() == nil {
		c.reader.Discard(len(c.reader.Buffered()))
	}
}

// statusWithoutBody reports whether answers of this status have neither a body
// nor a length (RFC 9110 §8.6).
func statusWithoutBody(status int) bool {
	return status < 200 || status == http.StatusNoContent
}
