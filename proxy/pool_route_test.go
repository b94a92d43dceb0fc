package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Two routes share what is known of a pool unless they verify its backends in
// different ways.
func TestPool_SharedByRoutes(t *testing.T) {
	tab, err := newTable(Config{
		Pools: []Pool{{Name: "web", Backends: []PoolBackend{{URL: "https://10.0.0.1"}}}},
		Sites: []Site{{Hosts: []string{"a"}, Routes: []Route{
			{Path: "/1", App: "pool://web"},
			{Path: "/2", Tunnel: Tunnel{Backend: "pool://web/x"}},
			{Path: "/3", App: "pool://web", BackendTLS: BackendTLS{InsecureSkipVerify: true}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer tab.close()
	routes := tab.sites[0].routes
	slices.SortFunc(routes, func(a, b *route) int { return strings.Compare(a.Path, b.Path) })
	if routes[0].pool != routes[1].pool || routes[1].path != "/x" || routes[0].pool == routes[2].pool {
		t.Errorf("%p %p %q %p", routes[0].pool, routes[1].pool, routes[1].path, routes[2].pool)
	}
	if own := routes[2].pool.members[0].backend.tls; !own.InsecureSkipVerify || routes[0].pool.members[0].backend.tls.InsecureSkipVerify {
		t.Error("the options of one route count for the other")
	}
}

// The path behind a pool replaces the route's, and links to any of its backends
// lead to the client's host.
func TestPool_LinksToAnyBackend(t *testing.T) {
	answer := "HTTP/1.1 302 Found\r\nLocation: https://10.0.0.2/store/cart\r\nContent-Length: 0\r\n\r\n"
	app, requests := answering(t, answer)
	f := serveConfig(t, Config{
		Pools: []Pool{{Name: "web", Backends: []PoolBackend{{URL: app}, {URL: "https://10.0.0.2", Backup: true}}}},
		Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/shop", App: "pool://web/store"}}}},
	})
	res, _ := f.ask("GET /shop/login HTTP/1.1\nHost: app.test")
	if got := res.Header.Get("Location"); got != "http://app.test/shop/cart" {
		t.Errorf("led to %q", got)
	}
	if got := receive(t, requests); !strings.HasPrefix(got, "GET /store/login ") {
		t.Errorf("asked for %.40q", got)
	}
}

// Groups of match have their place behind a pool as behind a host.
func TestPool_PathOfAMatch(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveConfig(t, Config{
		Pools: []Pool{{Name: "web", Backends: []PoolBackend{{URL: app}}}},
		Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{
			{Match: "^/old/(.*)$", App: "pool://web/new/${1}"},
			{Match: "^/kept/", App: "pool://web"},
		}}},
	})
	for asked, want := range map[string]string{"/old/a/b": "/new/a/b", "/kept/a": "/kept/a"} {
		f.ask("GET " + asked + " HTTP/1.1\nHost: app.test")
		if got := receive(t, requests); !strings.HasPrefix(got, "GET "+want+" ") {
			t.Errorf("%s: asked for %.40q", asked, got)
		}
	}
}

// A tunnel that outlives its table ends as any other.
func TestPool_ReloadBeginsAnew(t *testing.T) {
	a, b := startNamed(t, "a"), startNamed(t, "b")
	f := servePool(t, Pool{Backends: members(a, b)})
	client, name, _ := f.openNamed("/ws", "")
	before := f.pool()
	if err := f.Reload(f.cfg); err != nil {
		t.Fatal(err)
	}
	if _, next, _ := f.openNamed("/ws", ""); next != name || f.pool() == before {
		t.Errorf("the first tunnel went to %s, and to %s after a reload", name, next)
	}
	client.conn.Close()
	f.closed()
	if n := before.opened(openTunnel); n != 0 {
		t.Errorf("%d tunnels of the old table are open", n)
	}
}

// opened counts what is open at all members together.
func (p *pool) opened(kind int) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		n += m.load[kind].open
	}
	return n
}

// Shares hold when there is much to do at once, and nothing stays counted.
func TestPool_ManyAtOnce(t *testing.T) {
	a, b := startNamed(t, "a"), startNamed(t, "b")
	f := servePool(t, Pool{Backends: []PoolBackend{{URL: a.url}, {URL: b.url, Weight: 3}}})
	const clients, each = 8, 50
	done := make(chan error, clients)
	for range clients {
		go func() { // ends after its requests, awaited below
			conn, err := net.Dial("tcp", f.addr)
			if err != nil {
				done <- err
				return
			}
			defer conn.Close()
			r := bufio.NewReader(conn)
			for range each {
				if _, err = io.WriteString(conn, crlf("GET / HTTP/1.1\nHost: a")); err != nil {
					break
				}
				var res *http.Response
				if res, err = http.ReadResponse(r, nil); err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, res.Body)
			}
			done <- err
		}()
	}
	for range clients {
		if err := receive(t, done); err != nil {
			t.Fatal(err)
		}
	}
	// How many exactly depends on how long the machine takes for each.
	if part := float64(b.asked.Load()) / (clients * each); part < 0.5 || part > 0.95 {
		t.Errorf("%v of the requests went to the one with weight 3 of 4", part)
	}
	if n := f.pool().opened(plainRequest); n != 0 {
		t.Errorf("%d requests are counted as open", n)
	}
}
