package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"wsfront/proxy/http1"
	"wsfront/proxy/http2"
)

// stream is one request that came by HTTP/2, and the downstream of its exchange.
// Like a turn it is used again for other requests.
type stream struct {
	exchange
	s       *http2.Stream
	request http1.Request
	parts   http1.Parts
	cookies []byte        // joined
	head    []http1.Field // of the answer
	ending  []http1.Field // its trailer
	ended   bool
	copying []byte // what sendFrom reads into
	failure error

	limits    *limits // those in effect when it began
	pace      bodyPace
	stopped   atomic.Bool
	deadlines sync.Mutex
	theirRead bool // a handler has set the read deadline
}

// maxKeptText keeps the memory of one very long head from staying.
const maxKeptText = 16 << 10

// serveStream answers a request of HTTP/2. A stream that it leaves without an
// end is reset, so that a cut answer never looks whole.
func (s *Server) serveStream(hs *http2.Stream) {
	t := s.streams.Get().(*stream)
	t.begin(hs.Owner().(*clientConn), hs)
	defer t.release()
	defer func() {
		if cause := recover(); cause != nil {
			s.panicked(&t.exchange, cause)
		}
		s.finish(&t.exchange)
	}()
	err := t.readHead()
	t.exchange.arrived(s.table.Load().trusted)
	if err != nil {
		t.unreadable(err)
		return
	}
	if s.find(&t.exchange) {
		s.serve(&t.exchange)
	}
}

// begin prepares for a request.
func (t *stream) begin(c *clientConn, s *http2.Stream) {
	t.s, t.server, t.down, t.req, t.secure, t.tls = s, c.server, t, &t.request, true, c.version
	t.peer, t.port, t.proto = c.peer, c.port, "HTTP/2.0"
	t.limits, t.pace = t.server.limits.Load(), bodyPace{}
	t.stopped.Store(false)
}

// release gives the stream back, with nothing of the request in it.
func (t *stream) release() {
	s := t.server
	t.exchange.reset()
	t.request.Reset()
	clear(t.parts.Fields)
	clear(t.head)
	t.s, t.parts, t.ending, t.ended, t.failure, t.theirRead = nil, http1.Parts{Fields: t.parts.Fields[:0]}, nil, false, nil, false
	if cap(t.small) > maxKeptBody {
		t.small = nil
	}
	if cap(t.scratch) <= maxKeptText && cap(t.cookies) <= maxKeptText {
		s.streams.Put(t)
	}
}

// readHead makes the request of the stream's head.
func (t *stream) readHead() error {
	h := &t.s.Head
	t.parts.Method, t.parts.Path, t.parts.Authority = h.Method, h.Path, h.Authority
	t.parts.ContentLength, t.parts.HasBody = h.ContentLength, h.HasBody
	t.joinCookies(h.Fields)
	err := t.request.Assemble(&t.parts, t.limits.head)
	if h.TooLarge != "" {
		err = &http1.Error{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: "the head is too long; see " + string(h.TooLarge)}
	}
	return err
}

// joinCookies takes over the fields of a head. Cookies may come in several
// (RFC 9113 §8.2.3), which HTTP/1.1 does not know.
func (t *stream) joinCookies(fields []http1.Field) {
	first := -1
	t.cookies = t.cookies[:0]
	for i := range fields {
		f := &fields[i]
		switch {
		case f.Known != http1.Cookie:
			t.parts.Fields = append(t.parts.Fields, *f)
		case first < 0:
			first = len(t.parts.Fields)
			t.parts.Fields = append(t.parts.Fields, *f)
		default:
			if len(t.cookies) == 0 {
				t.cookies = append(t.cookies, t.parts.Fields[first].Value...)
			}
			t.cookies = append(append(t.cookies, "; "...), f.Value...)
		}
	}
	if len(t.cookies) > 0 {
		t.parts.Fields[first].Value = t.cookies
	}
}

// unreadable answers a request that is none.
func (t *stream) unreadable(err error) {
	var malformed *http1.Error
	if errors.As(err, &malformed) {
		if malformed.Status == http.StatusRequestURITooLong {
			t.server.hits.add(limitMaxTarget, t.client)
		}
		t.fail(malformed.Status, malformed.Reason, unreadableHint)
	}
}

// The request's body, as downstream.

func (t *stream) readBody() ([]byte, error) {
	patience, limit := t.pace.patience(t.limits)
	begin := time.Now()
	ours := t.allowBody(begin.Add(patience))
	piece, err := t.s.ReadBody()
	for ours && isTimeout(err) && !t.stopped.Load() && t.s.Starved(begin) { // it is not the client that is slow
		begin = time.Now()
		ours = t.allowBody(begin.Add(t.limits.BodyTimeout))
		piece, err = t.s.ReadBody()
	}
	t.took(len(piece))
	t.pace.took(len(piece), time.Since(begin))
	if ours && isTimeout(err) && !t.stopped.Load() {
		t.server.hits.add(limit, t.client)
		err = &slowBody{limit}
	}
	return piece, err
}

// allowBody sets until when the next piece of the body may come, unless a
// handler has done so, which it reports.
func (t *stream) allowBody(until time.Time) (ours bool) {
	t.deadlines.Lock()
	defer t.deadlines.Unlock()
	if !t.theirRead {
		t.s.SetReadDeadline(until)
	}
	return !t.theirRead
}

func (t *stream) trailer() []http1.Field { return t.s.Trailer() }

// duplex does nothing: each stream has two directions.
func (t *stream) duplex() {}

func (t *stream) stopBody() {
	t.stopped.Store(true)
	t.s.StopBody()
}

func (t *stream) proceed() { t.s.Continue() }

// The answer, as downstream.

func (t *stream) interim(status int, fields []http1.Field) { t.note(t.s.Interim(status, fields)) }

// note keeps the first failure.
func (t *stream) note(err error) {
	if t.failure == nil {
		t.failure = err
	}
}

// The names of what start adds. They are never written to.
var dateName, lengthName = []byte("date"), []byte("content-length")

func (t *stream) start(status int, _ []byte, fields []http1.Field, length int64) {
	t.head = append(t.head[:0], fields...)
	if _, n := http1.Get(fields, http1.Date); n == 0 { // RFC 9110 §6.6.1
		t.head = append(t.head, http1.Field{Known: http1.Date, Name: dateName, Value: t.server.date.now()})
	}
	if length >= 0 && !statusWithoutBody(status) {
		from := len(t.scratch)
		t.scratch = appendInt(t.scratch, length)
		t.head = append(t.head, http1.Field{Known: http1.ContentLength, Name: lengthName, Value: t.scratch[from:]})
	}
	t.note(t.s.WriteHead(status, t.head))
}

func (t *stream) write(p []byte) {
	if t.failure == nil {
		_, t.failure = t.s.Write(p)
	}
}

func (t *stream) flush() { t.s.Flush() }

// sendFrom is that of sourceSender.
func (t *stream) sendFrom(src *io.LimitedReader) (sent int64, err error) {
	if t.copying == nil {
		t.copying = make([]byte, copyPiece)
	}
	for src.N > 0 && err == nil && t.failure == nil {
		var n int
		n, err = src.Read(t.copying)
		t.write(t.copying[:n])
		sent += int64(n)
	}
	if err == nil || err == io.EOF {
		err = t.failure
	}
	return sent, err
}

// copyPiece is how much of a file is read at once: a frame.
const copyPiece = 16 << 10

// end only notes that the answer is whole, which finish says: by then the
// backend's connection is free for the client's next request.
func (t *stream) end(trailer []http1.Field) {
	t.ended = true
	for i := range trailer { // it may be in a buffer of the backend's connection
		f := &trailer[i]
		t.ending = append(t.ending, http1.Field{Known: f.Known, Name: t.keepText(string(f.Name)), Value: t.keepText(string(f.Value))})
	}
}

func (t *stream) finish() {
	if t.ended && t.failure == nil {
		t.failure = t.s.End(t.ending)
	}
	t.s.Flush()
}

func (t *stream) err() error { return t.failure }

func (t *stream) watch(gone func()) func() { return t.s.Watch(gone) }

// closeAfter does nothing: the other streams of the connection go on.
func (t *stream) closeAfter() {}

func (t *stream) setReadDeadline(until time.Time) error {
	t.deadlines.Lock()
	defer t.deadlines.Unlock()
	t.theirRead = true
	t.s.SetReadDeadline(until)
	return nil
}

func (t *stream) setWriteDeadline(until time.Time) error {
	t.s.SetWriteDeadline(until)
	return nil
}

// takeOver is not for streams.
func (t *stream) takeOver() (*takenConn, error) { return nil, http.ErrNotSupported }
