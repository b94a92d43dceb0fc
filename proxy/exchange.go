package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// exchange is one request and its answer on the way through the front. It is
// the http.ResponseWriter that handlers write to, so that the access log sees
// what they wrote. Only the request's own goroutine uses it.
type exchange struct {
	http.ResponseWriter

	id     string
	begin  time.Time
	client netip.Addr // who asks, trusted proxies seen through
	peer   netip.Addr // who is connected
	// hops are the client and the trusted proxies between it and us, the peer
	// last: what X-Forwarded-For may honestly say.
	hops    []netip.Addr
	trusted bool   // the peer is a trusted proxy
	scheme  string // http or https, as the client wrote it
	host    string // Host as the client wrote it
	path    string // the clean path, in escaped form: see cleanPath
	site    *site
	route   *route

	status   int    // of the answer; 0 until its header is written
	sent     int64  // bytes of the answer's body, or through the tunnel to the client
	received int64  // bytes through the tunnel from the client
	reason   string // why it failed or was cut, in words for the log

	over func() // called when its log lines are written; nil for none
}

// WriteHeader notes the status that goes out last: interim answers (1xx) but
// for 101 are followed by another one. A second final status is net/http's to
// complain about.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		x.status = status
		x.site.decorate(x)
	}
	x.ResponseWriter.WriteHeader(status)
}

// begun makes sure that the header goes out by WriteHeader. Where net/http
// wrote it by itself, the status would be unknown and the site's own fields
// missing.
func (x *exchange) begun() {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
}

// Write counts.
func (x *exchange) Write(p []byte) (int, error) {
	x.begun()
	n, err := x.ResponseWriter.Write(p)
	x.sent += int64(n)
	return n, err
}

// ReadFrom counts what io.Copy hands over whole: on plain HTTP the kernel then
// sends a file by itself, and elsewhere net/http's own buffer is used.
func (x *exchange) ReadFrom(src io.Reader) (int64, error) {
	x.begun()
	n, err := io.Copy(x.ResponseWriter, src)
	x.sent += n
	return n, err
}

// Flush sends what was written so far: many handlers assert http.Flusher.
func (x *exchange) Flush() { _ = x.FlushError() } // the next Write meets the error again

// FlushError is what http.ResponseController prefers to Flush.
func (x *exchange) FlushError() error {
	x.begun()
	return http.NewResponseController(x.ResponseWriter).Flush()
}

// Hijack hands the connection over: gorilla/websocket asserts http.Hijacker.
// What flows from then on is the taker's; the log knows the exchange as
// switched.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(x.ResponseWriter).Hijack()
	if err == nil && x.status == 0 {
		x.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// https reports whether the client reached us by TLS, ours or that of a
// trusted proxy.
func (x *exchange) https() bool { return x.scheme == "https" }
