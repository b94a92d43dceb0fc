package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server is the front door. Its methods may be called concurrently.
type Server struct {
	cfg    Config
	log    *slog.Logger
	access *accessLog
	certs  *certificates
	table  atomic.Pointer[table]

	listeners  []*listener
	securePort string // where redirects lead; "" when no address has TLS
	reloading  sync.Mutex

	tunnels   context.Context // done when tunnels are to be cut
	cut       context.CancelFunc
	tunnelsMu sync.Mutex     // held while tunnels are cut, or one is counted
	tunnelsWG sync.WaitGroup // of tunnels that are open
}

// New checks the configuration and makes a Server of it; nothing is started.
// Events go to log, the access log to access. The error names every mistake by
// its field: see FieldErrors.
func New(cfg Config, log *slog.Logger, access io.Writer) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg.withDefaults(), log: log}
	t, err := newTable(s.cfg)
	if err != nil {
		return nil, err
	}
	s.table.Store(t)
	s.access = newAccessLog(s.cfg.AccessLog, access)
	if s.certs, err = newCertificates(s.cfg, log); err != nil {
		return nil, err
	}
	var cut context.CancelFunc
	s.tunnels, cut = context.WithCancel(context.Background())
	s.cut = func() {
		s.tunnelsMu.Lock()
		defer s.tunnelsMu.Unlock()
		cut()
	}
	return s, nil
}

// Reload puts another configuration into effect. Requests and tunnels under
// way are not touched. When it returns an error, the old configuration goes on
// serving: the new one has mistakes, or changes a field that needs a restart.
func (s *Server) Reload(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg = cfg.withDefaults()
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if err := s.cfg.reloadable(cfg); err != nil {
		return err
	}
	t, err := newTable(cfg)
	if err != nil {
		return err
	}
	if err := s.certs.reload(cfg); err != nil {
		t.close()
		return err
	}
	s.cfg = cfg
	s.table.Swap(t).close()
	s.log.Info(eventReload, "sites", len(t.sites))
	return nil
}

// serveHTTP answers a request that came by TLS (secure) or by plain HTTP.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request, secure bool) {
	x := s.newExchange(w, r, secure)
	defer func() {
		if x.over != nil {
			x.over()
		}
	}()
	defer s.finish(x, r)
	if !secure && s.certs.serveChallenge(x, r) {
		return
	}
	t := s.table.Load()
	found := t.site(x.host)
	if found == nil {
		x.fail(r, http.StatusMisdirectedRequest, fmt.Sprintf("no site serves the host %q; add it to hosts", x.host),
			"This server does not serve that name.")
		return
	}
	x.site = found
	if !secure && x.site.TLS.mode() != TLSOff && !x.https() && !s.plain(x, r) {
		return
	}
	s.dispatch(x, r)
}

// dispatch finds the route and lets it answer.
func (s *Server) dispatch(x *exchange, r *http.Request) {
	path, err := cleanPath(r.URL.EscapedPath())
	if err != nil {
		x.fail(r, http.StatusBadRequest, err.Error(), "The address is not one this server understands.")
		return
	}
	x.path = path
	rt := x.site.route(path, r)
	if rt == nil {
		x.fail(r, http.StatusNotFound, fmt.Sprintf("no route of %s takes %s; add one, such as path: / with app", x.site.name, path),
			"There is nothing at this address.")
		return
	}
	x.route = rt
	if !rt.EncodedSlashes && hasEncodedSlash(path) {
		x.fail(r, http.StatusBadRequest, "an encoded slash in the path; set encoded_slashes on the route if the app needs it",
			"The address holds an encoded slash.")
		return
	}
	if isHandshake(r) && rt.backend != nil {
		s.tunnel(x, r)
		return
	}
	rt.handler.serve(x, r)
}

func (s *Server) newExchange(w http.ResponseWriter, r *http.Request, secure bool) *exchange {
	x := &exchange{ResponseWriter: w, id: strings.ToLower(rand.Text()[:16]), begin: time.Now(), site: nowhere, host: r.Host, scheme: "http"}
	if secure {
		x.scheme = "https"
	}
	x.identify(r, s.table.Load().trusted)
	return x
}

// finish ends an exchange: it contains a panic, and writes the log lines.
func (s *Server) finish(x *exchange, r *http.Request) {
	cause := recover()
	aborted := cause == http.ErrAbortHandler
	if cause != nil && !aborted {
		s.log.Error(eventPanic, "id", x.id, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
		x.reason = "panic"
	}
	if cause == nil && x.status == 0 {
		x.WriteHeader(http.StatusOK) // a handler that wrote nothing: as net/http takes it
	}
	if x.reason != "" {
		s.logFailure(x, r)
	}
	s.access.write(x, r)
	if cause != nil {
		panic(http.ErrAbortHandler) // net/http cuts the connection, so that a cut answer never looks whole
	}
}

func (s *Server) logFailure(x *exchange, r *http.Request) {
	event := eventRequestFailed
	if isHandshake(r) {
		event = eventHandshakeFailed
	}
	route, backend := "", ""
	if x.route != nil {
		route = x.route.name
		if x.route.backend != nil {
			backend = x.route.backend.written
		}
	}
	s.log.Warn(event, "id", x.id, "client", x.client, "host", x.host, "route", route, "backend", backend,
		"method", r.Method, "path", r.URL.EscapedPath(), "status", x.status, "reason", x.reason)
}

// errCut says that shutdown did not wait for everything to end by itself.
var errCut = errors.New("requests were still open at the end of drain_timeout, and were cut")
