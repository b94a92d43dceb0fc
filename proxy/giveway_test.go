package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// runFront serves a site on a port of its own until ctx is done, and tells how it
// ended.
func runFront(t *testing.T, ctx context.Context, cfg Config) (f *front, ended <-chan error) {
	t.Helper()
	cfg.Listen, cfg.HTTPListen, cfg.AccessLog.Format = Addresses{}, Addresses{"127.0.0.1:0"}, AccessOff
	f = &front{t: t, log: newLines(), access: newLines()}
	var err error
	if f.Server, err = New(cfg, slog.New(slog.NewTextHandler(f.log, nil)), f.access); err != nil {
		t.Fatal(err)
	}
	if err := f.Listen(); err != nil {
		t.Fatal(err)
	}
	f.addr = f.listeners[0].Addr().String()
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan error, 1)
	done := make(chan struct{})
	go func() { // ended by cancel, awaited at the test's end
		defer close(done)
		over <- f.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return f, over
}

func plainSite(routes ...Route) []Site {
	return []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: routes}}
}

func TestHold_WhoConnectsWaits(t *testing.T) {
	f, _ := runFront(t, t.Context(), Config{Sites: plainSite(Route{Path: "/", Files: t.TempDir()})})
	if res, _ := f.ask("GET / HTTP/1.1\nHost: app.test\n\n"); res.StatusCode != http.StatusNotFound {
		t.Fatal(res.Status)
	}
	f.Hold()
	f.Hold() // is the same
	answered := make(chan int, 1)
	go func() { // ends with the answer, awaited below
		res, _ := f.ask("GET / HTTP/1.1\nHost: app.test\nConnection: close\n\n")
		answered <- res.StatusCode
	}()
	select {
	case <-answered:
		t.Error("served while connections are held")
	case <-time.After(100 * time.Millisecond): // long enough to see what must not be
	}
	f.Resume()
	if got := receive(t, answered); got != http.StatusNotFound {
		t.Errorf("answer %d", got)
	}
}

// The process that takes over serves the same address, while this one has its
// tunnel still.
func TestGiveWay_TunnelsStayUntilTheDrainIsOver(t *testing.T) {
	host, ends := rawTunnels(t, "")
	cfg := Config{UpgradeDrain: time.Hour, Sites: plainSite(Route{Path: "/", Tunnel: Tunnel{Backend: "ws://" + host}}, Route{Path: "/", Files: t.TempDir()})}
	ctx, hurry := context.WithCancel(t.Context())
	f, ended := runFront(t, ctx, cfg)
	files, err := f.Sockets()
	if err != nil {
		t.Fatal(err)
	}
	next, err := net.FileListener(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	files[0].Close()
	client, backend := openRaw(f, "/", ends)
	idle, r := f.dial("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusNotFound {
		t.Fatal(res, err)
	} else {
		_, _ = io.Copy(io.Discard, res.Body)
	}
	f.GiveWay()
	f.GiveWay()
	if _, err := r.ReadByte(); err != io.EOF { // what is idle is closed
		t.Errorf("the idle connection: %v", err)
	}
	idle.Close()
	exchangeFrames(client, backend)
	late, err := net.Dial("tcp", f.addr) // is not ours any more
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if conn, err := next.Accept(); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
	hurry()
	client.wantClose(1001)
	backend.conn.Close()
	if err := receive(t, ended); err != nil {
		t.Error(err)
	}
}

func TestGiveWay_EndsOnceAllHasEnded(t *testing.T) {
	host, ends := rawTunnels(t, "")
	f, ended := runFront(t, t.Context(), Config{Sites: plainSite(Route{Path: "/", Tunnel: Tunnel{Backend: "ws://" + host}})})
	client, backend := openRaw(f, "/", ends)
	f.GiveWay()
	f.log.await(t, "msg=upgrade.drain")
	exchangeFrames(client, backend)
	client.conn.Close()
	backend.conn.Close()
	if err := receive(t, ended); err != nil {
		t.Error(err)
	}
}

// What was cut is told apart from what has ended.
func TestRun_SaysThatATunnelWasCut(t *testing.T) {
	host, ends := rawTunnels(t, "")
	ctx, stop := context.WithCancel(t.Context())
	f, ended := runFront(t, ctx, Config{DrainTimeout: 50 * time.Millisecond, Sites: plainSite(Route{Path: "/", Tunnel: Tunnel{Backend: "ws://" + host}})})
	openRaw(f, "/", ends) // neither side answers the Close
	stop()
	if err := receive(t, ended); !errors.Is(err, ErrCut) {
		t.Errorf("Run: %v", err)
	}
}
