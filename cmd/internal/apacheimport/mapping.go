package apacheimport

import (
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// rewritten makes a rule of a pattern that is as good as a prefix and a target
// whose path is fixed in front, with the rest of the request's behind. base
// stands in front of what the pattern sees, in folders. nil: they are not.
func rewritten(p pattern, t target, base string) *rule {
	head, consumed := shortest(p.heads), longest(p.heads)
	if base != "" {
		head, consumed = base+strings.TrimPrefix(head, "/"), base+strings.TrimPrefix(consumed, "/")
	}
	prefix := head
	if prefix == "" {
		prefix = "/"
	}
	if p.end == endBoundary && prefix != "/" {
		prefix = strings.TrimSuffix(prefix, "/")
	}
	if p.whole {
		consumed = base
	}
	if lead, ok := strings.CutSuffix(t.path, "$0"); ok && p.anchored && p.end == endRest && base == "" {
		t.path = lead + "%{REQUEST_URI}" // the whole path
	}
	from, to, ok := mappingOf(p, t, consumed)
	if !ok {
		return nil
	}
	clean, ok := requestPath(prefix)
	if !ok {
		return nil
	}
	r := &rule{prefix: clean, anchored: p.anchored, open: !p.boundary(), doubled: strings.Contains(to, "//")}
	a := t.action
	if a.from, ok = requestPath(from); !ok {
		return nil
	}
	if a.to, ok = requestPath(to); !ok {
		return nil
	}
	r.act = &a
	return r
}

// mappingOf is what of the path is replaced, and by what.
func mappingOf(p pattern, t target, consumed string) (from, to string, ok bool) {
	if lead, own := strings.CutSuffix(t.path, "%{REQUEST_URI}"); own {
		if strings.ContainsAny(lead, "$%") {
			return "", "", false
		}
		if lead == "/" {
			lead = "" // a doubled slash, which wsfront makes one
		}
		return "/", lead + "/", true
	}
	lead, own := strings.CutSuffix(t.path, "$"+strconv.Itoa(p.group))
	if !own || p.group == 0 || strings.Contains(lead, "$") || strings.Contains(lead, "?") {
		return "", "", false
	}
	if p.slashed {
		lead += "/"
	}
	if consumed == "" {
		return "/", lead + "/", true
	}
	if lead == "" {
		lead = "/"
	}
	return consumed, lead, true
}

// boundary reports whether a pattern ends where a segment does.
func (p pattern) boundary() bool {
	head := shortest(p.heads)
	return p.end == endBoundary || head == "" || strings.HasSuffix(head, "/")
}

func shortest(list []string) string {
	s := list[0]
	for _, other := range list[1:] {
		if len(other) < len(s) {
			s = other
		}
	}
	return s
}

func longest(list []string) string {
	s := list[0]
	for _, other := range list[1:] {
		if len(other) > len(s) {
			s = other
		}
	}
	return s
}

// groupRef is a reference to a group in a target, as Apache reads it: of one
// digit.
var groupRef = regexp.MustCompile(`\$([0-9])`)

// beginsWithName is an expression that lacks its ^, as is plain from the path
// that it begins with.
var beginsWithName = regexp.MustCompile(`^/[A-Za-z0-9_-]{2,}/`)

// matching makes a rule of an expression as it is. problem says why it cannot
// be, and what to do.
func matching(expr string, fold bool, t target, base string) (r *rule, problem string) {
	if base != "" {
		rest, anchored := strings.CutPrefix(expr, "^")
		if !anchored {
			rest = ".*" + rest
		}
		if strings.Contains(rest, "|") {
			rest = "(?:" + rest + ")"
		}
		expr = "^" + regexp.QuoteMeta(base) + rest
	}
	meant := t.action.kind == toBackend && base == "" && beginsWithName.MatchString(expr)
	if meant {
		expr = "^" + expr
	}
	re, err := compile(expr, fold)
	if err != nil {
		return nil, err.Error() + "; write a route for what is meant, see deploy/docs/configuration.md"
	}
	r = &rule{match: expr, meant: meant}
	if fold {
		r.match = "(?i)" + expr
	}
	a := t.action
	a.from, a.to = "/", "/"
	r.act = &a
	if t.path == "%{REQUEST_URI}" || t.path == "/%{REQUEST_URI}" {
		return r, ""
	}
	path, query, asks := strings.Cut(t.path, "?")
	if asks && a.kind != toRedirect || strings.Contains(path, "%") {
		return nil, "the target has a query or a path that a route cannot make; write a route for what is meant"
	}
	a.whole = true
	a.to = groupRef.ReplaceAllStringFunc(path, func(ref string) string { return "${" + ref[1:] + "}" })
	for _, ref := range groupRef.FindAllStringSubmatch(path, -1) {
		if n, _ := strconv.Atoi(ref[1]); n > re.NumSubexp() {
			return nil, "the target names the group $" + ref[1] + ", which the expression does not have"
		}
	}
	slashed := leadsWithSlash(re, a.to)
	if !strings.HasPrefix(a.to, "/") && (a.kind == toBackend || !slashed) {
		if a.kind == toBackend && !slashed && !beginsPath(re, a.to) {
			return nil, "the group behind " + printable(a.address, 60) + " need not begin with a slash, so that it may be a part of the backend's name: write a route for each backend, or put the slash between"
		}
		a.to = "/" + a.to
	}
	switch {
	case asks:
		a.query = query
	case sameGroup(expr, a.to):
		a.whole, a.to = false, "/"
	}
	return r, ""
}

// sameGroup reports whether a target is the path that an expression takes, by
// way of its one group.
func sameGroup(expr, to string) bool {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return false
	}
	begins, list := cutBegin(elements(re))
	ends, list := cutEnd(list)
	if len(list) == 2 && isSlash(list[0]) && to == "/${1}" {
		list = list[1:]
	} else if to != "${1}" {
		return false
	}
	return begins && ends && len(list) == 1 && list[0].Op == syntax.OpCapture
}

// beginsPath reports whether a target begins with a group that takes the path
// from its beginning, but for the slash.
func beginsPath(re *regexp.Regexp, to string) bool {
	text := strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(re.String(), "(?i)"), "^"), "/?")
	return strings.HasPrefix(to, "${1}") && strings.HasPrefix(text, "(") || strings.HasPrefix(to, "${0}")
}

// leadsWithSlash reports whether what a target begins with is a group that
// holds a path from its first slash on.
func leadsWithSlash(re *regexp.Regexp, to string) bool {
	text := re.String()
	i := strings.IndexByte(text, '(')
	return strings.HasPrefix(to, "${1}") && i >= 0 && strings.HasPrefix(text[i:], "(/")
}
