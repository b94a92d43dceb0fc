package proxy

import (
	"slices"
	"strings"
)

// route checks one route. taken holds the routes before it, by what they take.
func (v *validator) route(at string, r Route, taken map[string]string) {
	kind := v.routeKind(at, r)
	v.routePath(at, kind, r, taken)
	switch kind {
	case "app":
		v.routeBackend(at, kind, r.App, "http", "https", r)
	case "tunnel":
		v.tunnelOf(at, r)
	case "files":
		v.files(at, r)
	case "redirect":
		v.redirect(at, r)
	}
	v.duration(at+".response_timeout", r.ResponseTimeout)
	v.size(at+".max_body", r.MaxBody)
	v.tunnelLimits(at, r)
	v.routePolicies(at, r)
	if kind != "" {
		v.routeOptions(at, kind, r)
	}
}

// routeKind is the option that says where a route leads; "" when there is not
// exactly one.
func (v *validator) routeKind(at string, r Route) string {
	var kinds []string
	for _, k := range []struct {
		name string
		set  bool
	}{{"app", r.App != ""}, {"tunnel", r.Tunnel != (Tunnel{})}, {"files", r.Files != ""}, {"redirect", r.Redirect != Redirect{}}, {"push", r.Handler != nil}} {
		if k.set {
			kinds = append(kinds, k.name)
		}
	}
	switch len(kinds) {
	case 1:
		return kinds[0]
	case 0:
		v.failf(at, "leads nowhere; write one of app, tunnel, files, redirect or push, such as app: http://127.0.0.1:8080")
	default:
		v.failf(at, "has %s; a route has one of them, so write a route of its own for each, with the same path if need be", strings.Join(kinds, " and "))
	}
	return ""
}

func (v *validator) routePath(at, kind string, r Route, taken map[string]string) {
	if r.Match != "" {
		v.routeMatch(at, kind, r, taken)
		return
	}
	if r.Path == "" {
		v.failf(at+".path", "missing; write path: / for everything, or a prefix such as /chat/")
		return
	}
	if stem, ok := strings.CutSuffix(r.Path, "/*"); ok && !strings.ContainsAny(stem, "{}*") {
		v.failf(at+".path", "a path takes what is below it without *; write %s/", stem)
		return
	}
	if clean, err := cleanPath("/" + r.Path); err == nil && r.Path[0] != '/' && !strings.ContainsAny(clean, "{}*") {
		v.failf(at+".path", "%q does not begin with /; write %s", r.Path, clean)
		return
	}
	prefix, variable, err := parsePath(r.Path)
	if err != nil {
		v.fail(at+".path", err)
		return
	}
	if variable != "" && kind == "files" {
		v.failf(at+".path", "a variable segment has no meaning for files; write %s", prefix)
	}
	if hasEncodedSlash(prefix) && !r.EncodedSlashes {
		v.failf(at+".path", "can never match, as encoded slashes are refused; add encoded_slashes: on, or write a path without %%2F and %%5C")
	}
	if kind == "" {
		return
	}
	pattern := prefix
	if variable != "" {
		pattern += "{}"
	}
	v.routeTwice(at, kind, pattern, r, taken)
}

// routeMatch checks a route's pattern.
func (v *validator) routeMatch(at, kind string, r Route, taken map[string]string) {
	if r.Path != "" {
		v.failf(at+".match", "path and match exclude each other; remove one of them")
	}
	if kind == "files" || kind == "push" {
		v.failf(at+".match", "a %s route is for what is below a path; write path in its place", kind)
	}
	if _, err := compileMatch(r.Match); err != nil {
		v.fail(at+".match", err)
		return
	}
	// In the order of the file, an app takes handshakes, too.
	every := "every request for match " + r.Match
	if other, ok := taken[every]; ok {
		v.failf(at, "can never match: %s takes every request for %s already; remove one of them or change its pattern", other, r.Match)
		return
	}
	if kind == "app" {
		taken[every] = at
	}
	if kind != "" {
		v.routeTwice(at, kind, "match "+r.Match, r, taken)
	}
}

// routeTwice refuses a route for what another one takes. Two of one path can
// stand beside each other only when one takes handshakes and the other plain
// requests, or lets them through.
func (v *validator) routeTwice(at, kind, pattern string, r Route, taken map[string]string) {
	takes := "plain requests"
	switch {
	case kind == "tunnel" || kind == "push":
		takes = "WebSocket handshakes"
	case kind == "files" && r.Fallthrough:
		takes = "files in " + r.Files
	}
	if other, ok := taken[takes+pattern]; ok {
		v.failf(at, "can never match: %s takes the %s of %s already; remove one of them or change its path", other, takes, r.Path+r.Match)
		return
	}
	taken[takes+pattern] = at
}

// routeBackend checks the address written in a route's option: app, or that of
// a tunnel.
func (v *validator) routeBackend(at, option, written, plain, secure string, r Route) {
	field := at + "." + option
	if r.BackendTLS.CA != "" && r.BackendTLS.InsecureSkipVerify {
		v.failf(at+".backend_tls", "ca and insecure_skip_verify exclude each other; remove insecure_skip_verify, so that the CA counts")
	}
	if strings.HasPrefix(written, poolScheme) {
		v.routePool(at, field, written, r)
		return
	}
	b := v.address(field, written, plain, secure, r)
	if b == nil {
		return
	}
	v.backendPath(field, b.path, r)
	if !b.isTLS() && r.BackendTLS != (BackendTLS{}) {
		v.failf(at+".backend_tls", "the backend is not reached by TLS; remove this option, or begin its address with %s://", secure)
	}
}

// backendPath checks a path that is written behind a backend or a pool.
func (v *validator) backendPath(field, path string, r Route) {
	if _, variable, _ := parsePath(r.Path); variable != "" && path != "" {
		v.failf(field, "the path %s cannot replace one that varies; write it without, and the request's own path is kept", path)
	}
}

// address checks the address of one backend, which is written in the route or
// in a pool, and returns it understood, or nil.
func (v *validator) address(field, written, plain, secure string, r Route) *backend {
	if !strings.Contains(written, "://") && !strings.HasPrefix(written, "unix:") && checkHost(hostname(written)) == nil {
		v.failf(field, "%q has no scheme; write %s://%s", written, plain, withPort(written, "8080"))
		return nil
	}
	b, _, err := r.parseBackend(written, plain, secure)
	if err != nil {
		v.fail(field, err)
		return nil
	}
	if b.network == "tcp" {
		v.backendAddress(field, b)
	}
	return b
}

func (v *validator) backendAddress(field string, b *backend) {
	if port := b.address[strings.LastIndexByte(b.address, ':')+1:]; !validPort(port) {
		v.failf(field, "%q is no port; write a number from 1 to 65535", port)
		return
	}
	for _, own := range slices.Concat(v.Listen, v.HTTPListen) {
		if loops(b.address, own) {
			v.failf(field, "%s is our own listener %q, so that requests would go in circles; write the address of the backend", b.written, own)
			return
		}
	}
}

// routeOptions refuses options that have no effect on this kind of route.
func (v *validator) routeOptions(at, kind string, r Route) {
	const app, tunnel = "app", "tunnel"
	for _, o := range []struct {
		name string
		set  bool
		fits []string
	}{
		{"fallback", r.Fallback != "", []string{"files"}},
		{"fallthrough", r.Fallthrough, []string{"files"}},
		{"host", r.Host != "", []string{app, tunnel}},
		{"request_buffering", r.RequestBuffering != nil, []string{app}},
		{"max_body", r.MaxBody > 0, []string{app}},
		{"encoded_slashes", r.EncodedSlashes, []string{app, tunnel, "files", "redirect"}},
		{"request_headers", len(r.RequestHeaders.Set)+len(r.RequestHeaders.Remove) > 0, []string{app, tunnel}},
		{"response_timeout", r.ResponseTimeout > 0, []string{app, tunnel}},
		// An app route carries the handshakes that no tunnel route takes.
		{"idle_timeout", r.IdleTimeout > 0, []string{app, tunnel}},
		{"max_lifetime", r.MaxLifetime > 0, []string{app, tunnel}},
		{"ping", r.Ping > 0, []string{app, tunnel}},
		{"max_message", r.MaxMessage > 0, []string{app, tunnel}},
		{"max_fragments", r.MaxFragments > 0, []string{app, tunnel}},
		{"message_rate", r.MessageRate > 0, []string{app, tunnel}},
		{"validate", r.Validate, []string{app, tunnel}},
		{"max_tunnels", r.MaxTunnels > 0, []string{app, tunnel}},
	} {
		if o.set && !slices.Contains(o.fits, kind) {
			v.failf(at+"."+o.name, "has no effect on a %s route, only with %s; remove it", kind, strings.Join(o.fits, " or "))
		}
	}
	if r.BackendTLS != (BackendTLS{}) && kind != app && kind != tunnel {
		v.failf(at+".backend_tls", "has no effect on a %s route, only with app or tunnel; remove it", kind)
	}
	if strings.ContainsAny(r.Host, "/ \t\r\n") {
		v.failf(at+".host", "%q is no Host field; write a name, and a port if need be, such as app.internal:8080", r.Host)
	}
}
