package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// reload has the front serve these sites, at the addresses it has.
func (f *front) reload(sites ...Site) {
	f.t.Helper()
	f.reloading.Lock()
	cfg := f.cfg
	f.reloading.Unlock()
	cfg.Sites = sites
	if err := f.Reload(cfg); err != nil {
		f.t.Fatal(err)
	}
}

// with is the site with other routes.
func (s scheme) with(routes ...Route) Site {
	site := s.site
	site.Routes = routes
	return site
}

// exchangeFrames passes a message both ways, by which the tunnel is shown to be open.
func exchangeFrames(client, backend *wsEnd) {
	client.write(client.frame(finText, "in"))
	backend.wantFrame(finText, "in")
	backend.write(backend.frame(finText, "out"))
	client.wantFrame(finText, "out")
}

func TestReload_RemovedRouteTakesItsTunnelsAlong(t *testing.T) {
	eachScheme(t, func(t *testing.T, s scheme) {
		host, ends := rawTunnels(t, "")
		at := func(path string) Route { return Route{Path: path, Tunnel: Tunnel{Backend: "ws://" + host}} }
		app := Route{Path: "/", App: "http://" + host}
		f := s.serve(t, Config{}, at("/going"), at("/staying"), app)
		going, goingBackend := openRaw(f, "/going", ends)
		staying, stayingBackend := openRaw(f, "/staying", ends)
		byApp, byAppBackend := openRaw(f, "/other", ends)
		f.reload(s.with(at("/staying"), app))
		var wg sync.WaitGroup
		for _, e := range []*wsEnd{going, goingBackend} {
			wg.Go(func() { // awaited below
				if first, payload, err := e.read(); err != nil || first != finClose || payload != closing(1001, "route removed") {
					t.Errorf("the %s read %#x %q, %v", e.name, first, payload, err)
				}
				_, _ = e.conn.Write([]byte(e.frame(finClose, closing(1001, ""))))
			})
		}
		wg.Wait()
		f.closed("/going", "close_code=1001 closed_by=front", `reason="route removed"`)
		exchangeFrames(staying, stayingBackend)
		exchangeFrames(byApp, byAppBackend)
		f.reload(s.with(at("/staying")))
		byApp.wantClose(1001)
		exchangeFrames(staying, stayingBackend)
	})
}

// Where a route leads and what else it says may change, and so may the names of
// its site but for one.
func TestReload_ChangedRouteKeepsItsTunnels(t *testing.T) {
	host, ends := rawTunnels(t, "")
	route := Route{Path: "/", Tunnel: Tunnel{Backend: "ws://" + host}}
	site := func(routes []Route, hosts ...string) Site {
		return Site{Hosts: hosts, TLS: TLS{Mode: TLSOff}, Routes: routes}
	}
	f := serveConfig(t, Config{Sites: []Site{site([]Route{route}, "app.test", "old.test")}})
	client, backend := openRaw(f, "/", ends)
	changed := route
	changed.Tunnel.Backend, changed.MaxTunnels, changed.IdleTimeout = "ws://127.0.0.1:9", 7, time.Hour
	f.reload(site([]Route{changed}, "new.test", "OLD.test"))
	f.reload(site([]Route{changed}, "new.test"), site([]Route{changed}, "other.test"))
	f.reload(site([]Route{changed}, "new.test", "other.test"))
	exchangeFrames(client, backend)
	f.reload(site([]Route{{Path: "/", App: "http://127.0.0.1:9"}}, "new.test")) // another kind
	client.wantClose(1001)
}

// A handshake that the backend was asked for before the route went becomes no
// tunnel that outlives it.
func TestReload_HandshakeUnderWayEndsWithItsRoute(t *testing.T) {
	arrived, answer := make(chan struct{}), make(chan struct{})
	host := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := readRequest(r); err != nil {
			return
		}
		close(arrived)
		<-answer
		_, _ = io.WriteString(conn, switchText)
		_, _ = r.Peek(2)
	})
	f := serveFront(t, Route{Path: "/going", Tunnel: Tunnel{Backend: "ws://" + host}}, Route{Path: "/", Files: t.TempDir()})
	opened := make(chan *wsEnd, 1)
	go func() { // ends with the answer, awaited below
		client, _ := f.handshake("/going", "")
		opened <- client
	}()
	receive(t, arrived)
	f.reload(Site{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", Files: t.TempDir()}}})
	close(answer)
	receive(t, opened).wantClose(1001)
	f.closed(`reason="route removed"`)
}

func TestReload_RemovedRouteEndsMessageTunnels(t *testing.T) {
	f, client, backend := openMessages(t)
	f.reload(Site{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: f.cfg.Sites[0].Routes})
	client.send(finBit|opcodeText, "still open")
	backend.want("text: still open")
	f.reload(Site{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", Files: t.TempDir()}}})
	for _, p := range []*wsPeer{client, backend} {
		p.want("close 1001: route removed")
	}
	client.send(finBit|opcodeClose, closeFrame(1001, ""))
	backend.send(finBit|opcodeClose, closeFrame(1001, ""))
	f.closed("close_code=1001 closed_by=front", `reason="route removed"`)
}

// A thousand reloads with a thousand tunnels open: all are open still, and what
// the tables between held is gone.
func TestReload_ThousandTimesWithAThousandTunnels(t *testing.T) {
	const tunnels, reloads = 1000, 1000
	for _, s := range schemes(t)[:2] {
		t.Run(s.name, func(t *testing.T) {
			host, ended := hookedBackend(t, nil)
			routes := []Route{{Path: "/", Tunnel: Tunnel{Backend: "ws://" + host}}, {Path: "/app", App: "http://" + host}}
			f := s.serve(t, Config{MaxTunnels: 2 * tunnels}, routes...)
			clients := make([]*wsEnd, tunnels)
			for i := range clients {
				var res *http.Response
				if clients[i], res = f.handshake("/", ""); res.StatusCode != http.StatusSwitchingProtocols {
					t.Fatal(res.Status)
				}
				_ = clients[i].conn.SetDeadline(time.Now().Add(time.Minute))
			}
			echo := func() {
				t.Helper()
				for _, c := range clients {
					c.write(c.frame(finText, "still here"))
				}
				for _, c := range clients {
					c.wantFrame(finText, "still here")
				}
			}
			echo()
			f.reload(s.with(routes...)) // what the first one makes, and keeps
			before := burdenNow(t)
			for range reloads {
				f.reload(s.with(routes...))
			}
			echo()
			after := burdenNow(t)
			t.Logf("before %+v, after %+v", before, after)
			if strings.Contains(f.log.String(), "msg=tunnel.close") {
				t.Error("a tunnel was closed")
			}
			// The log of the test grows by a line for each reload.
			if after.goroutines > before.goroutines+10 || after.files > before.files+10 || after.heap > before.heap+2<<20 {
				t.Errorf("grown from %+v to %+v", before, after)
			}
			for _, c := range clients {
				c.conn.Close()
			}
			for range clients {
				receive(t, ended)
			}
		})
	}
}

// burden is what this process has taken of the machine.
type burden struct {
	goroutines, files int
	heap              uint64
}

func burdenNow(t *testing.T) burden {
	t.Helper()
	runtime.GC()
	runtime.GC() // what pools gave up at the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, _ := os.ReadDir("/proc/self/fd") // none on other systems
	return burden{runtime.NumGoroutine(), len(files), m.HeapAlloc}
}
