package proxy

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"
)

// AppTransport reaches the App of a route by net/http, for questions of our own
// such as a push service's. The URL is that of the app without a path: requests
// to it have the path that a browser would ask for, and get the one that App says,
// and the Host that the route says.
func (r Route) AppTransport() (http.RoundTripper, *url.URL, error) {
	b, err := parseBackend(r.App, "http", "https")
	if err != nil {
		return nil, nil, err
	}
	config, err := r.BackendTLS.config()
	if err != nil {
		return nil, nil, err
	}
	prefix, _, err := parsePath(r.Path)
	if err != nil {
		return nil, nil, err
	}
	b.secure(config)
	return &appTransport{
		Transport: &http.Transport{
			// TLS as well, so that a question comes by the same handshake as a
			// browser's request.
			DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return b.dial(ctx) },
			MaxIdleConnsPerHost: maxIdleQuestions,
			IdleConnTimeout:     idleQuestion,
		},
		route: &route{Route: r, prefix: prefix, path: b.path},
	}, &url.URL{Scheme: "http", Host: b.host}, nil
}

const (
	// maxIdleQuestions is how many connections are kept for further questions,
	// and idleQuestion for how long; less than gunicorn's keep-alive would be too
	// short to be of use, and a connection that the app has closed is noticed.
	maxIdleQuestions = 16
	idleQuestion     = 30 * time.Second
)

// appTransport maps paths as the route does.
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
	path := string(t.route.appendBackendPath(nil, []byte(r.URL.EscapedPath())))
	asked.URL.Path, asked.URL.RawPath = unescapePath(path), path
	return t.Transport.RoundTrip(asked)
}
