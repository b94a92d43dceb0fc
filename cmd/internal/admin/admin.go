package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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

// Orders are what is done for those that come, never twice at a time by one
// client. An error is the answer.
type Orders struct {
	Reload  func() error // POST /reload
	Upgrade func() error // POST /upgrade
}

// Listen makes the socket in a state folder. A socket that a dead process left
// behind is replaced; one that answers belongs to a server that runs, and is an
// error, unless this process takes the place of that one. metrics answers GET
// /metrics.
func Listen(state string, orders Orders, metrics http.Handler, successor bool) (*Server, error) {
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
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	for path, order := range map[string]func() error{"/reload": orders.Reload, "/upgrade": orders.Upgrade} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, _ *http.Request) {
			if err := order(); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
				return
			}
			io.WriteString(w, "done\n")
		})
	}
	mux.Handle("GET /metrics", metrics)
	return &Server{listener: l, http: &http.Server{Handler: mux, ReadHeaderTimeout: requestTimeout}}, nil
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

// ErrUnknownOrder is for an order that a server of an earlier version does not
// know.
var ErrUnknownOrder = errors.New("the server that runs is of a version that does not know this; restart it")

// Reload orders the server of a state folder to read its configuration again.
// The error is the server's own, or says that none runs.
func Reload(ctx context.Context, state string) error {
	return order(ctx, state, http.MethodPost, "/reload", requestTimeout)
}

// Upgrade orders the server of a state folder to have another process take its
// place, and returns when that one serves. The error is the server's own, or says
// that none runs.
func Upgrade(ctx context.Context, state string) error {
	return order(ctx, state, http.MethodPost, "/upgrade", upgradeTimeout)
}

// Health asks the server of a state folder whether it serves. The error says
// what is wrong, or that none runs.
func Health(ctx context.Context, state string) error {
	return order(ctx, state, http.MethodGet, "/healthz", requestTimeout)
}

// order sends one request to the server of a state folder. An answer other than
// 200 is an error, in the server's words.
func order(ctx context.Context, state, method, path string, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", Socket(state))
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, nil)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	resp, err := transport.RoundTrip(req)
	switch {
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("no permission for %s; run this as the user that runs wsfront", Socket(state))
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no wsfront runs with the state folder %s; name the folder by --state or the file by --config", state)
	case err != nil:
		return fmt.Errorf("ask the server: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	if resp.StatusCode == http.StatusNotFound {
		return ErrUnknownOrder
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(strings.TrimSpace(string(answer)))
	}
	return nil
}
