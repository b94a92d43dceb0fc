package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"wsfront/proxy/http1"
)

// only are the counts that are not zero.
func only(counts map[string]uint64) map[string]uint64 {
	counts = maps.Clone(counts)
	maps.DeleteFunc(counts, func(_ string, n uint64) bool { return n == 0 })
	return counts
}

// Whatever keeps a backend from answering is counted by its reason, once.
func TestCounts_BackendsFailByReason(t *testing.T) {
	saying := func(text string) string {
		return "http://" + rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
			if _, err := readRequest(r); err == nil {
				_, _ = io.WriteString(conn, text)
			}
		})
	}
	mute := rawBackend(t, func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	greeting := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		_, _ = io.WriteString(conn, "220 mail.test ESMTP\r\n")
		_, _ = io.Copy(io.Discard, r)
	})
	hangingUp := rawBackend(t, func(net.Conn, *bufio.Reader) {})
	for _, c := range []struct {
		name              string
		app               string
		connect, response string
	}{
		{"nobody listens", "http://127.0.0.1:1", connectRefused, ""},
		{"no socket", "unix:" + filepath.Join(t.TempDir(), "none.sock"), connectNoSocket, ""},
		{"no TLS there", "https://" + greeting, connectTLS, ""},
		{"it hangs up in the handshake", "https://" + hangingUp, connectReset, ""},
		{"it hangs up on the request", "http://" + hangingUp, "", answerClosed},
		{"it does not speak HTTP", saying("220 mail.test ESMTP\r\n\r\n"), "", answerMalformed},
		{"it says nothing", "http://" + mute, "", answerTimeout},
		{"it stops in the middle", saying("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), "", answerBrokenOff},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := serveFront(t, Route{Path: "/", App: c.app, ResponseTimeout: 50 * time.Millisecond})
			_, r := f.dial(crlf("GET / HTTP/1.1\nHost: a\nConnection: close"))
			_, _ = io.Copy(io.Discard, r)
			until(t, "the request is over", func() bool { return f.routeCounts("/").requests() == 1 })
			b := f.Counts().Backends[0]
			connect, response := map[string]uint64{}, map[string]uint64{}
			connects := uint64(1)
			if c.connect != "" {
				connect[c.connect], connects = 1, 0
			} else {
				response[c.response] = 1
			}
			if !maps.Equal(only(b.ConnectFailures), connect) || !maps.Equal(only(b.Failures), response) || b.Connects != connects || b.ConnectDuration.Count() != connects {
				t.Errorf("connects %d, %v; failures %v", b.Connects, only(b.ConnectFailures), only(b.Failures))
			}
			state := f.Sites()[0].Routes[0]
			if down := c.connect != ""; (state.Health == healthDown) != down || b.Up == down || state.Backends[0].Failed.IsZero() == down || (state.Backends[0].Reason != "") != down {
				t.Errorf("up %v, state %+v", b.Up, state)
			}
		})
	}
}

// What cannot be had by real sockets here.
func TestConnectFailure_OfOtherErrors(t *testing.T) {
	dial := func(err error) error {
		return fmt.Errorf("dial backend x: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)})
	}
	for want, err := range map[string]error{
		connectPermission:    dial(syscall.EACCES),
		connectUnreachable:   dial(syscall.EHOSTUNREACH),
		connectNoDescriptors: dial(syscall.EMFILE),
		connectTimeout:       dial(syscall.ETIMEDOUT),
		connectDNS:           fmt.Errorf("dial backend x: %w", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", IsTimeout: true}}),
		connectOther:         dial(syscall.EINVAL),
		connectTLS:           &backendTLSError{io.ErrNoProgress},
	} {
		if got := connectFailure(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
	for want, err := range map[string]error{
		answerMalformed: fmt.Errorf("x: %w", &http1.Error{}),
		answerClosed:    syscall.EPIPE,
		answerOther:     io.ErrNoProgress,
	} {
		if got := answerFailure(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

func TestCounts_BackendOfSeveralRoutesIsOne(t *testing.T) {
	app, _ := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app}, Route{Path: "/other/", App: app})
	for _, path := range []string{"/", "/other/"} {
		f.ask("GET " + path + " HTTP/1.1\nHost: a")
	}
	until(t, "both are counted", func() bool {
		c := f.Counts()
		return c.Routes[0].requests() == 1 && c.Routes[1].requests() == 1
	})
	if b := f.Counts().Backends; len(b) != 1 || b[0].ResponseDuration.Count() != 2 || b[0].ResponseDuration.Sum <= 0 || b[0].Connects != 2 {
		t.Errorf("%+v", b)
	}
}

func TestSites_SingleBackendIsUpAgainOnceItAnswers(t *testing.T) {
	app := startNamed(t, "app")
	f := serveFront(t, Route{Path: "/", App: app.url})
	f.ask("GET / HTTP/1.1\nHost: a")
	app.down()
	f.ask("GET / HTTP/1.1\nHost: a") // on the connection that was kept, and then on another one
	if b := f.Counts().Backends[0]; len(only(b.Failures)) != 0 || b.ConnectFailures[connectNoSocket] != 1 {
		t.Errorf("failures %v, connects that failed %v", only(b.Failures), only(b.ConnectFailures))
	}
	if s := f.Sites()[0].Routes[0]; s.Health != healthDown || s.Backends[0].Up || !strings.Contains(s.Backends[0].Reason, "is the application running") {
		t.Errorf("while it is down: %+v", s)
	}
	app.up()
	f.ask("GET / HTTP/1.1\nHost: a")
	s := f.Sites()[0].Routes[0]
	if s.Health != healthUp || !s.Backends[0].Up || s.Backends[0].Failed.IsZero() || s.Kind != kindApp || s.To != app.url {
		t.Errorf("once it is back: %+v", s)
	}
}

func TestSites_PoolIsDegradedThenDown(t *testing.T) {
	one, two := startNamed(t, "one"), startNamed(t, "two")
	f := servePool(t, Pool{Backends: []PoolBackend{{URL: one.url}, {URL: two.url, Backup: true}}})
	for _, c := range []struct {
		down   *namedBackend
		health string
		up     int
	}{{nil, healthUp, 2}, {one, healthDegraded, 1}, {two, healthDown, 0}} {
		if c.down != nil {
			c.down.down()
		}
		f.ask("GET / HTTP/1.1\nHost: a")
		s := f.Sites()[0].Routes[0]
		up := 0
		for _, b := range f.Counts().Backends {
			if b.Up {
				up++
			}
		}
		if s.Health != c.health || up != c.up || len(s.Backends) != 2 || !s.Backends[1].Backup {
			t.Errorf("%d up, want %d; %+v", up, c.up, s)
		}
	}
}

func TestSites_RoutesAreAsConfigured(t *testing.T) {
	folder := t.TempDir()
	f := serveFront(t,
		Route{Path: "/", Files: folder},
		Route{Path: "/longer", Redirect: Redirect{To: "/"}},
		Route{Match: "^/x$", App: "http://127.0.0.1:1"},
		Route{Path: "/push", Handler: http.NotFoundHandler()},
		Route{Path: "/ws", Tunnel: Tunnel{Backend: "ws://127.0.0.1:1"}})
	sites := f.Sites()
	if len(sites) != 1 || sites[0].Name != "*" || sites[0].TLS != "off" {
		t.Fatalf("%+v", sites)
	}
	for i, want := range [][3]string{{"/", "files", folder}, {"/longer", "redirect", "/"}, {"^/x$", "app", "http://127.0.0.1:1"}, {"/push", "push", ""}, {"/ws", "tunnel", "ws://127.0.0.1:1"}} {
		if s := sites[0].Routes[i]; [3]string{s.Route, s.Kind, s.To} != want || s.Health != healthUp || s.Backends == nil {
			t.Errorf("route %d: %+v, want %v", i, s, want)
		}
	}
}

// A balancer that has taken the server out learns that the app is back, though it
// sends no request.
func TestNotReady_AsBackendsComeAndGo(t *testing.T) {
	one, two := startNamed(t, "one"), startNamed(t, "two")
	f := serveConfig(t, Config{
		Pools: []Pool{{Name: "web", Backends: members(one, two)}},
		Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", App: "pool://web"}}}},
	})
	ctx := context.Background()
	ask := func(want map[Readiness]string) {
		t.Helper()
		for _, p := range f.table.Load().pools.all {
			for _, m := range p.members {
				m.backend.account.probing.Lock()
				m.backend.account.probed = time.Time{} // long ago
				m.backend.account.probing.Unlock()
			}
		}
		for _, r := range []Readiness{"", ReadyAnyBackend, ReadyAllBackends, ReadyWithoutBackends} {
			reasons := f.NotReady(ctx, r)
			if text := want[r]; len(reasons) > 1 || (len(reasons) == 0) != (text == "") || text != "" && !strings.Contains(reasons[0], text) {
				t.Errorf("%q: %q, want %q", r, reasons, text)
			}
		}
	}
	ask(nil)
	if one.asked.Load()+two.asked.Load() != 0 || f.Counts().Backends[0].Connects != 0 {
		t.Error("to look after a backend counts as a request, or as a connection")
	}
	one.down()
	ask(map[Readiness]string{ReadyAllBackends: "1 of 2 backends of pool web cannot be reached"})
	two.down()
	const all = "no backend of pool web can be reached; of the last one: dial backend unix:"
	ask(map[Readiness]string{"": all, ReadyAnyBackend: all, ReadyAllBackends: all})
	one.up()
	two.up()
	ask(nil)
	f.stop()
	if reasons := f.NotReady(ctx, ReadyWithoutBackends); !f.Draining() || len(reasons) != 1 || !strings.Contains(reasons[0], "shutting down") {
		t.Errorf("after the end: %v", reasons)
	}
}

// However often one asks, a backend is connected to at most once in a while.
func TestNotReady_LooksAfterABackendOnce(t *testing.T) {
	came := make(chan struct{}, 100)
	addr := rawBackend(t, func(net.Conn, *bufio.Reader) { came <- struct{}{} })
	f := serveFront(t, Route{Path: "/", App: "http://" + addr}, Route{Path: "/x", App: "http://" + addr})
	for range 10 {
		if reasons := f.NotReady(context.Background(), ReadyAllBackends); len(reasons) != 0 {
			t.Error(reasons)
		}
	}
	receive(t, came)
	select {
	case <-came:
		t.Error("the backend was connected to again")
	default:
	}
}
