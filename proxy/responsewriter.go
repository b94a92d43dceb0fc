package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// What handlers write to: httpExchange as the http.ResponseWriter, and the
// optional interfaces that they look for.

// Header is that of the answer.
func (h *httpExchange) Header() http.Header { return h.ResponseWriter.Header() }

// WriteHeader notes the status that goes out last: interim answers (1xx) but
// for 101 are followed by another one. A second final status is net/http's to
// complain about.
func (h *httpExchange) WriteHeader(status int) {
	if h.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		h.status = status
		if status >= 200 {
			h.site.answers.changeHeader(h.ResponseWriter.Header())
			if h.route != nil {
				h.route.answers.changeHeader(h.ResponseWriter.Header())
			}
		}
		h.decorateHeader()
	}
	h.ResponseWriter.WriteHeader(status)
}

// decorateHeader adds the site's own fields to a handler's answer.
func (h *httpExchange) decorateHeader() {
	header := h.ResponseWriter.Header()
	h.fields = h.fields[:0]
	for _, name := range []string{"Content-Type", "Strict-Transport-Security"} {
		if value := header.Get(name); value != "" {
			h.addField(name, value)
		}
	}
	own := len(h.fields)
	h.decorate()
	for _, f := range h.fields[own:] {
		header.Add(string(f.Name), string(f.Value))
	}
}

// opened makes sure that the header goes out by WriteHeader. Where net/http
// wrote it by itself, the status would be unknown and the site's own fields
// missing.
func (h *httpExchange) opened() {
	if h.status == 0 {
		h.WriteHeader(http.StatusOK)
	}
}

// Write counts.
func (h *httpExchange) Write(p []byte) (int, error) {
	h.opened()
	n, err := h.ResponseWriter.Write(p)
	h.sent += int64(n)
	return n, err
}

// ReadFrom counts what io.Copy hands over whole: on plain HTTP the kernel then
// sends a file by itself, and elsewhere net/http's own buffer is used.
func (h *httpExchange) ReadFrom(src io.Reader) (int64, error) {
	h.opened()
	n, err := io.Copy(h.ResponseWriter, src)
	h.sent += n
	return n, err
}

// Flush sends what was written so far: many handlers assert http.Flusher.
func (h *httpExchange) Flush() { _ = h.FlushError() } // the next Write meets the error again

// FlushError is what http.ResponseController prefers to Flush.
func (h *httpExchange) FlushError() error {
	h.opened()
	return http.NewResponseController(h.ResponseWriter).Flush()
}

// Hijack hands the connection over: gorilla/websocket asserts http.Hijacker.
// What flows from then on is the taker's; the log knows the exchange as
// switched.
func (h *httpExchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err == nil && h.status == 0 {
		h.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

// Unwrap lets http.ResponseController reach the connection.
func (h *httpExchange) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// fail answers with an error of our own, whatever the handler had begun to
// describe.
func (h *httpExchange) fail(status int, reason, hint string) {
	header := h.ResponseWriter.Header()
	for _, name := range []string{"Accept-Ranges", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
		"Content-Range", "Content-Type", "Cache-Control", "Etag", "Expires", "Last-Modified", "Trailer", "Transfer-Encoding"} {
		header.Del(name)
	}
	h.fields = h.fields[:0]
	h.exchange.fail(status, reason, hint)
}
