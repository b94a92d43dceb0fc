package proxy

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"
)

// stalled is a listener that accepts no more once its gate is shut.
type stalled struct {
	net.Listener
	gate chan struct{}
}

func (l *stalled) Accept() (net.Conn, error) {
	<-l.gate
	return l.Listener.Accept()
}

// ask asks whether the server is alive, and waits for d at most.
func askAlive(t *testing.T, s *Server, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return s.Alive(ctx)
}

func TestAlive_ServerThatTakesConnections(t *testing.T) {
	for _, mode := range []TLSMode{TLSOff, TLSInternal} {
		f := serveConfig(t, Config{Sites: []Site{{Hosts: []string{"a.test"}, TLS: TLS{Mode: mode}, Routes: []Route{{Path: "/", Files: t.TempDir()}}}}})
		if err := askAlive(t, f.Server, patience); err != nil {
			t.Error(err)
		}
		if !f.listeners[0].answered.Load() {
			t.Error("nobody answered")
		}
		f.stop()
		if log := f.log.String(); f.access.String() != "" || strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") {
			t.Errorf("the log has\n%s%s", log, f.access)
		}
		if err := askAlive(t, f.Server, patience); err != nil {
			t.Errorf("after the end: %v", err)
		}
	}
}

func TestAlive_ServerThatTakesNoMoreConnections(t *testing.T) {
	s := listening(t, Route{Path: "/", Files: t.TempDir()})
	l := s.listeners[0]
	gate := &stalled{l.Listener, make(chan struct{}, 1)}
	l.Listener = gate
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ended by stop, awaited below

	if err := askAlive(t, s, 100*time.Millisecond); err != nil {
		t.Errorf("before it has ever answered: %v", err)
	}
	gate.gate <- struct{}{} // takes the connection that has gone
	gate.gate <- struct{}{}
	if err := askAlive(t, s, patience); err != nil {
		t.Error(err)
	}
	if err := askAlive(t, s, 100*time.Millisecond); err == nil || !strings.Contains(err.Error(), "takes no connections") {
		t.Errorf("stalled: %v", err)
	}
	l.full.Store(true) // accept says that there is no room
	if err := askAlive(t, s, 100*time.Millisecond); err != nil {
		t.Errorf("without room: %v", err)
	}
	stop()
	close(gate.gate)
	if err := receive(t, ended); err != nil {
		t.Error(err)
	}
}
