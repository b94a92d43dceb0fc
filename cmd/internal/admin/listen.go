package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Socket is the path of the socket in a state folder.
func Socket(state string) string { return filepath.Join(state, "admin.sock") }

// Listen makes the socket in a state folder. A socket that a dead process left
// behind is replaced; one that answers belongs to a server that runs, and is an
// error, unless that one is about to end or this process takes the place of it.
func Listen(state string, successor bool) (net.Listener, error) {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	path := Socket(state)
	if successor {
		os.Remove(path)
	} else if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		if !ending(state) {
			return nil, fmt.Errorf("another wsfront runs with the state folder %s; stop it, or choose another folder by --state", state)
		}
		os.Remove(path) // that one leaves ours alone: see Server.Run
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		os.Remove(path) // left behind by a process that was killed
	}
	config := net.ListenConfig{Control: private}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("make the admin socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("make the admin socket private: %w", err)
	}
	return l, nil
}

// private has a socket's file made for its owner alone, whatever the umask, so that
// nobody else connects before its mode is set. Where a system cannot do that (Linux
// can) that moment remains.
func private(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
}

// ending reports whether the server at a state folder's socket has nothing to do but
// to wait for the end of what is open.
func ending(state string) bool {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := GetStatus(ctx, state)
	return err == nil && s.State == StateDraining
}

// ListenTCP binds admin.listen.
func ListenTCP(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen %s for admin: another program has this address; stop it, or write another one into admin.listen", address)
	case err != nil:
		return nil, fmt.Errorf("listen for admin: %w", err)
	}
	return l, nil
}

const (
	// maxConnections is how many connections a listener has at a time. A status page
	// takes two or three, a Prometheus one.
	maxConnections = 100
	// acceptPause is how long the answer to one more may take.
	acceptPause = 100 * time.Millisecond
	// busy is that answer.
	busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"Content-Length: 66\r\n\r\n503 Service Unavailable: the admin listener has 100 connections\r\n\r\n"
)

// bounded is a listener with at most maxConnections. One more is told so, as who
// waits would not know why.
type bounded struct {
	net.Listener
	open atomic.Int64
}

// Accept is that of net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if b.open.Add(1) <= maxConnections {
			return &placed{Conn: conn, from: b}, nil
		}
		b.open.Add(-1)
		// A fresh socket takes this at once, and nobody waits for one that does not.
		_ = conn.SetWriteDeadline(time.Now().Add(acceptPause))
		_, _ = conn.Write([]byte(busy))
		conn.Close()
	}
}

// placed is a connection that has a place.
type placed struct {
	net.Conn
	from  *bounded
	leave sync.Once
}

// Close closes the connection and gives its place back.
func (p *placed) Close() error {
	p.leave.Do(func() { p.from.open.Add(-1) })
	return p.Conn.Close()
}
