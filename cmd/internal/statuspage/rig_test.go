package statuspage

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wsfront/cmd/internal/admin"
	"wsfront/proxy"
)

// server is what a page shows: tunnels that come, go and move, and a status that
// counts them.
type server struct {
	mu      sync.Mutex
	tunnels map[string]proxy.TunnelState
	opened  uint64
	asked   int // how often for the status
}

func newServer() *server { return &server{tunnels: map[string]proxy.TunnelState{}} }

// began is when all of this is.
var began = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

// open opens a tunnel, each one a second after the one before it.
func (s *server) open() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	at := began.Add(time.Duration(s.opened) * time.Second)
	id := fmt.Sprintf("t%d", s.opened)
	s.tunnels[id] = proxy.TunnelState{
		ID: id, Client: "192.0.2.1:4000", UserAgent: "<img src=x onerror=alert(1)>\"\\\u2028\xff", Site: "a.test", Route: "/ws", Opened: at, Moved: at,
	}
	return id
}

// move moves a message in a tunnel.
func (s *server) move(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tunnels[id]
	t.MessagesIn++
	t.BytesIn += 10
	t.Moved = t.Moved.Add(time.Millisecond)
	s.tunnels[id] = t
}

func (s *server) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tunnels, id)
}

func (s *server) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.tunnels))
}

func (s *server) status(context.Context) admin.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return admin.Status{
		Version: "1", Time: began.Add(time.Duration(s.asked) * time.Second),
		Tunnels: admin.TunnelTotals{Open: len(s.tunnels), Opened: s.opened}, Limits: map[string]uint64{"front.max_tunnels": 3, "front.max_connections": 1},
	}
}

func (s *server) list() []proxy.TunnelState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.tunnels))
}

// newTestPage makes a page of a server, and serves it over HTTP. Its Run is not
// called.
func newTestPage(t *testing.T, s *server) (*Page, string) {
	t.Helper()
	p, err := New(Sources{Status: s.status, Tunnels: s.list})
	if err != nil {
		t.Fatal(err)
	}
	served := httptest.NewServer(p.Handler())
	t.Cleanup(func() {
		served.CloseClientConnections()
		served.Close()
		if err := p.feed.hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p, served.URL
}

// runs has Run called until the test ends.
func (p *Page) runs(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }() // ended and awaited by the clean-up
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// tick is what a page is told, and the state that it is given.
type tick struct {
	Number uint64
	Time   int64
	Status map[string]json.RawMessage
	New    []proxy.TunnelState
	Moved  [][]any
	Gone   []string
	id     string // of the event
	gap    bool
}

// stream is a client of /events.
type stream struct {
	t     *testing.T
	body  *http.Response
	lines *bufio.Scanner
	leave context.CancelFunc
}

// listen opens an event stream behind a position, "" for none.
func listen(t *testing.T, url, position string) *stream {
	t.Helper()
	ctx, leave := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if position != "" {
		r.Header.Set("Last-Event-ID", position)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		leave()
		res.Body.Close()
	})
	if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("/events answered %s, %s", res.Status, got)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	return &stream{t, res, lines, leave}
}

// next waits for the next event; false says that the stream has ended.
func (s *stream) next() (e tick, ok bool) {
	s.t.Helper()
	full := false
	for s.lines.Scan() {
		name, value, _ := strings.Cut(s.lines.Text(), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.gap = value == "gap"
		case "data":
			if full = true; !e.gap {
				if err := json.Unmarshal([]byte(value), &e); err != nil {
					s.t.Fatalf("%v in %s", err, value)
				}
			}
		case "":
			if full {
				return e, true
			}
		}
	}
	return e, false
}

// must is next where the stream goes on.
func (s *stream) must() tick {
	s.t.Helper()
	e, ok := s.next()
	if !ok {
		s.t.Fatalf("the stream has ended: %v", s.lines.Err())
	}
	return e
}

// stateOf asks /events for JSON.
func stateOf(t *testing.T, url string) tick {
	t.Helper()
	r, err := http.NewRequest("GET", url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var s tick
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil || res.StatusCode != 200 || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("the state is %s, %v, %v", res.Status, res.Header, err)
	}
	return s
}

// steps makes a tick as Run would.
func (p *Page) steps(t *testing.T) {
	t.Helper()
	if _, err := p.feed.step(t.Context()); err != nil {
		t.Fatal(err)
	}
}
