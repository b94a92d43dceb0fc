package proxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"wsfront/proxy/diagnosis"
	"wsfront/proxy/http2"
	"wsfront/proxy/record"
	"wsfront/proxy/relay"
)

// Server is the front door. Its methods may be called concurrently.
type Server struct {
	cfg    Config
	log    *slog.Logger
	access *accessLog
	certs  *certificates
	table  atomic.Pointer[table]

	adopted    []net.Listener // until Listen
	listeners  []*listener
	securePort string // where redirects lead; "" when no address has TLS
	reloading  sync.Mutex

	accepter     *record.Accepter // of TLS, for all listeners
	conns        clientConns
	turns        sync.Pool // of *turn
	streams      sync.Pool // of *stream
	streamServer atomic.Pointer[http2.Server]
	date         dateCache
	panics       atomic.Uint64
	failures     failures

	relay      *relay.Engine
	tunnels    openTunnels
	accounts   tunnelAccounts
	unrouted   *routeAccount // of requests that find no route
	limits     atomic.Pointer[limits]
	hits       *limitHits
	handshakes openHandshakes
	// addressGroup is that function: replaced by tests, whose clients all have
	// addresses of loopback, before Run.
	addressGroup func(netip.Addr) netip.Prefix
	messages     sync.WaitGroup  // of tunnels of mode message
	messagesOpen atomic.Int64    // how many these are
	stopping     context.Context // done when shutdown begins
	stop         context.CancelFunc
	cutting      context.Context // done when what is still open is cut
	cut          context.CancelFunc
	closing      atomic.Bool // no connection is accepted any more
	draining     atomic.Bool // no request follows another on a connection
	holding      holding
	giveWay      sync.Once // closes givenWay
	givenWay     chan struct{}

	passwordChecks chan struct{} // has a place for each that may be under way
	filePoll       time.Duration // shortened by tests, before Run
}

// New checks the configuration and makes a Server of it; nothing is started.
// Events go to log, the access log to access. The error names every mistake by
// its field: see FieldErrors.
func New(cfg Config, log *slog.Logger, access io.Writer) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg.withDefaults(), log: log, hits: newLimitHits(log), addressGroup: addressGroup, unrouted: newRouteAccount(), givenWay: make(chan struct{}),
		filePoll: filePollInterval, passwordChecks: make(chan struct{}, maxPasswordChecks()),
	}
	t, err := newTable(s.cfg)
	if err != nil {
		return nil, err
	}
	if s.certs, err = newCertificates(s.cfg, log); err != nil {
		return nil, err
	}
	if s.access, err = newAccessLog(s.cfg.AccessLog, access, log); err != nil {
		return nil, err
	}
	if s.relay, err = relay.NewEngine(); err != nil {
		t.close()
		s.access.close()
		return nil, fmt.Errorf("prepare for tunnels: %w", err)
	}
	s.accepter = record.NewAccepter(s.certs.tlsConfig())
	s.conns.counts.init()
	s.conns.newcomers.none = make(chan struct{}, 1)
	s.turns.New = func() any { return new(turn) }
	s.streams.New = func() any { return new(stream) }
	s.tunnels.routes, s.tunnels.from = map[string]int{}, map[netip.Prefix]int{}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.cutting, s.cut = context.WithCancel(context.Background())
	s.limits.Store(newLimits(s.cfg))
	t.succeed(nil, s.stopping)
	t.addAccounts(nil)
	s.accounts.messages = map[*tunnelEntry]*messageRun{}
	s.accounts.adopt(t)
	s.table.Store(t)
	s.streamServer.Store(s.newStreamServer(s.cfg.Limits))
	return s, nil
}

// Reload puts another configuration into effect. Requests under way are not
// touched, nor are tunnels and the clients of a Resident, unless their route is
// gone: they are then sent away, within half of DrainTimeout. A route is the same
// as before while its site has kept one of its hosts, and it has the same Path or
// Match and is of the same kind, wherever it leads. When it returns an error, the old configuration goes on
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
	s.limits.Store(newLimits(cfg))
	s.streamServer.Store(s.newStreamServer(cfg.Limits))
	t.succeed(s.table.Load(), s.stopping)
	t.addAccounts(s.table.Load())
	s.accounts.adopt(t)
	before := s.table.Swap(t)
	before.end(t, s.relay, cfg.DrainTimeout/2)
	before.close()
	s.log.Info(eventReload, "sites", len(t.sites), "routes", t.routeCount())
	return nil
}

// find finds the site and the route of a request, and whether the route is open
// to it. It reports false when the request has been answered.
func (s *Server) find(x *exchange) bool {
	found := s.table.Load().site(x.host)
	if found == nil {
		x.failFor(diagnosis.HostRefused, http.StatusMisdirectedRequest, fmt.Sprintf("no site serves the host %q; add it to hosts", x.host),
			"This server does not serve that name.")
		return false
	}
	x.site = found
	if string(x.req.Path) == "*" && string(x.req.Method) == http.MethodOptions { // about the server as a whole (RFC 9110 §9.3.7)
		x.answer(http.StatusOK, nil)
		return false
	}
	if !x.secure && x.site.TLS.mode() != TLSOff && !x.https() && !x.plain() {
		return false
	}
	var err error
	if x.path, err = x.cleanPath(); err != nil {
		x.failFor(diagnosis.PathUnknown, http.StatusBadRequest, err.Error(), unknownAddressHint)
		return false
	}
	rt := x.site.route(x)
	if rt == nil {
		x.failFor(diagnosis.PathUnknown, http.StatusNotFound, x.unrouted(), "There is nothing at this address.")
		return false
	}
	x.route = rt
	if !rt.EncodedSlashes && hasEncodedSlash(x.path) {
		x.failFor(diagnosis.PathUnknown, http.StatusBadRequest, "an encoded slash in the path; set encoded_slashes on the route if the app needs it",
			"The address holds an encoded slash.")
		return false
	}
	return x.admit() && (rt.template == nil || x.makeTarget())
}

// unknownAddressHint is for a client whose path is refused.
const unknownAddressHint = "The address is not one this server understands."

// unrouted says why no route takes a request, in words for the log.
func (x *exchange) unrouted() string {
	if x.upgrade {
		return fmt.Sprintf("no route of %s takes a WebSocket handshake at %s, as tunnel, push and app routes do; add one, such as a tunnel with that path", x.site.name, x.path)
	}
	return fmt.Sprintf("no route of %s takes %s; add one, such as path: / with app", x.site.name, x.path)
}

// cleanPath is that of the request, without an allocation where it is clean.
func (x *exchange) cleanPath() ([]byte, error) {
	if path := x.req.Path; len(path) > 0 && path[0] == '/' && isClean(path) {
		return path, nil
	}
	clean, err := cleanPath(string(x.req.Path))
	return []byte(clean), err
}

// serve lets the route answer.
func (s *Server) serve(x *exchange) {
	if x.upgrade && x.route.Handler == nil {
		s.tunnel(x)
		return
	}
	x.route.handler.serve(x)
}

// finish counts an exchange that is over, and writes its log lines. That of a
// tunnel comes when the tunnel ends.
func (s *Server) finish(x *exchange) {
	s.count(x)
	if x.switched {
		return
	}
	if x.reason != "" {
		s.noteFailure(x)
	} else {
		s.noteRefusal(x)
	}
	s.access.write(x)
}
