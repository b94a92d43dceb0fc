package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// listener is one address that is served.
type listener struct {
	net.Listener
	secure bool // by TLS

	full     atomic.Bool // the last connection could not be accepted for want of room
	answered atomic.Bool // Alive has been answered here
}

// Listen binds every address of the configuration, or takes the socket for it
// that was adopted. The error is a FieldError that says which could not be had
// and what to do.
func (s *Server) Listen() error {
	hasTLS := s.cfg.hasTLS()
	bind := func(field string, addresses []string, secure bool) error {
		for i, a := range addresses {
			sockets := s.claim(a)
			if sockets == nil {
				l, err := net.Listen("tcp", a)
				if err != nil {
					return FieldError{fmt.Sprintf("%s[%d]", field, i), s.listenMistake(a, err)}
				}
				sockets = append(sockets, l)
			}
			for _, l := range sockets {
				s.listeners = append(s.listeners, s.newListener(l, secure))
			}
			if _, port, err := net.SplitHostPort(sockets[0].Addr().String()); err == nil && secure && s.securePort == "" {
				s.securePort = port
			}
		}
		return nil
	}
	err := bind("listen", s.cfg.Listen, hasTLS)
	if err == nil {
		err = bind("http_listen", s.cfg.HTTPListen, false)
	}
	s.closeUnused()
	if err != nil {
		s.closeListeners()
	}
	return err
}

// Addrs returns the addresses that Listen bound: those with TLS, and those
// of plain HTTP.
func (s *Server) Addrs() (secure, plain []net.Addr) {
	for _, l := range s.listeners {
		if l.secure {
			secure = append(secure, l.Addr())
		} else {
			plain = append(plain, l.Addr())
		}
	}
	return secure, plain
}

func (s *Server) newListener(l net.Listener, secure bool) *listener {
	return &listener{Listener: l, secure: secure}
}

// Run serves until ctx is done, then lets open requests finish and says goodbye
// to tunnels, for DrainTimeout at most, and returns when everything it began
// has ended. After GiveWay that begins when UpgradeDrain is over. It returns an
// error if a listener failed, or ErrCut if something had to be cut.
func (s *Server) Run(ctx context.Context) error {
	background, stop := context.WithCancel(context.Background())
	defer stop()
	s.certs.start(s.Addrs())
	var wg, engine sync.WaitGroup
	wg.Go(func() { s.certs.run(background) })      // ended by stop, awaited below
	wg.Go(func() { s.watchPasswords(background) }) // likewise
	carry, stopCarrying := context.WithCancel(context.Background())
	defer stopCarrying()
	engine.Go(func() { _ = s.relay.Run(carry) })   // ended by stopCarrying, awaited below
	engine.Go(func() { s.watchAccessFile(carry) }) // likewise, as lines are written until then
	failed := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		wg.Go(func() { failed <- s.accept(l) }) // ended by drain, awaited below
	}
	var err error
	parting, part := context.WithCancel(ctx) // done when tunnels are to go
	defer part()
	select {
	case <-ctx.Done():
		part() // which it is in a moment anyway
	case <-s.givenWay:
		var cancel context.CancelFunc
		within := s.upgradeDrain()
		s.log.Info(eventUpgradeDrain, "upgrade_drain", within)
		parting, cancel = context.WithTimeout(parting, within)
		defer cancel()
	case err = <-failed:
		part()
	}
	stop() // first, or ACME might bind for a challenge the ports that drain gives up
	if cut := s.drain(parting); err == nil {
		err = cut
	}
	wg.Wait()
	stopCarrying()
	engine.Wait()
	s.table.Load().close()
	s.access.close()
	return err
}

// acceptPause is how long no connection is accepted after one could not be: if
// there are too many, one that closes makes room again.
const acceptPause = 100 * time.Millisecond

// roomMade is how many idle connections are closed then.
const roomMade = 16

// acceptTold is how often at most it is logged that no connection can be
// accepted, as each pause ends with another failure.
const acceptTold = 10 * time.Second

// accept serves what arrives at an address, until it is closed.
func (s *Server) accept(l *listener) error {
	protocol := "http"
	if l.secure {
		protocol = "https"
	}
	s.log.Info(eventListen, "address", l.Listener.Addr().String(), "protocol", protocol)
	var told time.Time
	failures := 0
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			l.full.Store(false)
			s.conns.begin(s, l, conn)
		case s.closing.Load():
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded): // set by Hold
			s.holding.wait()
		case isPassing(err):
			l.full.Store(true)
			s.conns.makeRoom(roomMade)
			if failures++; time.Since(told) >= acceptTold {
				s.log.Warn(eventAcceptFailed, "address", l.Listener.Addr().String(), "error", err.Error(), "count", failures)
				told, failures = time.Now(), 0
			}
			select {
			case <-time.After(acceptPause):
			case <-s.stopping.Done():
			}
		default:
			return fmt.Errorf("accept at %s: %w", l.Listener.Addr(), err)
		}
	}
}

// isPassing reports whether there was nothing wrong with the listener: there was
// no room for another connection, or that one had failed already, or a firewall
// forbade it, which Linux tells by accept too (accept(2)).
func isPassing(err error) bool {
	var number syscall.Errno
	if !errors.As(err, &number) {
		return false
	}
	switch number {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.ECONNABORTED, syscall.EPERM, syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP,
		syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH:
		return true
	}
	return false
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		l.Close()
	}
	s.listeners = nil
}

// listenMistake says what to do about an address that could not be bound.
func (s *Server) listenMistake(address string, err error) string {
	other := s.samePort(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && other != nil:
		return fmt.Sprintf("%s: systemd has opened this port at %s; write the same address in both places, here and in wsfront.socket (ListenStream=)", address, other)
	case errors.Is(err, syscall.EADDRINUSE):
		return address + ": another program has this port (find it with: ss -ltnp); stop it, or choose another address"
	case errors.Is(err, os.ErrPermission):
		return fmt.Sprintf("%s: no permission for a port below 1024; run as root, or allow it with: setcap cap_net_bind_service=+ep %s", address, executable())
	}
	return fmt.Sprintf("%s: %v", address, err)
}

func executable() string {
	if path, err := os.Executable(); err == nil {
		return path
	}
	return "wsfront"
}
