package proxy

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// after has what a faulty backend does when it has said its text.
type after func(conn *net.TCPConn)

func stays(*net.TCPConn) {}

func ends(conn *net.TCPConn) { _ = conn.CloseWrite() }

func resets(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// says is a backend that takes a request and says the same to each.
func says(text string, then after) func(*net.TCPConn, *bufio.Reader) {
	return func(conn *net.TCPConn, r *bufio.Reader) {
		if _, err := readRequest(r); err != nil {
			return
		}
		_, _ = io.WriteString(conn, text)
		then(conn)
	}
}

// repeats is a backend that says something once and something else again and
// again, with a pause between, until nobody listens any more.
func repeats(once, again string, pause time.Duration) func(*net.TCPConn, *bufio.Reader) {
	return func(conn *net.TCPConn, r *bufio.Reader) {
		if _, err := readRequest(r); err != nil {
			return
		}
		_, err := io.WriteString(conn, once)
		for ; err == nil; time.Sleep(pause) {
			_, err = io.WriteString(conn, again)
		}
	}
}

// answersEarly takes the head of a request, says text, and is gone with the
// body on its way.
func answersEarly(text string) func(*net.TCPConn, *bufio.Reader) {
	return func(conn *net.TCPConn, r *bufio.Reader) {
		for line := ""; line != "\r\n"; {
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				return
			}
		}
		_, _ = io.WriteString(conn, text)
		resets(conn)
	}
}

// backendFault is a way in which a backend fails, and what must come of it.
type backendFault struct {
	name    string
	backend func(*net.TCPConn, *bufio.Reader) // nil for one that is not there
	timeout time.Duration                     // response_timeout, if it is to be reached
	method  string                            // GET if empty
	body    int                               // of the request

	status int    // that the client sees; 0 for an answer that is cut
	whole  string // its body, if it is the backend's
	reason string // in the line request.failed; "" for none
}

const (
	// soon is a response_timeout that is reached.
	soon = 300 * time.Millisecond
	// brokeOff is what the log says of an answer that was cut.
	brokeOff = "broke off after"
	noAnswer = "closed the connection without an answer"
	noHTTP   = "gave no answer of HTTP/1.1"
)

func backendFaults() []backendFault {
	length := crlf("HTTP/1.1 200 OK\nContent-Length: 100")
	chunked := crlf("HTTP/1.1 200 OK\nTransfer-Encoding: chunked")
	untilClose := crlf("HTTP/1.1 200 OK\nContent-Type: text/plain")
	early := crlf("HTTP/1.1 103 Early Hints\nLink: </a.css>; rel=preload")
	tooLarge := crlf("HTTP/1.1 413 Content Too Large\nContent-Length: 7") + "too big"
	alert := "\x15\x03\x01\x00\x02\x02\x46" // fatal, protocol_version (RFC 8446 §6)
	return []backendFault{
		{name: "refuses", status: 502, reason: "connection refused"},
		{name: "accepts and says nothing", backend: says("", stays), timeout: soon, status: 504, reason: "did not begin to answer in time"},
		{name: "ends without an answer", backend: says("", ends), status: 502, reason: noAnswer},
		{name: "is reset without an answer", backend: says("", resets), status: 502, reason: noAnswer},
		{name: "ends without an answer to a form", backend: says("", ends), method: "POST", body: 100, status: 502, reason: noAnswer},
		{name: "ends in the status line", backend: says("HTTP/1.1 2", ends), status: 502, reason: noAnswer},
		{name: "ends in the head", backend: says("HTTP/1.1 200 OK\r\nContent-Le", ends), status: 502, reason: noAnswer},
		{name: "is reset in the head", backend: says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", resets), status: 502, reason: noAnswer},
		{name: "stands still in the head", backend: says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", stays), timeout: soon, status: 504, reason: "did not begin to answer in time"},
		// The time is that of the head as a whole: each byte begins nothing anew.
		{name: "sends its head byte by byte", backend: repeats("HTTP/1.1 200 OK\r\nX-Long: ", "a", 10*time.Millisecond), timeout: soon, status: 504, reason: "did not begin to answer in time"},
		{name: "sends a head without an end", backend: repeats("HTTP/1.1 200 OK\r\n", "X-Long: "+strings.Repeat("a", 1000)+"\r\n", 0), status: 502, reason: "the head of the answer is too long"},
		{name: "sends a line without an end", backend: repeats("HTTP/1.1 200 OK\r\nX-Long: ", strings.Repeat("a", 1000), 0), status: 502, reason: "the head of the answer is too long"},
		{name: "hints without an end", backend: repeats("", early, 0), status: 502, reason: "more than 10 interim answers"},
		{name: "hints slowly without an end", backend: repeats("", early, 100*time.Millisecond), timeout: soon, status: 504, reason: "did not begin to answer in time"},
		{name: "wants the body without an end", backend: repeats("", crlf("HTTP/1.1 100 Continue"), 0), status: 502, reason: "more than 10 interim answers"},
		{name: "ends after a hint", backend: says(early, ends), status: 502, reason: noAnswer},
		{name: "speaks another protocol", backend: says("SSH-2.0-OpenSSH_9.2\r\n", stays), status: 502, reason: noHTTP},
		{name: "sends garbage", backend: says("\x00\xff\x7f\x00garbage\r\n\r\n", stays), status: 502, reason: noHTTP},
		{name: "speaks TLS", backend: says(alert, ends), status: 502, reason: "answered with TLS; write https://"},
		{name: "switches unasked", backend: says(crlf("HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade")+"\x81\x05hello", stays), status: 502, reason: "which nobody asked for"},
		{name: "names two lengths", backend: says(crlf("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 3")+"abc", stays), status: 502, reason: noHTTP},

		{name: "ends within its length", backend: says(length+"short", ends), reason: brokeOff},
		{name: "is reset within its length", backend: says(length+"short", resets), reason: brokeOff},
		{name: "ends before its length began", backend: says(length, ends), reason: brokeOff},
		{name: "ends within a chunk", backend: says(chunked+"64\r\nshort", ends), reason: brokeOff},
		{name: "is reset within a chunk", backend: says(chunked+"64\r\nshort", resets), reason: brokeOff},
		{name: "ends within a chunk's size", backend: says(chunked+"5\r\nshort\r\n6", ends), reason: brokeOff},
		{name: "ends between chunks", backend: says(chunked+"5\r\nshort\r\n", ends), reason: brokeOff},
		{name: "ends within its trailer", backend: says(chunked+"5\r\nshort\r\n0\r\nX-Sum: ", ends), reason: brokeOff},
		{name: "sends a broken chunk", backend: says(chunked+"5\r\nshort\r\nzz\r\n", stays), reason: brokeOff},
		{name: "is reset before its end said that all was there", backend: says(untilClose+"short", resets), reason: brokeOff},

		{name: "answers early", backend: answersEarly(tooLarge), method: "POST", body: 1 << 20, status: 413, whole: "too big"},
		{name: "ends within an early answer", backend: answersEarly("HTTP/1.1 413 Content Too Large\r\nConte"), method: "POST", body: 1 << 20, status: 502, reason: noAnswer},
		{name: "answers twice", backend: says(okAnswer+okAnswer, stays), status: 200, whole: "ok"},
		{name: "takes its time for the body", timeout: soon, backend: func(conn *net.TCPConn, r *bufio.Reader) {
			says(crlf("HTTP/1.1 200 OK\nConnection: close\nContent-Length: 4")+"sl", stays)(conn, r)
			time.Sleep(2 * soon) // response_timeout is not about the body
			_, _ = io.WriteString(conn, "ow")
			ends(conn)
		}, status: 200, whole: "slow"},
	}
}

// Each fault ends the one answer, in a way that its client cannot take for a
// whole one, and nothing else: the log says what it was, other requests are
// served, over HTTP/2 on the same connection, and nothing is left behind.
func TestFaults_OfABackendEndOneAnswer(t *testing.T) {
	faults := backendFaults()
	fine := newFaultyBackend(t, says(crlf("HTTP/1.1 200 OK\nConnection: close\nContent-Length: 2")+"ok", ends))
	routes := []Route{{Path: "/fine", App: "http://" + fine.addr}}
	backends := make([]*faultyBackend, len(faults))
	for i, c := range faults {
		r := Route{Path: c.path(), App: "http://127.0.0.1:1", ResponseTimeout: c.timeout}
		if c.backend != nil {
			backends[i] = newFaultyBackend(t, c.backend)
			r.App = "http://" + backends[i].addr
		}
		routes = append(routes, r)
	}
	for _, w := range faultWays(t, routes) {
		t.Run(w.name, func(t *testing.T) {
			w.wantFine(t)
			check := noGoroutineLeft()
			for i, c := range faults {
				t.Run(c.name, func(t *testing.T) {
					c.meet(t, w)
					if b := backends[i]; b != nil {
						b.awaitOpen(t, 0)
					}
				})
			}
			w.client.CloseIdleConnections()
			check(t)
		})
	}
}

// path is that of the fault's route.
func (c *backendFault) path() string { return "/" + strings.ReplaceAll(c.name, " ", "-") }

// meet has a client meet the fault.
func (c *backendFault) meet(t *testing.T, w faultWay) {
	w.front.log.reset()
	method := c.method
	if method == "" {
		method = "GET"
	}
	got := w.ask(t, method, c.path(), strings.Repeat("x", c.body))
	switch {
	case c.status == 0 && got.cut == nil:
		t.Errorf("a whole answer: %d %q", got.status, got.body)
	case isTimeout(got.cut):
		t.Errorf("the client was left waiting: %v", got.cut)
	case c.status == 0 && w.major == 2 && !strings.Contains(got.cut.Error(), "stream error"):
		t.Errorf("cut by %v, want the stream's end alone", got.cut)
	case c.status != 0 && (got.cut != nil || got.status != c.status):
		t.Errorf("%d, %v, want %d", got.status, got.cut, c.status)
	case c.whole != "" && got.body != c.whole:
		t.Errorf("%q, want %q", got.body, c.whole)
	}
	fine := w.wantFine(t)
	if w.major == 2 && !fine.reused {
		t.Error("the fault of one stream ended the connection of all")
	}
	switch {
	case c.reason != "":
		w.front.log.await(t, "msg=request.failed", "path="+c.path(), c.reason)
	case strings.Contains(w.front.log.String(), "request.failed"):
		t.Errorf("there was a failure in the log:\n%s", w.front.log)
	}
}

// wantFine asks for what works.
func (w faultWay) wantFine(t *testing.T) faultAnswer {
	t.Helper()
	got := w.ask(t, "GET", "/fine", "")
	if got.cut != nil || got.status != 200 || got.body != "ok" {
		t.Errorf("/fine: %d %q, %v", got.status, got.body, got.cut)
	}
	return got
}
