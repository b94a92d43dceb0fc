package apacheimport

import (
	"cmp"
	"slices"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// Apache asks its rules in their order, and the first that takes a request
// wins; of wsfront's routes the one with the longest path wins. So each prefix
// that any rule or section names is looked at by itself: which rule takes what
// is below it, plain requests and handshakes? Where that differs from what the
// routes further up do, a route is written.

// resolver makes the routes of a vhost, for one of its hosts.
type resolver struct {
	*importer
	v      *vhost
	host   string
	rules  []*rule
	routes []route
	extra  *scope // a section that holds for the route being rendered

	// By prefix: what the routes so far do with plain requests and with
	// handshakes below it.
	plain, upgrade map[string]choice
}

// choice is what becomes of the requests of one kind below a prefix.
type choice struct {
	rule  *rule
	at    string // the prefix for which the route was written
	files *rule  // whose folder is looked into first
}

// routesOf makes the routes that a host of a vhost has.
func (im *importer) routesOf(v *vhost, host string) []route {
	r := &resolver{importer: im, v: v, host: host, plain: map[string]choice{}, upgrade: map[string]choice{}}
	r.gather()
	r.protected()
	r.matches()
	for _, at := range r.prefixes() {
		r.place(at)
	}
	// As they are asked: expressions, then the longest path.
	slices.SortStableFunc(r.routes, func(a, b route) int {
		return cmp.Or(cmp.Compare(len(b.path), len(a.path)), cmp.Compare(a.path, b.path))
	})
	first := slices.IndexFunc(r.routes, func(rt route) bool { return rt.match != "" })
	if first > 0 {
		r.routes = slices.Concat(r.routes[first:], r.routes[:first])
	}
	return r.routes
}

// gather puts the rules into the order in which Apache asks them, but for
// those that it could never reach though they are meant.
func (r *resolver) gather() {
	r.rules = append(r.rules, r.rewriteRules(r.v, r.host)...)
	r.v.seen = append(r.v.seen, r.rules...)
	r.rules = append(r.rules, r.v.redirects...)
	r.rules = append(r.rules, r.inApacheToo(r.v.rules)...)
	if root := r.rootRule(r.v); root != nil {
		r.rules = append(r.rules, root)
	}
	slices.SortStableFunc(r.rules, func(a, b *rule) int { return cmp.Compare(a.stage, b.stage) })
	// Of sections that hold the last one counts.
	for _, st := range []stage{atSection, atLocation} {
		first, found := slices.BinarySearchFunc(r.rules, st, func(rl *rule, st stage) int { return cmp.Compare(rl.stage, st) })
		end, _ := slices.BinarySearchFunc(r.rules, st+1, func(rl *rule, st stage) int { return cmp.Compare(rl.stage, st) })
		if found {
			slices.Reverse(r.rules[first:end])
		}
	}
	r.reorder()
	r.rules = slices.DeleteFunc(r.rules, r.challenge)
}

// inApacheToo leaves the folders of a vhost whose app runs inside Apache to
// Apache: there may be programs in each of them.
func (r *resolver) inApacheToo(rules []*rule) []*rule {
	if kind := r.v.app.kind; kind == "" || kind == "WSGI" {
		return rules
	}
	list := slices.Clone(rules)
	for i, rl := range list {
		if rl.act.kind == toFiles {
			rl.used = true
			inside := *rl
			inside.act = r.inApache(rl.from[0])
			inside.act.folder = rl.act.folder
			list[i] = &inside
		}
	}
	return list
}

// reorder moves a ProxyPass in front of one that hides it.
func (r *resolver) reorder() {
	for j := 1; j < len(r.rules); j++ {
		later := r.rules[j]
		if later.stage != atProxy && later.stage != atLocation || later.match != "" {
			continue
		}
		for i, earlier := range r.rules[:j] {
			if earlier.stage != later.stage || earlier.match != "" || !covers(earlier.prefix, later.prefix) || later.act.kind == toNext {
				continue
			}
			if earlier.prefix == later.prefix {
				r.twice(earlier, later)
				if !later.plain || !earlier.upgrade {
					break
				}
				continue
			}
			r.rules = slices.Insert(slices.Delete(r.rules, j, j+1), i, later)
			r.remark("in Apache "+earlier.from[0].Position.String()+" hid this line, which no request ever reaches; the imported routes put it first", later.from...)
			break
		}
		if later.stage == atProxy && later.act.kind == toNext {
			r.deadException(r.rules[:j], later)
		}
	}
}

// twice deals with two ProxyPass of one path: Apache takes the first alone.
func (r *resolver) twice(earlier, later *rule) {
	ws := strings.HasPrefix(strings.ToLower(later.act.written), "ws")
	if !ws || strings.HasPrefix(strings.ToLower(earlier.act.written), "ws") || earlier.act.kind != toBackend {
		return
	}
	if earlier.act.address == later.act.address {
		return
	}
	earlier.upgrade, later.plain = false, false
	r.remark("in Apache "+earlier.from[0].Position.String()+" has the same path and hid this line; the imported routes send WebSocket handshakes here, and everything else there", later.from...)
}

func (r *resolver) deadException(before []*rule, exception *rule) {
	for _, earlier := range before {
		if earlier.stage == atProxy && earlier.act.kind == toBackend && earlier.match == "" && covers(earlier.prefix, exception.prefix) {
			r.remark("in Apache this exception has no effect, because "+earlier.from[0].Position.String()+" comes first: the backend is asked, here as well. If files are meant, write a route with files", exception.from...)
			return
		}
	}
}

// challenges are where ACME asks for what proves that a name is ours.
const challenges = "/.well-known/acme-challenge"

// challenge reports whether a rule only serves ACME's challenges, which
// wsfront answers by itself.
func (r *resolver) challenge(rl *rule) bool {
	rl.except = slices.DeleteFunc(slices.Clone(rl.except), func(e string) bool { return strings.HasPrefix(e, challenges) })
	if !strings.HasPrefix(rl.prefix, challenges) || rl.match != "" || r.v.secure() && r.certificate(r.v, r.v.names) != "" {
		return false
	}
	rl.used = true
	for _, d := range rl.from {
		r.demote(d, "wsfront obtains certificates, and answers what the CA asks for, by itself")
	}
	return true
}

// prefixes are all that rules and sections name, the shortest first.
func (r *resolver) prefixes() []string {
	set := map[string]bool{}
	for _, rl := range r.rules {
		if rl.match != "" {
			continue
		}
		set[rl.prefix] = true
		for _, e := range rl.except {
			if covers(rl.prefix, e) {
				set[e] = true
			}
		}
	}
	for _, s := range r.v.scopes {
		if s.kind == inLocation {
			set[s.path] = true
		}
		if s.kind == inDirectory {
			if at, ok := r.served(s.path); ok {
				set[at] = true
			}
		}
	}
	list := make([]string, 0, len(set))
	for p := range set {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	return list
}

// served is the path at which a folder is served, where a rule serves it.
func (r *resolver) served(folder string) (string, bool) {
	for _, rl := range r.rules {
		if rl.act.kind != toFiles || rl.act.single || rl.match != "" {
			continue
		}
		if root := rl.act.folder; covers(root, folder) && folder != root {
			path, ok := requestPath(strings.TrimSuffix(rl.prefix, "/") + strings.TrimPrefix(folder, root))
			return path, ok
		}
	}
	return "", false
}

// parentOf is the longest prefix above one that has been looked at.
func parentOf(at string, seen map[string]choice) string {
	best := ""
	for p := range seen {
		if p != at && covers(p, at) && len(p) > len(best) {
			best = p
		}
	}
	return best
}

// choose finds the rule that takes the requests of one kind below a prefix.
func (r *resolver) choose(at string, upgrade bool) choice {
	from := atSection
	var files *rule
	for _, rl := range r.rules {
		if rl.stage < from || !rl.takes(at, upgrade) {
			continue
		}
		if rl.act.kind == toNext {
			from, rl.used = rl.act.stops, true
			continue
		}
		if rl.files != "" && files == nil && !upgrade {
			files = &rule{prefix: "/", act: &action{kind: toFiles, from: "/", folder: r.absolute(rl.files)}, from: rl.from}
		}
		rl.used = true
		return choice{rule: rl, at: at, files: files}
	}
	return choice{at: at}
}

// place writes the routes at a prefix, where they differ from those above.
func (r *resolver) place(at string) {
	parent := parentOf(at, r.plain)
	above, inherited := r.plain[parent], r.upgrade[parent]
	r.plain[at], r.upgrade[at] = above, inherited
	p, u := r.choose(at, false), r.choose(at, true)
	own, ok := r.render(at, p)
	before, had := r.render(at, above)
	switch {
	case ok && (!had || own.body() != before.body() || (p.files == nil) != (above.files == nil)):
		if p.files != nil {
			r.fallThrough(at, p)
		}
		r.routes = append(r.routes, own)
		r.loose(at, p.rule)
		r.plain[at] = p
		if p.rule.act.kind == toStatus {
			r.shut(route{path: at, from: own.from}, at, inherited)
		}
		if own.kind == "app" {
			r.upgrade[at] = p
		}
	case !ok && had:
		r.routes = append(r.routes, route{path: at, kind: "redirect", target: "{status: 404}", from: linesOf(u), why: "nothing takes these requests in Apache either"})
		r.plain[at] = p
	}
	r.handshakes(at, u)
}

// handshakes writes a tunnel where the routes so far lead handshakes elsewhere.
func (r *resolver) handshakes(at string, u choice) {
	if u.rule == nil || u.rule.act.kind != toBackend {
		return
	}
	own, ok := r.render(at, u)
	before, had := r.render(at, r.upgrade[at])
	if !ok || had && own.body() == before.body() {
		return
	}
	r.routes = append(r.routes, own.asTunnel())
	r.loose(at, u.rule)
	r.upgrade[at] = u
}

// loose tells what a pattern takes beside the paths that were meant, and so
// does not here.
func (r *resolver) loose(at string, rl *rule) {
	if at != rl.prefix || at == "/" || rl.line == nil {
		return
	}
	switch {
	case !rl.anchored:
		r.remark("the pattern does not begin with ^, so that Apache takes /x"+at+" as well; here it is "+at+" alone, as is meant", rl.line)
	case rl.open:
		r.remark("the pattern ends within a segment, so that Apache takes "+at+"x as well; here it is "+at+" and what is below it, as is meant", rl.line)
	}
	if rl.doubled {
		r.remark("the target has a doubled slash, which was left out", rl.line)
	}
}

// fallThrough writes the route of the files that come before a backend.
func (r *resolver) fallThrough(at string, p choice) {
	files, ok := r.render(at, choice{rule: p.files, at: at})
	if !ok {
		return
	}
	files.options = append(files.options, option{"fallthrough", "on"})
	r.routes = append(r.routes, files)
}

func linesOf(c choice) []*apacheconf.Directive {
	if c.rule == nil {
		return nil
	}
	return c.rule.from
}

// matches writes the routes with an expression, which come before all others.
func (r *resolver) matches() {
	for _, rl := range r.rules {
		if rl.match == "" || r.sameAsPrefix(rl) {
			continue
		}
		at := literalHead(rl.match)
		if at == "" {
			at = "/"
		}
		refuses := rl.act.kind != toBackend
		if s := r.guarded(at, rl.match); s != nil && !refuses {
			r.needsYou(lastLine(rl.from), "its expression might take requests that the section of "+s.section.Position.String()+" protects, for wsfront asks expressions first: write a route with a path for it")
			continue
		}
		if r.outOfOrder(rl, at) {
			continue
		}
		rl.used = true
		own, ok := r.render(at, choice{rule: rl, at: at})
		if !ok {
			continue
		}
		own.path, own.match = "", rl.match
		switch {
		case !rl.plain && own.kind == "app":
			own = own.asTunnel()
		case !rl.plain:
			continue
		case !rl.upgrade && own.kind == "app":
			r.remark("it takes WebSocket handshakes as well, which Apache sent elsewhere", rl.from...)
		}
		r.routes = append(r.routes, own)
		if rl.meant {
			r.remark("the expression does not begin with ^, so that Apache finds it further in as well, as in /x/...; here it is the beginning, as is meant", lastLine(rl.from))
		}
		if rl.act.kind == toStatus {
			r.shut(route{match: rl.match, from: own.from}, "/", r.choose("/", true))
		}
	}
}

// guarded is a section that protects something of what an expression might take,
// below a prefix, but not all.
func (r *resolver) guarded(at, match string) *scope {
	for _, s := range r.v.scopes {
		if s.kind != inLocation || len(s.access.lines) == 0 || covers(s.path, at) {
			continue
		}
		if heads, end, ok := plainPattern(match); ok && end == endExact && !slices.ContainsFunc(heads, func(h string) bool { return covers(s.path, h) }) {
			continue
		}
		if who := r.admissionOf([]*scope{s}); (who.allow != nil || who.file != "") && strings.HasPrefix(s.path, at) {
			return s
		}
	}
	return nil
}

// sameAsPrefix reports whether what an expression takes would go to the same
// place without it.
func (r *resolver) sameAsPrefix(rl *rule) bool {
	at := literalHead(rl.match)
	if i := strings.LastIndexByte(at, '/'); i >= 0 {
		at = at[:i+1]
	}
	if rl.act.kind != toBackend || at == "" || rl.act.whole {
		return false
	}
	own, ok := r.render(at, choice{rule: rl, at: at})
	if !ok {
		return false
	}
	for _, upgrade := range []bool{false, true} {
		if upgrade && !rl.upgrade || !upgrade && !rl.plain {
			continue
		}
		other, ok := r.render(at, r.choose(at, upgrade))
		if !ok || other.body() != own.body() {
			return false
		}
	}
	rl.used = true
	return true
}
