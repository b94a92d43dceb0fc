package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"wsfront/proxy/http1"
)

// maxDiscarded is how much of a request's body is read for nothing, so that the
// connection can be kept.
const maxDiscarded = 256 << 10

// answerBuffer is how much of an answer is put together before it is written.
// Larger pieces are written as they are.
const answerBuffer = 32 << 10

// turn is one request on a clientConn, and the downstream of its exchange, to
// which turnanswer.go and turnhandler.go belong as well. It is
// used again for other requests, of other connections as well: an idle
// connection holds none.
type turn struct {
	exchange
	c       *clientConn
	limits  *limits // those in effect when it began
	request http1.Request
	length  int    // of the head
	raw     []byte // the head, in the reader's buffer
	head    []byte // the head, once the reader's buffer moves on
	body    http1.Body
	pace    bodyPace
	stopped atomic.Bool

	out     []byte // what goes out next
	chunked bool
	asked   bool // the client was asked for its body
	closing bool // the connection ends with this answer
	taken   bool // the connection is a tunnel's, or a handler's
	watched atomic.Bool
	failure error
}

// begin prepares a turn for the next request of a connection.
func (t *turn) begin(c *clientConn) {
	t.c, t.server, t.down, t.req, t.secure, t.tls, t.peer, t.port = c, c.server, t, &t.request, c.listener.secure, c.version, c.peer, c.port
	t.out, t.head, t.raw, t.chunked, t.asked, t.closing, t.taken, t.failure = t.out[:0], t.head[:0], nil, false, false, false, false, nil
	t.limits, t.pace = t.server.limits.Load(), bodyPace{}
	t.stopped.Store(false)
}

// release gives the turn back, without holding on to the connection.
func (t *turn) release() {
	s := t.server
	t.exchange.reset()
	t.request.Reset()
	t.c, t.raw = nil, nil
	if cap(t.small) > maxKeptBody {
		t.small = nil
	}
	if cap(t.out) > 2*answerBuffer || cap(t.scratch) > maxKeptText {
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
	c.settle()
	if !t.challenged() && s.find(&t.exchange) {
		t.beginBody()
		if t.route.Handler != nil || t.route.Files != "" {
			t.keepHead()
		}
		s.serve(&t.exchange)
	}
	s.finish(&t.exchange)
	return t.over()
}

// challenged answers ACME's challenge, if the request is one.
func (t *turn) challenged() (served bool) {
	certs := t.server.certs
	if t.secure || !certs.isChallenge(&t.exchange) {
		return false
	}
	t.beginBody()
	t.keepHead()
	t.handle(func(w *responseWriter, r *http.Request) {
		served = certs.serveChallenge(w, r)
		w.ended = !served
	})
	return served || t.aborted
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
	if _, err := t.request.Parse(t.head, t.limits.head); err != nil {
		panic("proxy: a head that was read cannot be read again: " + err.Error())
	}
	t.host, t.path = t.keepText(string(t.host)), t.keepText(string(t.path))
}

// readHead reads until the request's head is there. It stays in the reader's
// buffer.
func (t *turn) readHead() error {
	c := t.c
	for first := true; ; first = false {
		n, err := t.request.Parse(c.reader.Buffered(), t.limits.head)
		if n > 0 || err != nil {
			t.length = n
			return err
		}
		if first {
			c.until = time.Now().Add(t.limits.HeaderTimeout)
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
		if limit := t.headLimit(malformed); limit != "" {
			t.server.hits.add(limit, t.client)
		}
		t.fail(malformed.Status, malformed.Reason, unreadableHint)
	case isTimeout(err):
		// The wait may have moved what has come to another buffer.
		t.request.Reset()
		_, _ = t.request.Parse(t.c.reader.Buffered(), t.limits.head) // as much as there is
		t.exchange.arrived(t.server.table.Load().trusted)
		t.proto, t.request.Minor, t.closing = "-", 1, true
		t.server.hits.add(limitHeaderTimeout, t.client)
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
	t.c.ownLimits()
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
		t.took(len(piece))
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
	patience, limit := t.pace.patience(t.limits)
	begin := time.Now()
	ours := t.c.allowBody(begin, patience)
	if t.stopped.Load() { // its deadline may have been lifted just now
		return nil, errBodyStopped
	}
	piece, err := t.body.Next()
	t.took(len(piece))
	t.pace.took(len(piece), time.Since(begin))
	if ours && isTimeout(err) && !t.stopped.Load() {
		t.server.hits.add(limit, t.client)
		err = &slowBody{limit}
	}
	return piece, err
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

var errBodyStopped = errors.New("the body is not wanted any more")
