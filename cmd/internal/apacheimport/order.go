package apacheimport

import (
	"slices"
	"strings"
)

// before finds a rule with a path that Apache asks before an expression and
// that takes some of the same requests elsewhere: wsfront asks expressions
// first. all says that it takes all of them. at is what they begin with.
func (r *resolver) before(rl *rule, at string) (other *rule, all bool) {
	heads, end, simple := plainPattern(rl.match)
	from := atSection
	for _, earlier := range r.rules[:slices.Index(r.rules, rl)] {
		if earlier.match != "" || earlier.stage < from || !(earlier.plain && rl.plain || earlier.upgrade && rl.upgrade) {
			continue
		}
		if earlier.act.kind == toNext && rl.stage >= earlier.act.stops {
			if covers(earlier.prefix, at) { // an exception from what would take them
				from = earlier.act.stops
			}
			continue
		}
		if simple && end == endExact && !slices.ContainsFunc(heads, func(h string) bool { return covers(earlier.prefix, h) }) {
			continue
		}
		whole := covers(earlier.prefix, at) && (earlier.prefix != at || strings.HasSuffix(at, "/")) && len(earlier.except) == 0
		if !whole && !strings.HasPrefix(earlier.prefix, at) || r.sameEnd(rl, earlier, max(at, earlier.prefix)) {
			continue
		}
		whole = whole && (earlier.plain || !rl.plain) && (earlier.upgrade || !rl.upgrade)
		if other == nil || whole {
			other, all = earlier, whole
		}
	}
	return other, all
}

// sameEnd reports whether two rules send the requests below a path to the same
// place.
func (r *resolver) sameEnd(a, b *rule, at string) bool {
	if a.act.whole {
		return false
	}
	one, ok := r.render(at, choice{rule: a, at: at})
	other, okToo := r.render(at, choice{rule: b, at: at})
	return ok && okToo && one.body() == other.body()
}

// outOfOrder tells where an expression is asked before what Apache asks before
// it, and reports whether Apache never comes to it.
func (r *resolver) outOfOrder(rl *rule, at string) (hidden bool) {
	for _, s := range r.v.scopes {
		if s.kind == inLocation && len(s.fields.lines)+len(s.request.lines) > 0 && strings.HasPrefix(s.path, at) && !covers(s.path, at) {
			r.remark("the header fields that "+s.section.Position.String()+" sets are not set for what this expression takes: write headers or request_headers at its route if they should be", lastLine(rl.from))
		}
	}
	earlier, all := r.before(rl, at)
	switch {
	case earlier == nil:
		return false
	case !all && rl.act.kind == toStatus:
		return false // refusing more than Apache harms nobody
	case all && (earlier.stage == rl.stage || rl.act.kind == toStatus):
		r.remark("in Apache "+earlier.from[0].Position.String()+" hid this line, which no request ever reaches; the imported routes put it first", rl.from...)
		return false
	case all:
		r.remark("left out: in Apache "+earlier.from[0].Position.String()+" takes its requests before, so that none ever reaches this line", rl.from...)
		return true
	}
	r.needsYou(lastLine(rl.from), "in Apache "+earlier.from[0].Position.String()+" comes first, but wsfront asks expressions first, so that requests at "+earlier.prefix+" that this expression takes come here: narrow the expression in match, or write it as a path")
	return false
}
