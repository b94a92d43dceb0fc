package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// requestTimeout is how long an order and its answer may take.
	requestTimeout = 30 * time.Second
	// upgradeTimeout is the same for an upgrade, in which a history may have to
	// be read.
	upgradeTimeout = 5 * time.Minute
)

// Socket is the path of the socket in a state folder.
func Socket(state string) string { return filepath.Join(state, "admin.sock") }

// Server takes orders.
type Server struct {
	listener *net.UnixListener
	http     *http.Server
}

// Listen makes the socket in a state folder. A socket that a dead process left
// behind is replaced; one that answers belongs to a server that runs, and is an
// error, unless this process takes the place of that one.
func Listen(state string, sources Sources, successor bool) (*Server, error) {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	path := Socket(state)
	if successor {
		os.Remove(path)
	} else if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("another wsfront runs with the state folder %s; stop it, or choose another folder by --state", state)
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		os.Remove(path) // left behind by a process that was killed
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("make the admin socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("make the admin socket private: %w", err)
	}
	return &Server{listener: l, http: &http.Server{Handler: mux(sources), ReadHeaderTimeout: requestTimeout}}, nil
}

// KeepSocket says whether the socket stays when Run ends, as it is another
// process's by then.
func (s *Server) KeepSocket(keep bool) { s.listener.SetUnlinkOnClose(!keep) }

// Run takes orders until ctx is done and those under way are answered, and
// removes the socket.
func (s *Server) Run(ctx context.Context) error {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { // awaited by <-done
		defer close(done)
		drain, cancel := context.WithTimeout(context.Background(), upgradeTimeout)
		defer cancel()
		s.http.Shutdown(drain)
	})
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve the admin socket: %w", err)
	}
	<-done
	return nil
}
