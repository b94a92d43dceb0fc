package proxy

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Limits of a client's connection.
const (
	headerTimeout  = 20 * time.Second // TLS handshake and request head each
	idleTimeout    = 75 * time.Second // between two requests
	maxHeaderBytes = 32 << 10
)

// listener is one address that is served.
type listener struct {
	net.Listener
	secure bool // by TLS
	http   *http.Server
}

// Listen binds every address of the configuration. The error is a FieldError
// that says which could not be had and what to do.
func (s *Server) Listen() error {
	hasTLS := s.cfg.hasTLS()
	bind := func(field string, addresses []string, secure bool) error {
		for i, a := range addresses {
			l, err := net.Listen("tcp", a)
			if err != nil {
				return FieldError{fmt.Sprintf("%s[%d]", field, i), listenMistake(a, err)}
			}
			s.listeners = append(s.listeners, s.newListener(l, secure))
			if _, port, err := net.SplitHostPort(l.Addr().String()); err == nil && secure && s.securePort == "" {
				s.securePort = port
			}
		}
		return nil
	}
	err := bind("listen", s.cfg.Listen, hasTLS)
	if err == nil {
		err = bind("http_listen", s.cfg.HTTPListen, false)
	}
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
	srv := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serveHTTP(w, r, secure) }),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(httpServerLog{s.log}, "", 0),
	}
	if secure {
		srv.TLSConfig = s.certs.tlsConfig()
	}
	return &listener{Listener: l, secure: secure, http: srv}
}

// Run serves until ctx is done, then lets open requests finish for
// DrainTimeout, and returns when everything it began has ended. Tunnels, which
// may never end by themselves, are cut at once. It returns an error if a
// listener failed, or if requests had to be cut.
func (s *Server) Run(ctx context.Context) error {
	certs, stopCerts := context.WithCancel(context.Background())
	defer stopCerts()
	s.certs.start(s.Addrs())
	var wg sync.WaitGroup
	wg.Go(func() { s.certs.run(certs) }) // ended by stopCerts, awaited below
	failed := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		wg.Go(func() { failed <- l.serve(s.log) }) // ended by drain, awaited below
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	timeout := s.drainTimeout()
	s.log.Info(eventShutdown, "drain_timeout", timeout)
	stopCerts() // first, or ACME might bind for a challenge the ports that drain gives up
	if cut := s.drain(timeout); err == nil {
		err = cut
	}
	wg.Wait()
	s.table.Load().close()
	return err
}

func (l *listener) serve(log *slog.Logger) error {
	protocol, serve := "http", l.http.Serve
	if l.secure {
		protocol, serve = "https", func(nl net.Listener) error { return l.http.ServeTLS(nl, "", "") }
	}
	log.Info(eventListen, "address", l.Addr().String(), "protocol", protocol)
	if err := serve(l.Listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// drainTimeout is that of the configuration in effect.
func (s *Server) drainTimeout() time.Duration {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	return s.cfg.DrainTimeout
}

// drain ends the service: no new connections, tunnels cut, open requests
// finished or, after timeout, cut as well.
func (s *Server) drain(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	s.cut()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var err error
	for _, l := range s.listeners {
		wg.Go(func() {
			if l.http.Shutdown(ctx) != nil {
				l.http.Close()
				mu.Lock()
				err = errCut
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	s.tunnelsWG.Wait()
	return err
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		l.Close()
	}
	s.listeners = nil
}

// listenMistake says what to do about an address that could not be bound.
func listenMistake(address string, err error) string {
	switch {
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

// httpServerLog turns net/http's own messages into events. Handshakes that
// clients give up are everyday on an open port, so they are for debugging.
type httpServerLog struct{ log *slog.Logger }

func (l httpServerLog) Write(p []byte) (int, error) {
	message := strings.TrimSpace(string(p))
	level := slog.LevelWarn
	if strings.Contains(message, "TLS handshake error") {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, eventHTTPServer, "message", message)
	return len(p), nil
}
