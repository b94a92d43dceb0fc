package apacheimport

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// endKind says what may follow the literal beginning of a pattern.
type endKind int

const (
	endOpen     endKind = iota // anything: the pattern ends there
	endRest                    // anything, which a group may hold
	endBoundary                // the end, or a slash and anything
	endExact                   // nothing
)

// pattern is an expression on the path that is as good as a prefix.
type pattern struct {
	heads    []string // the literal beginnings, one of which it takes
	anchored bool     // by ^, or because it takes everything
	end      endKind
	group    int  // that holds the rest; 0: none
	slashed  bool // the group holds the slash in front of the rest as well
	whole    bool // the group holds the beginning as well
}

// maxHeads is how many beginnings an expression like ^/(a|b|c)/ may stand for.
const maxHeads = 16

// parsePattern understands ^/app/(.*), /(.*), ^, .*, ^/(static|media)/ and
// their like. ok is false for what is no prefix.
func parsePattern(expr string) (p pattern, ok bool) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return p, false
	}
	list := elements(re)
	p.anchored, list = cutBegin(list)
	ended, list := cutEnd(list)
	if len(list) == 1 && list[0].Op == syntax.OpCapture && !isAny(list[0].Sub[0]) {
		inner := elements(list[0].Sub[0])
		begins, inner := cutBegin(inner)
		ends, inner := cutEnd(inner)
		p.group, p.whole = list[0].Cap, true
		p.anchored, ended, list = p.anchored || begins, ended || ends, inner
	}
	if ended {
		p.end = endExact
	}
	list, p.slashed = slashOut(list)
	if n := len(list); n > 0 {
		if group, end, rest := restOf(list[n-1]); rest {
			list, p.end = list[:n-1], end
			if !p.whole {
				p.group = group
			}
		}
	}
	p.heads, ok = expandAll(list)
	if !ok || p.whole && p.end == endOpen {
		return p, false // a group that ends before the path does
	}
	if slices.Contains(p.heads, "") && p.end != endExact || slices.Equal(p.heads, []string{"/"}) && p.end != endExact {
		p.anchored = true // it takes everything
	}
	return p, true
}

// plainPattern is parsePattern for where an expression only says which paths.
func plainPattern(expr string) (heads []string, end endKind, ok bool) {
	p, ok := parsePattern(expr)
	if !ok || !p.anchored {
		return nil, 0, false
	}
	for i, h := range p.heads {
		if h == "" {
			h = "/"
		}
		if p.heads[i], ok = requestPath(h); !ok {
			return nil, 0, false
		}
	}
	return p.heads, p.end, true
}

func elements(re *syntax.Regexp) []*syntax.Regexp {
	switch re.Op {
	case syntax.OpConcat:
		return re.Sub
	case syntax.OpEmptyMatch:
		return nil
	}
	return []*syntax.Regexp{re}
}

func cutBegin(list []*syntax.Regexp) (bool, []*syntax.Regexp) {
	if len(list) > 0 && (list[0].Op == syntax.OpBeginText || list[0].Op == syntax.OpBeginLine) {
		return true, list[1:]
	}
	return false, list
}

func cutEnd(list []*syntax.Regexp) (bool, []*syntax.Regexp) {
	if n := len(list); n > 0 && isEnd(list[n-1]) {
		return true, list[:n-1]
	}
	return false, list
}

func isEnd(re *syntax.Regexp) bool { return re.Op == syntax.OpEndText || re.Op == syntax.OpEndLine }

func isAny(re *syntax.Regexp) bool {
	if re.Op != syntax.OpStar && re.Op != syntax.OpPlus {
		return false
	}
	return re.Sub[0].Op == syntax.OpAnyCharNotNL || re.Sub[0].Op == syntax.OpAnyChar
}

// restOf understands what may stand for the rest of a path: .*, (.*), (/.*)?
// and (/|$).
func restOf(re *syntax.Regexp) (group int, end endKind, ok bool) {
	optional := re.Op == syntax.OpQuest
	if optional {
		re = re.Sub[0]
	}
	if re.Op == syntax.OpCapture {
		group, re = re.Cap, re.Sub[0]
	}
	switch {
	case isAny(re) && !optional:
		return group, endRest, true
	case optional && re.Op == syntax.OpConcat && len(re.Sub) == 2 && isSlash(re.Sub[0]):
		inner, _, rest := restOf(re.Sub[1])
		if group == 0 {
			group = inner // it lacks the slash
		}
		return group, endBoundary, rest
	case re.Op == syntax.OpAlternate && len(re.Sub) == 2 && isSlash(re.Sub[0]) && isEnd(re.Sub[1]):
		return 0, endBoundary, true
	case re.Op == syntax.OpAlternate && len(re.Sub) == 2 && isEnd(re.Sub[0]) && isSlash(re.Sub[1]):
		return 0, endBoundary, true
	}
	return 0, 0, false
}

// slashOut takes the slash out of a last element (/.*).
func slashOut(list []*syntax.Regexp) ([]*syntax.Regexp, bool) {
	n := len(list)
	if n == 0 || list[n-1].Op != syntax.OpCapture {
		return list, false
	}
	inner := list[n-1].Sub[0]
	if inner.Op != syntax.OpConcat || len(inner.Sub) != 2 || !isSlash(inner.Sub[0]) || !isAny(inner.Sub[1]) {
		return list, false
	}
	rest := *list[n-1]
	rest.Sub = inner.Sub[1:]
	return append(list[:n-1:n-1], inner.Sub[0], &rest), true
}

func isSlash(re *syntax.Regexp) bool {
	return re.Op == syntax.OpLiteral && string(re.Rune) == "/"
}

// expandAll is the texts that a row of elements stands for.
func expandAll(list []*syntax.Regexp) ([]string, bool) {
	texts := []string{""}
	for _, re := range list {
		next, ok := expand(re)
		if !ok || len(texts)*len(next) > maxHeads {
			return nil, false
		}
		var longer []string
		for _, a := range texts {
			for _, b := range next {
				longer = append(longer, a+b)
			}
		}
		texts = longer
	}
	return texts, true
}

func expand(re *syntax.Regexp) ([]string, bool) {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase != 0 {
			return []string{strings.ToLower(string(re.Rune))}, true
		}
		return []string{string(re.Rune)}, true
	case syntax.OpAnyCharNotNL, syntax.OpAnyChar:
		return []string{"."}, true // /socket.io, whose dot nobody escapes
	case syntax.OpEmptyMatch:
		return []string{""}, true
	case syntax.OpCapture, syntax.OpConcat:
		return expandAll(re.Sub)
	case syntax.OpQuest:
		texts, ok := expand(re.Sub[0])
		return append([]string{""}, texts...), ok
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			texts, ok := expand(sub)
			if !ok || len(all)+len(texts) > maxHeads {
				return nil, false
			}
			all = append(all, texts...)
		}
		return all, true
	case syntax.OpCharClass:
		var all []string
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if all = append(all, string(r)); len(all) > maxHeads {
					return nil, false
				}
			}
		}
		return all, len(all) > 0
	}
	return nil, false
}

// lookahead is a negative one at the beginning of a path, of plain words.
var lookahead = regexp.MustCompile(`^\^/?\(\?!/?([^()]+)\)(.*)$`)

// withoutLookahead is an expression without a negative lookahead at its
// beginning, which RE2 does not know, and what that excepts.
func withoutLookahead(expr string) (plain string, except []string) {
	m := lookahead.FindStringSubmatch(expr)
	if m == nil {
		return expr, nil
	}
	heads, _, ok := plainPattern("^/(?:" + m[1] + ")")
	if !ok {
		return expr, nil
	}
	return "^/" + strings.TrimPrefix(m[2], "/"), heads
}

// literalHead is the text with which all that an expression takes begins.
func literalHead(expr string) string {
	heads := headsOf(expr)
	if len(heads) != 1 {
		common := heads[0]
		for _, h := range heads[1:] {
			for !strings.HasPrefix(h, common) {
				common = common[:len(common)-1]
			}
		}
		return common
	}
	return heads[0]
}

// headsOf are the texts with one of which all begins that an expression takes;
// at least one, which may be empty.
func headsOf(expr string) []string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return []string{""}
	}
	anchored, list := cutBegin(elements(re))
	if !anchored {
		return []string{""}
	}
	heads := []string{""}
	for i := range list {
		if list[i].Op == syntax.OpLiteral && list[i].Flags&syntax.FoldCase != 0 || list[i].Op == syntax.OpAnyCharNotNL {
			break
		}
		longer, ok := expandAll(list[:i+1])
		if !ok {
			break
		}
		heads = longer
	}
	return heads
}

// requestPath brings a path of Apache's into wsfront's form. ok is false for
// what no request has, or what wsfront gives another meaning.
func requestPath(s string) (path string, ok bool) {
	if s == "" || s[0] != '/' || strings.ContainsAny(s, "%*{}") {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < 0x20 || c == 0x7f:
			return "", false
		case c == '/' && i > 0 && s[i-1] == '/':
		case isPathChar(c):
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	for segment := range strings.SplitSeq(b.String()[1:], "/") {
		if segment == "." || segment == ".." {
			return "", false
		}
	}
	return b.String(), true
}

// isPathChar is pchar of RFC 3986 §3.3 and the slash, without the percent sign.
func isPathChar(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("/-._~!$&'()+,;=:@", c) >= 0
}

// compile makes an expression of Apache's (PCRE) one of Go's; fold is NC.
func compile(expr string, fold bool) (*regexp.Regexp, error) {
	if fold {
		expr = "(?i)" + expr
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("the expression has what RE2 does not know (%v)", err)
	}
	return re, nil
}
