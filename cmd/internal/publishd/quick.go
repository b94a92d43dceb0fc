package publishd

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"wsfront/proxy/http1"
)

// maxQuickBody is the longest body that the quick way takes.
const maxQuickBody = 1 << 20

// quick is a connection as long as plain publishes come over it, one after the
// other.
type quick struct {
	net.Conn
	server *Server
	reader http1.Reader
	head   http1.Request
	body   body
	answer answer

	request http.Request
	url     url.URL
	header  http.Header
	kept    [len(quickFields)][]string // values of the last request, of which most come again

	until, writeUntil time.Time   // the deadlines that are set
	hurried           atomic.Bool // it is to end once what is under way is answered
	idle              atomic.Bool // nothing is under way
	out               []byte
	date              []byte
	dated             int64 // the second that date is of
}

// quickFields are the fields of a request that a publish looks at, by their
// names in http.Header.
var quickFields = [...]string{"Authorization", "X-Api-Key", "Content-Type", "Idempotency-Key", "Ttl"}

// serve answers publishes until the connection ends, or another request comes.
func (q *quick) serve() {
	defer q.server.end(q)
	defer func() {
		if fault := recover(); fault != nil { // ends this connection alone, as with net/http
			q.Close()
			q.server.fault(fault)
		}
	}()
	q.header = make(http.Header, len(quickFields))
	q.reader.Reset(q.Conn)
	for q.next() {
		if !q.plain() {
			q.giveUp()
			return
		}
		if !q.publish() {
			break
		}
	}
	q.reader.Reset(nil)
	q.Close()
}

// next waits for a request's head. It is not discarded from the reader.
func (q *quick) next() bool {
	q.head.Reset()
	for begun := false; ; {
		if b := q.reader.Buffered(); len(b) > 0 {
			n, err := q.head.Parse(b, http1.Limits{})
			if n > 0 || err != nil {
				q.body.head = n // 0: net/http says what is wrong
				return true
			}
			if !begun { // from here on for the head as a whole
				begun = true
				q.until = time.Time{}
				q.allow(headerTimeout)
			}
		} else {
			q.reader.Release()
			q.allow(idleTimeout)
		}
		q.idle.Store(true)
		// In this order: hurry sets hurried, and then looks whether it is idle.
		if q.hurried.Load() || q.reader.Fill() != nil {
			return false
		}
		q.idle.Store(false)
	}
}

// allow sets how long reading may take, about: a deadline that is not far off
// stays as it is, since to move it costs more than to read.
func (q *quick) allow(d time.Duration) {
	now := time.Now()
	if left := q.until.Sub(now); left > d || left < d-d/4 {
		q.until = now.Add(d)
		_ = q.SetReadDeadline(q.until) // an error means closed; reading tells
	}
}

// hurry ends the connection, at once if it waits for a request.
func (q *quick) hurry() {
	q.hurried.Store(true)
	if q.idle.Load() {
		_ = q.SetReadDeadline(time.Unix(1, 0))
	}
}

// plain says whether the request is a publish of a message whose length is known.
func (q *quick) plain() bool {
	h := &q.head
	name, ok := bytes.CutPrefix(h.Path, []byte("/channels/"))
	return q.body.head > 0 && ok && len(name) > 0 && bytes.IndexByte(name, '/') < 0 && bytes.IndexByte(name, '%') < 0 &&
		!h.HasQuery && string(h.Method) == http.MethodPost && h.Minor == 1 && !h.Close && !h.Chunked && !h.ExpectContinue &&
		h.ContentLength >= 0 && h.ContentLength <= maxQuickBody && q.fields()
}

// fields puts the fields that count into q.header. It reports false if one comes
// more than once.
func (q *quick) fields() bool {
	clear(q.header)
	for i := range q.head.Fields {
		f := &q.head.Fields[i]
		for j, name := range quickFields {
			if len(f.Name) != len(name) || !bytes.EqualFold(f.Name, []byte(name)) {
				continue
			}
			if q.header[name] != nil {
				return false
			}
			if kept := q.kept[j]; kept == nil || kept[0] != string(f.Value) {
				q.kept[j] = []string{string(f.Value)}
			}
			q.header[name] = q.kept[j]
		}
	}
	return true
}

// publish has the handler answer the request.
func (q *quick) publish() (again bool) {
	q.url.Path = string(q.head.Path) // a new one each time: the channel's name is a part of it
	if q.request.Host != string(q.head.HostValue) {
		q.request.Host = string(q.head.HostValue)
	}
	q.request = http.Request{
		Method: http.MethodPost, URL: &q.url, RequestURI: q.url.Path, Host: q.request.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: q.header, Body: &q.body, ContentLength: q.head.ContentLength, RemoteAddr: q.remote(),
	}
	q.reader.Discard(q.body.head)
	q.body.begin(q)
	q.answer.reset()
	q.server.answer(&q.answer, &q.request)
	return q.write(q.body.skip() && !q.hurried.Load())
}

func (q *quick) remote() string {
	if q.request.RemoteAddr == "" {
		q.request.RemoteAddr = q.RemoteAddr().String()
	}
	return q.request.RemoteAddr
}

// giveUp hands the connection to net/http.
func (q *quick) giveUp() {
	_ = q.SetDeadline(time.Time{})
	rest := bytes.Clone(q.reader.Buffered())
	q.reader.Reset(nil)
	if !q.server.handed.give(&readAhead{q.Conn, rest}) {
		q.Close()
	}
}

// write sends the answer.
func (q *quick) write(again bool) bool {
	now := time.Now()
	a := &q.answer
	b := append(q.out[:0], "HTTP/1.1 "...)
	b = append(strconv.AppendInt(b, int64(a.status), 10), ' ')
	b = append(append(b, http.StatusText(a.status)...), "\r\nDate: "...)
	if second := now.Unix(); q.date == nil || second != q.dated {
		q.dated, q.date = second, now.UTC().AppendFormat(q.date[:0], http.TimeFormat)
	}
	b = append(append(b, q.date...), "\r\n"...)
	for name, values := range a.header {
		for _, value := range values {
			b = append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
		}
	}
	if !again {
		b = append(b, "Connection: close\r\n"...)
	}
	b = append(b, "Content-Length: "...)
	b = append(strconv.AppendInt(b, int64(len(a.body)), 10), "\r\n\r\n"...)
	b = append(b, a.body...)
	q.out = b
	if q.writeUntil.Sub(now) < writeTimeout/2 {
		q.writeUntil = now.Add(writeTimeout)
		_ = q.SetWriteDeadline(q.writeUntil)
	}
	_, err := q.Write(b)
	return err == nil && again
}

// answer is the http.ResponseWriter of a publish, whose answers are short.
type answer struct {
	header http.Header
	status int
	body   []byte
}

func (a *answer) reset() {
	if a.header == nil {
		a.header = http.Header{}
	}
	clear(a.header)
	a.status, a.body = http.StatusOK, a.body[:0]
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { a.body = append(a.body, p...); return len(p), nil }

// body is that of a publish.
type body struct {
	http1.Body
	q    *quick
	head int    // length of the head before it
	rest []byte // of the last piece
	err  error  // that ended it
}

func (b *body) begin(q *quick) {
	b.q, b.rest, b.err = q, nil, nil
	b.Body.Reset(&q.reader, q.head.Framing(), q.head.ContentLength, http1.Limits{})
}

func (b *body) Read(p []byte) (int, error) {
	if len(b.rest) == 0 && b.err == nil {
		if len(b.q.reader.Buffered()) == 0 {
			b.q.allow(bodyTimeout)
		}
		b.rest, b.err = b.Body.Next()
	}
	if len(b.rest) == 0 {
		return 0, b.err
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *body) Close() error { return nil }

// skip reads what the handler has left of it, and reports whether the next request
// follows.
func (b *body) skip() bool {
	for b.err == nil && !b.Body.Done() {
		_, b.err = b.Body.Next()
	}
	return b.err == nil || b.err == io.EOF
}
