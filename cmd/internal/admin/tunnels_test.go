package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"wsfront/proxy"
)

// open are tunnels: the higher the number, the newer; their bytes, messages and
// idleness are each in an order of their own.
func open(n int) []proxy.TunnelState {
	list := make([]proxy.TunnelState, n)
	began := time.Unix(1_800_000_000, 0).UTC()
	for i := range list {
		list[i] = proxy.TunnelState{
			ID: fmt.Sprintf("%032d", i), Client: "192.0.2.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
			Site: "app.example.com", Route: []string{"/chat", "/board"}[i%2], Backend: "ws://127.0.0.1:9000",
			Opened: began.Add(time.Duration(i) * time.Second), Moved: began.Add(time.Duration(i*7919%n) * time.Minute),
			BytesIn: int64(i * 7 % n), BytesOut: int64(i * 5 % n), MessagesIn: int64(i * 3 % n), MessagesOut: int64(i * 11 % n),
		}
	}
	return list
}

func TestTunnels_SortedFilteredAndBounded(t *testing.T) {
	s := some()
	all := open(2000)
	s.Tunnels = func() []proxy.TunnelState { return slices.Clone(all) }
	r := serveAt(t, s, Access{})
	moved := func(t proxy.TunnelState) int64 { return t.BytesIn + t.BytesOut }
	said := func(t proxy.TunnelState) int64 { return t.MessagesIn + t.MessagesOut }
	for _, c := range []struct {
		query        string
		open, listed int
		before       func(a, b proxy.TunnelState) bool
	}{
		{"", 2000, 1000, func(a, b proxy.TunnelState) bool { return a.Opened.After(b.Opened) }},
		{"?sort=age&limit=5", 2000, 5, func(a, b proxy.TunnelState) bool { return a.Opened.After(b.Opened) }},
		{"?sort=bytes&limit=2000", 2000, 2000, func(a, b proxy.TunnelState) bool { return moved(a) >= moved(b) }},
		{"?sort=messages&limit=100000", 2000, 2000, func(a, b proxy.TunnelState) bool { return said(a) >= said(b) }},
		{"?sort=idle", 2000, 1000, func(a, b proxy.TunnelState) bool { return !a.Moved.After(b.Moved) }},
		{"?route=/chat&limit=900", 1000, 900, func(a, b proxy.TunnelState) bool { return a.Route == "/chat" && b.Route == "/chat" }},
		{"?route=/none", 0, 0, nil},
	} {
		var list TunnelList
		if err := json.Unmarshal([]byte(r.want(200, "GET", "/tunnels"+c.query)), &list); err != nil {
			t.Fatal(err)
		}
		if list.Open != c.open || len(list.Tunnels) != c.listed || list.Tunnels == nil {
			t.Errorf("%s: %d of %d are listed", c.query, len(list.Tunnels), list.Open)
		}
		for i := 1; i < len(list.Tunnels); i++ {
			if a, b := list.Tunnels[i-1], list.Tunnels[i]; !c.before(a, b) {
				t.Errorf("%s: %v stands before %v", c.query, a, b)
			}
		}
	}
	for _, query := range []string{"?sort=size", "?limit=0", "?limit=-1", "?limit=x", "?limit=99999999999"} {
		r.want(400, "GET", "/tunnels"+query)
	}
	var list TunnelList
	if err := json.Unmarshal([]byte(r.want(200, "GET", "/tunnels?limit=1")), &list); err != nil || list.Tunnels[0] != all[1999] {
		t.Errorf("%v, %v", list, err)
	}
}

// Who asks for the end of a tunnel is told one that has ended from a server that
// does not know how.
func TestCloseTunnel_UnknownAndUnknownOrder(t *testing.T) {
	state := t.TempDir()
	var closed string
	s := some()
	s.CloseTunnel = func(id string) bool { closed = id; return id == "a/b?" }
	l, err := Listen(state, false)
	if err != nil {
		t.Fatal(err)
	}
	r := serveOn(t, l, s, Access{Host: SocketHost})
	if err := CloseTunnel(t.Context(), state, "a/b?"); err != nil || closed != "a/b?" {
		t.Errorf("%v, closed %q", err, closed)
	}
	if err := CloseTunnel(t.Context(), state, "other"); err == nil || errors.Is(err, ErrUnknownOrder) || !strings.Contains(err.Error(), `no tunnel of the id "other" is open`) {
		t.Error(err)
	}
	if _, err := GetTunnels(t.Context(), state, TunnelQuery{}); !errors.Is(err, ErrUnknownOrder) {
		t.Errorf("a path that is not served: %v", err)
	}
	r.end()
}

// BenchmarkTunnels answers with a list of so many tunnels.
func BenchmarkTunnels(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			all := open(n)
			s := Sources{Tunnels: func() []proxy.TunnelState { return all }}
			h := Handler(s, Access{})
			req := httptest.NewRequest("GET", fmt.Sprintf("http://localhost/tunnels?sort=bytes&limit=%d", n), nil)
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				w := &discarding{header: http.Header{}}
				h.ServeHTTP(w, req)
				size = w.size
			}
			b.ReportMetric(float64(size), "B/answer")
		})
	}
}

// discarding takes an answer and keeps its size.
type discarding struct {
	header http.Header
	size   int
}

func (d *discarding) Header() http.Header { return d.header }
func (d *discarding) WriteHeader(int)     {}
func (d *discarding) Write(p []byte) (int, error) {
	d.size += len(p)
	return io.Discard.Write(p)
}
