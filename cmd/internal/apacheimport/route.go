package apacheimport

import (
	"slices"
	"strconv"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// option is one line of a route, its value in YAML.
type option struct{ name, value string }

// route is a route as it will be written.
type route struct {
	path, match string
	kind        string // app, tunnel, files, redirect or push
	target      string // what stands behind it, in YAML
	options     []option
	from        []*apacheconf.Directive
	why         string // a remark for its comment
}

// body is all of a route but its place.
func (r route) body() string {
	var b strings.Builder
	b.WriteString(r.kind + ": " + r.target)
	for _, o := range r.options {
		b.WriteString("\n" + o.name + ": " + o.value)
	}
	return b.String()
}

// asTunnel is an app route for handshakes alone.
func (r route) asTunnel() route {
	r.kind = "tunnel"
	for _, pair := range [][2]string{{"http://", "ws://"}, {"https://", "wss://"}} {
		if rest, ok := strings.CutPrefix(strings.TrimPrefix(r.target, `"`), pair[0]); ok {
			r.target = plain(pair[1] + strings.TrimSuffix(rest, `"`))
			break
		}
	}
	var kept []option
	for _, o := range r.options {
		if o.name != "max_body" {
			kept = append(kept, o)
		}
	}
	r.options = kept
	return r
}

// render is the route that a choice comes to at a prefix. ok is false when
// there is none.
func (r *resolver) render(at string, c choice) (rt route, ok bool) {
	if c.rule == nil {
		return rt, false
	}
	a := c.rule.act
	scopes := r.scopesOf(c.at, a)
	rt = route{path: at, from: c.rule.from}
	switch a.kind {
	case toBackend:
		if ok = r.backend(&rt, a, at, scopes, c.rule.from); !ok {
			return rt, false
		}
	case toFiles:
		folder := a.folderAt(at)
		if folder == "" {
			folder = "/"
		}
		rt.kind, rt.target = "files", plain(folder)
		if file := r.v.fallbacks[folder]; file != "" && !a.single {
			rt.options = append(rt.options, option{"fallback", plain(file)})
		}
	case toRedirect:
		rt.kind, rt.target = "redirect", "{to: "+inFlow(a.redirectAt(at))+", status: "+strconv.Itoa(a.status)+"}"
		if a.status == 302 {
			rt.target = plain(a.redirectAt(at))
		}
	case toStatus:
		rt.kind, rt.target = "redirect", "{status: "+strconv.Itoa(a.status)+"}"
	}
	r.policies(&rt, scopes, a)
	return rt, true
}

// redirectAt is where the requests below a prefix are redirected.
func (a *action) redirectAt(at string) string {
	to := a.target
	if path := a.pathAt(at); path != at || a.whole || to == "" {
		to += path
	}
	switch {
	case a.query == "?":
		to += "?"
	case a.query != "":
		to += "?" + a.query
	}
	return to
}

// backend fills in where an app is, and how it is asked.
func (r *resolver) backend(rt *route, a *action, at string, scopes []*scope, from []*apacheconf.Directive) bool {
	rt.kind = "app"
	base, host, secure := "http://"+a.address, a.host, a.secure
	path := a.pathAt(at)
	keeps := path == at && !a.whole
	if a.pool != "" {
		b, problem := r.resolve(a.pool)
		if problem != "" {
			r.needsYou(lastLine(from), problem)
			return false
		}
		if lead := b.members[0].path; lead != "" {
			path, keeps = lead+path, false
		}
		base, host, secure = "pool://"+poolName(b.name), "", strings.HasPrefix(b.members[0].url(), "https:")
		b.used = true
		if !b.onlyOne() && !keepsHost(scopes) {
			r.poolHost = append(r.poolHost, lastLine(from))
		}
		if b.onlyOne() {
			m := b.members[0].action
			base, host = b.members[0].url(), m.host
		}
	} else if a.secure {
		base = "https://" + a.address
	}
	switch {
	case a.socket != "":
		base, host = a.socket, ""
		if !keeps {
			r.needsYou(lastLine(from), "of a unix socket the path stays as it is: have the app take "+printable(at, 40)+", or listen at an address")
			return false
		}
	case !keeps:
		base += path
	}
	rt.target = plain(base)
	if host != "" && !a.app && !keepsHost(scopes) {
		rt.options = append(rt.options, option{"host", plain(host)})
		r.hostChanged = append(r.hostChanged, from...)
	}
	if secure && !a.app {
		if o, ok := r.backendTLS(scopes, from); ok {
			rt.options = append(rt.options, o)
		}
	}
	return true
}

func lastLine(list []*apacheconf.Directive) *apacheconf.Directive { return list[len(list)-1] }

// scopesOf are the sections that hold for an action at a prefix: those of
// folders first, as Apache merges them.
func (r *resolver) scopesOf(at string, a *action) []*scope {
	list := []*scope{&r.v.server}
	for _, kind := range []scopeKind{inDirectory, inProxy, inLocation} {
		var of []*scope
		for _, s := range r.v.scopes {
			if s.kind == kind && s.holds(at, a) {
				of = append(of, s)
			}
		}
		if kind == inDirectory {
			sortByPath(of)
		}
		list = append(list, of...)
	}
	if r.extra != nil {
		list = append(list, r.extra)
	}
	return list
}

// policies fills in the options that sections give a route.
func (r *resolver) policies(rt *route, scopes []*scope, a *action) {
	rt.from = rt.from[:len(rt.from):len(rt.from)]
	for i, s := range scopes {
		decides := s.access.restricts() && !slices.ContainsFunc(scopes[i+1:], func(inner *scope) bool { return len(inner.access.lines) > 0 })
		if s.section != nil && (decides || s.says()) && !slices.Contains(rt.from, s.section) {
			rt.from = append(rt.from, s.section)
		}
	}
	if !(a.app && r.v.app.kind != "WSGI" && r.leftToApache(scopes)) {
		rt.options = append(rt.options, r.admissionOf(scopes).options()...)
	}
	inner := fields{}
	request := fields{}
	for _, s := range scopes {
		if s.kind != inServer {
			inner = inner.join(s.fields)
		}
		request = request.join(s.request)
	}
	if o, ok := inner.option("headers"); ok && (a.kind == toBackend || a.kind == toFiles) {
		rt.options = append(rt.options, o)
	}
	if a.kind != toBackend {
		return
	}
	if o, ok := request.option("request_headers"); ok {
		rt.options = append(rt.options, o)
	}
	if o, ok := r.bodyLimit(scopes, a); ok {
		rt.options = append(rt.options, o)
	}
	if slashes(scopes) {
		rt.options = append(rt.options, option{"encoded_slashes", "on"})
	}
	timeout := a.timeout
	if timeout == 0 {
		timeout = waits(scopes)
	}
	if timeout != 0 && timeout != defaultTimeout {
		rt.options = append(rt.options, option{"response_timeout", days(timeout)})
	}
}

// bodyLimit is LimitRequestBody.
func (r *resolver) bodyLimit(scopes []*scope, a *action) (o option, ok bool) {
	var d *apacheconf.Directive
	for _, s := range scopes {
		if s.maxBody != nil {
			d = s.maxBody
		}
	}
	if d == nil {
		return o, false
	}
	n, err := strconv.ParseInt(d.Arg(0), 10, 64)
	switch {
	case err != nil || n < 0:
		r.needsYou(d, "it is no number of bytes; write max_body at the route")
		return o, false
	case n == 0:
		r.remark("0 takes bodies of any length; max_body takes 1GiB, as Apache does since 2.4.54 where nothing is said: raise it if longer uploads are wanted", d)
		n = 1 << 30
	case !a.app:
		r.remark("Apache does not hold what it forwards to LimitRequestBody; max_body does, as is meant", d)
	}
	return option{"max_body", size(n)}, n != defaultMaxBody
}

func slashes(scopes []*scope) bool {
	on := false
	for _, s := range scopes {
		if s.slashes != nil {
			on = !strings.EqualFold(s.slashes.Arg(0), "off")
		}
	}
	return on
}

// size is a number of bytes in the words of the configuration.
func size(n int64) string {
	for _, unit := range []struct {
		shift uint
		name  string
	}{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if n%(1<<unit.shift) == 0 {
			return strconv.FormatInt(n>>unit.shift, 10) + unit.name
		}
	}
	return strconv.FormatInt(n, 10)
}
