package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"wsfront/proxy/diagnosis"
	"wsfront/proxy/http1"
)

// requestLimits bound what a client may say before its request's body.
var requestLimits = http1.Limits{Head: maxHeaderBytes}

// maxDiscarded is how much of a request's body is read for nothing, so that the
// connection can be kept.
const maxDiscarded = 256 << 10

// answerBuffer is how much of an answer is put together before it is written.
// Larger pieces are written as they are.
const answerBuffer = 32 << 10

// turn is one request on a clientConn, and the downstream of its exchange. It is
// used again for other requests, of other connections as well: an idle
// connection holds none.
type turn struct {
	exchange
	c       *clientConn
	request http1.Request
	length  int    // of the head
	raw     []byte // the head, in the reader's buffer
	head    []byte // the head, once the reader's buffer moves on
	body    http1.Body
	stopped atomic.Bool

	out     []byte // what goes out next
	chunked bool
	asked   bool // the client was asked for its body
	closing bool // the connection ends with this answer
	taken   bool // the connection has become a tunnel
	failure error
}

// begin prepares a turn for the next request of a connection.
func (t *turn) begin(c *clientConn) {
	t.c, t.server, t.down, t.req, t.secure, t.tls, t.peer = c, c.server, t, &t.request, c.listener.secure, c.version, c.peer
	t.out, t.head, t.raw, t.chunked, t.asked, t.closing, t.taken, t.failure = t.out[:0], t.head[:0], nil, false, false, false, false, nil
	t.stopped.Store(false)
}

// release gives the turn back, without holding on to the connection.
func (t *turn) release() {
	s := t.server
	t.exchange.reset()
	t.request.Reset()
	t.c, t.raw = nil, nil
	if cap(t.out) > 2*answerBuffer || cap(t.small) > 2*smallBody || cap(t.scratch) > maxKeptText {
		return
	}
	s.turns.Put(t)
}

// serve reads the request's head, and answers it or gives the connection away.
// It reports whether another request may follow.
func (t *turn) serve() (again bool) {
	c, s := t.c, t.server
	defer func() {
		if cause := recover(); cause != nil {
			s.panicked(&t.exchange, cause)
			if t.site != nil { // else not even its head was there, of which a line could tell
				s.finish(&t.exchange)
			}
			c.hangUp()
			again = false
		}
	}()
	if err := t.readHead(); err != nil {
		c.settle()
		t.unreadable(err)
		return false
	}
	t.exchange.arrived(s.table.Load().trusted)
	t.proto = "HTTP/1.1"
	if t.request.Minor == 0 {
		t.proto = "HTTP/1.0"
	}
	t.closing = t.request.Close
	handOver := !t.secure && s.certs.isChallenge(&t.exchange)
	found := handOver || s.find(&t.exchange)
	handOver = handOver || found && t.route.http != nil
	if handOver && c.handOver() {
		return false
	}
	c.settle()
	t.beginBody()
	switch {
	case handOver:
		t.closing = true
		t.failFor(diagnosis.Restarting, http.StatusServiceUnavailable, shuttingDown, restartHint)
	case found:
		s.serve(&t.exchange)
	}
	s.finish(&t.exchange)
	return t.over()
}

// beginBody leaves the head behind, if that has not been done.
func (t *turn) beginBody() {
	if t.raw != nil {
		return
	}
	r := &t.c.reader
	t.raw = r.Buffered()[:t.length]
	r.Discard(t.length)
	framing := t.request.Framing()
	t.body.Reset(r, framing, t.request.ContentLength, http1.Limits{})
	if framing == http1.ChunkedBody || framing == http1.Length && t.request.ContentLength > int64(len(r.Buffered())) {
		t.keepHead()
	}
}

// keepHead copies the request's head, as the reader's buffer is about to move
// on.
func (t *turn) keepHead() {
	if len(t.head) > 0 {
		return
	}
	t.head = append(t.head, t.raw...)
	t.request.Reset()
	if _, err := t.request.Parse(t.head, requestLimits); err != nil {
		panic("proxy: a head that was read cannot be read again: " + err.Error())
	}
	t.host, t.path = t.keepText(string(t.host)), t.keepText(string(t.path))
}

// readHead reads until the request's head is there. It stays in the reader's
// buffer.
func (t *turn) readHead() error {
	c := t.c
	for first := true; ; first = false {
		n, err := t.request.Parse(c.reader.Buffered(), requestLimits)
		if n > 0 || err != nil {
			t.length = n
			return err
		}
		if first {
			c.until = time.Now().Add(headerTimeout)
			_ = c.SetReadDeadline(c.until)
		}
		if err := c.reader.Fill(); err != nil {
			return err
		}
	}
}

// unreadable ends a connection whose next request could not be read.
func (t *turn) unreadable(err error) {
	var malformed *http1.Error
	switch {
	case errors.As(err, &malformed):
		t.exchange.arrived(t.server.table.Load().trusted)
		t.proto, t.request.Minor, t.closing = "-", 1, true
		t.fail(malformed.Status, malformed.Reason, unreadableHint)
	case isTimeout(err):
		// The wait may have moved what has come to another buffer.
		t.request.Reset()
		_, _ = t.request.Parse(t.c.reader.Buffered(), requestLimits) // as much as there is
		t.exchange.arrived(t.server.table.Load().trusted)
		t.proto, t.request.Minor, t.closing = "-", 1, true
		t.fail(http.StatusRequestTimeout, "", "The request took too long to arrive.")
	default:
		return // the client went away
	}
	t.server.finish(&t.exchange)
	t.c.linger()
}

// over ends the exchange, and reports whether another request may follow.
func (t *turn) over() bool {
	switch c := t.c; {
	case t.taken:
		return false
	case t.aborted || t.failure != nil:
		t.flush() // the client is to see what there is, and that it breaks off
		c.hangUp()
		return false
	case !t.drained(), t.closing:
		c.linger() // in stages (RFC 9112 §9.6)
		return false
	}
	return true
}

// drained reports whether all of the request's body has been read, so that the
// next request can follow. The rest of a body that nobody wanted is read, up to
// maxDiscarded and within lingerTime; net/http does the same.
func (t *turn) drained() bool {
	if t.stopped.Load() {
		return false
	}
	if !t.body.Done() {
		t.c.until = time.Now().Add(lingerTime)
		_ = t.c.SetReadDeadline(t.c.until)
	}
	for left := maxDiscarded; !t.body.Done(); {
		if t.closing || left <= 0 {
			return false
		}
		piece, err := t.body.Next()
		if err != nil {
			return err == io.EOF
		}
		left -= len(piece)
	}
	return true
}

// leavesBody reports whether some of the request's body is not going to be read,
// as far as that is known: whose client waits to be asked for it may send it or
// not.
func (t *turn) leavesBody() bool {
	t.beginBody() // not yet done where find has answered
	if t.body.Done() {
		return false
	}
	return t.request.ExpectContinue && !t.asked || t.body.Left() > maxDiscarded
}

// The request's body, as downstream.

func (t *turn) readBody() ([]byte, error) {
	if t.stopped.Load() {
		return nil, errBodyStopped
	}
	t.c.allow(bodyTimeout)
	if t.stopped.Load() { // its deadline may have been lifted just now
		return nil, errBodyStopped
	}
	return t.body.Next()
}

func (t *turn) trailer() []http1.Field { return t.body.Trailer }

// duplex does nothing: body and answer have nothing in common here.
func (t *turn) duplex() {}

func (t *turn) stopBody() {
	t.stopped.Store(true)
	_ = t.c.SetReadDeadline(aLongTimeAgo)
}

func (t *turn) proceed() {
	t.asked = true
	if t.request.Minor > 0 && !t.body.Done() && len(t.c.reader.Buffered()) == 0 {
		t.out = append(t.out, "HTTP/1.1 100 Continue\r\n\r\n"...)
		t.flush()
	}
}

// The answer, as downstream.

func (t *turn) interim(status int, fields []http1.Field) {
	t.appendStatus(status, nil)
	for i := range fields {
		t.out = appendFieldLine(t.out, fields[i].Name, fields[i].Value)
	}
	t.out = append(t.out, "\r\n"...)
	t.flush()
}

func (t *turn) appendStatus(status int, reason []byte) {
	t.out = append(t.out, "HTTP/1.1 "...)
	t.out = appendInt(t.out, int64(status))
	t.out = append(t.out, ' ')
	if len(reason) > 0 {
		t.out = append(t.out, reason...)
	} else {
		t.out = append(t.out, http.StatusText(status)...)
	}
	t.out = append(t.out, "\r\n"...)
}

func (t *turn) start(status int, reason []byte, fields []http1.Field, length int64) {
	t.appendStatus(status, reason)
	dated := false
	for i := range fields {
		switch fields[i].Known {
		case http1.Date:
			dated = true
		case http1.Trailer:
			if t.request.Minor == 0 {
				continue
			}
		}
		t.out = appendFieldLine(t.out, fields[i].Name, fields[i].Value)
	}
	if !dated { // RFC 9110 §6.6.1
		t.out = append(t.out, "Date: "...)
		t.out = append(t.out, t.server.date.now()...)
		t.out = append(t.out, "\r\n"...)
	}
	switch {
	case length >= 0 && !statusWithoutBody(status):
		t.out = append(t.out, "Content-Length: "...)
		t.out = appendInt(t.out, length)
		t.out = append(t.out, "\r\n"...)
	case length == lengthUnknown && t.request.Minor > 0:
		t.chunked = true
		t.out = append(t.out, "Transfer-Encoding: chunked\r\n"...)
	case length == lengthUnknown:
		t.closing = true // the end of the connection is that of the body
	}
	switch {
	case t.closing || t.server.draining.Load() || t.leavesBody():
		t.closing = true
		t.out = append(t.out, "Connection: close\r\n"...)
	case t.request.Minor == 0:
		t.out = append(t.out, "Connection: keep-alive\r\n"...)
	}
	t.out = append(t.out, "\r\n"...)
}

func (t *turn) write(p []byte) {
	switch {
	case t.chunked:
		t.out = http1.AppendChunkSize(t.out, len(p))
		t.out = append(t.out, p...)
		t.out = append(t.out, "\r\n"...)
	case len(t.out)+len(p) <= answerBuffer:
		t.out = append(t.out, p...)
		return
	default:
		t.flush()
		if t.failure == nil {
			_, t.failure = t.c.Write(p)
		}
		return
	}
	if len(t.out) >= answerBuffer {
		t.flush()
	}
}

func (t *turn) flush() {
	if len(t.out) > 0 && t.failure == nil {
		_, t.failure = t.c.Write(t.out)
	}
	t.out = t.out[:0]
}

func (t *turn) end(trailer []http1.Field) {
	if t.chunked {
		t.out = append(t.out, "0\r\n"...)
		for i := range trailer {
			t.out = appendFieldLine(t.out, trailer[i].Name, trailer[i].Value)
		}
		t.out = append(t.out, "\r\n"...)
	}
}

func (t *turn) finish() { t.flush() }

func (t *turn) err() error { return t.failure }

func (t *turn) closeAfter() { t.closing = true }

// watch reads what the client sends meanwhile, which is another request at
// best: until it goes away, or the buffer is full.
func (t *turn) watch(gone func()) func() {
	t.keepHead()
	t.c.until = noDeadline
	_ = t.c.SetReadDeadline(noDeadline)
	var stopped atomic.Bool
	done := make(chan struct{})
	go func() { // ended by the deadline that stop sets, and awaited there
		defer close(done)
		defer t.contain(gone)
		for {
			switch err := t.c.reader.Fill(); {
			case err == nil:
			case stopped.Load() && isTimeout(err), errors.Is(err, http1.ErrFull):
				return
			default:
				gone()
				return
			}
		}
	}()
	return func() {
		stopped.Store(true)
		_ = t.c.SetReadDeadline(aLongTimeAgo)
		<-done
		t.c.until = aLongTimeAgo
	}
}

func (t *turn) takeOver() (*takenConn, error) {
	t.keepHead() // the log lines tell of it when its buffer is another connection's
	c := t.c
	t.taken, c.gone = true, true
	conn := c.Conn
	if w, ok := conn.(interface{ NetConn() net.Conn }); ok && !t.secure {
		conn = w.NetConn() // the relay wants the socket itself
	}
	taken := &takenConn{Conn: conn, leftover: append([]byte(nil), c.reader.Buffered()...)}
	c.reader.Reset(nil)
	_ = c.SetDeadline(noDeadline)
	return taken, nil
}

var errBodyStopped = errors.New("the body is not wanted any more")

// dateCache is the Date of answers whose backend gave none, made once a second.
type dateCache struct{ last atomic.Pointer[date] }

type date struct {
	second int64
	text   []byte
}

func (d *dateCache) now() []byte {
	now := time.Now()
	last := d.last.Load()
	if last == nil || last.second != now.Unix() {
		last = &date{now.Unix(), now.UTC().AppendFormat(nil, http.TimeFormat)}
		d.last.Store(last)
	}
	return last.text
}
