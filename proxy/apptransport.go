package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"wsfront/proxy/http1"
)

// AppTransport reaches the App of a route by net/http, for questions of our own
// such as a push service's. pools are those of the Config. The URL is that of the
// app without a path: requests to it have the path that a browser would ask for,
// and get the one that App says, and the Host and the RequestHeaders that the
// route says. Of a pool, the backend is chosen as for a browser's request with the
// same cookies; which are down is found out apart from the routes, and not logged.
func (r Route) AppTransport(pools []Pool) (http.RoundTripper, *url.URL, error) {
	config, err := r.BackendTLS.config()
	if err != nil {
		return nil, nil, err
	}
	t := &appTransport{route: &route{Route: r, requests: newRequestRules(r.RequestHeaders)}, transports: map[*member]*http.Transport{}, log: slog.New(slog.DiscardHandler)}
	if err := newPools(pools).lead(t.route, r.App, "http", "https", config); err != nil {
		return nil, nil, err
	}
	if err := t.route.parsePlace(); err != nil {
		return nil, nil, err
	}
	members := t.route.pool.members
	for _, m := range members {
		t.transports[m] = &http.Transport{
			DialContext:         m.dialForQuestion,
			MaxIdleConnsPerHost: maxIdleQuestions,
			IdleConnTimeout:     idleQuestion,
		}
	}
	return t, &url.URL{Scheme: "http", Host: members[0].backend.host}, nil
}

const (
	// maxIdleQuestions is how many connections are kept to a backend for further
	// questions, and idleQuestion for how long; less than gunicorn's keep-alive
	// would be too short to be of use, and a connection that the app has closed is
	// noticed.
	maxIdleQuestions = 16
	idleQuestion     = 30 * time.Second
)

// appTransport maps paths and changes fields as the route does.
type appTransport struct {
	route      *route
	transports map[*member]*http.Transport
	log        *slog.Logger // of what nobody reads: requests find out the same
}

// RoundTrip is that of http.RoundTripper.
func (t *appTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := r.Clone(r.Context())
	if t.route.Host != "" {
		asked.Host = t.route.Host
	}
	path, err := t.path(r.URL.EscapedPath())
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", t.route.pool.written, err)
	}
	asked.URL.Path, asked.URL.RawPath = unescapePath(path), path
	t.route.requests.changeHeader(asked.Header)
	c := choice{pool: t.route.pool, named: t.route.pool.named(cookies(r))}
	c.next(true)
	defer c.leave()
	for {
		// TLS is the dialer's matter, which knows of it.
		asked.URL.Scheme, asked.URL.Host = "http", c.member.backend.host
		answer, err := t.transports[c.member].RoundTrip(asked)
		var lost unreachable
		switch {
		case err == nil:
			c.reached(t.log)
			return answer, nil
		case !errors.As(err, &lost) || !c.unreachable(r.Context(), lost.error, t.log):
			return nil, err
		case r.GetBody != nil:
			if asked.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		case r.Body != nil && r.Body != http.NoBody:
			return nil, err // net/http has closed it
		}
	}
}

// CloseIdleConnections is that of http.Client.
func (t *appTransport) CloseIdleConnections() {
	for _, one := range t.transports {
		one.CloseIdleConnections()
	}
}

// unreachable says that no connection came about.
type unreachable struct{ error }

func (u unreachable) Unwrap() error { return u.error }

func (m *member) dialForQuestion(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := m.backend.dial(ctx)
	if err != nil {
		return nil, unreachable{err}
	}
	return conn, nil
}

// cookies are those of a request, as our own reader has them.
func cookies(r *http.Request) (fields []http1.Field) {
	for _, value := range r.Header["Cookie"] {
		fields = append(fields, http1.Field{Known: http1.Cookie, Value: []byte(value)})
	}
	return fields
}

// path is the backend's path for one that a browser would ask for.
func (t *appTransport) path(asked string) (string, error) {
	if t.route.template == nil {
		return string(t.route.appendBackendPath(nil, []byte(asked))), nil
	}
	path, err := t.route.appendTarget(nil, []byte(asked))
	return string(path), err
}
