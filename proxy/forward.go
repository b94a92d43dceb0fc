package proxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// backendIdle is how long a connection to a backend is kept unused.
	backendIdle = 60 * time.Second
	// backendIdleConns is how many are kept for one route.
	backendIdleConns = 256
	// maxAnswerHead is the longest head of an answer, in bytes.
	maxAnswerHead = 64 << 10
	// maxInterim is how many interim answers (1xx) may come before the final
	// one: they cost a backend nothing, and may be endless.
	maxInterim = 10
)

// forwarder sends requests to an app backend. Its methods may be called
// concurrently.
type forwarder struct {
	route     *route
	transport *http.Transport
	buffers   sync.Pool // of *[]byte, for answers on their way
}

func newForwarder(rt *route) *forwarder {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return rt.backend.dial(ctx) }
	return &forwarder{
		route: rt,
		// No HTTP/2, as a backend is asked by one connection for each request
		// under way; no proxy from the environment; nothing invented.
		transport: &http.Transport{
			DialContext:            dial,
			DisableCompression:     true,
			MaxIdleConnsPerHost:    backendIdleConns,
			IdleConnTimeout:        backendIdle,
			ResponseHeaderTimeout:  rt.ResponseTimeout,
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: maxAnswerHead,
			WriteBufferSize:        16 << 10,
			ReadBufferSize:         16 << 10,
		},
		buffers: sync.Pool{New: func() any { b := make([]byte, copySize); return &b }},
	}
}

func (f *forwarder) close() { f.transport.CloseIdleConnections() }

// serve asks the backend and passes its answer on.
func (f *forwarder) serve(x *exchange, r *http.Request) {
	if !x.checkTarget(r) {
		return
	}
	out := f.request(x, r)
	body, release, ok := f.route.attach(x, r, out)
	if !ok {
		return
	}
	defer release()
	steps := &interim{x: x, open: r.ProtoAtLeast(1, 1)} // HTTP/1.0 knows no 1xx
	out = out.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: steps.pass}))
	res, err := f.transport.RoundTrip(out)
	steps.end()
	if err != nil {
		f.failed(x, r, body, err)
		return
	}
	defer res.Body.Close()
	buffer := f.buffers.Get().(*[]byte)
	defer f.buffers.Put(buffer)
	x.pass(r, res, *buffer)
}

// request is the client's request as the backend gets it, without its body.
func (f *forwarder) request(x *exchange, r *http.Request) *http.Request {
	h := x.requestFields(r)
	if hasToken(r.Header["Te"], "trailers") {
		// It is about one connection, but says what the client can take
		// (RFC 9110 §10.1.4).
		h["Te"], h["Connection"] = []string{"trailers"}, []string{"TE"}
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // or http.Transport would name itself
	}
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		// http.Transport would send a POST with this field twice, when a kept
		// connection breaks; that an application knows the field is not sure.
		// It looks for this spelling only.
		if v, ok := h[name]; ok {
			delete(h, name)
			h[strings.ToLower(name)] = v
		}
	}
	return &http.Request{
		Method: r.Method,
		// Opaque goes out as it is; the connection is TLS where the backend's
		// dial made it so.
		URL: &url.URL{
			Scheme: "http", Host: f.route.backend.host, Opaque: f.route.backendPath(x.path),
			RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery,
		},
		Host:       x.backendHost(),
		Header:     h,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
	}
}

// failed answers a request that the backend gave no answer to.
func (f *forwarder) failed(x *exchange, r *http.Request, body *requestBody, err error) {
	if fault := body.failure(); fault != nil {
		x.bodyFailed(r, fault)
		return
	}
	if r.Context().Err() != nil {
		x.gone()
	}
	status, reason := f.route.backend.explain(err)
	x.fail(r, status, reason, hint(status))
}

// checkTarget refuses a query that would break the request line apart. Over
// HTTP/1.1 it cannot come; in HTTP/2 the target is a field like others.
func (x *exchange) checkTarget(r *http.Request) bool {
	if strings.ContainsAny(r.URL.RawQuery, " \t\r\n") {
		x.fail(r, http.StatusBadRequest, "the query holds a space", "The address is not one this server understands.")
		return false
	}
	return true
}

var errTooManyInterim = fmt.Errorf("more than %d interim answers (1xx) before the final one", maxInterim)

// interim passes on answers before the answer, such as 103 Early Hints.
// http.Transport calls it from a goroutine of its own, which may outlast the
// attempt: hence the lock.
type interim struct {
	mu    sync.Mutex
	x     *exchange
	open  bool
	count int
}

func (i *interim) pass(status int, fields textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.count++; i.count > maxInterim {
		return errTooManyInterim
	}
	// 100 is about the body, which net/http asks the client for when the
	// backend does.
	if !i.open || status == http.StatusContinue {
		return nil
	}
	endToEnd(http.Header(fields))
	h := i.x.Header()
	for name, values := range fields {
		h[name] = values
	}
	i.x.WriteHeader(status)
	clear(h)
	return nil
}

func (i *interim) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.open = false
}
