package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// faultWay is a way to a front whose backends fail. All that is asked of a way
// is asked on one connection, as long as that lasts.
type faultWay struct {
	name   string
	scheme string
	major  int // of HTTP
	client *http.Client
	front  *front
}

// faultWays are fronts with these routes, asked by HTTP/1.1, by HTTP/1.1 over
// TLS, and by HTTP/2.
func faultWays(t *testing.T, routes []Route) []faultWay {
	t.Helper()
	plain := serveFront(t, routes...)
	secure := serveConfig(t, Config{Sites: []Site{{Hosts: []string{"*"}, TLS: freshPair(t, "app.test"), Routes: routes}}})
	secure.clientTLS = &tls.Config{InsecureSkipVerify: true, ServerName: "app.test"}
	return []faultWay{newFaultWay(t, plain, 1), newFaultWay(t, secure, 1), newFaultWay(t, secure, 2)}
}

func newFaultWay(t *testing.T, f *front, major int) faultWay {
	transport := &http.Transport{MaxConnsPerHost: 1}
	w := faultWay{name: "http", scheme: "http", major: major, client: &http.Client{Transport: transport, Timeout: patience}, front: f}
	if f.clientTLS != nil {
		w.name, w.scheme = "https", "https"
		transport.TLSClientConfig = f.clientTLS.Clone()
	}
	if major == 2 {
		w.name, transport.ForceAttemptHTTP2 = "h2", true
	}
	t.Cleanup(transport.CloseIdleConnections)
	return w
}

// faultAnswer is what a client got: an answer that is whole, or what there was
// of it and why there is no more.
type faultAnswer struct {
	status int // 0 where not even the head came
	body   string
	cut    error
	reused bool // it came on a connection that had carried another one
}

func (w faultWay) ask(t *testing.T, method, path, body string) faultAnswer {
	t.Helper()
	var got faultAnswer
	req, err := http.NewRequest(method, w.scheme+"://"+w.front.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { got.reused = i.Reused },
	}))
	res, err := w.client.Do(req)
	if err != nil {
		got.cut = err
		return got
	}
	defer res.Body.Close()
	if res.ProtoMajor != w.major {
		t.Fatalf("%s: answered by HTTP/%d", w.name, res.ProtoMajor)
	}
	text, err := io.ReadAll(res.Body)
	got.status, got.body, got.cut = res.StatusCode, string(text), err
	return got
}

// faultyBackend is a backend of one route, which a test breaks. open counts the
// connections that the front holds to it.
type faultyBackend struct {
	addr string

	mu      sync.Mutex
	open    int
	changed chan struct{} // closed and renewed when open has changed
}

func newFaultyBackend(t *testing.T, serve func(conn *net.TCPConn, r *bufio.Reader)) *faultyBackend {
	t.Helper()
	b := &faultyBackend{changed: make(chan struct{})}
	b.addr = rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		b.count(1)
		defer b.count(-1)
		serve(conn.(*net.TCPConn), r)
		// Whatever it still says is not listened to: the backend waits for the
		// front's end of the connection. It has been reset where there is none.
		_, _ = io.Copy(io.Discard, r)
	})
	return b
}

func (b *faultyBackend) count(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open += n
	close(b.changed)
	b.changed = make(chan struct{})
}

// awaitOpen waits until the front holds n connections.
func (b *faultyBackend) awaitOpen(t *testing.T, n int) {
	t.Helper()
	late := time.After(patience / 2) // before the backend itself gives the connection up
	for {
		b.mu.Lock()
		open, changed := b.open, b.changed
		b.mu.Unlock()
		if open == n {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("the front holds %d connections to the backend, want %d", open, n)
		}
	}
}

// noGoroutineLeft is called before something is done, and what it returns when
// its goroutines should be over.
func noGoroutineLeft() (check func(t *testing.T)) {
	before := goleak.IgnoreCurrent()
	return func(t *testing.T) {
		t.Helper()
		if err := goleak.Find(before); err != nil {
			t.Error(err)
		}
	}
}
