package apacheimport

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// place makes a rule of where the requests come from (the pattern, in its
// scope) and what of their path becomes the target's. nil: it was noted.
func (w *rewriter) place(r rewrite, h held, t target) *rule {
	base := w.base(r.scope)
	expr, beside := withoutLookahead(r.line.Arg(0))
	h.except = append(h.except[:len(h.except):len(h.except)], beside...)
	p, simple := parsePattern(expr)
	t.path = cutQuery(t.path)
	var rl *rule
	if simple && len(p.heads) > 0 && p.end != endExact && sameButSlash(p.heads) {
		rl = rewritten(p, t, base)
	}
	if rl == nil && simple && len(p.heads) > 1 && p.end != endExact && t.path == "%{REQUEST_URI}" {
		rl = rewritten(pattern{heads: []string{""}, anchored: true}, t, base)
		h.only = nil // the heads say more
		for _, head := range p.heads {
			h.only = append(h.only, cmp.Or(base, "/")+strings.TrimPrefix(head, "/"))
		}
	}
	if rl == nil {
		var problem string
		if rl, problem = matching(expr, hasFlag(r.flags(), "nc", "nocase"), t, base); problem != "" {
			w.needs(r, problem)
			return nil
		}
	}
	return w.narrow(r, h, rl)
}

// narrow applies the conditions on paths, and the section, to a rule.
func (w *rewriter) narrow(r rewrite, h held, rl *rule) *rule {
	if h.match != "" && !sameExpression(h.match, rl.match) {
		if rl.match != "" || rl.prefix != "/" || rl.act.from != rl.act.to && !rl.act.whole {
			w.needs(r, "two expressions on the path do not fit into one route; write one with match: that says both")
			return nil
		}
		if _, err := compile(h.match, false); err != nil {
			w.needs(r, err.Error()+"; write a route with match: for what is meant")
			return nil
		}
		rl.match = h.match
	}
	if rl.match != "" && len(h.except) > 0 {
		w.needs(r, "an expression on the path with exceptions from it does not fit into one route; write one with match: that says both")
		return nil
	}
	rl.except = h.except
	only := h.only
	if r.scope.kind == inLocation {
		only = within(only, r.scope.path)
		if only == nil {
			w.skip(r, "its conditions never hold in its section")
			return nil
		}
	}
	if only == nil {
		return rl
	}
	if rl.match != "" {
		if !strings.HasPrefix(literalHead(rl.match), only[0]) && only[0] != "/" {
			w.needs(r, "a condition on the path beside an expression does not fit into one route; write one with match: that says both")
			return nil
		}
		return rl
	}
	fitting := within(only, rl.prefix)
	if len(fitting) == 0 {
		w.skip(r, "its conditions never hold for the paths of its pattern")
		return nil
	}
	rl.prefix = fitting[0]
	for _, prefix := range fitting[1:] {
		more := *rl
		more.prefix = prefix
		w.add(r, h, &more)
	}
	return rl
}

// sameExpression reports whether a condition on the path says no more than the
// pattern behind it, as it does where one was copied from the other.
func sameExpression(cond, pattern string) bool {
	bare := func(expr string) string {
		return strings.TrimSuffix(strings.NewReplacer("(?:", "(?:", "(", "", ")", "").Replace(strings.TrimPrefix(expr, "(?i)")), ".*")
	}
	return pattern != "" && bare(cond) == bare(pattern)
}

// within is what prefixes and another one have in common. nil stands for all.
func within(prefixes []string, other string) []string {
	if prefixes == nil {
		return []string{other}
	}
	var common []string
	for _, p := range prefixes {
		switch {
		case covers(other, p):
			common = append(common, p)
		case covers(p, other):
			common = append(common, other)
		}
	}
	return common
}

// add takes a rule into the vhost's.
func (w *rewriter) add(r rewrite, h held, rl *rule) {
	rl.plain, rl.upgrade = h.plain == always, h.upgrade == always
	rl.from = r.lines()
	if rl.match == "" && h.only == nil && r.scope.kind == inServer {
		rl.line = r.line
	}
	if r.scope.kind == inDirectory {
		rl.stage = atFolder
	}
	if h.noFile || w.filesFirst[r.scope] {
		rl.files = w.folderOf(r.scope)
	}
	for _, c := range h.loose {
		w.remark("the expression ends within a segment, so that in Apache the beginning of a longer name fits it as well; here whole segments do, as is meant", c)
	}
	for _, prefix := range within(h.anyway, rl.prefix) {
		if h.anyway == nil || rl.match != "" {
			break
		}
		more := *rl
		more.prefix, more.files, more.line = prefix, "", nil
		w.rules = append(w.rules, &more)
	}
	w.rules = append(w.rules, rl)
	w.done(r)
}

// base is the path in front of what patterns of a scope see: they see it
// without in folders.
func (w *rewriter) base(s *scope) string {
	if s.kind != inDirectory {
		return ""
	}
	if s.base != "" {
		if clean, ok := requestPath(s.base); ok {
			return strings.TrimSuffix(clean, "/") + "/"
		}
	}
	return strings.TrimSuffix(w.v.urlOf(s.path), "/") + "/"
}

// folderOf is the folder whose files a scope's conditions ask for.
func (w *rewriter) folderOf(s *scope) string {
	if s.kind == inDirectory {
		return s.path
	}
	if w.v.docRoot != nil {
		return w.v.docRoot.Arg(0)
	}
	return ""
}

// groupForm is a reference to a group of the last condition.
var groupForm = regexp.MustCompile(`%([0-9])`)

// fill puts what is known into a target: the host, and groups of conditions.
func (w *rewriter) fill(written string, h held, flags string) (url, problem string) {
	if strings.Contains(written, "${") {
		return "", "the target is looked up for each request (RewriteMap); write a route for each backend, or have one backend choose"
	}
	url = groupForm.ReplaceAllStringFunc(written, func(ref string) string {
		n, _ := strconv.Atoi(ref[1:])
		if n < len(h.groups) {
			return h.groups[n]
		}
		return ref
	})
	t := trial{cond: &apacheconf.Directive{}, secure: w.v.secure(), host: w.host}
	url = variableForm.ReplaceAllStringFunc(url, func(found string) string {
		if strings.EqualFold(found, "%{REQUEST_URI}") {
			return "%{REQUEST_URI}"
		}
		if strings.EqualFold(found, "%{QUERY_STRING}") {
			return "%{QUERY_STRING}"
		}
		text, ok := t.expand(found, plainRequest)
		if !ok || text == w.host && w.anyHost && hasFlag(flags, "p", "proxy") {
			return found
		}
		return text
	})
	rest := strings.NewReplacer("%{REQUEST_URI}", "", "%{QUERY_STRING}", "").Replace(url)
	if strings.Contains(rest, "%{") || groupForm.MatchString(rest) {
		return "", "the target " + printable(written, 80) + " is not known before a request comes" + laterAdvice
	}
	return url, ""
}

// cutQuery takes away a query that is the request's own, which goes along
// anyway.
func cutQuery(path string) string {
	for _, own := range []string{"?%{QUERY_STRING}", "?"} {
		if rest, ok := strings.CutSuffix(path, own); ok {
			return rest
		}
	}
	return path
}

func sameButSlash(heads []string) bool {
	for _, h := range heads[1:] {
		if strings.TrimSuffix(h, "/") != strings.TrimSuffix(heads[0], "/") {
			return false
		}
	}
	return true
}
