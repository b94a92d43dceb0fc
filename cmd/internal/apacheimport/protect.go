package apacheimport

import (
	"slices"
	"strings"
)

// protected writes the routes of sections that protect what an expression
// takes. They come before all others, as all with an expression do.
func (r *resolver) protected() {
	for _, s := range r.v.scopes {
		if s.expr == "" || !s.access.restricts() || !r.boundHere(s) {
			continue
		}
		if _, err := compile(s.expr, false); err != nil {
			r.needsYou(s.section, err.Error()+", and what it protects is NOT protected here: write a route with match for it, with allow or basic_auth")
			continue
		}
		r.protect(s)
	}
}

// boundHere reports whether an expression on names of files is one on all
// paths.
func (r *resolver) boundHere(s *scope) bool {
	root := ""
	if r.v.docRoot != nil {
		root = strings.TrimSuffix(r.v.docRoot.Arg(0), "/")
	}
	if s.folderOnly == "" || s.folderOnly == everywhere || s.folderOnly == root || s.folderOnly == "/" {
		return true
	}
	r.needsYou(s.section, "it protects files of one folder, and they are NOT protected here: write a route with match for them, with allow or basic_auth")
	return false
}

// protect writes the route of one such section: to the backend that has these
// paths anyway, for those who may come, or else to nobody.
func (r *resolver) protect(s *scope) {
	head := folderOf(literalHead(s.expr))
	p, u := r.choose(head, false), r.choose(head, true)
	r.extra = s
	own, ok := r.render(head, p)
	r.extra = nil
	if !slices.Contains(own.from, s.section) {
		own.from = append(own.from, s.section)
	}
	own.path, own.match = "", s.expr
	who := r.admit(s.access, s.access)
	nobody := who.file == "" && who.allow != nil && len(who.allow) == 0
	if ok && own.kind == "app" && p.rule.act.pathAt(head) == head && r.uniform(s.expr, p) {
		r.routes = append(r.routes, own)
		return
	}
	if !nobody {
		r.needsYou(s.section, "what it protects are files, or goes to more than one place, for which a route has no expression: until you write routes with a path for it, with allow or basic_auth, it is closed to everybody")
	}
	shut := route{match: s.expr, from: own.from}
	refusal := shut
	refusal.kind, refusal.target = "redirect", "{status: 403}"
	r.routes = append(r.routes, refusal)
	r.shut(shut, head, u)
}

// folderOf is the path up to the last slash of a beginning of one.
func folderOf(head string) string {
	return "/" + strings.TrimPrefix(head[:strings.LastIndexByte(head, '/')+1], "/")
}

// uniform reports whether all that an expression takes goes to one place.
func (r *resolver) uniform(expr string, p choice) bool {
	for _, head := range headsOf(expr) {
		if r.choose(folderOf(head), false).rule != p.rule {
			return false
		}
		for _, at := range r.prefixes() {
			if strings.HasPrefix(at, head) && r.choose(at, false).rule != p.rule {
				return false
			}
		}
	}
	return true
}

// shut keeps WebSocket handshakes, which a refusal by redirect does not take,
// from the backend that would get them: with one it could be asked for the
// same page.
func (r *resolver) shut(rt route, at string, u choice) {
	if u.rule == nil || u.rule.act.kind != toBackend {
		return
	}
	own, ok := r.render(at, u)
	if !ok {
		return
	}
	own = own.asTunnel()
	own.path, own.match, own.from = rt.path, rt.match, rt.from
	own.why = "nor by a handshake"
	var kept []option
	for _, o := range own.options {
		if o.name != "allow" && o.name != "basic_auth" {
			kept = append(kept, o)
		}
	}
	own.options = append(kept, option{"allow", "[]"})
	r.routes = append(r.routes, own)
}
