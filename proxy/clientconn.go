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
	"wsfront/proxy/record"
)

const (
	// lingerTime is how long a client may go on sending what nobody wants,
	// after the answer that ends the connection: closed at once, the connection
	// would be reset, and the answer lost with it.
	lingerTime = 5 * time.Second
	// writeTimeout is how long a client may leave no room for what is written to
	// it at once, 64 KiB at most, or up to deadlineSlack longer. Else one that
	// reads nothing would hold its goroutine and the backend's connection for good.
	writeTimeout = 60 * time.Second
	// bodyTimeout is how long a client may pause within its request's body.
	bodyTimeout = 30 * time.Second
	// deadlineSlack is how much sooner than they say idle connections may be
	// closed: so often only is a deadline moved, which costs a lock or two.
	deadlineSlack = time.Second
	// parkAfter is how long, at least, a connection is quiet before it is parked:
	// see the package park. Within that time requests follow each other at no
	// more than the price of waiting. It may take deadlineSlack longer.
	parkAfter = time.Second
	// unreadableHint is for a client whose request was none.
	unreadableHint = "This is not a request that this server understands."
)

// clientConn is a client's connection that speaks HTTP/1.1 to our own reader.
// Between requests it holds no buffer, and after parkAfter no goroutine either.
type clientConn struct {
	net.Conn
	server     *Server
	listener   *listener
	prev, next *clientConn // in clientConns
	peer       netip.Addr

	reader http1.Reader
	source interface{ Empty() bool } // what reader reads; nil if that cannot tell
	until  time.Time                 // the read deadline that is set
	// writeUntil is the write deadline that is set.
	writeUntil time.Time

	version uint16      // of TLS, 0 for none
	isNew   bool        // see settle
	gone    bool        // given away: to net/http, or to a tunnel
	idle    atomic.Bool // between two requests: may be closed at once
}

// use makes conn the connection that is read.
func (c *clientConn) use(conn net.Conn) {
	c.Conn = conn
	var src io.Reader = conn
	if tc, ok := conn.(*tls.Conn); ok {
		if below, ok := tc.NetConn().(awaited); ok {
			src = &tlsSource{tc, below, false}
		}
	}
	c.source, _ = src.(interface{ Empty() bool })
	c.reader.Reset(src)
}

// run serves a connection that was accepted, from its first byte until it ends
// or is parked.
func (c *clientConn) run() {
	defer c.contain()
	if c.listener.secure && !c.secure() || c.server.onlyNetHTTP && c.handOver() {
		c.server.conns.done(c)
		return
	}
	c.serve(time.Time{})
}

// serve serves requests until the connection ends or is parked. If the wait for
// the first one has begun before, it ends at idleEnd.
func (c *clientConn) serve(idleEnd time.Time) {
	defer c.contain()
	for {
		switch c.await(idleEnd) {
		case parked:
			return // another goroutine may have it by now
		case over:
			c.end()
			return
		}
		idleEnd = time.Time{}
		t := c.server.turns.Get().(*turn)
		t.begin(c)
		again := t.serve()
		t.release()
		if !again {
			c.end()
			return
		}
	}
}

// end closes the connection, if it has not been given away.
func (c *clientConn) end() {
	if !c.gone {
		c.reader.Reset(nil)
		_ = c.Conn.Close()
	}
	c.server.conns.done(c)
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
		if !c.listener.handover.give(conn) {
			_ = conn.Close()
		}
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
	var noTLS tls.RecordHeaderError
	if errors.As(err, &noTLS) && noTLS.Conn != nil && looksLikeHTTP(noTLS.RecordHeader) {
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

// What await has come to.
type outcome int

const (
	request outcome = iota // there is one, or a part of it
	parked                 // the connection is the lot's
	over                   // the connection is to be closed
)

// await waits for the first byte of a request: until idleEnd, or if that is zero
// for idleTimeout.
func (c *clientConn) await(idleEnd time.Time) outcome {
	if len(c.reader.Buffered()) > 0 {
		if c.server.draining.Load() {
			return over
		}
		return request
	}
	err := c.wait(parkAfter + deadlineSlack)
	if isTimeout(err) && !c.server.draining.Load() {
		if idleEnd.IsZero() {
			idleEnd = time.Now().Add(idleTimeout - parkAfter - deadlineSlack)
		}
		if c.park(idleEnd) {
			return parked
		}
		err = c.wait(time.Until(idleEnd))
	}
	if err != nil {
		return over
	}
	return request
}

// wait waits for d in this goroutine, without a buffer.
func (c *clientConn) wait(d time.Duration) error {
	c.reader.Release()
	c.allow(d)
	c.idle.Store(true)
	defer c.idle.Store(false)
	// In this order: whoever drains sets draining, and then looks who is idle.
	if c.server.draining.Load() {
		return net.ErrClosed
	}
	return c.reader.Fill()
}

// park leaves the connection to the lot, which has another goroutine go on with
// it when there is something to read, or end it at idleEnd or when the server
// drains. It reports false if it is not parked.
func (c *clientConn) park(idleEnd time.Time) bool {
	if c.source == nil || !c.source.Empty() {
		return false
	}
	if sealed, ok := c.Conn.(*record.Conn); ok {
		sealed.Rest()
	}
	c.settle()
	return c.server.conns.lot.Park(socketOf(c.Conn), idleEnd, func(ready bool) {
		// Ended and awaited as what begin started; to close may take a while.
		if ready {
			go c.serve(idleEnd)
		} else {
			go c.end()
		}
	})
}

// allow sets how long reading may take.
func (c *clientConn) allow(d time.Duration) {
	until := time.Now().Add(d)
	if gap := until.Sub(c.until); gap < 0 || gap > deadlineSlack {
		c.until = until
		_ = c.SetReadDeadline(until) // an error means closed; reading tells
	}
}

// Write writes, for writeTimeout at most.
func (c *clientConn) Write(p []byte) (int, error) {
	if until := time.Now().Add(writeTimeout); c.writeUntil.Before(until) {
		c.writeUntil = until.Add(deadlineSlack)
		_ = c.SetWriteDeadline(c.writeUntil) // an error means closed; writing tells
	}
	return c.Conn.Write(p)
}

// handOver gives the connection to net/http, with what has been read of it. It
// reports false if that serves no more, and the connection is still ours.
func (c *clientConn) handOver() bool {
	read := append([]byte(nil), c.reader.Buffered()...)
	_ = c.SetDeadline(noDeadline)
	c.until, c.writeUntil = noDeadline, noDeadline
	handed := &handedConn{Conn: c.Conn, version: c.version, read: read, newcomers: &c.server.conns.newcomers}
	handed.isNew.Store(c.isNew)
	if c.gone = c.listener.handover.give(handed); c.gone {
		c.reader.Reset(nil)
		c.isNew = false // handed is, as long as it lasts
	}
	return c.gone
}

// hangUp closes the connection in a way that shows that something is missing:
// by a reset, and without TLS's close_notify.
func (c *clientConn) hangUp() {
	c.reader.Reset(nil)
	cut(c.Conn)
}

func cut(conn net.Conn) {
	raw := socketOf(conn)
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = raw.Close()
}

// linger ends our half, and takes what the client still sends.
func (c *clientConn) linger() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if tcp, ok := socketOf(c.Conn).(*net.TCPConn); ok { // TLS's end is not the end of the connection
		_ = tcp.CloseWrite()
	}
	c.until = time.Now().Add(lingerTime)
	_ = c.SetReadDeadline(c.until)
	c.idle.Store(true) // nobody needs to wait for it
	defer c.idle.Store(false)
	for !c.server.draining.Load() {
		c.reader.Discard(len(c.reader.Buffered())) // first: a full buffer is often why it ends
		if c.reader.Fill() != nil {
			return
		}
	}
}

// socketOf is the connection below all others.
func socketOf(conn net.Conn) net.Conn {
	for {
		w, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = w.NetConn()
	}
}

// awaited is what is below a *tls.Conn of the package record.
type awaited interface {
	Await() error
	Empty() bool
}

// tlsSource reads a connection of TLS 1.2, and can be waited for without a
// buffer. As net.Conn has it, one goroutine at a time may read or wait.
type tlsSource struct {
	conn  *tls.Conn
	below awaited // tells only while conn holds nothing itself
	full  bool    // the last Read filled what it was given, so that conn may
}

// Read reads, and notes whether conn may hold more.
func (s *tlsSource) Read(p []byte) (int, error) {
	n, err := s.conn.Read(p)
	s.full = n == len(p)
	return n, err
}

// Await blocks until there is something to read. It obeys the read deadline.
func (s *tlsSource) Await() error {
	if s.full {
		return nil
	}
	return s.below.Await()
}

// Empty reports whether only the socket can tell when there is more.
func (s *tlsSource) Empty() bool { return !s.full && s.below.Empty() }

// statusWithoutBody reports whether answers of this status have neither a body
// nor a length (RFC 9110 §8.6).
func statusWithoutBody(status int) bool {
	return status < 200 || status == http.StatusNoContent
}
