package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	// requestTimeout is how long a request and its answer may take, if its endpoint
	// says nothing else.
	requestTimeout = 30 * time.Second
	// upgradeTimeout is the same for an upgrade, in which a history may have to
	// be read.
	upgradeTimeout = 5 * time.Minute

	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute // a Prometheus asks each minute
	drainTimeout  = 5 * time.Second
	maxHead       = 16 << 10
)

// Server serves one listener.
type Server struct {
	listener net.Listener
	file     os.FileInfo // of its socket; nil for TCP
	http     *http.Server
}

// New makes the server of a listener. Its handler is Handler's.
func New(l net.Listener, h http.Handler) *Server {
	s := &Server{listener: l, http: &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHead,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // of connections that are not HTTP, or break off
	}}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // see remove
		s.file, _ = os.Lstat(u.Addr().String())
	}
	return s
}

// Run serves until ctx is done and what is under way is answered. Requests that
// last, such as those for events, end with ctx. The socket's file is removed, if it
// is this server's still.
func (s *Server) Run(ctx context.Context) error {
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { // awaited by <-done
		defer close(done)
		// While the socket is open no other file can have the number by which remove
		// knows its own.
		s.remove()
		drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		if s.http.Shutdown(drain) != nil {
			s.http.Close()
		}
	})
	if err := s.http.Serve(&bounded{Listener: s.listener}); !errors.Is(err, http.ErrServerClosed) {
		stop()
		s.remove()
		return fmt.Errorf("serve the admin listener %s: %w", s.listener.Addr(), err)
	}
	<-done
	return nil
}

// remove removes the socket's file, unless another process has put its own in the
// place of it.
func (s *Server) remove() {
	if s.file != nil && s.Found() {
		os.Remove(s.listener.Addr().String())
	}
}

// Found reports whether who looks for the listener comes to this server: the file
// of a socket may have been replaced.
func (s *Server) Found() bool {
	if s.file == nil {
		return true
	}
	now, err := os.Lstat(s.listener.Addr().String())
	return err == nil && os.SameFile(s.file, now)
}
