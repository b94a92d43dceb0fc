package proxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// AppTransport reaches the App of a route by net/http, for questions of our own
// such as a push service's. The URL is that of the app without a path: requests
// to it have the path that a browser would ask for, and get the one that App says,
// and the Host and the RequestHeaders that the route says.
func (r Route) AppTransport() (http.RoundTripper, *url.URL, error) {
	b, template, err := r.parseBackend(r.App, "http", "https")
	if err != nil {
		return nil, nil, err
	}
	if err := b.secure(r.BackendTLS); err != nil {
		return nil, nil, err
	}
	rt := &route{Route: r, backend: b, template: template, requests: newRequestRules(r.RequestHeaders)}
	if err := rt.parsePlace(); err != nil {
		return nil, nil, err
	}
	scheme := "http"
	if b.tls != nil {
		scheme = "https"
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &appTransport{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, b.network, b.address)
				if err != nil {
					return nil, fmt.Errorf("dial backend %s: %w", b.written, err)
				}
				return conn, nil
			},
			TLSClientConfig:     b.tls,
			MaxIdleConnsPerHost: maxIdleQuestions,
			IdleConnTimeout:     idleQuestion,
		},
		route: rt,
	}, &url.URL{Scheme: scheme, Host: b.host}, nil
}

const (
	// maxIdleQuestions is how many connections are kept for further questions,
	// and idleQuestion for how long; less than gunicorn's keep-alive would be too
	// short to be of use, and a connection that the app has closed is noticed.
	maxIdleQuestions = 16
	idleQuestion     = 30 * time.Second
)

// appTransport maps paths and changes fields as the route does.
type appTransport struct {
	*http.Transport
	route *route
}

// RoundTrip is that of http.RoundTripper.
func (t *appTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := r.Clone(r.Context())
	if t.route.Host != "" {
		asked.Host = t.route.Host
	}
	path, err := t.path(r.URL.EscapedPath())
	if err != nil {
		return nil, fmt.Errorf("ask backend %s: %w", t.route.backend.written, err)
	}
	asked.URL.Path, asked.URL.RawPath = unescapePath(path), path
	t.route.requests.changeHeader(asked.Header)
	return t.Transport.RoundTrip(asked)
}

// path is the backend's path for one that a browser would ask for.
func (t *appTransport) path(asked string) (string, error) {
	if t.route.template == nil {
		return string(t.route.appendBackendPath(nil, []byte(asked))), nil
	}
	path, err := t.route.appendTarget(nil, []byte(asked))
	return string(path), err
}
