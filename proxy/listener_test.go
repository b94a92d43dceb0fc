package proxy

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// listening is a Server that listens, without TLS, and that nobody runs yet.
func listening(t *testing.T, routes ...Route) *Server {
	t.Helper()
	s, err := New(Config{Listen: Addresses{}, HTTPListen: Addresses{"127.0.0.1:0"}, Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: routes}}},
		slog.New(slog.DiscardHandler), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	return s
}

// unlucky is a listener whose first connections failed before they were
// accepted.
type unlucky struct {
	net.Listener
	errs []error
}

func (l *unlucky) Accept() (net.Conn, error) {
	if len(l.errs) == 0 {
		return l.Listener.Accept()
	}
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
}

// accept(2): Linux reports by accept what went wrong with the connection.
func TestListener_ErrorsOfOneConnectionAreNotTheListeners(t *testing.T) {
	app, _ := answering(t, okAnswer)
	s := listening(t, Route{Path: "/", App: app})
	s.listeners[0].Listener = &unlucky{s.listeners[0].Listener, []error{syscall.EPROTO, syscall.ECONNABORTED, syscall.EPERM, syscall.EHOSTUNREACH, syscall.EMFILE}}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ended by stop, awaited below
	_, r := sendTo(t, s.listeners[0].Addr().String(), crlf("GET / HTTP/1.1\nHost: a\nConnection: close"))
	if res, _ := readAnswer(t, r, "GET"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
	stop()
	if err := receive(t, ended); err != nil {
		t.Error(err)
	}
}

// Whoever waits for room is served when there is some, and the log is not filled
// meanwhile.
func TestListener_NoRoomIsToldOnce(t *testing.T) {
	app, _ := answering(t, okAnswer)
	s := listening(t, Route{Path: "/", App: app})
	log := newLines()
	s.log = slog.New(slog.NewTextHandler(log, nil))
	s.listeners[0].Listener = &unlucky{s.listeners[0].Listener, []error{syscall.EMFILE, syscall.EMFILE, syscall.ENFILE}}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ended by stop, awaited below
	_, r := sendTo(t, s.listeners[0].Addr().String(), crlf("GET / HTTP/1.1\nHost: a\nConnection: close"))
	if res, _ := readAnswer(t, r, "GET"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
	stop()
	if err := receive(t, ended); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), eventAcceptFailed); n != 1 {
		t.Errorf("%d lines:\n%s", n, log)
	}
}
