package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestPool_SharesByWeight(t *testing.T) {
	a, b, spare := startNamed(t, "a"), startNamed(t, "b"), startNamed(t, "spare")
	f := servePool(t, Pool{Backends: []PoolBackend{{URL: a.url}, {URL: b.url, Weight: 2}, {URL: spare.url, Backup: true}}})
	order := ""
	for range 30 {
		name, set := f.get("")
		if order += name; set != "" {
			t.Fatalf("set %q, though nothing is sticky", set)
		}
	}
	if want := strings.Repeat("bab", 10); order != want {
		t.Errorf("went to %s, want %s", order, want)
	}
}

// A slow backend gets no more than the others.
func TestPool_WhereTheFewestAreOpen(t *testing.T) {
	asked, release := make(chan struct{}, 20), make(chan struct{})
	end := sync.OnceFunc(func() { close(release) })
	slow := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := readRequest(r); err == nil {
			asked <- struct{}{}
			<-release
			_, _ = io.WriteString(conn, okAnswer)
		}
	})
	t.Cleanup(end) // before the backend's own waits for it
	quick := startNamed(t, "quick")
	f := servePool(t, Pool{Backends: []PoolBackend{{URL: "http://" + slow}, {URL: quick.url}}})
	_, first := f.dial(crlf("GET /slow HTTP/1.1\nHost: a"))
	receive(t, asked)
	for range 10 {
		if name, _ := f.get(""); name != "quick" {
			t.Fatalf("went to %q", name)
		}
	}
	end()
	if _, body := readAnswer(t, first, "GET"); body != "ok" || len(asked) > 0 {
		t.Errorf("%q, and %d more requests", body, len(asked))
	}
}

// Tunnels are shared out by how many are open, whatever else the backends do.
func TestPool_TunnelsByHowManyAreOpen(t *testing.T) {
	a, b := startNamed(t, "a"), startNamed(t, "b")
	f := servePool(t, Pool{Backends: members(a, b)})
	open := map[string][]*wsEnd{}
	for range 6 {
		client, name, _ := f.openNamed("/ws", "")
		open[name] = append(open[name], client)
	}
	if len(open["a"]) != 3 || len(open["b"]) != 3 {
		t.Fatalf("%d and %d tunnels, want 3 and 3", len(open["a"]), len(open["b"]))
	}
	for _, client := range open["a"] {
		f.log.reset()
		client.conn.Close()
		f.closed("backend=" + a.url)
	}
	order := ""
	for range 4 {
		name, _ := f.get("")
		order += name
	}
	if order != "abab" {
		t.Errorf("plain requests went to %s, though none is open", order)
	}
	for range 3 {
		if _, name, _ := f.openNamed("/messages", ""); name != "a" {
			t.Errorf("a tunnel went to %s, which has more", name)
		}
	}
}

// What was meant for a backend that cannot be reached goes to another one, whole.
func TestPool_NextBackendGetsTheBodyWhole(t *testing.T) {
	long := strings.Repeat("x", 100000)
	for name, text := range map[string]string{
		"none":      crlf("GET / HTTP/1.1\nHost: a"),
		"small":     crlf("POST / HTTP/1.1\nHost: a\nContent-Length: 5") + "hello",
		"streams":   crlf("POST / HTTP/1.1\nHost: a\nContent-Length: 100000") + long,
		"held":      crlf("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n",
		"in a file": crlf("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked") + "200000\r\n" + strings.Repeat("x", 2<<20) + "\r\n0\r\n\r\n",
		"asked for": crlf("POST / HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: 100-continue") + "hello",
	} {
		t.Run(name, func(t *testing.T) {
			a, b := startNamed(t, "a"), startNamed(t, "b")
			a.down()
			f := servePool(t, Pool{Backends: members(a, b)})
			_, r := f.dial(text)
			res, body := readAnswer(t, r, "GET")
			if res.StatusCode == http.StatusContinue {
				res, body = readAnswer(t, r, "GET")
			}
			want := map[string]string{"none": "b", "small": "bhello", "streams": "b" + long, "held": "bhello", "in a file": "b" + strings.Repeat("x", 2<<20), "asked for": "bhello"}[name]
			if res.StatusCode != http.StatusOK || body != want {
				t.Errorf("%s, %d bytes, want %d", res.Status, len(body), len(want))
			}
			line := f.log.await(t, "backend.down")
			for _, part := range []string{"pool=web", "backend=" + a.url, "there is no such socket", "for=10s"} {
				if !strings.Contains(line, part) {
					t.Errorf("no %q in %s", part, line)
				}
			}
			if strings.Contains(f.log.String(), "request.failed") {
				t.Error("the request is logged as failed")
			}
		})
	}
}

func TestPool_NextBackendOverHTTP2(t *testing.T) {
	a, b := startNamed(t, "a"), startNamed(t, "b")
	a.down()
	f := servePool(t, Pool{Backends: members(a, b)})
	srv := f.secure(2)
	long := strings.Repeat("x", 100000)
	res, err := srv.Client().Post(srv.URL, "text/plain", strings.NewReader(long))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.ProtoMajor != 2 || string(body) != "b"+long {
		t.Errorf("%s %s, %d bytes", res.Proto, res.Status, len(body))
	}
}

func TestPool_NextBackendGetsTheHandshake(t *testing.T) {
	for _, path := range []string{"/ws", "/messages", "/by-app"} {
		t.Run(path, func(t *testing.T) {
			a, b := startNamed(t, "a"), startNamed(t, "b")
			a.down()
			f := servePool(t, Pool{Backends: members(a, b)})
			if _, name, _ := f.openNamed(path, ""); name != "b" {
				t.Errorf("went to %s", name)
			}
			f.log.await(t, "backend.down", "backend="+a.url)
			f.log.await(t, "tunnel.open", "backend="+b.url)
		})
	}
}

// A connection that was kept to a backend which then went away is no reason for a
// POST to fail.
func TestPool_BackendThatWentAwayWithItsKeptConnection(t *testing.T) {
	a, b := startNamed(t, "a"), startNamed(t, "b")
	f := servePool(t, Pool{Backends: members(a, b)})
	for range 2 {
		f.get("")
	}
	a.down()
	for range 2 {
		if res, body := f.post("hello"); res.StatusCode != http.StatusOK || body != "bhello" {
			t.Fatalf("%s %q\n%s", res.Status, body, f.log)
		}
	}
	f.log.await(t, "backend.down", "backend="+a.url)
}

// post sends a body to /.
func (f *front) post(body string) (*http.Response, string) {
	f.t.Helper()
	_, r := f.dial(crlf(fmt.Sprintf("POST / HTTP/1.1\nHost: a\nContent-Length: %d", len(body))) + body)
	return readAnswer(f.t, r, "POST")
}

func TestPool_LeftOutAndTriedAgain(t *testing.T) {
	a, b := startNamed(t, "a"), startNamed(t, "b")
	f := servePool(t, Pool{Backends: members(a, b), FailTimeout: time.Hour})
	a.down()
	f.get("")
	f.log.await(t, "backend.down", "for=1h0m0s")
	a.up()
	for range 4 {
		if name, _ := f.get(""); name != "b" {
			t.Fatalf("%s was asked before its time", name)
		}
	}
	a.down()
	f.pool().longAgo()
	for range 4 {
		if name, _ := f.get(""); name != "b" {
			t.Fatal(name)
		}
	}
	if n := strings.Count(f.log.String(), "backend.down"); n != 1 {
		t.Errorf("logged as down %d times:\n%s", n, f.log)
	}
	a.up()
	f.pool().longAgo()
	order := ""
	for range 4 {
		name, _ := f.get("")
		order += name
	}
	if strings.Count(order, "a") < 2 {
		t.Errorf("went to %s", order)
	}
	f.log.await(t, "backend.up", "pool=web", "backend="+a.url)
	if n := strings.Count(f.log.String(), "backend.up"); n != 1 {
		t.Errorf("logged as up %d times", n)
	}
}

// A backend that takes no new connections is down, though those that are kept
// to it would still do.
func TestPool_TrialNeedsANewConnection(t *testing.T) {
	a, b := startNamed(t, "a"), startNamed(t, "b")
	f := servePool(t, Pool{Backends: members(a, b)})
	for range 2 {
		f.get("")
	}
	a.server.Listener.Close()
	if _, name, _ := f.openNamed("/ws", ""); name != "b" {
		t.Fatal(name)
	}
	f.pool().longAgo()
	for range 4 {
		if name, _ := f.get(""); name != "b" {
			t.Errorf("went to %s", name)
		}
	}
}

// A backend that takes connections and then says nothing must not hold up more
// than one request at a time.
func TestPool_OneTrialAtATime(t *testing.T) {
	accepted, release := make(chan struct{}, 10), make(chan struct{})
	end := sync.OnceFunc(func() { close(release) })
	mute := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		accepted <- struct{}{}
		<-release
	})
	t.Cleanup(end) // before the backend's own waits for it
	b := startNamed(t, "b")
	f := servePool(t, Pool{Sticky: "ROUTE", Backends: []PoolBackend{{URL: "https://" + mute}, {URL: b.url}}})
	p := f.pool()
	p.mu.Lock()
	p.members[0].down = true
	p.mu.Unlock()
	cookie := "ROUTE=" + p.members[0].key
	_, trial := f.dial(crlf("GET / HTTP/1.1\nHost: a\nCookie: " + cookie))
	receive(t, accepted)
	for range 4 {
		if name, _ := f.get(cookie); name != "b" {
			t.Fatal(name)
		}
	}
	if len(accepted) > 0 {
		t.Error("a second request tried the same backend")
	}
	end() // in the midst of its handshake
	if _, body := readAnswer(t, trial, "GET"); body != "b" {
		t.Errorf("the trial was answered by %q", body)
	}
	if strings.Contains(f.log.String(), "backend.up") {
		t.Error("it is taken for up")
	}
}

func TestPool_FailedTLSIsAFailure(t *testing.T) {
	secure, b := tlsBackend(t), startNamed(t, "b")
	f := servePool(t, Pool{Backends: []PoolBackend{{URL: secure.URL}, {URL: b.url}}})
	if name, _ := f.get(""); name != "b" {
		t.Errorf("went to %s", name)
	}
	f.log.await(t, "backend.down", "backend="+secure.URL, "backend_tls.ca")
}

// Backends with and without TLS are one pool, each reached in its way.
func TestPool_MixedTLS(t *testing.T) {
	secure, b := tlsBackend(t), startNamed(t, "b")
	f := serveConfig(t, Config{
		Pools: []Pool{{Name: "web", Backends: []PoolBackend{{URL: secure.URL}, {URL: b.url}}}},
		Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{
			{Path: "/", App: "pool://web", BackendTLS: BackendTLS{CA: writeCA(t, secure)}},
		}}},
	})
	var names []string
	for range 4 {
		name, _ := f.get("")
		names = append(names, name)
	}
	if want := []string{"HTTP/1.1 app.test", "b", "HTTP/1.1 app.test", "b"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

func TestPool_AnswersAreNoFailures(t *testing.T) {
	a, b := startNamed(t, "a"), startNamed(t, "b")
	f := servePool(t, Pool{Backends: members(a, b)})
	for range 4 {
		if res, _ := f.ask("GET /500 HTTP/1.1\nHost: a"); res.StatusCode != http.StatusInternalServerError {
			t.Fatal(res.Status)
		}
	}
	if a.asked.Load() != 2 || b.asked.Load() != 2 || strings.Contains(f.log.String(), "backend.down") {
		t.Errorf("%d and %d requests\n%s", a.asked.Load(), b.asked.Load(), f.log)
	}
}

func TestPool_BackupsWhileNoOtherIsUp(t *testing.T) {
	a, b, spare := startNamed(t, "a"), startNamed(t, "b"), startNamed(t, "spare")
	f := servePool(t, Pool{Sticky: "ROUTE", Backends: []PoolBackend{{URL: spare.url, Backup: true}, {URL: a.url}, {URL: b.url}}})
	a.down()
	if name, _ := f.get(""); name != "b" {
		t.Errorf("went to %s while b is up", name)
	}
	b.down()
	name, set := f.get("")
	if name != "spare" {
		t.Errorf("went to %s", name)
	}
	if _, tunnel, _ := f.openNamed("/ws", ""); tunnel != "spare" {
		t.Errorf("a tunnel went to %s", tunnel)
	}
	a.up()
	f.pool().longAgo()
	if name, again := f.get(pair(set)); name != "a" || again == "" {
		t.Errorf("went to %s with the backup's cookie, and got %q", name, again)
	}
}

func TestPool_AllDown(t *testing.T) {
	a, b, spare := startNamed(t, "a"), startNamed(t, "b"), startNamed(t, "spare")
	f := servePool(t, Pool{Backends: []PoolBackend{{URL: a.url}, {URL: b.url}, {URL: spare.url, Backup: true}}, FailTimeout: time.Hour})
	for _, one := range []*namedBackend{a, b, spare} {
		one.down()
	}
	for range 2 { // the second time all are known to be down
		res, body := f.ask("GET / HTTP/1.1\nHost: a\nAccept: text/plain")
		if res.StatusCode != http.StatusBadGateway || strings.Contains(body, "pool") || strings.Contains(body, "sock") {
			t.Errorf("%s %q", res.Status, body)
		}
		f.log.await(t, "request.failed", "no backend of pool web can be reached; of the last one: dial backend unix:", "there is no such socket")
	}
	client, res := f.handshake("/ws", "")
	defer client.conn.Close()
	if res.StatusCode != http.StatusBadGateway {
		t.Error(res.Status)
	}
	f.log.await(t, "handshake.failed", "no backend of pool web can be reached")
	if n := strings.Count(f.log.String(), "backend.down"); n != 3 {
		t.Errorf("logged as down %d times", n)
	}
	b.up() // long before its time
	if name, _ := f.get(""); name != "b" {
		t.Error(name)
	}
	f.log.await(t, "backend.up", "backend="+b.url)
}

// Where all are down, a request does not wait for each of them.
func TestPool_AllDownAndSilent(t *testing.T) {
	accepted, release := make(chan string, 10), make(chan struct{})
	defer close(release)
	var pool Pool
	for _, name := range []string{"a", "b"} {
		mute := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
			accepted <- name
			<-release
		})
		pool.Backends = append(pool.Backends, PoolBackend{URL: "https://" + mute})
	}
	f := servePool(t, pool)
	p := f.pool()
	p.mu.Lock()
	for i, m := range p.members {
		m.down, m.failed = true, time.Now().Add(-time.Duration(i)*time.Second)
	}
	p.mu.Unlock()
	if res, _ := f.ask("GET / HTTP/1.1\nHost: a"); res.StatusCode != http.StatusGatewayTimeout {
		t.Error(res.Status)
	}
	if got := receive(t, accepted); got != "b" || len(accepted) > 0 {
		t.Errorf("%s was asked first, then %d more; want b alone, whose failure is the longest ago", got, len(accepted))
	}
}
