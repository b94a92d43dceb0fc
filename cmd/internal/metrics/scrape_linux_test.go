package metrics

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"wsfront/proxy"
)

// manyRoutes are routes of app.test that lead to its pool.
func manyRoutes(n int) []proxy.Route {
	routes := make([]proxy.Route, n)
	for i := range routes {
		routes[i] = proxy.Route{Path: fmt.Sprintf("/route%d", i), App: "pool://app"}
	}
	return routes
}

// answered are the statuses that the app is asked to give.
func answered() []int { return []int{200, 204, 301, 302, 304, 400, 401, 403, 404, 500, 503} }

// visit has each of the routes answer with each of the statuses.
func (s *served) visit(routes []proxy.Route) {
	s.t.Helper()
	transport := &http.Transport{TLSClientConfig: s.trust, DialContext: s.dialer().NetDialContext}
	defer transport.CloseIdleConnections()
	for _, r := range routes {
		for _, status := range answered() {
			req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("https://app.test%s?status=%d", r.Path, status), nil)
			if err != nil {
				s.t.Fatal(err)
			}
			res, err := transport.RoundTrip(req)
			if err != nil {
				s.t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				s.t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != status {
				s.t.Fatalf("status %d, want %d", res.StatusCode, status)
			}
		}
	}
}

// series is how many an answer has.
func series(text string) int {
	n := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

// A Prometheus pays for series: they are as many as the configuration makes them,
// however many requests come.
func TestScrape_SeriesAreBoundedByTheConfiguration(t *testing.T) {
	const (
		classes = 4
		buckets = 17 // of a duration, with its sum and its count
		tunnels = 18 // of a route that a handshake may come to
		bytes   = 2
	)
	routes := manyRoutes(20)
	s := serve(t, routes...)
	before := series(get(t, s.handler))
	s.visit(routes)
	got := series(get(t, s.handler)) - before
	if most := len(routes) * (len(answered()) + classes*buckets + 1); got > most || got < most/2 {
		t.Errorf("%d series more by requests to %d routes, want %d at most", got, len(routes), most)
	}
	once := get(t, s.handler)
	s.visit(routes)
	for line := range strings.Lines(get(t, s.handler)) {
		if name, _, is := strings.Cut(line, "} "); is && strings.HasPrefix(name, "wsfront_") && !strings.Contains(once, name) {
			t.Errorf("the same requests again have made the series %s}", name)
		}
	}
	none := serve(t)
	if each := (before - series(get(t, none.handler))) / len(routes); each > tunnels+bytes {
		t.Errorf("%d series for a route that nobody has asked, want %d at most", each, tunnels+bytes)
	}
}

// tunnel opens tunnels that stay until the benchmark ends.
func (s *served) tunnel(n int) {
	s.t.Helper()
	_, plain := s.front.Addrs()
	for range n {
		conn, err := net.Dial("tcp", plain[0].String())
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { conn.Close() })
		const handshake = "GET /ws HTTP/1.1\r\nHost: plain.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
		if _, err := io.WriteString(conn, handshake); err != nil {
			s.t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReaderSize(conn, 512), nil)
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			s.t.Fatal(res, err)
		}
	}
}

// cpu is what the process has used of it, which other programs do not disturb as they
// do the time that passes.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// What a scrape costs, and how long the answer is. A tunnel takes four open files
// here, where all sides are one process.
func BenchmarkScrape(b *testing.B) {
	scrapes := func(b *testing.B, s *served) {
		text := ""
		b.ReportAllocs()
		before := cpu(b)
		for b.Loop() {
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			text = w.Body.String()
		}
		b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
		b.ReportMetric(float64(series(text)), "series")
		b.ReportMetric(float64(len(text)), "bytes")
	}
	b.Run("small", func(b *testing.B) { scrapes(b, serve(b)) })
	b.Run("routes=100", func(b *testing.B) {
		routes := manyRoutes(100)
		s := serve(b, routes...)
		s.visit(routes)
		scrapes(b, s)
	})
	for _, n := range []int{1000, 4000} {
		b.Run(fmt.Sprintf("tunnels=%d", n), func(b *testing.B) {
			s := serve(b)
			s.tunnel(n)
			scrapes(b, s)
		})
	}
}
