package proxy

import (
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"

	"wsfront/proxy/diagnosis"
	"wsfront/proxy/relay"
)

// The account of a route is the same over reloads, wherever it leads, and goes
// with it. What found no route has an account of its own.
func TestTunnelCounts_OfARouteGoWithIt(t *testing.T) {
	at := func(path, backend string) Route { return Route{Path: path, Tunnel: Tunnel{Backend: backend}} }
	site := func(routes ...Route) Site {
		return Site{Hosts: []string{"app.test"}, TLS: TLS{Mode: TLSOff}, Routes: routes}
	}
	f := serveConfig(t, Config{Sites: []Site{site(at("/a", "ws://127.0.0.1:9"), at("/b", "ws://127.0.0.1:9"))}})
	route := func(i int) *route { return f.table.Load().sites[0].routes[i] }
	gone := route(1)
	f.countRefusedTunnel(route(0), diagnosis.BackendDown)
	f.countRefusedTunnel(gone, "")
	f.countRefusedTunnel(nil, diagnosis.HostRefused)
	f.reload(site(at("/a", "ws://127.0.0.1:10"), Route{Path: "/c", Files: t.TempDir()}))
	f.countRefusedTunnel(route(0), diagnosis.BackendDown)
	f.countRefusedTunnel(gone, "") // by a request that was under way
	want := func(id routeID, cause diagnosis.Cause, n uint64) {
		t.Helper()
		if got := f.tunnelCounts()[id].Refused[string(cause)]; got != n {
			t.Errorf("%+v: %d were refused for %s, want %d", id, got, cause, n)
		}
	}
	want(routeID{"app.test", "/a"}, diagnosis.BackendDown, 2)
	want(routeID{}, diagnosis.HostRefused, 1)
	f.countRefusedTunnel(route(1), diagnosis.PathUnknown) // none leads there
	want(routeID{}, diagnosis.PathUnknown, 1)
	if counts := f.tunnelCounts(); len(counts) != 2 {
		t.Errorf("accounts %v, want that of /a and that of no route", counts)
	}
	f.reload(site(at("/b", "ws://127.0.0.1:9")))
	f.countRefusedTunnel(route(0), "")
	want(routeID{"app.test", "/b"}, diagnosis.Refused, 1)
}

func TestTunnelCounts_WhoClosedAndHow(t *testing.T) {
	eachMode(t, Route{MaxMessage: 100}, func(t *testing.T, f *front, ends <-chan *wsEnd) {
		message := f.cfg.Sites[0].Routes[0].Tunnel.Mode == TunnelMessage
		violation := relay.ClientViolated
		if message {
			violation = "client cut off"
		}
		says := func(e *wsEnd, code uint16, text string) { e.write(e.frame(finClose, closing(code, text))) }
		want := map[TunnelEnd]uint64{}
		for _, c := range []struct {
			end func(client, backend *wsEnd)
			is  TunnelEnd
			log string
		}{
			{func(client, _ *wsEnd) { says(client, 1000, "") }, TunnelEnd{"client", 1000, "client closed"}, "close_code=1000 closed_by=client"},
			{func(client, _ *wsEnd) { says(client, 4711, "bye") }, TunnelEnd{"client", 4000, "client closed"}, "close_code=4711 closed_by=client close_reason=bye"},
			{func(_, backend *wsEnd) { says(backend, 3999, "full") }, TunnelEnd{"backend", 3000, "backend closed"}, "close_code=3999 closed_by=backend close_reason=full"},
			{func(client, _ *wsEnd) { client.write(client.frame(finClose, "")) }, TunnelEnd{"client", 1005, "client closed"}, "close_code=1005 closed_by=client"},
			{func(client, _ *wsEnd) { abort(client) }, TunnelEnd{"client", 1006, "client aborted"}, "closed_by=client"},
			{func(_, backend *wsEnd) { abort(backend) }, TunnelEnd{"backend", 1006, "backend aborted"}, "closed_by=backend"},
			{func(client, _ *wsEnd) { client.write(client.frame(finText, strings.Repeat("x", 101))) }, TunnelEnd{"front", 1009, string(violation)},
				`: message too big" close_code=1009 closed_by=front close_reason="message too big"`},
		} {
			f.log.reset()
			client, backend := openRaw(f, "/", ends)
			exchangeFrames(client, backend)
			c.end(client, backend)
			for _, e := range []*wsEnd{client, backend} {
				go func() { // ends with the tunnel
					for {
						first, payload, err := e.read()
						if first == finClose && e.name != c.is.By { // who has said it does not answer
							_, _ = e.conn.Write([]byte(e.frame(finClose, payload)))
						}
						if err != nil || first == finClose && e.name == c.is.By { // the other one waits for it
							e.conn.Close()
							return
						}
					}
				}()
			}
			f.closed(c.log)
			want[c.is]++
			if got := f.tunnelCounts()[routeID{"*", "/"}].Closed; !maps.Equal(got, want) {
				t.Fatalf("%s: counted %v, want %v", c.log, got, want)
			}
		}
		if c := f.tunnelCounts()[routeID{"*", "/"}]; c.Open != 0 || c.Opened != 7 || c.Duration.Count() != 7 {
			t.Errorf("%d are open of %d, %d have a duration", c.Open, c.Opened, c.Duration.Count())
		}
	})
}

// abort ends a connection by a reset.
func abort(e *wsEnd) {
	_ = e.conn.(*net.TCPConn).SetLinger(0)
	e.conn.Close()
}

func TestTunnelCounts_CodesAreFew(t *testing.T) {
	counted := map[int]bool{}
	for code := range 1 << 16 {
		counted[countedCode(uint16(code))] = true
	}
	if len(counted) != 18 { // 0, 1000 to 1014, 3000, 4000
		t.Errorf("%d codes are counted apart", len(counted))
	}
	for code, want := range map[uint16]int{0: 1006, 1000: 1000, 1014: 1014, 1015: 0, 999: 0, 2999: 0, 3000: 3000, 3999: 3000, 4000: 4000, 4999: 4000, 5000: 0} {
		if got := countedCode(code); got != want {
			t.Errorf("%d is counted as %d, want %d", code, got, want)
		}
	}
}

// Whoever asks all the time, while tunnels open, talk and end, never sees a
// counter that is less than before, and in the end all sums are exact.
func TestTunnelCounts_NeverFall(t *testing.T) {
	const clients, each, messages = 8, 12, 10 // rawTunnels hands out a hundred
	eachMode(t, Route{}, func(t *testing.T, f *front, ends <-chan *wsEnd) {
		id := routeID{"*", "/"}
		over := make(chan struct{})
		var looking sync.WaitGroup
		looking.Go(func() { // ends with over, awaited below
			var before TunnelCounts
			for {
				now := f.tunnelCounts()[id]
				if fell := whatFell(before, now); fell != "" {
					t.Errorf("%s fell:\n%+v\n%+v", fell, before, now)
					return
				}
				before = now
				f.Tunnels()
				select {
				case <-over:
					return
				default:
				}
			}
		})
		var talking sync.WaitGroup
		var handing sync.Mutex // a backend's end belongs to the client that opened it
		open := func() (client, backend *wsEnd) {
			handing.Lock()
			defer handing.Unlock()
			return openRaw(f, "/", ends)
		}
		for range clients {
			talking.Go(func() { // ends with its tunnels, awaited below
				for range each {
					client, backend := open()
					for range messages {
						exchangeFrames(client, backend)
					}
					client.write(client.frame(finClose, closing(1000, "")))
					_ = client.conn.(*net.TCPConn).CloseWrite()
					backend.wantClose(1000)
				}
			})
		}
		talking.Wait()
		until(t, "all are over", func() bool { return f.tunnelCounts()[id].Open == 0 })
		close(over)
		looking.Wait()
		got := f.tunnelCounts()[id]
		const all = clients * each
		if got.Opened != all || got.MessagesIn != all*messages || got.MessagesOut != all*messages || got.Duration.Count() != all {
			t.Errorf("counted %+v, want %d tunnels with %d messages each way", got, all, messages)
		}
		end := wsFrame(finClose, true, closing(1000, ""))
		if in := uint64(all * (messages*len(wsFrame(finText, true, "in")) + len(end))); got.BytesIn != in {
			t.Errorf("%d bytes came, want %d", got.BytesIn, in)
		}
		if len(f.Tunnels()) != 0 || len(f.accounts.messages) != 0 {
			t.Errorf("left: %+v", f.Tunnels())
		}
	})
}

// whatFell names what is less now than it was before, or is wrong in itself.
func whatFell(before, now TunnelCounts) string {
	closed := uint64(0)
	for end, n := range before.Closed {
		if now.Closed[end] < n {
			return fmt.Sprint(end)
		}
	}
	for _, n := range now.Closed {
		closed += n
	}
	switch {
	case now.Opened < before.Opened:
		return "opened"
	case now.Opened != closed+uint64(now.Open):
		return "opened, as the sum of open and closed,"
	case now.BytesIn < before.BytesIn, now.BytesOut < before.BytesOut:
		return "bytes"
	case now.MessagesIn < before.MessagesIn, now.MessagesOut < before.MessagesOut:
		return "messages"
	case now.Duration.Count() < before.Duration.Count():
		return "durations"
	}
	return ""
}

// A tunnel may end when its route is gone, and when another one has come in its
// place, of which it is none.
func TestTunnelCounts_TunnelMayOutliveItsRoute(t *testing.T) {
	host, ends := rawTunnels(t, "")
	site := func(routes ...Route) Site { return Site{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: routes} }
	both := []Route{{Path: "/raw", Tunnel: Tunnel{Backend: "ws://" + host}}, {Path: "/message", Tunnel: Tunnel{Backend: "ws://" + host, Mode: TunnelMessage}}}
	f := serveConfig(t, Config{Sites: []Site{site(both...)}})
	var open []*wsEnd
	for _, path := range []string{"/raw", "/message"} {
		client, backend := openRaw(f, path, ends)
		exchangeFrames(client, backend)
		open = append(open, client, backend)
	}
	f.reload(site(both...))
	for _, path := range []string{"/raw", "/message"} {
		if c := f.tunnelCounts()[routeID{"*", path}]; c.Open != 1 || c.MessagesIn != 1 {
			t.Errorf("%s after a reload that left it: %+v", path, c)
		}
	}
	f.reload(site(Route{Path: "/", Files: t.TempDir()}))
	if c := f.tunnelCounts(); len(c) != 1 {
		t.Errorf("without the routes there are %v", c)
	}
	f.reload(site(both...))
	for _, e := range open {
		e.wantFrame(finClose, closing(1001, "route removed"))
	}
	if n := len(f.Tunnels()); n != 2 {
		t.Errorf("%d are listed that have not ended, want 2", n)
	}
	for _, e := range open {
		e.write(e.frame(finClose, closing(1001, "")))
	}
	f.closed("/raw", "route removed")
	f.closed("/message", "route removed")
	for id, c := range f.tunnelCounts() {
		if c.Open != 0 || c.Opened != 0 || c.MessagesIn != 0 || len(c.Closed) != 0 {
			t.Errorf("the route that came in its place, %v, has %+v", id, c)
		}
	}
	until(t, "nothing is left", func() bool { return len(f.liveTunnels()) == 0 })
}
