package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// accepted has the front serve a connection as if it had accepted it; the
// returned one is the client's end. Read number at of it panics.
func (f *front) accepted(t *testing.T, at int) (client net.Conn) {
	t.Helper()
	near, far := pipe(t)
	f.conns.begin(f.Server, f.listeners[0], &explosive{Conn: near, at: at})
	return far
}

// wantPanics checks what is told of the panics, of which where was on the stack.
func (f *front) wantPanics(t *testing.T, n uint64, where string) {
	t.Helper()
	f.log.await(t, "msg=request.panic", "panic=boom", where)
	if got := f.Panics(); got != n {
		t.Errorf("%d panics were counted, want %d", got, n)
	}
}

// A handler of another package that panics ends its own request: the answer is
// cut, also where it has begun, and others are served, over HTTP/2 on the same
// connection.
func TestPanic_InAHandlerEndsOneRequest(t *testing.T) {
	routes := []Route{
		{Path: "/at-once", Whole: true, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })},
		{Path: "/later", Whole: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "the beginning")
			_ = http.NewResponseController(w).Flush()
			panic("boom")
		})},
		{Path: "/fine", Whole: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })},
	}
	for _, w := range faultWays(t, routes) {
		t.Run(w.name, func(t *testing.T) {
			w.wantFine(t)
			for _, path := range []string{"/at-once", "/later"} {
				before := w.front.Panics()
				w.front.log.reset()
				if got := w.ask(t, "POST", path, ""); got.cut == nil { // clients send a GET again

					t.Errorf("%s: a whole answer: %d %q", path, got.status, got.body)
				}
				w.front.log.await(t, "msg=request.failed", "path="+path, "reason=panic")
				w.front.wantPanics(t, before+1, "TestPanic_InAHandlerEndsOneRequest")
				if fine := w.wantFine(t); w.major == 2 && !fine.reused {
					t.Errorf("%s: the panic in one stream ended the connection of all", path)
				}
			}
		})
	}
}

// Whatever goroutine a connection is read by, a panic there ends that connection
// alone.
func TestPanic_WhereverAConnectionIsRead(t *testing.T) {
	asked := make(chan struct{}, 1)
	silent := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := readRequest(r); err == nil {
			asked <- struct{}{}
		}
		_, _ = io.Copy(io.Discard, r)
	})
	fine, _ := answering(t, okAnswer)
	routes := []Route{{Path: "/fine", App: fine}, {Path: "/silent", App: "http://" + silent}}
	plain := serveFront(t, routes...)
	secure := serveConfig(t, Config{Sites: []Site{{Hosts: []string{"*"}, TLS: freshPair(t, "app.test"), Routes: routes}}})
	post := crlf("POST /silent HTTP/1.1\nHost: a\nContent-Length: 1000000")
	for _, c := range []struct {
		name  string
		front *front
		at    int      // the read that panics
		send  []string // what comes before, a read each
		where string   // on the stack
		want  string   // in what the client gets
	}{
		{"in the handshake", secure, 1, nil, "secure", ""},
		{"while it waits", plain, 1, nil, "await", ""},
		{"in a head", plain, 2, []string{"GET / HTTP/1.1\r\n"}, "readHead", ""},
		{"in a small body", plain, 2, []string{crlf("POST /silent HTTP/1.1\nHost: a\nContent-Length: 3")}, "takeSmall", ""},
		{"in a body that is passed on", plain, 2, []string{post}, "stream", "HTTP/1.1 500 "},
		{"while the client is watched", plain, 2, []string{crlf("GET /silent HTTP/1.1\nHost: a")}, "watch", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.front.log.reset()
			before := c.front.Panics()
			client := c.front.accepted(t, c.at)
			for _, text := range c.send {
				_, _ = io.WriteString(client, text)
			}
			got, _ := io.ReadAll(client)
			if !strings.HasPrefix(string(got), c.want) || c.want == "" && len(got) > 0 {
				t.Errorf("the client got %q, want %q", got, c.want)
			}
			c.front.wantPanics(t, before+1, c.where)
		})
	}
	if res, _ := plain.ask("GET /fine HTTP/1.1\nHost: a"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
}

// In a tunnel as well, by goroutines and in mode message.
func TestPanic_InATunnelEndsThatOne(t *testing.T) {
	for name, mode := range map[string]TunnelMode{"relay": "", "message": TunnelMessage} {
		t.Run(name, func(t *testing.T) {
			host, ends := rawTunnels(t, "")
			f := serveFront(t, Route{Path: "/", Tunnel: Tunnel{Backend: "ws://" + host, Mode: mode}})
			other, otherBackend := openRaw(f, "/", ends)
			conn := f.accepted(t, 2)
			if _, err := io.WriteString(conn, crlf(handshakeText)); err != nil {
				t.Fatal(err)
			}
			backend := f.backendOf(ends)
			f.wantPanics(t, 1, "explosive")
			f.closed(`reason="internal error`)
			if _, err := io.Copy(io.Discard, conn); err != nil && !isReset(err) {
				t.Error(err)
			}
			_, _ = io.Copy(io.Discard, backend.r) // it ends
			other.write(other.frame(finText, "hello"))
			otherBackend.wantFrame(finText, "hello")
		})
	}
}
