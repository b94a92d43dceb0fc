package apacheimport

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// balancer is a <Proxy balancer://NAME>.
type balancer struct {
	name    string
	members []member
	cookie  string // stickysession
	sticky  string // the pool's cookie
	lines   []*apacheconf.Directive
	alias   *balancer // another one with the same members
	used    bool
	strange *apacheconf.Directive // a member that wsfront cannot ask
}

// member is one of its backends.
type member struct {
	action action
	path   string
	weight int
	backup bool
}

// url is a member as pools have it, for http and ws alike.
func (m member) url() string {
	if m.action.socket != "" {
		return m.action.socket
	}
	if m.action.secure {
		return "https://" + m.action.address
	}
	return "http://" + m.action.address
}

func (im *importer) balancer(name string) *balancer {
	if im.balancers == nil {
		im.balancers = map[string]*balancer{}
	}
	name = strings.ToLower(strings.Trim(name, "/"))
	b := im.balancers[name]
	if b == nil {
		b = &balancer{name: name}
		im.balancers[name] = b
		im.balancerOrder = append(im.balancerOrder, b)
	}
	return b
}

// inBalancer is the name of the balancer that a directive is about.
func inBalancer(d *apacheconf.Directive, s *scope) (name string, args []string) {
	if len(d.Args) > 0 && strings.HasPrefix(strings.ToLower(d.Args[0]), "balancer://") {
		return d.Args[0][len("balancer://"):], d.Args[1:]
	}
	if rest, ok := strings.CutPrefix(strings.ToLower(s.path), "balancer://"); ok && s.kind == inProxy {
		return rest, d.Args
	}
	return "", d.Args
}

// balancerMember is BalancerMember.
func (im *importer) balancerMember(_ *vhost, d *apacheconf.Directive, s *scope) {
	name, args := inBalancer(d, s)
	if name == "" || len(args) == 0 {
		im.needsYou(d, "it belongs to no balancer:// that can be told; write the backend into a pool")
		return
	}
	t := parseTarget(args[0])
	switch {
	case t.other != "":
		im.needsYou(d, "wsfront does not speak "+t.otherKind()+": have the backend speak HTTP, as Tomcat does with an HTTP connector, and write its address into a pool; or keep Apache on loopback behind wsfront")
		im.balancer(name).strange = d
		return
	case t.problem != "":
		im.needsYou(d, t.problem)
		return
	}
	m := member{action: t.action, path: strings.TrimSuffix(t.path, "/"), weight: 1}
	b := im.balancer(name)
	for _, word := range args[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key = strings.ToLower(key); {
		case key == "loadfactor":
			f, err := strconv.ParseFloat(value, 64)
			if err == nil && f >= 1 {
				m.weight = min(int(math.Round(f)), 256)
			}
		case key == "status" && strings.Contains(strings.ToUpper(value), "H") && !strings.HasPrefix(value, "-"):
			m.backup = true
		case key == "status" && strings.ContainsAny(strings.ToUpper(value), "DS") && !strings.HasPrefix(value, "-"):
			im.notNeeded(d, "it is switched off (status="+printable(value, 10)+")")
			return
		case key == "status", key == "upgrade":
		case key == "timeout", unneeded[key]:
			im.wordNotNeeded(d, key, optionsBuiltIn)
		default:
			im.remark("the option "+printable(word, 60)+" was left out: wsfront has no counterpart", d)
		}
	}
	im.imported(d)
	if slices.Contains(b.members, m) {
		return
	}
	b.members = append(b.members, m)
	b.lines = append(b.lines, d)
}

// proxySet is ProxySet.
func (im *importer) proxySet(v *vhost, d *apacheconf.Directive, s *scope) {
	name, args := inBalancer(d, s)
	if name == "" {
		im.remark("its timeout= and other options of one backend were left out; write response_timeout at the route if the backend takes longer than 60s", d)
		im.notNeeded(d, "connections to backends are kept by themselves")
		return
	}
	im.imported(d)
	for _, word := range args {
		key, value, _ := strings.Cut(word, "=")
		switch key = strings.ToLower(key); {
		case key == "stickysession":
			im.sticky(v, name, value)
		case key == "timeout", unneeded[key]:
			im.wordNotNeeded(d, key, optionsBuiltIn)
		default:
			im.remark("the option "+printable(word, 60)+" was left out: wsfront has no counterpart", d)
		}
	}
}

var cookieForm = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// sticky notes the cookie of a balancer.
func (im *importer) sticky(_ *vhost, name, cookie string) {
	cookie, _, _ = strings.Cut(cookie, "|")
	if cookieForm.MatchString(cookie) {
		im.balancer(name).cookie = cookie
	}
}

// pools gives balancers with the same members, but for the scheme, one pool.
func (im *importer) mergeBalancers() {
	for i, b := range im.balancerOrder {
		for _, earlier := range im.balancerOrder[:i] {
			if earlier.alias == nil && len(b.members) > 0 && earlier.cookie == b.cookie && slices.EqualFunc(earlier.members, b.members, sameMember) {
				b.alias = earlier
				break
			}
		}
		im.ownCookie(b, im.balancerOrder[:i])
	}
}

// ownCookie gives a balancer a cookie that no earlier one has: each pool sets
// its own.
func (im *importer) ownCookie(b *balancer, before []*balancer) {
	b.sticky = b.cookie
	taken := func(other *balancer) bool { return other.alias == nil && other.sticky == b.cookie }
	if b.alias == nil && b.cookie != "" && len(b.members) > 1 && slices.ContainsFunc(before, taken) {
		b.sticky = b.cookie + "-" + poolName(b.name)
		im.remark("another balancer has the cookie "+b.cookie+" as well; each pool sets its own, so that this one has "+b.sticky+". A client may come to different machines by the two", b.lines...)
	}
}

func sameMember(a, b member) bool {
	return a.url() == b.url() && a.path == b.path && a.weight == b.weight && a.backup == b.backup
}

// resolve is the balancer that an action leads to, or what stands in its way.
func (im *importer) resolve(name string) (b *balancer, problem string) {
	b = im.balancers[name]
	if b != nil && len(b.members) == 0 && b.strange != nil {
		return nil, "wsfront can ask none of its members, see " + b.strange.Position.String() + ": write a pool with their addresses by HTTP, and a route with app: pool://" + poolName(name)
	}
	if b == nil || len(b.members) == 0 {
		return nil, "the balancer://" + printable(name, 40) + " has no members in these files; write a pool, see deploy/docs/configuration.md"
	}
	if b.alias != nil {
		b = b.alias
	}
	for _, m := range b.members {
		if m.path != b.members[0].path {
			return nil, "its members have different paths, which a pool cannot; write a route for each"
		}
	}
	return b, ""
}

// isMember reports whether an address is one of a balancer's.
func (im *importer) isMember(_ *vhost, name, address string) bool {
	b := im.balancers[name]
	return b != nil && slices.ContainsFunc(b.members, func(m member) bool { return m.action.address == address })
}

// onlyOne reports whether a balancer is no more than its one backend.
func (b *balancer) onlyOne() bool { return len(b.members) == 1 && !b.members[0].backup }

// poolName is a name that wsfront takes.
func poolName(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' {
			b.WriteRune(c)
		} else {
			b.WriteByte('-')
		}
	}
	if s := strings.Trim(b.String(), "-"); s != "" {
		return s
	}
	return "pool"
}

// yaml is the pool of the configuration.
func (b *balancer) yaml(e *emitter) {
	e.comment(2, b.lines)
	e.line(2, "- name: "+plain(poolName(b.name)))
	e.line(4, "backends:")
	for _, m := range b.members {
		switch {
		case m.weight == 1 && !m.backup:
			e.line(6, "- "+plain(m.url()))
			continue
		case m.backup:
			e.line(6, fmt.Sprintf("- {url: %s, backup: on}", inFlow(m.url())))
		default:
			e.line(6, fmt.Sprintf("- {url: %s, weight: %d}", inFlow(m.url()), m.weight))
		}
	}
	if b.sticky != "" {
		e.line(4, "sticky: "+plain(b.sticky))
	}
}
