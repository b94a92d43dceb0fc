package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, state string, reload func() error) {
	t.Helper()
	l, err := Listen(state, false)
	if err != nil {
		t.Fatal(err)
	}
	s := New(l, Handler(Sources{Reload: reload, Upgrade: reload, Metrics: http.HandlerFunc(someMetrics)}, Access{Host: SocketHost}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func someMetrics(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "up 1\n") }

func TestMetrics_AreReadByTheSocket(t *testing.T) {
	state := t.TempDir()
	start(t, state, func() error { return errors.New("asked to reload") })
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", Socket(state))
	}}}
	defer client.CloseIdleConnections()
	answer, err := client.Get("http://admin/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || string(text) != "up 1\n" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestReload_AnswerIsTheServers(t *testing.T) {
	state := t.TempDir()
	refusal := errors.New("wsfront.yaml:3:5: sites: none")
	var answer error
	calls := 0
	start(t, state, func() error { calls++; return answer })
	if err := Reload(t.Context(), state); err != nil || calls != 1 {
		t.Fatalf("first reload: %v after %d calls", err, calls)
	}
	answer = refusal
	if err := Reload(t.Context(), state); err == nil || err.Error() != refusal.Error() {
		t.Fatalf("refused reload says %v", err)
	}
}

func TestOrders_NobodyRuns(t *testing.T) {
	for name, order := range map[string]func(context.Context, string) error{"reload": Reload, "health": Health} {
		if err := order(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "no wsfront runs") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestHealth_WhileItRuns(t *testing.T) {
	state := t.TempDir()
	start(t, state, func() error { return errors.New("asked to reload") })
	if err := Health(t.Context(), state); err != nil {
		t.Fatal(err)
	}
}

func TestListen_ReplacesASocketLeftBehindButNotALiveOne(t *testing.T) {
	state := t.TempDir()
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: Socket(state), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	start(t, state, func() error { return nil })
	if info, err := os.Stat(Socket(state)); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("socket: %v, %v", info, err)
	}
	if _, err := Listen(state, false); err == nil || !strings.Contains(err.Error(), "another wsfront runs") {
		t.Fatalf("second server: %v", err)
	}
}

func TestOrders_OfALaterVersion(t *testing.T) {
	state := t.TempDir()
	l, err := net.Listen("unix", Socket(state))
	if err != nil {
		t.Fatal(err)
	}
	old := &http.Server{Handler: http.NotFoundHandler()}
	ended := make(chan error, 1)
	go func() { ended <- old.Serve(l) }() // ended by Close, awaited below
	if err := Upgrade(t.Context(), state); !errors.Is(err, ErrUnknownOrder) {
		t.Error(err)
	}
	old.Close()
	<-ended
}

// The process whose place is taken does not take the new one's socket along.
func TestListen_SuccessorReplacesALiveSocket(t *testing.T) {
	state := t.TempDir()
	serve := func(successor bool) (end func()) {
		l, err := Listen(state, successor)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		s := New(l, Handler(Sources{}, Access{Host: SocketHost}))
		go func() { done <- s.Run(ctx) }() // ended and awaited by end
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	endOld := serve(false)
	endNext := serve(true)
	endOld()
	if err := Health(t.Context(), state); err != nil {
		t.Error(err)
	}
	endNext()
	if _, err := os.Lstat(Socket(state)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}
