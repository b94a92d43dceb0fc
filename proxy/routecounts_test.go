package proxy

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// routeCounts is the account of a route; "" is that of requests that found none.
func (f *front) routeCounts(route string) RouteCounts {
	f.t.Helper()
	for _, c := range f.Counts().Routes {
		if c.Route == route {
			return c
		}
	}
	f.t.Fatalf("route %q has no account", route)
	panic("unreachable")
}

func (c RouteCounts) requests() (n uint64) {
	for _, one := range c.Requests {
		n += one
	}
	return n
}

// countedApp answers as its path says, and with the length of the body that it got.
func countedApp(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return
	}
	switch r.URL.Path {
	case "/error":
		w.WriteHeader(http.StatusInternalServerError)
	case "/silent":
		<-r.Context().Done()
		return
	}
	fmt.Fprintf(w, "%08d", n)
}

// What is asked of a route is found in its account and in no other, whichever
// version of HTTP asks.
func TestCounts_RequestsByRoute(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(countedApp))
	t.Cleanup(app.Close)
	for _, c := range []struct {
		name, route string
		ask         string // method and path
		body        string
		status      int // as it is counted
		in, out     uint64
		class       string // of Duration, or "" for none
	}{
		{"answer of an app", "^/$", "GET /", "", 200, 0, 8, "2xx"},
		{"no body for HEAD", "^/$", "HEAD /", "", 200, 0, 0, "2xx"},
		{"body with a length", "^/$", "POST /", strings.Repeat("x", 100), 200, 100, 8, "2xx"},
		{"body that streams", "^/$", "POST /", strings.Repeat("x", 3<<20), 200, 3 << 20, 8, "2xx"},
		{"body without a length", "^/$", "POST /", strings.Repeat("x", 90000), 200, 90000, 8, "2xx"},
		{"error of an app", "/error", "GET /error", "", 500, 0, 8, "5xx"},
		{"status without a class", "/strange", "GET /strange", "", 600, 0, 0, "5xx"},
		{"error of our own", "/down", "GET /down", "", 502, 0, 0, "5xx"},
		{"file", "/files/", "GET /files/text", "", 200, 0, 11, "2xx"},
		{"redirect", "/moved", "GET /moved", "", 302, 0, 0, "3xx"},
		{"handler", "/whole", "POST /whole", "four", 200, 4, 4, "2xx"},
		{"push, which lasts for as long as one listens", "/push", "GET /push", "", 200, 0, 5, ""},
		{"no route", "", "GET /nowhere", "", 404, 0, 0, "4xx"},
	} {
		for major := 1; major <= 2; major++ {
			t.Run(fmt.Sprintf("%s/HTTP%d", c.name, major), func(t *testing.T) {
				folder := t.TempDir()
				if err := os.WriteFile(filepath.Join(folder, "text"), []byte("hello world"), 0o600); err != nil {
					t.Fatal(err)
				}
				f := serveFront(t, append(countedRoutes(app.URL, folder), Route{Path: "/push", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					_, _ = io.WriteString(w, "event")
				})})...)
				before := f.Counts()
				method, path, _ := strings.Cut(c.ask, " ")
				var sent io.Reader
				if c.body != "" {
					sent = strings.NewReader(c.body)
				}
				if strings.Contains(c.name, "without a length") {
					sent = io.MultiReader(sent)
				}
				r, err := http.NewRequest(method, f.secure(major).URL+path, sent)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Accept", "text/event-stream")
				client := f.secure(major).Client()
				client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
				res, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				if err != nil || res.ProtoMajor != major {
					t.Fatal(res.Proto, err)
				}
				until(t, "the request is counted", func() bool { return f.routeCounts(c.route).requests() == 1 })
				got, out := f.routeCounts(c.route), c.out
				if out == 0 && method != http.MethodHead {
					out = uint64(len(body)) // a page of our own
				}
				if !maps.Equal(got.Requests, map[int]uint64{c.status: 1}) || got.BytesIn != c.in || got.BytesOut != out {
					t.Errorf("requests %v, %d bytes in, %d out; want %d, %d, %d", got.Requests, got.BytesIn, got.BytesOut, c.status, c.in, out)
				}
				for class, d := range got.Duration {
					if class != c.class || d.Count() != 1 || d.Sum <= 0 || d.Sum > patience {
						t.Errorf("duration of %s: %+v", class, d)
					}
				}
				if len(got.Duration) == 0 && c.class != "" {
					t.Error("no duration")
				}
				for i, one := range f.Counts().Routes {
					if one.Route != c.route && (one.requests() != before.Routes[i].requests() || one.BytesIn != 0 || one.BytesOut != 0) {
						t.Errorf("counted for %q as well: %+v", one.Route, one)
					}
				}
			})
		}
	}
}

func countedRoutes(app, folder string) []Route {
	var none []Route
	for _, path := range []string{"/error", "/silent"} {
		none = append(none, Route{Path: path, App: app})
	}
	return append(none, Route{Match: "^/$", App: app}, Route{Path: "/down", App: "http://127.0.0.1:1"}, Route{Path: "/files/", Files: folder},
		Route{Path: "/strange", Whole: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(799) })},
		Route{Path: "/moved", Redirect: Redirect{To: "/"}},
		Route{Path: "/whole", Whole: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })})
}

func TestCounts_RequestWithoutAnAnswerIs499(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(countedApp))
	t.Cleanup(app.Close)
	for major := 1; major <= 2; major++ {
		f := serveFront(t, Route{Path: "/", App: app.URL})
		ctx, cancel := context.WithCancel(context.Background())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.secure(major).URL+"/silent", nil)
		if err != nil {
			t.Fatal(err)
		}
		gone := make(chan error)
		go func() { // ended by cancel, awaited below
			_, err := f.secure(major).Client().Do(r)
			gone <- err
		}()
		until(t, "the app is asked", func() bool { return f.Counts().Backends[0].Connects == 1 })
		cancel()
		receive(t, gone)
		until(t, "the request is over", func() bool { return f.routeCounts("/").Requests[499] == 1 })
		if s := f.Sites()[0].Routes[0]; s.Requests != 1 || s.Failed != 1 {
			t.Errorf("HTTP/%d: %d requests, %d failed", major, s.Requests, s.Failed)
		}
		if n := f.Counts().Backends[0].Failures; n[answerClosed]+n[answerTimeout]+n[answerOther]+n[answerBrokenOff] != 0 {
			t.Errorf("HTTP/%d: the backend is blamed: %v", major, n)
		}
	}
}

// A long answer and a long body are in the figures while they last.
func TestCounts_BytesWhileTheyMove(t *testing.T) {
	more := make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begun")
		_ = http.NewResponseController(w).Flush()
		<-more
	}))
	t.Cleanup(app.Close)
	f := serveFront(t, Route{Path: "/", App: app.URL})
	finish := sync.OnceFunc(func() { close(more) })
	t.Cleanup(finish)
	_, r := f.dial(simpleRequest)
	until(t, "the first bytes are counted", func() bool { return f.routeCounts("/").BytesOut == 5 })
	if n := f.routeCounts("/").requests(); n != 0 {
		t.Errorf("%d requests are over", n)
	}
	finish()
	if _, body := readAnswer(t, r, "GET"); body != "begun" {
		t.Error(body)
	}
}

func TestCounts_TunnelsAreRequestsWithoutADuration(t *testing.T) {
	host, ends := rawTunnels(t, "")
	app, _ := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/ws", Tunnel: Tunnel{Backend: "ws://" + host}}, Route{Path: "/no", Tunnel: Tunnel{Backend: strings.Replace(app, "http", "ws", 1)}},
		Route{Path: "/taken", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				conn.Close()
			}
		})})
	client, _ := f.handshake("/ws", "")
	exchangeFrames(client, receive(t, ends))
	got := f.routeCounts("/ws")
	if !maps.Equal(got.Requests, map[int]uint64{101: 1}) || len(got.Duration) != 0 || got.BytesIn != 0 || got.BytesOut != 0 {
		t.Errorf("the tunnel: %+v", got)
	}
	f.handshake("/no", "")
	until(t, "the refusal is counted", func() bool { return f.routeCounts("/no").Requests[200] == 1 })
	refused := uint64(0)
	for _, n := range f.routeCounts("/no").Tunnels.Refused {
		refused += n
	}
	if refused != 1 {
		t.Errorf("%d handshakes were refused: %+v", refused, f.routeCounts("/no").Tunnels)
	}
	_, _ = f.dial(crlf("GET /taken HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
	until(t, "the handler is done", func() bool { return f.routeCounts("/taken").Requests[101] == 1 })
	if got := f.routeCounts("/taken"); len(got.Tunnels.Refused) != 0 || len(got.Duration) != 0 {
		t.Errorf("the connection that a handler took: %+v", got)
	}
}

func TestCounts_StayOverReloadsWithTheirRoute(t *testing.T) {
	one, two := startNamed(t, "one"), startNamed(t, "two")
	site := Site{Hosts: []string{"a.test", "b.test"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", App: one.url}, {Path: "/old", App: two.url}}}
	f := serveConfig(t, Config{Sites: []Site{site}})
	for _, path := range []string{"/", "/", "/old"} {
		f.ask("GET " + path + " HTTP/1.1\nHost: a.test")
	}
	until(t, "all are counted", func() bool { return f.routeCounts("/").requests() == 2 && f.routeCounts("/old").requests() == 1 })
	site.Routes = []Route{{Path: "/new", App: one.url}, {Path: "/", App: one.url, MaxBody: 1000}}
	f.reload(site)
	c := f.Counts()
	if len(c.Routes) != 3 || f.routeCounts("/").requests() != 2 || f.routeCounts("/new").requests() != 0 {
		t.Errorf("after a reload: %+v", c.Routes)
	}
	if len(c.Backends) != 1 || c.Backends[0].Backend != one.url || c.Backends[0].ResponseDuration.Count() != 2 {
		t.Errorf("after a reload: %+v", c.Backends)
	}
	f.ask("GET / HTTP/1.1\nHost: a.test")
	until(t, "the route counts on", func() bool { return f.routeCounts("/").requests() == 3 })
	site.Routes = []Route{{Path: "/old", App: two.url}}
	f.reload(site)
	site.Routes = []Route{{Path: "/", App: one.url}}
	f.reload(site)
	if n := f.routeCounts("/").requests(); n != 0 {
		t.Errorf("a route that had gone came back with %d requests", n)
	}
}

// A scraper that looks at any time sees no counter fall, and in the end all that
// was done.
func TestCounts_NeverFallWhileRequestsGoOn(t *testing.T) {
	const clients, each = 4, 50
	app := httptest.NewServer(http.HandlerFunc(countedApp))
	t.Cleanup(app.Close)
	f := serveFront(t, Route{Path: "/", App: app.URL})
	stop, scraped := make(chan struct{}), make(chan struct{})
	go func() { // ended by stop, awaited below
		defer close(scraped)
		var requests, out, answers, accepted uint64
		for {
			c := f.Counts()
			r, b := c.Routes[0], c.Backends[0]
			if r.requests() < requests || r.BytesOut < out || b.ResponseDuration.Count() < answers || c.Accepted["plain"] < accepted {
				t.Errorf("a counter fell: %+v", c)
			}
			requests, out, answers, accepted = r.requests(), r.BytesOut, b.ResponseDuration.Count(), c.Accepted["plain"]
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() { // ends with its loop
			client := f.plain().Client()
			for range each {
				res, err := client.Get(f.plain().URL)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
	wg.Wait()
	until(t, "all are counted", func() bool { return f.routeCounts("/").requests() == clients*each })
	close(stop)
	receive(t, scraped)
	if c := f.Counts(); c.Accepted["plain"] != clients || c.Routes[0].Duration["2xx"].Count() != clients*each {
		t.Errorf("in the end: %+v", c)
	}
}

func TestCounts_LostLinesOfTheAccessLog(t *testing.T) {
	f := newFront(t, Config{Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", Files: t.TempDir()}}}}})
	r, w := net.Pipe()
	r.Close()
	f.Server.access.out = w
	f.run()
	for range 2 {
		f.ask("GET / HTTP/1.1\nHost: a")
	}
	until(t, "the lines are missed", func() bool { return f.Counts().AccessLogLost == 2 })
}

// Several routes of one path, for different kinds of requests, have one account.
func TestCounts_RoutesOfOnePathAreOne(t *testing.T) {
	app, _ := answering(t, okAnswer)
	u, err := url.Parse(app)
	if err != nil {
		t.Fatal(err)
	}
	f := serveFront(t, Route{Path: "/", App: app}, Route{Path: "/", Tunnel: Tunnel{Backend: "ws://" + u.Host}})
	f.ask("GET / HTTP/1.1\nHost: a")
	until(t, "it is counted", func() bool { return f.routeCounts("/").requests() == 1 })
	if c := f.Counts(); len(c.Routes) != 2 || c.Routes[1].Site != "" {
		t.Errorf("accounts: %+v", c.Routes)
	}
}
