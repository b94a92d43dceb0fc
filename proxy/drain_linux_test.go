package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fullBackend is an address at which connections wait for good: its backlog is
// full.
func fullBackend(t *testing.T) (addr string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}
	for range 8 {
		conn, err := net.DialTimeout("tcp", at.String(), 100*time.Millisecond)
		if err != nil {
			return at.String()
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the backlog does not fill")
	return ""
}

// Who is cut at the end of drain_timeout does not wait for a backend any more.
func TestDrain_EndsWhateverABackendDoes(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	f, ended := runFront(t, ctx, Config{DrainTimeout: 50 * time.Millisecond, Sites: plainSite(Route{Path: "/", App: "http://" + fullBackend(t)})})
	conn, r := f.dial(simpleRequest)
	until(t, "its request is there", func() bool {
		return f.Counts().Connections["http/1.1"] == 1 && f.conns.newcomers.count.Load() == 0
	})
	stop()
	if err := receive(t, ended); !errors.Is(err, ErrCut) {
		t.Errorf("Run: %v", err)
	}
	if log := f.log.String(); strings.Contains(log, "dial backend") {
		t.Errorf("the backend was waited for:\n%s", log)
	}
	_, _ = io.Copy(io.Discard, r)
	conn.Close()
}
