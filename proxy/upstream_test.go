package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The time that an application takes is no reason to ask it once more.
func TestForward_SilentBackendIsAskedOnce(t *testing.T) {
	var asked atomic.Int32
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		for {
			if _, err := readRequest(r); err != nil {
				return
			}
			if asked.Add(1) == 1 {
				_, _ = io.WriteString(conn, okAnswer)
			}
		}
	})
	f := serveFront(t, Route{Path: "/", App: "http://" + addr, ResponseTimeout: 300 * time.Millisecond})
	f.ask("GET / HTTP/1.1\nHost: a")
	if res, _ := f.ask("GET / HTTP/1.1\nHost: a"); res.StatusCode != 504 || asked.Load() != 2 {
		t.Errorf("%s after %d requests, want 504 after 2", res.Status, asked.Load())
	}
}

// A connection that the backend closed, or on which it said something that
// nobody asked for, is no good for a body that is passed on as it comes either.
func TestForward_StreamedBodyOnAStaleConnection(t *testing.T) {
	for name, last := range map[string]string{"closed": "", "timed out": "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			var conns atomic.Int32
			hangUp := make(chan struct{})
			gone := make(chan struct{})
			addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
				first := conns.Add(1) == 1
				if _, err := readRequest(r); err != nil {
					return
				}
				_, _ = io.WriteString(conn, okAnswer)
				if first {
					<-hangUp
					_, _ = io.WriteString(conn, last)
					conn.Close()
					close(gone)
				}
			})
			f := serveFront(t, Route{Path: "/", App: "http://" + addr})
			f.ask("GET / HTTP/1.1\nHost: a")
			close(hangUp)
			receive(t, gone)
			_, r := f.dial(crlf("POST / HTTP/1.1\nHost: a\nContent-Length: 100000") + strings.Repeat("x", 100000))
			if res, body := readAnswer(t, r, "POST"); res.StatusCode != 200 || body != "ok" || conns.Load() != 2 {
				t.Errorf("%s %q over %d connections", res.Status, body, conns.Load())
			}
		})
	}
}

// The deadline of one answer must not keep the connection from being used for
// the next.
func TestUpstream_TLSConnectionOutlastsTheDeadlineOfItsAnswer(t *testing.T) {
	var conns atomic.Int32
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	app.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	app.StartTLS()
	defer app.Close()
	f := serveFront(t, Route{Path: "/", App: app.URL, BackendTLS: BackendTLS{InsecureSkipVerify: true}})
	f.ask("GET / HTTP/1.1\nHost: a")
	u := f.table.Load().sites[0].routes[0].pool.members[0].upstream
	u.mu.Lock()
	_ = u.idle[0].SetReadDeadline(aLongTimeAgo) // as if slowAnswer were over
	u.mu.Unlock()
	if res, _ := f.ask("GET / HTTP/1.1\nHost: a"); res.StatusCode != 200 || conns.Load() != 1 {
		t.Errorf("%s, %d connections", res.Status, conns.Load())
	}
}

// A process that stood still for a while finds its deadline over before it has
// sent anything.
func TestUpstream_DeadlineBeforeTheRequestLosesNothing(t *testing.T) {
	seen := make(chan string, 1)
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		text, _ := readRequest(r)
		seen <- text
		_, _ = io.WriteString(conn, okAnswer)
	})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	b := newBackendConn(conn)
	defer b.close()
	b.out = []byte(crlf("GET / HTTP/1.1\nHost: a"))
	if err := b.send(true, patience); err != nil {
		t.Fatal(err)
	}
	_ = b.SetReadDeadline(aLongTimeAgo)
	if err := b.reader.Fill(); !isTimeout(err) {
		t.Fatal(err)
	}
	_ = b.SetReadDeadline(time.Now().Add(patience))
	if err := b.reader.Fill(); err != nil || string(b.reader.Buffered()) != okAnswer {
		t.Errorf("%q, %v", b.reader.Buffered(), err)
	}
	if got := receive(t, seen); got != string(b.out) {
		t.Errorf("sent as %q", got)
	}
}

// What the backend did wrong is not the client's fault, even if it has to be
// interrupted for it.
func TestForward_BackendGoneWhileTheClientPauses(t *testing.T) {
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		_, _ = io.CopyN(io.Discard, r, 20000)
	})
	f := serveFront(t, Route{Path: "/", App: "http://" + addr})
	_, r := f.dial(crlf("POST / HTTP/1.1\nHost: a\nContent-Length: 100000") + strings.Repeat("x", 30000))
	if res, _ := readAnswer(t, r, "POST"); res.StatusCode != 502 || !res.Close {
		t.Errorf("%s, close %v", res.Status, res.Close)
	}
}

// endless is a body whose end never comes.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestForward_BackendThatDoesNotReadTheBody(t *testing.T) {
	for name, framing := range map[string]string{"length": "Content-Length: 1000000000", "chunked": "Transfer-Encoding: chunked"} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) { <-ended })
			off := false
			f := serveFront(t, Route{Path: "/", App: "http://" + addr, ResponseTimeout: 300 * time.Millisecond, MaxBody: 1 << 40, RequestBuffering: &off})
			defer close(ended)
			conn, r := f.dial(crlf("POST / HTTP/1.1\nHost: a\n" + framing))
			sent := make(chan struct{})
			go func() { // ended by the front, which closes the connection
				defer close(sent)
				if name == "chunked" {
					_, _ = io.WriteString(conn, "fffffffff\r\n")
				}
				_, _ = io.Copy(conn, endless{})
			}()
			if res, _ := readAnswer(t, r, "POST"); res.StatusCode != 504 {
				t.Error(res.Status)
			}
			conn.Close()
			receive(t, sent)
		})
	}
}

// panicking is a client that one cannot write to.
type panicking struct{ net.Conn }

func (panicking) Write([]byte) (int, error) { panic("test") }

func TestForward_PanicLeavesNoConnectionBehind(t *testing.T) {
	ended := make(chan struct{})
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := readRequest(r); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 100000))
			if _, err := r.ReadByte(); err != nil {
				close(ended)
			}
		}
	})
	f := serveFront(t, Route{Path: "/", App: "http://" + addr})
	client, server := net.Pipe()
	defer client.Close()
	f.conns.begin(f.Server, f.listeners[0], panicking{server})
	if _, err := io.WriteString(client, crlf("GET / HTTP/1.1\nHost: a")); err != nil {
		t.Fatal(err)
	}
	receive(t, ended)
	f.log.await(t, "panic=test")
}
