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
	"sync"
	"sync/atomic"
	"time"

	"wsfront/proxy/http1"
	"wsfront/proxy/http2"
	"wsfront/proxy/record"
)

const (
	// lingerTime is how long a client may go on sending what nobody wants,
	// after the answer that ends the connection: closed at once, the connection
	// would be reset, and the answer lost with it.
	lingerTime = 5 * time.Second
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

// clientConn is a client's connection. Between requests of HTTP/1.1 it holds no
// buffer, and after parkAfter no goroutine either; one of HTTP/2 is the package
// http2's.
type clientConn struct {
	net.Conn
	server     *Server
	listener   *listener
	prev, next *clientConn // in one of the lists of clientConns
	peer       netip.Addr
	port       uint16 // of peer

	reader http1.Reader
	source interface{ Empty() bool } // what reader reads; nil if that cannot tell
	until  time.Time                 // the read deadline that is set
	// writeUntil is the write deadline that is set.
	writeUntil time.Time
	// limits guards the deadlines where a handler may set its own, from any
	// goroutine. While it has, ours are not set.
	limits                sync.Mutex
	theirRead, theirWrite bool

	streams *http2.Conn // if it speaks HTTP/2; the lock of clientConns guards it
	version uint16      // of TLS, 0 for none
	content carried     // see carries
	isNew   bool        // see settle
	parked  bool        // in that list of clientConns, whose lock guards it
	counted bool        // by its address
	evicted bool        // told to give way, and counted no more; guarded likewise
	stalls  uint8       // see takes
	gone    bool        // given away, to a tunnel or a handler
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
	if !c.listener.secure {
		c.serve(time.Time{})
		return
	}
	switch protocol, ok := c.secure(); {
	case !ok:
		c.server.conns.done(c)
	case protocol == "h2":
		c.speakHTTP2()
	default:
		c.serve(time.Time{})
	}
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

// secure does the TLS handshake, and returns what the client has chosen to speak.
// It reports false when the connection is over.
func (c *clientConn) secure() (protocol string, ok bool) {
	defer c.server.endHandshake()
	ctx, cancel := context.WithTimeout(c.server.stopping, c.server.limits.Load().HandshakeTimeout)
	defer cancel()
	var asked tlsAsked
	conn, state, err := c.server.accepter.Handshake(asked.within(ctx), c.Conn)
	if err != nil {
		if err == context.DeadlineExceeded {
			c.server.hits.add(limitHandshakeTimeout, c.peer)
		}
		c.server.conns.counts.failed(&asked, err)
		c.server.handshakeRefused(c.Conn, err)
		c.server.noteTLSFailure(c.peer, &asked, err)
		_ = c.Conn.Close()
		return "", false
	}
	c.server.conns.counts.succeeded(state.Version)
	c.server.conns.replace(c, conn)
	switch state.NegotiatedProtocol {
	case "", "http/1.1", "h2":
		c.version = state.Version
		if state.NegotiatedProtocol == "h2" {
			c.carries(carriesHTTP2)
		} else {
			c.carries(carriesHTTP1)
		}
		return state.NegotiatedProtocol, true
	}
	_ = conn.Close() // an ACME challenge is over with its handshake (RFC 8737 §3)
	return "", false
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
// for idle_timeout.
func (c *clientConn) await(idleEnd time.Time) outcome {
	if len(c.reader.Buffered()) > 0 {
		if c.server.draining.Load() {
			return over
		}
		return request
	}
	idle := c.server.limits.Load().IdleTimeout
	awake := min(idle, parkAfter+deadlineSlack)
	err := c.wait(awake)
	if isTimeout(err) && !c.server.draining.Load() {
		if idleEnd.IsZero() {
			idleEnd = time.Now().Add(idle - awake)
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
	c.allow(time.Now(), d)
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
	conns := &c.server.conns
	conns.rest(c)
	isParked := conns.lot.Park(socketOf(c.Conn), idleEnd, func(ready bool) {
		// Ended and awaited as what begin started; to close may take a while.
		if ready || c.streams != nil {
			go c.resume(idleEnd)
		} else {
			go c.end()
		}
	})
	if !isParked {
		conns.resume(c)
	}
	return isParked
}

// resume goes on with a connection that was parked.
func (c *clientConn) resume(idleEnd time.Time) {
	c.server.conns.resume(c)
	if c.streams != nil {
		c.serveStreams() // and says goodbye if it is time
		return
	}
	c.serve(idleEnd)
}

// allow sets how long reading may take from now on.
func (c *clientConn) allow(now time.Time, d time.Duration) {
	until := now.Add(d)
	if gap := until.Sub(c.until); gap < 0 || gap > min(deadlineSlack, d/16) {
		c.until = until
		_ = c.SetReadDeadline(until) // an error means closed; reading tells
	}
}

// allowBody is allow for the next piece of a request's body. It reports false
// where a handler says how long that may take.
func (c *clientConn) allowBody(now time.Time, d time.Duration) (ours bool) {
	c.limits.Lock()
	defer c.limits.Unlock()
	if !c.theirRead {
		c.allow(now, d)
	}
	return !c.theirRead
}

// allowWatch has reading wait for good, as long as no handler says otherwise.
func (c *clientConn) allowWatch() {
	c.limits.Lock()
	defer c.limits.Unlock()
	if !c.theirRead {
		c.until = noDeadline
		_ = c.SetReadDeadline(noDeadline)
	}
}

// ownLimits puts our own limits back into effect for the next request.
func (c *clientConn) ownLimits() {
	c.limits.Lock()
	defer c.limits.Unlock()
	if c.theirRead {
		c.theirRead, c.until = false, noDeadline // which is not what is set
	}
	if c.theirWrite {
		c.theirWrite, c.writeUntil = false, noDeadline
	}
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
