package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"wsfront/proxy/http1"
)

// newReference starts a rig whose clients speak to net/http's server, without
// TLS, which hands their requests to the same front.
func newReference(t testing.TB) *rig {
	t.Helper()
	g := newRig(t, false, TLS{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(g.server.serveReference))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	srv.Start()
	t.Cleanup(srv.Close)
	g.addr = srv.Listener.Addr().String()
	return g
}

// referenceExchange is an exchange by HTTP/1.1 whose client's side is net/http:
// another reader of requests and writer of answers, to compare ours with.
type referenceExchange struct {
	exchange
	w http.ResponseWriter

	r       *http.Request
	request http1.Request
	failed  error
	body    []byte // a piece of the request's body
	trailed []http1.Field
}

// serveReference answers a request that came by plain HTTP.
func (s *Server) serveReference(w http.ResponseWriter, r *http.Request) {
	h := &referenceExchange{w: w, r: r}
	h.server, h.down, h.req, h.proto = s, h, &h.request, r.Proto
	h.peer = netip.MustParseAddrPort(r.RemoteAddr).Addr().Unmap()
	h.translate()
	h.arrived(s.table.Load().trusted)
	if s.find(&h.exchange) {
		s.serve(&h.exchange)
	}
	if h.aborted {
		if h.status != 0 {
			h.flush()
		}
		panic(http.ErrAbortHandler)
	}
}

// translate makes the request that the front knows of net/http's.
func (h *referenceExchange) translate() {
	r, q := h.r, &h.request
	q.Method, q.Target, q.HostValue = []byte(r.Method), []byte(r.RequestURI), []byte(r.Host)
	q.Minor, q.Close, q.ContentLength, q.Chunked = 1, r.Close, r.ContentLength, r.ContentLength < 0
	q.Minor = r.ProtoMinor
	q.Path = pathOf(q.Target)
	q.HasQuery, q.Query = r.URL.ForceQuery || r.URL.RawQuery != "", []byte(r.URL.RawQuery)
	for name, list := range r.Header {
		known := http1.Lookup(name)
		for _, value := range list {
			q.Fields = append(q.Fields, http1.Field{Known: known, Name: []byte(name), Value: []byte(value)})
		}
	}
	for name := range r.Trailer {
		q.Fields = append(q.Fields, http1.Field{Known: http1.Trailer, Name: []byte("Trailer"), Value: []byte(name)})
	}
	q.ExpectContinue = q.ContentLength != 0 && hasToken(q.Fields, http1.Expect, "100-continue")
	if q.ContentLength == 0 && len(r.Header["Content-Length"]) == 0 {
		q.ContentLength = lengthUnknown
	}
	if q.Chunked {
		q.ContentLength = lengthUnknown
	}
}

func (h *referenceExchange) readBody() ([]byte, error) {
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
	if err != io.EOF && !isGone(err) && h.r.Context().Err() == nil {
		err = &http1.Error{Status: http.StatusBadRequest, Reason: err.Error()}
	} else if err != io.EOF && !isGone(err) {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}

func (h *referenceExchange) trailer() []http1.Field {
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

// duplex keeps net/http from reading the body too, before it writes the answer's
// head. It is for bodies that are read to their end, or whose connection is
// closed: the rest of another would be read behind the answer, and its end
// leaves net/http with a read that the next request's body runs into.
func (h *referenceExchange) duplex() {
	_ = http.NewResponseController(h.w).EnableFullDuplex() // HTTP/2 needs none
}

func (h *referenceExchange) stopBody() {
	_ = http.NewResponseController(h.w).SetReadDeadline(aLongTimeAgo)
}

// proceed does nothing: net/http asks the client when its body is read.
func (h *referenceExchange) proceed() {}

// The answer, as downstream.

func (h *referenceExchange) interim(status int, fields []http1.Field) {
	header := h.w.Header()
	addFields(header, fields)
	h.w.WriteHeader(status)
	clear(header)
}

func (h *referenceExchange) start(status int, _ []byte, fields []http1.Field, length int64) {
	header := h.w.Header()
	addFields(header, fields)
	if _, ok := header["Content-Type"]; !ok {
		header["Content-Type"] = nil // or net/http would guess one
	}
	if length >= 0 {
		header["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	h.w.WriteHeader(status)
	if length == lengthUnknown {
		// Who knows when the body begins; and once the head is out, net/http can
		// choose no Content-Length, which would leave no room for a trailer.
		h.flush()
	}
}

func (h *referenceExchange) write(p []byte) {
	if h.failed == nil {
		_, h.failed = h.w.Write(p)
	}
}

func (h *referenceExchange) flush() {
	if h.failed != nil {
		return
	}
	if err := http.NewResponseController(h.w).Flush(); !errors.Is(err, http.ErrNotSupported) {
		h.failed = err
	}
}

func (h *referenceExchange) end(trailer []http1.Field) {
	for _, f := range trailer {
		h.w.Header().Add(http.TrailerPrefix+string(f.Name), string(f.Value))
	}
}

// finish does nothing: net/http writes what is left when the handler returns.
func (h *referenceExchange) finish() {}

func (h *referenceExchange) err() error { return h.failed }

func (h *referenceExchange) watch(gone func()) func() {
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

func (h *referenceExchange) closeAfter() { h.w.Header().Set("Connection", "close") }

func (h *referenceExchange) setReadDeadline(t time.Time) error {
	return http.NewResponseController(h.w).SetReadDeadline(t)
}

func (h *referenceExchange) setWriteDeadline(t time.Time) error {
	return http.NewResponseController(h.w).SetWriteDeadline(t)
}

func (h *referenceExchange) takeOver() (*takenConn, error) {
	conn, buffered, err := http.NewResponseController(h.w).Hijack()
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(noDeadline) // net/http leaves its own on a hijacked connection
	return &takenConn{Conn: conn, leftover: leftover(buffered.Reader)}, nil
}

// leftover is what was read together with a head, and belongs behind it.
func leftover(r *bufio.Reader) []byte {
	p, _ := r.Peek(r.Buffered())
	return append([]byte(nil), p...)
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
