package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
)

// Alive finds out whether connections are taken at every address that is served,
// as a client does: it connects, says nothing and hangs up, and waits until the
// server has hung up as well. The error names the first address at which that
// did not happen until ctx is done. Nothing of it is logged.
//
// What only keeps the question from being asked, such as a lack of descriptors,
// is no error; nor is the silence of an address that has never answered, which
// may be a firewall's. A server that has not begun or is shutting down counts as
// alive.
func (s *Server) Alive(ctx context.Context) error {
	silent := make([]error, len(s.listeners))
	var wg sync.WaitGroup
	for i, l := range s.listeners {
		wg.Go(func() { silent[i] = l.ask(ctx) }) // ended by ctx
	}
	wg.Wait()
	for i, l := range s.listeners {
		switch err := silent[i]; {
		case s.closing.Load():
			return nil
		case err == nil:
			l.answered.Store(true)
		case l.answered.Load() && !l.full.Load():
			return fmt.Errorf("%s takes no connections: %w", l.Listener.Addr(), err)
		}
	}
	return nil
}

// isSilence reports whether nobody took a connection, or its end.
func isSilence(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, syscall.ECONNREFUSED)
}

// ask connects and hangs up. It returns an error if the server does not take
// note of it.
func (l *listener) ask(ctx context.Context) error {
	conn, err := l.dial(ctx)
	if err == nil {
		defer conn.Close()
		stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(aLongTimeAgo) }) // ended by stop or ctx
		defer stop()
		if half, ok := conn.(*net.TCPConn); ok {
			_ = half.CloseWrite() // an error shows by reading
		}
		_, err = io.Copy(io.Discard, conn)
	}
	if isSilence(err) {
		return err
	}
	return nil // a reset is an answer, too
}

// dial connects to the address that the listener has, by loopback if that is any
// of the machine's.
func (l *listener) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	at, ok := l.Listener.Addr().(*net.TCPAddr)
	if !ok || !at.IP.IsUnspecified() {
		return d.DialContext(ctx, l.Listener.Addr().Network(), l.Listener.Addr().String())
	}
	// A socket of both families may be asked by either, and either may be off.
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(at.Port)))
	if err != nil && at.IP.To4() == nil && ctx.Err() == nil {
		conn, err = d.DialContext(ctx, "tcp", net.JoinHostPort("::1", fmt.Sprint(at.Port)))
	}
	return conn, err
}
