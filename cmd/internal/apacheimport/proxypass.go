package apacheimport

import (
	"slices"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// proxyPass is ProxyPass, with the path as its first word, or in <Location>
// without.
func (im *importer) proxyPass(v *vhost, d *apacheconf.Directive, s *scope) {
	args := d.Args
	path, st := s.path, atLocation
	switch {
	case s.kind == inServer && len(args) >= 2:
		path, st, args = args[0], atProxy, args[1:]
	case s.kind == inLocation && len(args) >= 1:
		if len(args) >= 2 && strings.HasPrefix(args[0], "/") { // Apache refuses it; what is meant is plain
			args = args[1:]
		}
	case s.kind == inPattern && len(args) >= 1:
		im.proxyMatch(v, d, s.path, args, atLocation)
		return
	default:
		im.needsYou(d, "it stands where it has no effect on a path that can be told; write a route for it")
		return
	}
	prefix, ok := requestPath(path)
	if !ok {
		im.needsYou(d, "the path "+printable(path, 60)+" is none that a request can have as a prefix; write a route for what is meant")
		return
	}
	im.proxyTo(v, d, s, prefix, args, st)
}

// proxyTo makes the rule of a ProxyPass.
func (im *importer) proxyTo(v *vhost, d *apacheconf.Directive, s *scope, prefix string, args []string, st stage) {
	r := &rule{stage: st, prefix: prefix, plain: !s.handshakes, upgrade: true, from: []*apacheconf.Directive{d}}
	if args[0] == "!" {
		r.act = &action{kind: toNext, stops: atAlias}
		v.rules = append(v.rules, r)
		im.imported(d)
		return
	}
	t := parseTarget(args[0])
	switch {
	case t.other != "":
		im.appInside(v, d, t.otherKind())
		im.appNeeds(v, d, t.otherKind())
		r.act = im.inApache(d)
	case t.problem != "":
		im.needsYou(d, t.problem)
		return
	default:
		act, trouble, ok := t.mapped(prefix)
		if !ok {
			im.needsYou(d, trouble)
			return
		}
		if trouble != "" {
			im.remark(trouble, d)
		}
		r.act = &act
		im.proxyOptions(v, d, args[1:], r.act)
		im.imported(d)
	}
	v.rules = append(v.rules, r)
}

// proxyMatch is ProxyPassMatch, and ProxyPass in <LocationMatch>.
func (im *importer) proxyMatch(v *vhost, d *apacheconf.Directive, expr string, args []string, st stage) {
	if len(args) == 0 {
		im.needsYou(d, "it names no backend; write a route for what is meant")
		return
	}
	if heads, end, ok := plainPattern(expr); ok && end != endExact && (args[0] == "!" && wholeNames(heads) || isScript(args[0])) {
		for _, h := range heads {
			im.proxyTo(v, d, &scope{}, h, args, st)
		}
		return
	}
	t := parseTarget(args[0])
	switch {
	case args[0] == "!":
		im.needsYou(d, "an exception by an expression has no counterpart; write a route with match: for what should not go to the backend")
		return
	case t.other != "": // \.php$ to PHP-FPM: all of it is the app in Apache
		im.appInside(v, d, t.otherKind())
		im.appNeeds(v, d, t.otherKind())
		return
	case t.problem != "":
		im.needsYou(d, t.problem)
		return
	}
	if !strings.Contains(t.path, "$") { // Apache appends the whole path then
		if strings.HasSuffix(t.path, "/") {
			im.remark("the backend is asked for "+printable(t.path, 60)+"/x when a client asks for /x; the doubled slash was left out", d)
		}
		t.path = strings.TrimSuffix(t.path, "/") + "%{REQUEST_URI}"
	}
	bare, except := withoutLookahead(expr)
	p, simple := parsePattern(bare)
	if simple && p.anchored && len(p.heads) == 1 && p.end != endExact {
		if r := rewritten(p, t, ""); r != nil {
			r.except = except
			r.stage, r.plain, r.upgrade, r.from = st, true, true, []*apacheconf.Directive{d}
			im.proxyOptions(v, d, args[1:], r.act)
			im.imported(d)
			v.rules = append(v.rules, r)
			return
		}
	}
	r, problem := matching(expr, false, t, "")
	if problem != "" {
		im.needsYou(d, problem)
		return
	}
	r.stage, r.plain, r.upgrade, r.from = st, true, true, []*apacheconf.Directive{d}
	im.proxyOptions(v, d, args[1:], r.act)
	im.imported(d)
	v.rules = append(v.rules, r)
}

// wholeNames reports whether beginnings of paths end where names do, and not in
// front of what tells them apart, as /~ does.
func wholeNames(heads []string) bool {
	return !slices.ContainsFunc(heads, func(h string) bool { return strings.IndexByte("~_-.", h[len(h)-1]) >= 0 })
}

func isScript(written string) bool { return parseTarget(written).other != "" }

// proxyPassMatch is the directive of that name.
func (im *importer) proxyPassMatch(v *vhost, d *apacheconf.Directive, s *scope) {
	switch {
	case s.kind == inServer && len(d.Args) >= 2:
		im.proxyMatch(v, d, d.Args[0], d.Args[1:], atProxy)
	case s.kind == inLocation && len(d.Args) >= 1:
		im.proxyMatch(v, d, "^"+s.path, d.Args, atLocation)
	case s.kind == inPattern && len(d.Args) >= 1:
		im.proxyMatch(v, d, s.path, d.Args, atLocation)
	default:
		im.needsYou(d, "it stands where it has no effect on a path that can be told; write a route with match: for it")
	}
}

// unneeded are options of ProxyPass and BalancerMember that have no
// counterpart because of the way wsfront forwards.
var unneeded = map[string]bool{
	"retry": true, "keepalive": true, "disablereuse": true, "enablereuse": true, "flushpackets": true, "flushwait": true, "connectiontimeout": true,
	"max": true, "min": true, "smax": true, "acquire": true, "ttl": true, "ping": true, "lbset": true, "route": true, "redirect": true,
	"iobuffersize": true, "receivebuffersize": true, "responsefieldsize": true, "addressttl": true, "lbmethod": true, "nofailover": true,
	"maxattempts": true, "stickysessionsep": true, "scolonpathdelim": true, "growth": true, "forcerecovery": true, "failontimeout": true,
}

// optionsBuiltIn is why most options of ProxyPass have no counterpart.
const optionsBuiltIn = "options of ProxyPass and BalancerMember: how backends are asked is built in, and one that could not be reached is tried again by the next request"

// proxyOptions are the words behind the URL of a ProxyPass.
func (im *importer) proxyOptions(v *vhost, d *apacheconf.Directive, words []string, act *action) {
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		switch name = strings.ToLower(name); {
		case name == "timeout":
			if t, ok := seconds(value); ok {
				act.timeout = t
			}
		case name == "upgrade" && (strings.EqualFold(value, "any") || strings.EqualFold(value, "none")):
			im.remark("upgrade="+value+" lets protocols other than WebSocket through, which hide requests from the proxy; only websocket was imported", d)
		case name == "upgrade", name == "interpolate":
		case name == "nocanon", name == "noquery", unneeded[name]:
			im.wordNotNeeded(d, name, optionsBuiltIn)
		case name == "stickysession" && act.pool != "":
			im.sticky(v, act.pool, value)
		default:
			im.remark("the option "+printable(word, 60)+" was left out: wsfront has no counterpart", d)
		}
	}
}

// proxyPassReverse is ProxyPassReverse, ProxyPassReverseCookieDomain and
// ProxyPassReverseCookiePath: wsfront maps answers back by itself, by the
// route's own rule.
func (im *importer) proxyPassReverse(v *vhost, d *apacheconf.Directive, s *scope) {
	v.reverse = append(v.reverse, d)
	from, to := s.path, d.Arg(0)
	if len(d.Args) > 1 && !(s.kind == inLocation && !strings.HasPrefix(d.Arg(0), "/")) {
		from, to = d.Arg(0), d.Arg(1)
	}
	if !d.Is("ProxyPassReverse") {
		im.cookies = append(im.cookies, reverseLine{v, d, d.Arg(0), d.Arg(1)})
		return
	}
	if strings.HasPrefix(strings.ToLower(to), "ws") {
		im.notNeeded(d, "of a ws:// URL it has no effect in Apache either")
		return
	}
	im.pending = append(im.pending, reverseLine{v, d, from, to})
}

// reverseLine is a ProxyPassReverse that waits to be compared with the routes.
type reverseLine struct {
	v        *vhost
	line     *apacheconf.Directive
	from, to string
}

// reverses checks that what each ProxyPassReverse says is what the route does
// by itself.
func (im *importer) reverses() {
	const builtIn = "Location and other links in answers are mapped back by the route"
	for _, p := range im.pending {
		from, ok := requestPath(p.from)
		if !ok || strings.HasPrefix(p.to, "/") {
			im.notNeeded(p.line, builtIn)
			continue
		}
		t := parseTarget(p.to)
		if t.other != "" {
			im.notNeeded(p.line, "settings of the app inside Apache: they go along with it, see below")
			continue
		}
		if slices.Contains(p.v.names, strings.ToLower(stripPort(t.action.address))) {
			im.notNeeded(p.line, builtIn) // the app that writes its own name, by http
			continue
		}
		if im.reversedBy(p.v, from, t) || t.problem != "" && t.other == "" {
			im.notNeeded(p.line, builtIn)
			continue
		}
		im.needsYou(p.line, "links to "+printable(p.to, 60)+" are mapped to "+from+", where no route leads there; wsfront maps back links to the route's own backend only: have the app write links without a host, or with the Host that it is asked for")
	}
}

// cookieMaps checks the same of ProxyPassReverseCookiePath and -Domain, which
// name the backend's side first.
func (im *importer) cookieMaps() {
	for _, c := range im.cookies {
		inner, outer := strings.TrimSuffix(c.from, "/"), strings.TrimSuffix(c.to, "/")
		fits := inner == outer
		for _, r := range c.v.allRules() {
			a := r.act
			if a.kind != toBackend {
				continue
			}
			if c.line.Is("ProxyPassReverseCookiePath") {
				fits = fits || strings.TrimSuffix(a.to, "/") == inner && strings.TrimSuffix(r.prefix, "/") == outer
			} else {
				fits = fits || a.pool != "" || strings.EqualFold(stripPort(a.address), c.from)
			}
		}
		if fits {
			im.notNeeded(c.line, "domains and paths of cookies are mapped back by the route")
			continue
		}
		im.needsYou(c.line, "cookies are mapped back by the route's own rule alone, which is another one: have the app set them for "+printable(c.to, 60))
	}
}

// reversedBy reports whether a rule maps links to t back to the path.
func (im *importer) reversedBy(v *vhost, from string, t target) bool {
	for _, r := range v.allRules() {
		a := r.act
		if a.kind != toBackend || a.app {
			continue
		}
		same := a.pool != "" && (a.pool == t.action.pool || im.isMember(v, a.pool, t.action.address)) ||
			a.pool == "" && t.action.pool == "" && (a.address == t.action.address || a.socket != "")
		if same && (r.match != "" || covers(r.prefix, from) || covers(from, r.prefix)) {
			return true
		}
	}
	return false
}
