package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"wsfront/proxy/http1"
)

// httpExchange is an exchange that comes by HTTP/2, which net/http speaks. It is
// the downstream of that exchange.
type httpExchange struct {
	exchange
	http.ResponseWriter

	r       *http.Request
	request http1.Request
	text    []byte // of the request's names and values
	failed  error
	body    []byte // a piece of the request's body
	trailed []http1.Field
}

// serveHTTP answers a request that came by HTTP/2.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	h := s.httpExchanges.Get().(*httpExchange)
	h.arrive(s, w, r)
	defer func() {
		if cause := recover(); cause != nil {
			s.panicked(&h.exchange, cause)
		}
		aborted := h.aborted
		if aborted && h.status != 0 {
			h.flush() // what there is, so that the client sees that something is missing
		}
		s.finish(&h.exchange)
		h.release()
		if aborted {
			panic(http.ErrAbortHandler) // net/http resets the stream, so that a cut answer never looks whole
		}
	}()
	if mistake := mistakeOf(r); mistake != "" {
		h.fail(http.StatusBadRequest, mistake, unreadableHint)
		return
	}
	if s.find(&h.exchange) {
		s.serve(&h.exchange)
	}
}

// arrive makes the exchange of a request.
func (h *httpExchange) arrive(s *Server, w http.ResponseWriter, r *http.Request) {
	h.ResponseWriter, h.r = w, r
	h.server, h.down, h.req, h.secure, h.proto = s, h, &h.request, true, r.Proto
	if r.TLS != nil {
		h.tls = r.TLS.Version
	}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		h.peer, h.port = ap.Addr().Unmap(), ap.Port()
	}
	h.translate()
	h.exchange.arrived(s.table.Load().trusted)
}

// release gives the exchange back, with nothing of the request in it.
func (h *httpExchange) release() {
	s := h.server
	h.exchange.reset()
	h.request.Reset()
	h.ResponseWriter, h.r, h.failed, h.text, h.trailed = nil, nil, nil, h.text[:0], h.trailed[:0]
	if cap(h.text) <= maxKeptText && cap(h.small) <= 2*smallBody && cap(h.scratch) <= maxKeptText {
		s.httpExchanges.Put(h)
	}
}

// maxKeptText keeps the memory of one very long head from staying.
const maxKeptText = 16 << 10

// translate makes the request that the front knows of net/http's. All its text
// is copied into one buffer.
func (h *httpExchange) translate() {
	r, q := h.r, &h.request
	q.Method, q.Target, q.HostValue = h.copy(r.Method), h.copy(r.RequestURI), h.copy(r.Host)
	q.Minor, q.ContentLength, q.Chunked = 1, r.ContentLength, r.ContentLength < 0
	q.Path = pathOf(q.Target)
	q.HasQuery, q.Query = r.URL.ForceQuery || r.URL.RawQuery != "", h.copy(r.URL.RawQuery)
	for name, list := range r.Header {
		known := http1.Lookup(name)
		for _, value := range list {
			q.Fields = append(q.Fields, http1.Field{Known: known, Name: h.copy(name), Value: h.copy(value)})
		}
	}
	for name := range r.Trailer {
		q.Fields = append(q.Fields, http1.Field{Known: http1.Trailer, Name: h.copy("Trailer"), Value: h.copy(name)})
	}
	q.ExpectContinue = q.ContentLength != 0 && hasToken(q.Fields, http1.Expect, "100-continue")
	if q.ContentLength == 0 && len(r.Header["Content-Length"]) == 0 {
		q.ContentLength = lengthUnknown
	}
	if q.Chunked {
		q.ContentLength = lengthUnknown
	}
}

// pathOf is the path of a target, as it was written: net/url would lose what it
// cannot keep apart (RFC 9112 §3.2).
func pathOf(target []byte) []byte {
	path := target
	if i := bytes.Index(path, []byte("://")); len(path) > 0 && path[0] != '/' && i >= 0 { // the absolute form
		path = path[i+3:]
		if i = bytes.IndexAny(path, "/?"); i < 0 {
			i = len(path)
		}
		path = path[i:]
	}
	path, _, _ = bytes.Cut(path, []byte{'?'})
	if len(path) == 0 {
		return []byte("/")
	}
	return path
}

func (h *httpExchange) copy(text string) []byte {
	from := len(h.text)
	h.text = append(h.text, text...)
	return h.text[from:len(h.text):len(h.text)]
}

// mistakeOf names what would break the head for a backend apart, or mean one
// thing to us and another to it: in HTTP/2 method, target and host are fields like
// others, for which net/http allows any text.
func mistakeOf(r *http.Request) string {
	if !isToken(r.Method) {
		return "a malformed method"
	}
	for i := range len(r.RequestURI) {
		if c := r.RequestURI[i]; c <= ' ' || c == 0x7f || c == '#' {
			return "the target holds a control character, a space or a #"
		}
	}
	if r.Host != "" && !validHost(r.Host) {
		return "a malformed host"
	}
	// RFC 9113 §8.3.1: :authority comes first, and Host may only repeat it.
	if hosts := r.Header["Host"]; len(hosts) > 1 || len(hosts) == 1 && !strings.EqualFold(hosts[0], r.Host) {
		return "Host is not that of the target"
	}
	return ""
}

// The request's body, as downstream.

func (h *httpExchange) readBody() ([]byte, error) {
	if h.body == nil {
		h.body = make([]byte, smallBody)
	}
	n, err := h.r.Body.Read(h.body)
	for n == 0 && err == nil {
		n, err = h.r.Body.Read(h.body)
	}
	if n > 0 {
		return h.body[:n], nil // the error comes again
	}
	if err != io.EOF && !isGone(err) {
		err = io.ErrUnexpectedEOF // the stream was reset
	}
	return nil, err
}

func (h *httpExchange) trailer() []http1.Field {
	h.trailed = h.trailed[:0]
	for name, list := range h.r.Trailer {
		if http1.Lookup(name) != http1.Other {
			continue // it may not stand there (RFC 9110 §6.5.1)
		}
		for _, value := range list {
			h.trailed = append(h.trailed, http1.Field{Name: []byte(name), Value: []byte(value)})
		}
	}
	return h.trailed
}

// duplex does nothing: each stream has two directions.
func (h *httpExchange) duplex() {}

func (h *httpExchange) stopBody() {
	_ = http.NewResponseController(h.ResponseWriter).SetReadDeadline(aLongTimeAgo)
}

// proceed does nothing: net/http asks the client when its body is read.
func (h *httpExchange) proceed() {}

// The answer, as downstream.

func (h *httpExchange) interim(status int, fields []http1.Field) {
	header := h.ResponseWriter.Header()
	addFields(header, fields)
	h.ResponseWriter.WriteHeader(status)
	clear(header)
}

func (h *httpExchange) start(status int, _ []byte, fields []http1.Field, length int64) {
	header := h.ResponseWriter.Header()
	addFields(header, fields)
	if _, ok := header["Content-Type"]; !ok {
		header["Content-Type"] = nil // or net/http would guess one
	}
	if length >= 0 {
		header["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	h.ResponseWriter.WriteHeader(status)
	if length == lengthUnknown {
		// Who knows when the body begins; and once the head is out, net/http can
		// choose no Content-Length, which would leave no room for a trailer.
		h.flush()
	}
}

func (h *httpExchange) write(p []byte) {
	if h.failed == nil {
		_, h.failed = h.ResponseWriter.Write(p)
	}
}

func (h *httpExchange) flush() {
	if h.failed != nil {
		return
	}
	if err := http.NewResponseController(h.ResponseWriter).Flush(); !errors.Is(err, http.ErrNotSupported) {
		h.failed = err
	}
}

func (h *httpExchange) end(trailer []http1.Field) {
	for _, f := range trailer {
		h.ResponseWriter.Header().Add(http.TrailerPrefix+string(f.Name), string(f.Value))
	}
}

// finish does nothing: net/http writes what is left when the handler returns.
func (h *httpExchange) finish() {}

func (h *httpExchange) err() error { return h.failed }

func (h *httpExchange) watch(gone func()) func() {
	done := make(chan struct{})
	stop := context.AfterFunc(h.r.Context(), func() {
		defer close(done)
		gone()
	})
	return func() {
		if !stop() {
			<-done // or it would cut the connection of another exchange
		}
	}
}

// closeAfter does nothing: the other streams of the connection go on.
func (h *httpExchange) closeAfter() {}

func (h *httpExchange) setReadDeadline(t time.Time) error {
	return http.NewResponseController(h.ResponseWriter).SetReadDeadline(t)
}

func (h *httpExchange) setWriteDeadline(t time.Time) error {
	return http.NewResponseController(h.ResponseWriter).SetWriteDeadline(t)
}

// takeOver is not for streams.
func (h *httpExchange) takeOver() (*takenConn, error) { return nil, http.ErrNotSupported }
