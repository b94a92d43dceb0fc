package proxy

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"wsfront/proxy/http1"
)

// maxHeld is how much of an answer without a length is held back in case that is
// all of it, so that it gets one. net/http holds as much.
const maxHeld = 2 << 10

var (
	errHandlerOver = errors.New("the handler has returned")
	errHeadSent    = errors.New("the answer has begun")
)

// responseWriter is the http.ResponseWriter of a handler, over an exchange of any
// version of HTTP. As net/http has it, its methods are for one goroutine at a time,
// but for those that set deadlines. It is made anew for each request, with the
// request itself, as a handler may hold on to both.
type responseWriter struct {
	x       *exchange
	header  http.Header
	request *http.Request
	context requestContext
	body    bodyReader

	length   int64    // announced by the handler; lengthUnknown if it was not
	written  int64    // of the body
	held     []byte   // its beginning, until the head goes out
	bodiless bool     // the status has no body
	silent   bool     // nor is one sent, or the method is HEAD
	typed    bool     // no Content-Type is to be guessed
	begun    bool     // the head has gone out
	ended    bool     // the answer is whole, or the connection taken over
	trailed  bool     // trailer fields may follow
	trailers []string // their names, as far as they were announced
	over     atomic.Bool
}

// handle lets serve answer, as the goroutine of a handler. A panic ends the
// exchange alone.
func (x *exchange) handle(serve func(w *responseWriter, r *http.Request)) {
	w := &responseWriter{x: x, header: http.Header{}, length: lengthUnknown}
	w.fillRequest()
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			x.abort()
		default:
			x.server.panicked(x, cause)
		}
		w.over.Store(true)
		w.body.end()
		w.context.end()
	}()
	serve(w, w.request)
	w.end()
}

// Header is that of the answer, and after WriteHeader that of its trailer.
func (w *responseWriter) Header() http.Header { return w.header }

// WriteHeader notes the head, which goes out with the first bytes of the body, by
// Flush, or when the handler returns. Interim answers (1xx) go out at once. Of
// several final statuses the first counts.
func (w *responseWriter) WriteHeader(status int) {
	x := w.x
	switch {
	case status < 100 || status > 999:
		panic(fmt.Sprintf("proxy: a handler answered with the status %d", status))
	case w.over.Load() || w.ended || x.status != 0:
		return
	case status == http.StatusContinue:
		w.body.ask()
		return
	case status < 200 && status != http.StatusSwitchingProtocols:
		if x.req.Minor > 0 { // HTTP/1.0 knows none (RFC 9110 §15.2)
			w.takeFields(status)
			x.down.interim(status, x.fields)
			x.fields = x.fields[:0]
		}
		return
	}
	w.body.unasked()
	x.status = status
	w.bodiless = statusWithoutBody(status) || status == http.StatusNotModified
	w.silent = w.bodiless || x.isHead()
	if n, err := strconv.ParseUint(w.header.Get("Content-Length"), 10, 63); err == nil && !w.bodiless {
		w.length = int64(n)
	}
	w.takeFields(status)
}

// takeFields makes the answer's fields of the header as it is now. Framing is
// downstream's, and a name or value never ends its line.
func (w *responseWriter) takeFields(status int) {
	x := w.x
	x.fields = x.fields[:0]
	for _, name := range slices.Sorted(maps.Keys(w.header)) {
		known := http1.Lookup(name)
		switch {
		case strings.HasPrefix(name, http.TrailerPrefix):
			w.trailed = w.trailed || status >= 200
			continue
		case !isToken(name), known == http1.ContentLength, known == http1.TransferEncoding,
			isHopByHop(known) && known != http1.Trailer && w.request.ProtoMajor > 1: // RFC 9113 §8.2.2
			continue
		case known == http1.ContentType && status == http.StatusNotModified:
			continue
		case known == http1.ContentType || known == http1.ContentEncoding:
			w.typed = true
		case known == http1.Trailer && status >= 200:
			w.announce(w.header[name])
		}
		for _, value := range w.header[name] {
			if known == http1.Connection && equalFold([]byte(value), "close") {
				x.down.closeAfter()
				continue
			}
			x.fields = append(x.fields, http1.Field{Known: known, Name: x.keepText(name), Value: x.keepValue(value)})
		}
	}
}

// keepValue is keepText for a field's value, which is kept from ending its line.
func (x *exchange) keepValue(value string) []byte {
	kept := x.keepText(strings.Trim(value, " \t\r\n"))
	for i, c := range kept {
		if c == '\r' || c == '\n' || c == 0 {
			kept[i] = ' '
		}
	}
	return kept
}

// announce notes the names of trailer fields.
func (w *responseWriter) announce(lists []string) {
	w.trailed = true
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			w.trailers = append(w.trailers, http.CanonicalHeaderKey(strings.Trim(name, " \t")))
		}
	}
}

// begin sends the head, and what is held of the body. next is what follows if
// nothing is held.
func (w *responseWriter) begin(length int64, next []byte) {
	x := w.x
	w.begun = true
	if w.silent && length < 0 {
		length = lengthNone
	}
	if len(w.held) > 0 {
		next = w.held
	}
	if !w.typed && !w.silent && len(next) > 0 {
		x.addField("Content-Type", http.DetectContentType(next))
	}
	unlock := w.body.still()
	x.start(x.status, nil, length)
	unlock()
	if len(w.held) > 0 {
		x.down.write(w.held)
		w.held = nil
	}
}

// opened makes sure that there is a head, and says why nothing can be written.
func (w *responseWriter) opened() error {
	switch {
	case w.over.Load():
		return errHandlerOver
	case w.ended:
		return http.ErrHijacked
	case w.x.status == 0:
		w.WriteHeader(http.StatusOK)
	}
	return nil
}

// room says why n bytes of the body cannot be written.
func (w *responseWriter) room(n int64) error {
	switch {
	case w.bodiless:
		return http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+n > w.length:
		return http.ErrContentLength
	}
	return nil
}

// Write sends a piece of the body, or keeps it until Flush. More bytes than
// Content-Length has announced are http.ErrContentLength.
func (w *responseWriter) Write(p []byte) (n int, err error) {
	if err := w.opened(); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := w.room(int64(len(p))); err != nil {
		return 0, err
	}
	if w.silent {
		w.written += int64(len(p))
		return len(p), nil
	}
	if !w.begun && w.length < 0 && len(w.held)+len(p) <= maxHeld {
		w.held = append(w.held, p...)
		w.wrote(int64(len(p)))
		return len(p), nil
	}
	if !w.begun {
		w.begin(w.length, p)
	}
	for len(p) > n { // in pieces, as the client has write_timeout for each
		piece := p[n:min(len(p), n+answerBuffer)]
		w.x.down.write(piece)
		if err := w.x.down.err(); err != nil {
			return n, err
		}
		n += len(piece)
		w.wrote(int64(len(piece)))
	}
	return n, nil
}

func (w *responseWriter) wrote(n int64) {
	w.written += n
	w.x.sent += n
	w.x.gave(n)
}

// fail answers with an error of our own, whatever the handler had begun to
// describe.
func (w *responseWriter) fail(status int, reason, hint string) {
	for _, name := range []string{"Accept-Ranges", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
		"Content-Range", "Content-Type", "Cache-Control", "Etag", "Expires", "Last-Modified", "Trailer", "Transfer-Encoding"} {
		w.header.Del(name)
	}
	if w.x.status == 0 {
		w.takeFields(status)
	}
	w.begun, w.ended = true, true
	w.x.fail(status, reason, hint)
}

// end ends the answer of a handler that has returned. One that is shorter than
// it announced is cut.
func (w *responseWriter) end() {
	x := w.x
	if w.ended || x.aborted {
		return
	}
	if x.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	trailer := w.trailerFields()
	if !w.begun {
		length := w.length
		if length < 0 && !w.trailed && len(trailer) == 0 && (!w.silent || w.written > 0) {
			length = w.written
		}
		w.begin(length, nil)
	}
	w.ended = true
	if w.length > w.written && !w.silent {
		if x.down.err() == nil {
			x.reason = fmt.Sprintf("the handler announced %d bytes and wrote %d; the answer was cut", w.length, w.written)
		}
		x.abort()
		return
	}
	x.down.end(trailer)
	x.down.finish()
}

// trailerFields are what the handler has left in the header for behind the body.
func (w *responseWriter) trailerFields() (fields []http1.Field) {
	for key := range w.header {
		name, prefixed := strings.CutPrefix(key, http.TrailerPrefix)
		if !prefixed && !slices.Contains(w.trailers, key) || !isToken(name) || http1.Lookup(name) != http1.Other { // RFC 9110 §6.5.1
			continue
		}
		for _, value := range w.header[key] {
			fields = append(fields, http1.Field{Name: []byte(name), Value: w.x.keepValue(value)})
		}
	}
	return fields
}
