package doctor

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"wsfront/cmd/internal/config"
	"wsfront/proxy"
	"wsfront/proxy/diagnosis"
)

// compare asks the backends of the configuration directly, as the front would,
// and the front as browsers do. With a URL, which was examined already, only the
// routes that take it are asked.
func (e *exam) compare(ctx context.Context) {
	e.server = diagnosis.ForWsfront // whoever answered at the URL, this is the front that can be changed
	for i, site := range e.o.Config.Sites {
		for j, route := range site.Routes {
			if e.o.URL != "" && !takes(site, route, e.target) {
				continue
			}
			e.prefix = fmt.Sprintf("sites[%d].routes[%d] ", i, j)
			e.compareRoute(ctx, site, route)
		}
	}
	e.prefix = ""
}

// takes reports whether a URL may lead to a route.
func takes(s config.Site, r config.Route, t target) bool {
	served := false
	for _, host := range s.Hosts {
		rest, wild := strings.CutPrefix(host, "*.")
		_, parent, _ := strings.Cut(t.hostname, ".")
		served = served || host == "*" || strings.EqualFold(host, t.hostname) || wild && strings.EqualFold(rest, parent)
	}
	path, _, _ := strings.Cut(t.path, "?")
	if r.Match != "" {
		matches, err := regexp.MatchString(r.Match, path)
		return served && matches && err == nil
	}
	prefix, _, _ := strings.Cut(r.Path, "{")
	rest, below := strings.CutPrefix(path, prefix)
	return served && below && (rest == "" || strings.HasSuffix(prefix, "/") || rest[0] == '/')
}

// compareRoute asks one route's backend and, for a WebSocket, the front.
func (e *exam) compareRoute(ctx context.Context, s config.Site, r config.Route) {
	if e.o.URL == "" {
		if r.Match != "" {
			e.step("backend", Skipped, "no path is known that match takes; name a URL that it does")
			return
		}
		e.target = frontTarget(s, r)
	}
	t := e.target
	e.askMembers(ctx, r.Route, t)
	var backend *attempt
	switch {
	case r.App != "":
		e.askApp(ctx, r.Route, t)
		return
	case r.Tunnel.Backend != "":
		backend = e.askBackend(ctx, r.Route, t, true)
		if !e.judgeBackend(backend, r.Tunnel.Backend) {
			return
		}
	case r.Push == nil:
		return
	}
	if e.o.URL == "" {
		e.askFront(ctx, s, t, backend)
	} else if e.found != nil && backend != nil {
		e.found.Evidence = append(e.found.Evidence, backend.sent.Path+" asked at the backend itself is answered 101")
	}
}

// askMembers asks each backend of a route's pool by itself. One that cannot be
// reached is a warning: the front goes on to the next, and only when none is left
// does it show.
func (e *exam) askMembers(ctx context.Context, r proxy.Route, t target) {
	upgrade := r.App == ""
	name, ok := strings.CutPrefix(cmp.Or(r.App, r.Tunnel.Backend), "pool://")
	if !ok {
		return
	}
	name, path, replaced := strings.Cut(name, "/")
	for _, p := range e.o.Config.Pools {
		if p.Name != name {
			continue
		}
		for _, b := range p.Backends {
			r.App = b.URL
			if replaced && !strings.HasPrefix(b.URL, "unix:") {
				r.App += "/" + path
			}
			a := e.askBackend(ctx, r, t, upgrade)
			status := OK
			if a.answer == nil {
				status = Warning
			}
			e.step("pool "+name, status, "%s: %s", b.URL, a.brief())
		}
	}
}

// frontTarget is a URL that leads to a route.
func frontTarget(s config.Site, r config.Route) target {
	t := target{scheme: "wss", hostname: s.Hosts[0], port: "443"}
	if s.TLS.Mode == proxy.TLSOff {
		t.scheme, t.port = "ws", "80"
	}
	switch rest, wild := strings.CutPrefix(t.hostname, "*."); {
	case t.hostname == "*":
		t.hostname = "localhost"
	case wild:
		t.hostname = "www." + rest
	}
	t.host = t.hostname
	prefix, _, varies := strings.Cut(r.Path, "{")
	if varies {
		prefix += "doctor"
	}
	t.path = prefix
	return t
}

// askFront opens a WebSocket at the front's own address on this machine. Where it
// is refused although the backend takes it, that is evidence.
func (e *exam) askFront(ctx context.Context, s config.Site, t target, backend *attempt) {
	address, ok := e.frontAddress(s)
	if !ok {
		e.step("front", Skipped, "no address is listened at")
		return
	}
	front := *e // with a target of its own, and the same report
	front.target, front.addrs = t, []string{address}
	if s.TLS.Mode == proxy.TLSInternal {
		if pem, err := proxy.InternalCARoot(e.o.Config.StateDir()); err == nil {
			front.roots = nil
			front.addRoots(pem)
		}
	}
	a := front.try(ctx, front.ordinary())
	defer a.leave()
	if a.switched() {
		e.step("front", OK, "%s is answered 101 at %s", t, address)
		return
	}
	e.step("front", Failed, "%s is answered %s at %s", t, a.brief(), address)
	facts := []string{fmt.Sprintf("%s at %s: %s", t, address, a.facts)}
	if backend != nil {
		facts = append(facts, backend.sent.Path+" asked at the backend itself is answered 101")
	}
	if a.answer != nil {
		e.meet(a.answer)
	}
	e.find(nobody, a.cause, facts...)
}

// frontAddress is where the front serves a site, as this machine reaches it.
func (e *exam) frontAddress(s config.Site) (string, bool) {
	secure, plain := e.o.Config.ListenAddresses()
	all := secure
	if s.TLS.Mode == proxy.TLSOff {
		all = append(append([]string(nil), plain...), secure...)
	}
	if len(all) == 0 {
		return "", false
	}
	host, port, err := net.SplitHostPort(all[0])
	if err != nil {
		return "", false
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), true
}

// judgeBackend notes what a backend answered to a handshake, and reports whether
// that was a 101. A backend that fails is why the front does.
func (e *exam) judgeBackend(a *attempt, written string) bool {
	if a.switched() {
		e.step("backend", OK, "%s answers 101", written)
		return true
	}
	e.step("backend", Failed, "%s: %s", written, a.brief())
	e.find(certain, a.cause, fmt.Sprintf("%s asked directly for %s: %s", written, a.sent.Path, a.facts))
	return false
}

// askApp sends a plain request to an app backend, and looks for what keeps it
// from working behind a front at all.
func (e *exam) askApp(ctx context.Context, r proxy.Route, t target) {
	a := e.askBackend(ctx, r, t, false)
	if a.answer == nil {
		e.judgeBackend(a, r.App)
		return
	}
	switch a.cause {
	case diagnosis.HostRefused, diagnosis.RedirectLoop, diagnosis.ForwardedProto, diagnosis.BackendScheme:
		e.step("backend", Failed, "%s: %s", r.App, a.brief())
		e.find(nobody, a.cause, fmt.Sprintf("%s asked directly for %s: %s", r.App, a.sent.Path, a.facts))
	default:
		status := OK
		if a.answer.status >= 500 {
			status = Warning
		}
		e.step("backend", status, "%s answers %s", r.App, a.brief())
	}
}

// askBackend sends a request to a route's backend as the front would: with the
// path that the route makes of it, the Host, and the fields that say how the
// client came.
func (e *exam) askBackend(ctx context.Context, r proxy.Route, t target, upgrade bool) *attempt {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	h := e.ordinary()
	h.origin = cmp.Or(e.o.Origin, t.origin())
	key := newKey()
	a := &attempt{sent: diagnosis.Sent{Scheme: t.scheme, Host: t.host, Path: t.path, Origin: h.origin, Key: key, Subprotocols: h.subprotocol, ToBackend: true}}
	if r.App == "" {
		r.App = r.Tunnel.Backend
		if rest, ok := strings.CutPrefix(r.App, "ws"); ok { // ws://, wss://
			r.App = "http" + rest
		}
	}
	transport, base, err := r.AppTransport(e.o.Config.Pools)
	if err != nil {
		a.err = err
		a.judge()
		return a
	}
	path, query, _ := strings.Cut(t.path, "?")
	base.Path, base.RawQuery = path, query
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base.String(), nil)
	if err != nil {
		a.err = err
		a.judge()
		return a
	}
	request.Host = t.host
	request.Header = backendFields(h, t, key, upgrade)
	response, err := transport.RoundTrip(request)
	if err != nil {
		a.err = err
		a.judge()
		a.cause = a.cause.AtBackend()
		return a
	}
	defer response.Body.Close()
	a.answer = &answer{line: response.Proto + " " + response.Status, proto: response.Proto, status: response.StatusCode, fields: response.Header}
	if socket, ok := response.Body.(io.ReadWriteCloser); ok && response.StatusCode == http.StatusSwitchingProtocols {
		late := time.AfterFunc(leaveTimeout, func() { socket.Close() })
		defer late.Stop()
		partFrom(socket, socket)
	} else {
		a.answer.body, _ = io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // what came is what there is to see
	}
	a.judge()
	return a
}

// backendFields are those of a request that came through the front.
func backendFields(h handshake, t target, key string, upgrade bool) http.Header {
	scheme, _, _ := strings.Cut(t.origin(), ":")
	fields := http.Header{
		"User-Agent": {userAgent}, "Accept-Encoding": {"identity"}, "X-Forwarded-For": {"127.0.0.1"}, "X-Real-Ip": {"127.0.0.1"},
		"X-Forwarded-Proto": {scheme}, "X-Forwarded-Host": {t.host}, "Forwarded": {fmt.Sprintf("for=127.0.0.1;host=%q;proto=%s", t.host, scheme)},
	}
	if !upgrade {
		return fields
	}
	for name, value := range map[string]string{
		"Connection": h.connection, "Upgrade": "websocket", "Origin": h.origin, "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key,
		"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits", "Sec-WebSocket-Protocol": h.subprotocol,
	} {
		if value != "" {
			fields[name] = []string{value}
		}
	}
	return fields
}
