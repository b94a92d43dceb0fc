package publishd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Limits of connections.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = 30 * time.Second // between two pieces of a body; the quick way alone
	writeTimeout  = 30 * time.Second
	idleTimeout   = 5 * time.Minute // publishers keep their connection
	drainTimeout  = 5 * time.Second
	acceptPause   = 100 * time.Millisecond // after a connection could not be accepted

	// Of what goes to net/http: a whole request, a batch of many MB at most, and its
	// answer.
	requestTimeout = 2 * time.Minute
	maxHead        = 32 << 10
)

const (
	// eventPanic (error): a fault in this program ended one connection. Attributes:
	// panic, stack.
	eventPanic = "publish.panic"
	// eventLimit (warn): there were as many connections as there may be, and one
	// more was refused; at most once in ten seconds. Attributes: limit (its key below
	// push), count (since the last such line).
	eventLimit = "limit.reached"
)

// Server serves the publish API.
type Server struct {
	listener net.Listener
	api      http.Handler
	log      *slog.Logger
	http     *http.Server
	handed   *handed
	room     room

	wg       sync.WaitGroup // the quick connections
	mu       sync.Mutex
	draining bool
	conns    map[*quick]struct{}
}

// Listen binds host:port or unix:/path, for New. A socket that a process left
// behind which was killed is replaced.
func Listen(address string) (net.Listener, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	l, err := net.Listen(network, address)
	if network == "unix" && errors.Is(err, syscall.EADDRINUSE) && abandoned(address) {
		os.Remove(address)
		l, err = net.Listen(network, address)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen %s for publishing: another program has this address; stop it, or choose another by --publish-listen (push.publish.listen in the file)", address)
	case err != nil:
		return nil, fmt.Errorf("listen for publishing: %w", err)
	}
	if network == "unix" {
		if err := os.Chmod(address, 0o660); err != nil {
			l.Close()
			return nil, fmt.Errorf("make the publish socket private: %w", err)
		}
	}
	return l, nil
}

// abandoned reports whether path is a socket at which nobody listens: the file
// outlives a process that was killed. Other files refuse connections, too.
func abandoned(path string) bool {
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// New makes the server of api at a socket of Listen, or one that another process
// handed over. It takes up to most connections at a time. What became of them goes
// to counts, a fault in api to log as well. Close it, or run it.
func New(l net.Listener, api http.Handler, most int, counts *Counts, log *slog.Logger) *Server {
	s := &Server{
		listener: l,
		api:      api,
		log:      log,
		handed:   newHanded(l.Addr()),
		room:     room{most: int64(most), counts: counts, log: log},
		conns:    map[*quick]struct{}{},
	}
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.answer),
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		ReadTimeout: requestTimeout, WriteTimeout: requestTimeout, MaxHeaderBytes: maxHead,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return s
}

// answer has the API answer a request that came in either way. A fault ends its
// connection alone, by the panic that both ways know as such.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if fault := recover(); fault != nil {
			s.fault(fault)
			panic(http.ErrAbortHandler)
		}
	}()
	s.api.ServeHTTP(w, r)
}

// fault counts and logs what a panic was about, if it is one of ours.
func (s *Server) fault(fault any) {
	if fault != http.ErrAbortHandler {
		s.room.counts.Panics.Add(1)
		s.log.Error(eventPanic, "panic", fault, "stack", string(debug.Stack()))
	}
}

// Address is where it listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close gives the address back before Run was called. It may be called on nil.
func (s *Server) Close() {
	if s != nil {
		s.listener.Close()
	}
}

// Run serves until ctx is done and publishes under way are answered.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan error, 2)
	var both sync.WaitGroup // ended by drain
	both.Go(func() { failed <- s.accept() })
	both.Go(func() { failed <- s.http.Serve(s.handed) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serve the publish API: %w", err)
	}
	s.drain()
	both.Wait()
	return err
}

// accept has each connection served, until the listener is closed.
func (s *Server) accept() error {
	for {
		conn, err := s.listener.Accept()
		switch {
		case err == nil:
			if placed, ok := s.room.enter(conn); ok {
				s.begin(placed)
			}
		case errors.Is(err, net.ErrClosed):
			return err
		default: // there may be room again, or it was that one connection's fault
			time.Sleep(acceptPause)
		}
	}
}

func (s *Server) begin(conn net.Conn) {
	q := &quick{server: s, Conn: conn}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		conn.Close()
		return
	}
	s.conns[q] = struct{}{}
	s.wg.Go(q.serve) // ends with the connection, which drain sees to
}

func (s *Server) end(q *quick) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, q)
}

// drain closes idle connections, and the others when they are answered or the
// time is over.
func (s *Server) drain() {
	s.listener.Close()
	s.mu.Lock()
	s.draining = true
	for q := range s.conns {
		q.hurry()
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	s.http.Shutdown(ctx)
	late := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for q := range s.conns {
			q.Close()
		}
	})
	s.wg.Wait()
	late()
}
