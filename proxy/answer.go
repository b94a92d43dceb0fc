package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// copySize is how much of an answer is on its way through us at a time.
const copySize = 32 << 10

// pass sends a backend's answer on as it comes: each piece is written when it
// has been read, so that events and chunks arrive when they were sent. An
// answer that breaks off is cut for the client too, and never ended cleanly.
func (x *exchange) pass(r *http.Request, res *http.Response, buffer []byte) {
	if res.StatusCode < 200 {
		x.fail(r, http.StatusBadGateway, fmt.Sprintf("backend %s answered %q, which nobody asked for", x.route.backend.written, res.Status),
			hint(http.StatusBadGateway))
		return
	}
	endToEnd(res.Header)
	x.rewrite(res.Header)
	h := x.Header()
	for name, values := range res.Header {
		h[name] = values
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // or net/http would guess one
	}
	announced := len(res.Trailer)
	for name := range res.Trailer {
		h.Add("Trailer", name)
	}
	x.WriteHeader(res.StatusCode)
	if res.ContentLength < 0 {
		// Who knows when the body begins; and once the header is out, net/http
		// can choose no Content-Length, which would leave no room for a trailer.
		x.Flush()
	}
	if toClient, err := x.copyBody(res.Body, buffer); err != nil {
		if !toClient && r.Context().Err() == nil {
			x.reason = fmt.Sprintf("the answer of backend %s broke off after %d bytes (%v); the client's was cut as well", x.route.backend.written, x.sent, err)
		}
		panic(http.ErrAbortHandler)
	}
	x.passTrailer(res.Trailer, announced)
}

// copyBody copies until the end. toClient says which side an error is of.
func (x *exchange) copyBody(body io.Reader, buffer []byte) (toClient bool, err error) {
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			if _, err := x.Write(buffer[:n]); err != nil {
				return true, err
			}
			if err := http.NewResponseController(x.ResponseWriter).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return true, err
			}
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// passTrailer hands on the fields behind the body (RFC 9110 §6.5), those that
// were not announced included.
func (x *exchange) passTrailer(trailer http.Header, announced int) {
	prefix := ""
	if len(trailer) != announced {
		prefix = http.TrailerPrefix
	}
	h := x.Header()
	for name, values := range trailer {
		if !isHopByHop(name) {
			h[prefix+name] = values
		}
	}
}
