package proxy

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
)

func TestAdopt_SocketFitsAddress(t *testing.T) {
	for _, c := range []struct {
		socket, address string
		want            bool
	}{
		{"[::]:443", ":443", true},
		{"0.0.0.0:443", ":443", true},
		{"[::]:443", "[::]:443", true},
		{"[::]:443", "0.0.0.0:443", false},
		{"[::]:443", "127.0.0.1:443", false}, // more than was asked for
		{"127.0.0.1:443", ":443", false},
		{"127.0.0.1:443", "127.0.0.1:443", true},
		{"127.0.0.1:443", "localhost:443", true},
		{"127.0.0.1:443", "127.0.0.1:8443", false},
		{"127.0.0.1:443", "127.0.0.2:443", false},
		{"[fe80::1%lo]:443", "[fe80::1%lo]:443", true},
		{"[fe80::1%lo]:443", "[fe80::1]:443", false},
		{"127.0.0.1:443", "nonsense", false},
	} {
		socket, err := net.ResolveTCPAddr("tcp", c.socket)
		if err != nil {
			t.Fatal(err)
		}
		if got := fits(socket, c.address); got != c.want {
			t.Errorf("%s for %s: %v", c.socket, c.address, got)
		}
	}
	if fits(&net.UnixAddr{Name: "/run/x.sock", Net: "unix"}, ":443") {
		t.Error("a unix socket is for a port")
	}
}

// openSocket listens at a free port of loopback, as systemd does.
func openSocket(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// adopting is a Server without TLS for an address, to which sockets are given.
func adopting(t *testing.T, log io.Writer, address string, sockets ...net.Listener) *Server {
	t.Helper()
	s, err := New(Config{Listen: Addresses{}, HTTPListen: Addresses{address}, Sites: []Site{{
		Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", Files: t.TempDir()}},
	}}}, slog.New(slog.NewTextHandler(log, nil)), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s.Adopt(sockets...)
	return s
}

func TestAdopt_ServesFittingSocketAndClosesTheRest(t *testing.T) {
	log := newLines()
	fitting, unused := openSocket(t), openSocket(t)
	s := adopting(t, log, fitting.Addr().String(), unused, fitting)
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ended by stop, awaited below
	_, r := sendTo(t, fitting.Addr().String(), crlf("GET / HTTP/1.1\nHost: a\nConnection: close"))
	if res, _ := readAnswer(t, r, "GET"); res.StatusCode != 404 {
		t.Error(res.Status)
	}
	log.await(t, "level=WARN", "listen.unused", "address="+unused.Addr().String(), "ListenStream=")
	if conn, err := net.Dial("tcp", unused.Addr().String()); err == nil {
		conn.Close()
		t.Error("the socket that fits nothing is open still")
	}
	stop()
	if err := receive(t, ended); err != nil {
		t.Error(err)
	}
}

func TestAdopt_OtherAddressAtTheSamePortIsExplained(t *testing.T) {
	socket := openSocket(t)
	_, port, _ := net.SplitHostPort(socket.Addr().String())
	s := adopting(t, io.Discard, ":"+port, socket)
	defer func() { _ = s.relay.Run(canceled(t)) }()
	err := s.Listen()
	if err == nil || !strings.Contains(err.Error(), "systemd has opened this port at "+socket.Addr().String()) {
		t.Error(err)
	}
	if _, err := socket.Accept(); err == nil {
		t.Error("the socket is open still")
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
