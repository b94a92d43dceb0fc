package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// from is a field that a trusted proxy adds.
func from(addr string) string { return "\nX-Forwarded-For: " + addr }

// wantStatus asks for a tunnel and wants that answer.
func (f *front) wantStatus(path, fields string, status int) (*wsEnd, *http.Response) {
	f.t.Helper()
	client, res := f.handshake(path, fields)
	if res.StatusCode != status {
		f.t.Fatalf("%s%s: %s, want %d\n%s", path, strings.TrimSpace(fields), res.Status, status, f.log)
	}
	if status != http.StatusSwitchingProtocols && (res.Header.Get("Retry-After") != "10" || !res.Close) {
		f.t.Errorf("%s: Retry-After %q, closed %v", res.Status, res.Header.Get("Retry-After"), res.Close)
	}
	return client, res
}

// wantNoTunnels wants that nothing is counted any more.
func (f *front) wantNoTunnels() {
	f.t.Helper()
	o := &f.tunnels
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all != 0 || len(o.routes) != 0 || len(o.from) != 0 {
		f.t.Errorf("counted: %d tunnels, by route %v, by address %v", o.all, o.routes, o.from)
	}
}

// end ends a tunnel and waits until the log tells.
func (e *wsEnd) end(f *front, backend *wsEnd) {
	e.t.Helper()
	f.log.reset()
	e.conn.Close()
	backend.conn.Close()
	f.closed()
}

func TestTunnelLimit_OfARoute(t *testing.T) {
	eachScheme(t, func(t *testing.T, s scheme) {
		host, ends := rawTunnels(t, "")
		f := s.serve(t, Config{},
			Route{Path: "/few", Tunnel: Tunnel{Backend: "ws://" + host}, MaxTunnels: 2},
			Route{Path: "/app", App: "http://" + host, MaxTunnels: 1},
			Route{Path: "/many", Tunnel: Tunnel{Backend: "ws://" + host}})
		first, firstBackend := openRaw(f, "/few", ends)
		openRaw(f, "/few", ends)
		f.wantStatus("/few", "", 503)
		f.log.await(t, "handshake.failed", "status=503", "2 tunnels of this route are open; raise its max_tunnels if the backend takes more")
		openRaw(f, "/app", ends)
		f.wantStatus("/app", "", 503)
		for range 3 {
			openRaw(f, "/many", ends)
		}
		first.end(f, firstBackend)
		openRaw(f, "/few", ends)
		f.wantStatus("/few", "", 503)
	})
}

func TestTunnelLimit_OfAll(t *testing.T) {
	eachScheme(t, func(t *testing.T, s scheme) {
		host, ends := rawTunnels(t, "")
		f := s.serve(t, Config{MaxTunnels: 2},
			Route{Path: "/a", Tunnel: Tunnel{Backend: "ws://" + host}},
			Route{Path: "/b", App: "http://" + host})
		first, firstBackend := openRaw(f, "/a", ends)
		openRaw(f, "/b", ends)
		for _, path := range []string{"/a", "/b"} {
			f.wantStatus(path, "", 503)
		}
		f.log.await(t, "handshake.failed", "2 tunnels are open; raise max_tunnels, and the limit of open files with it")
		first.end(f, firstBackend)
		openRaw(f, "/b", ends)
		f.wantStatus("/a", "", 503)
	})
}

func TestTunnelLimit_OfAnAddress(t *testing.T) {
	host, ends := rawTunnels(t, "")
	f := serveConfig(t, Config{MaxTunnelsPerAddress: 2, TrustedProxies: loopback(),
		Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", App: "http://" + host}}}}})
	open := func(addr string) (*wsEnd, *wsEnd) {
		t.Helper()
		client, _ := f.wantStatus("/", from(addr), 101)
		return client, f.backendOf(ends)
	}
	first, firstBackend := open("203.0.113.7")
	open("203.0.113.7")
	f.wantStatus("/", from("203.0.113.7"), 429)
	f.log.await(t, "handshake.failed", "status=429", "client=203.0.113.7",
		`reason="203.0.113.7 has 2 tunnels open; raise max_tunnels_per_address, or name it in trusted_proxies if it is a proxy of yours"`)
	open("203.0.113.8") // somebody else

	// IPv6: a /64 is one customer's.
	open("2001:db8:0:1::1")
	open("2001:db8:0:1:ffff::2")
	f.wantStatus("/", from("2001:db8:0:1::3"), 429)
	f.log.await(t, `reason="2001:db8:0:1::/64 has 2 tunnels open`)
	open("2001:db8:0:2::1")

	// An IPv4 address stays one, however it is written.
	f.wantStatus("/", from("::ffff:203.0.113.7"), 429)

	first.end(f, firstBackend)
	open("203.0.113.7")
	f.wantStatus("/", from("203.0.113.7"), 429)
}

// Without a proxy that is believed, nobody can be somebody else by a field; and
// loopback is nobody in particular.
func TestTunnelLimit_LoopbackIsNotCountedAndFieldsAreNotBelieved(t *testing.T) {
	eachScheme(t, func(t *testing.T, s scheme) {
		host, ends := rawTunnels(t, "")
		f := s.serve(t, Config{MaxTunnelsPerAddress: 1}, Route{Path: "/", App: "http://" + host})
		for range 3 {
			f.wantStatus("/", from("203.0.113.7"), 101)
			f.backendOf(ends)
		}
		f.tunnels.mu.Lock()
		defer f.tunnels.mu.Unlock()
		if len(f.tunnels.from) != 0 {
			t.Errorf("counted %v", f.tunnels.from)
		}
	})
}

func TestAddressGroup(t *testing.T) {
	for addr, want := range map[string]string{
		"203.0.113.7":        "203.0.113.7/32",
		"2001:db8::1:2:3:4":  "2001:db8::/64",
		"fe80::1%eth0":       "fe80::/64",
		"127.0.0.1":          "invalid Prefix",
		"127.8.8.8":          "invalid Prefix",
		"::1":                "invalid Prefix",
		"::ffff:192.168.0.1": "192.168.0.1/32",
	} {
		if got := addressGroup(netip.MustParseAddr(addr).Unmap()); got.String() != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if got := addressGroup(netip.Addr{}); got.IsValid() { // of a Unix socket
		t.Errorf("no address: %s", got)
	}
}

// A handshake that is under way takes a place, and gives it back however it
// ends.
func TestTunnelLimit_HandshakesTakeAPlaceAndGiveItBack(t *testing.T) {
	eachScheme(t, func(t *testing.T, s scheme) {
		asked := make(chan struct{}, 1)
		silent := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
			if _, err := readRequest(r); err == nil {
				asked <- struct{}{}
				_, _ = io.Copy(io.Discard, r)
			}
		})
		answers := func(text string) Tunnel {
			host, _ := switching(t, text, nil)
			return Tunnel{Backend: "ws://" + host}
		}
		good, ends := rawTunnels(t, "")
		f := s.serve(t, Config{MaxTunnels: 1, MaxTunnelsPerAddress: 1, TrustedProxies: loopback()},
			Route{Path: "/good", Tunnel: Tunnel{Backend: "ws://" + good}, MaxTunnels: 1},
			Route{Path: "/silent", Tunnel: Tunnel{Backend: "ws://" + silent}},
			Route{Path: "/slow", Tunnel: Tunnel{Backend: "ws://" + silent}, ResponseTimeout: 50 * time.Millisecond},
			Route{Path: "/refuses", Tunnel: answers("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")},
			Route{Path: "/wrong", Tunnel: answers(strings.Replace(switchText, exampleAccept, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1))},
			Route{Path: "/hangs-up", Tunnel: answers("")},
			Route{Path: "/down", Tunnel: Tunnel{Backend: "unix:" + t.TempDir() + "/nobody.sock"}})
		for path, status := range map[string]int{"/refuses": 403, "/wrong": 502, "/hangs-up": 502, "/down": 502, "/slow": 504, "/silent": 499} {
			f.access.reset()
			f.log.reset()
			if status == 499 {
				conn, _ := f.dial(crlf(strings.Replace(handshakeText, "/websocket", path, 1) + from("203.0.113.7")))
				receive(t, asked)
				f.wantStatus("/good", from("203.0.113.8"), 503)
				conn.Close()
			} else if _, res := f.handshake(path, from("203.0.113.7")); res.StatusCode != status {
				t.Errorf("%s: %s, want %d", path, res.Status, status)
			} else if status == 504 {
				receive(t, asked)
			}
			f.access.await(t, path, fmt.Sprint(status))
			f.wantNoTunnels()
			client, _ := f.wantStatus("/good", from("203.0.113.7"), 101)
			client.end(f, f.backendOf(ends))
			f.wantNoTunnels()
		}
	})
}

// A reload changes the limits for handshakes to come. What is open stays open,
// and counts.
func TestTunnelLimit_Reload(t *testing.T) {
	host, ends := rawTunnels(t, "")
	routes := func(limit int) []Route {
		return []Route{{Path: "/few", Tunnel: Tunnel{Backend: "ws://" + host}, MaxTunnels: limit}, {Path: "/", App: "http://" + host}}
	}
	f := serveConfig(t, Config{MaxTunnels: 10, MaxTunnelsPerAddress: 1, TrustedProxies: loopback(),
		Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: routes(1)}}})
	reload := func(change func(*Config)) {
		t.Helper()
		cfg := f.cfg
		cfg.Sites = []Site{cfg.Sites[0]}
		change(&cfg)
		if err := f.Reload(cfg); err != nil {
			t.Fatal(err)
		}
	}
	client, backend := openRaw(f, "/few", ends)
	f.wantStatus("/few", "", 503)

	reload(func(c *Config) { c.Sites[0].Routes = routes(2) })
	second, secondBackend := openRaw(f, "/few", ends)
	f.wantStatus("/few", "", 503)

	reload(func(c *Config) { c.Sites[0].Routes = routes(1) })
	f.wantStatus("/few", "", 503)
	second.end(f, secondBackend)
	f.wantStatus("/few", "", 503) // the first one is as many as may be
	client.write(client.frame(finText, "still open"))
	backend.wantFrame(finText, "still open")

	reload(func(c *Config) { c.MaxTunnels = 1 })
	f.wantStatus("/", "", 503)
	reload(func(c *Config) { c.MaxTunnels = 10 })
	f.wantStatus("/", from("203.0.113.7"), 101)
	f.backendOf(ends)
	f.wantStatus("/", from("203.0.113.7"), 429)
	reload(func(c *Config) { c.MaxTunnelsPerAddress = 2 })
	f.wantStatus("/", from("203.0.113.7"), 101)
	f.backendOf(ends)

	// A tunnel of a route that is gone gives its place back all the same.
	reload(func(c *Config) { c.Sites[0].Routes = c.Sites[0].Routes[1:] })
	client.end(f, backend)
	f.tunnels.mu.Lock()
	defer f.tunnels.mu.Unlock()
	if f.tunnels.all != 2 || len(f.tunnels.routes) != 1 {
		t.Errorf("counted: %d tunnels, by route %v", f.tunnels.all, f.tunnels.routes)
	}
}
