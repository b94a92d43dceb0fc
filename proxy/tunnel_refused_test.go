package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"wsfront/proxy/diagnosis"
)

// What is not a true 101 is no tunnel: nothing that the client sends behind it
// may reach the backend.
func TestTunnel_NotSwitched(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		status       int
		cause        diagnosis.Cause
		reason       string
	}{
		{"page", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, diagnosis.PageAnswered, "An ordinary page answers"},
		{"redirect", "HTTP/1.1 301 Moved\r\nLocation: /ws/\r\nContent-Length: 0\r\n\r\n", 301, diagnosis.Redirect, "no browser follows"},
		{"400", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 400, diagnosis.AppAnswered, "under WSGI"},
		{"401", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 401, diagnosis.LoginRequired, "login"},
		{"403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403, diagnosis.OriginRefused, "Origin"},
		{"404", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, diagnosis.PathUnknown, "Nothing is served at this path"},
		{"426", "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n", 426, diagnosis.UpgradeDropped, "a proxy between takes them away"},
		{"429", "HTTP/1.1 429 Slow Down\r\nContent-Length: 0\r\n\r\n", 429, diagnosis.TooMany, "turned away"},
		{"500", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 500, diagnosis.AppFailed, "own log says why"},
		{"wrong accept", strings.Replace(switchText, exampleAccept, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1), 502, diagnosis.AcceptWrong, "does not fit the Sec-WebSocket-Key"},
		{"no accept", strings.Replace(switchText, "Sec-WebSocket-Accept", "X", 1), 502, diagnosis.AcceptWrong, "0 Sec-WebSocket-Accept"},
		{"two accepts", strings.Replace(switchText, "\r\n\r\n", "\r\nSec-WebSocket-Accept: x\r\n\r\n", 1), 502, diagnosis.AcceptWrong, "2 Sec-WebSocket-Accept"},
		{"other protocol", strings.Replace(switchText, "websocket", "h2c", 1), 502, diagnosis.SwitchHeaders, "instead of websocket"},
		{"no Connection", strings.Replace(switchText, "Connection", "X", 1), 502, diagnosis.SwitchHeaders, "without Connection"},
		{"HTTP/1.0", strings.Replace(switchText, "/1.1", "/1.0", 1), 502, diagnosis.SwitchHeaders, "HTTP/1.0"},
		{"not HTTP", "220 mail.test ESMTP\r\n", 502, diagnosis.BackendScheme, "does it speak HTTP"},
		{"nothing", "", 502, diagnosis.AnswerMissing, "without an answer"},
		{"endless interim", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxInterim+1) + switchText, 502, diagnosis.AppFailed, "interim answers"},
		{"long head", "HTTP/1.1 101 S\r\nX: " + strings.Repeat("x", answerLimits.Head) + "\r\n\r\n", 502, diagnosis.AppFailed, "too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			smuggled := make(chan string, 1)
			host, _ := switching(t, c.answer, func(conn net.Conn, r *bufio.Reader) {
				if c.answer == "" || strings.HasPrefix(c.answer, "220") {
					return
				}
				rest, _ := io.ReadAll(r) // until the front closes
				smuggled <- string(rest)
			})
			f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host}})
			_, r := f.dial(crlf(handshakeText) + "\x81\x85\x00\x00\x00\x00hello" + crlf("GET /admin HTTP/1.1\nHost: app.test"))
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(r); err != nil { // ends: the connection is closed
				t.Logf("after the answer: %v", err)
			}
			if res.StatusCode != c.status || res.Header.Get("Upgrade") != "" {
				t.Errorf("%s with Upgrade %q, want %d", res.Status, res.Header.Get("Upgrade"), c.status)
			}
			if !res.Close {
				t.Error("the connection is kept")
			}
			if got := res.Header.Get("Wsfront-Diagnosis"); got != string(c.cause)+"; "+c.cause.Sentence() {
				t.Errorf("the client is told %q, want %s", got, c.cause)
			}
			f.log.await(t, "handshake.failed", c.reason, fmt.Sprintf("status=%d", c.status), "cause="+string(c.cause))
			if strings.Contains(f.log.String(), "tunnel.open") {
				t.Error("it was logged as a tunnel")
			}
			if c.status != 502 {
				if got := receive(t, smuggled); got != "" {
					t.Errorf("the backend got %q", got)
				}
			}
		})
	}
}

func TestTunnel_RefusalIsPassedOnWhole(t *testing.T) {
	body := strings.Repeat("no ", 100_000)
	for name, c := range map[string]struct {
		answer string
		whole  bool
	}{
		"length":        {fmt.Sprintf("HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s", len(body), body), true},
		"until close":   {"HTTP/1.1 403 Forbidden\r\n\r\n" + body, true},
		"chunked":       {fmt.Sprintf("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body), true},
		"cut":           {fmt.Sprintf("HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s", len(body)+1, body), false},
		"cut in chunks": {fmt.Sprintf("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(body), body), false},
	} {
		t.Run(name, func(t *testing.T) {
			host, _ := switching(t, c.answer, nil)
			f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host}})
			_, r := f.dial(crlf(handshakeText))
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			if c.whole != (err == nil) || c.whole && string(got) != body {
				t.Errorf("%d of %d bytes, %v", len(got), len(body), err)
			}
		})
	}
}

func TestTunnel_MalformedHandshakeIsRefusedHere(t *testing.T) {
	host, handshakes := switching(t, switchText, nil)
	f := serveFront(t, Route{Path: "/", App: "http://" + host})
	for _, c := range []struct {
		name, old, new string
		status         int
		field          string
	}{
		{"method", "GET ", "POST ", 405, "Allow: GET"},
		{"HTTP/1.0", "HTTP/1.1", "HTTP/1.0", 400, ""},
		{"body", "Origin:", "Content-Length: 5\nOrigin:", 400, ""},
		{"chunked body", "Origin:", "Transfer-Encoding: chunked\nOrigin:", 400, ""},
		{"no key", "Sec-WebSocket-Key", "X", 400, ""},
		{"two keys", "Origin:", "Sec-WebSocket-Key: " + exampleKey + "\nOrigin:", 400, ""},
		{"short key", exampleKey, "dGhl", 400, ""},
		{"no base64", exampleKey, "????????????????????????", 400, ""},
		{"version", "Version: 13", "Version: 8", 426, "Sec-WebSocket-Version: 13"},
	} {
		_, r := f.dial(crlf(strings.Replace(handshakeText, c.old, c.new, 1)))
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		name, value, _ := strings.Cut(c.field, ": ")
		if res.StatusCode != c.status || res.Header.Get(name) != value || !res.Close {
			t.Errorf("%s: %s, %v, closed %v", c.name, res.Status, res.Header, res.Close)
		}
	}
	select {
	case got := <-handshakes:
		t.Errorf("the backend was asked: %q", got)
	default:
	}
}

func TestTunnel_BackendDownThenUp(t *testing.T) {
	// A socket that a dead process left behind; nobody else can take its name.
	path := filepath.Join(t.TempDir(), "push.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "unix:" + path}})
	res, body := f.ask(handshakeText)
	if res.StatusCode != 502 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") || strings.Contains(body, path) {
		t.Errorf("%s %v %q", res.Status, res.Header, body)
	}
	f.log.await(t, "handshake.failed", "connection refused; is the application running")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(echoHandler)}
	go func() { _ = srv.Serve(l) }() // ended by Close below
	t.Cleanup(func() { srv.Close() })
	conn, _ := dialWS(t, f, websocket.Dialer{}, "/websocket")
	echo(t, conn, []byte("up again"))
}

func TestTunnel_SilentBackendTimesOut(t *testing.T) {
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + addr}, ResponseTimeout: 100 * time.Millisecond})
	if res, _ := f.ask(handshakeText); res.StatusCode != 504 {
		t.Error(res.Status)
	}
}

func TestTunnel_ClientLeavesBeforeTheAnswer(t *testing.T) {
	asked, ended := make(chan struct{}), make(chan struct{})
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := readRequest(r); err == nil {
			close(asked)
			_, _ = io.Copy(io.Discard, r)
			close(ended)
		}
	})
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + addr}})
	conn, _ := f.dial(crlf(handshakeText))
	receive(t, asked)
	conn.Close()
	receive(t, ended)
	f.access.await(t, "499")
	if strings.Contains(f.log.String(), "handshake.failed") {
		t.Errorf("%s", f.log)
	}
}

func TestTunnel_OtherUpgradesAreForwardedAsPlainRequests(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	res, _ := f.ask("GET / HTTP/1.1\nHost: a\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
	got := receive(t, requests)
	if res.StatusCode != 200 || field(got, "Upgrade") != "-" || field(got, "HTTP2-Settings") != "-" || field(got, "Connection") != "-" {
		t.Errorf("%s, asked %q", res.Status, got)
	}
}
