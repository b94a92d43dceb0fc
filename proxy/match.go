package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"regexp/syntax"
	"strings"

	"wsfront/proxy/diagnosis"
)

// compileMatch understands a Match.
func compileMatch(written string) (*regexp.Regexp, error) {
	pattern, err := regexp.Compile(written)
	if err != nil {
		return nil, fmt.Errorf("%q is no regular expression of RE2: %s", written, patternHint(written, err))
	}
	// As an .htaccess file has it, where the slash is left out.
	if bare, ok := strings.CutPrefix(written, "^"); ok && len(bare) > 1 && isWordChar(bare[0]) && !strings.ContainsAny(bare, "|") && !strings.ContainsAny(bare[1:2], "?*{") {
		return nil, fmt.Errorf("%q can never match, as paths begin with /; write ^/%s", written, bare)
	}
	return pattern, nil
}

func isWordChar(c byte) bool { return isUnreserved(c) && c != '.' }

// patternHint says what is wrong with a pattern, and what to write instead of
// what Perl's have and RE2 has not.
func patternHint(written string, err error) string {
	for _, form := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
		if strings.Contains(written, form) {
			return "it has no lookahead or lookbehind " + form + "; write the paths that are meant, or give those that are not a route of their own before this one"
		}
	}
	var mistake *syntax.Error
	if !errors.As(err, &mistake) {
		return err.Error()
	}
	hint := "write one such as ^/(sockjs/.*)$"
	switch {
	case strings.Contains(written, "(?>"), strings.HasSuffix(mistake.Expr, "++"), strings.HasSuffix(mistake.Expr, "*+"), strings.HasSuffix(mistake.Expr, "?+"):
		hint = "it never goes back, so that it needs neither (?> nor ++; write the plain form"
	case mistake.Code == syntax.ErrInvalidEscape && len(mistake.Expr) == 2 && '1' <= mistake.Expr[1] && mistake.Expr[1] <= '9':
		hint = "it cannot ask for the same text again (" + mistake.Expr + "); write what may stand there"
	}
	return fmt.Sprintf("%s: %q; %s", mistake.Code, mistake.Expr, hint)
}

// pathTemplate is the path of a target in which groups of the route's pattern
// stand: each piece is a text and the group behind it. Nil for none.
type pathTemplate []templatePiece

type templatePiece struct {
	text  string
	group int // noGroup at the end
}

const noGroup = -1

// bareGroups writes ${1} as $1, which a URL may hold.
func bareGroups(target string) string {
	for _, digit := range "0123456789" {
		target = strings.ReplaceAll(target, "${"+string(digit)+"}", "$"+string(digit))
	}
	return target
}

// parseTemplate parts a clean path at its groups, $0 (the whole match) to $9,
// of which last is the one with the highest number.
func parseTemplate(path string) (t pathTemplate, last int) {
	last = noGroup
	from := 0
	for i := 0; i+1 < len(path); i++ {
		if c := path[i+1]; path[i] == '$' && '0' <= c && c <= '9' {
			group := int(c - '0')
			t = append(t, templatePiece{path[from:i], group})
			last, from = max(last, group), i+2
		}
	}
	return append(t, templatePiece{path[from:], noGroup}), last
}

// groupInHost refuses a target whose host would be the client's to choose, or
// whose path has no slash before it.
func groupInHost(target string) error {
	scheme, rest, _ := strings.Cut(target, "://")
	host, path, _ := strings.Cut(rest, "/")
	before, group, ok := strings.Cut(bareGroups(host), "$")
	switch {
	case !ok:
		return nil
	case before != "" && len(group) == 1 && path == "":
		return fmt.Errorf("a group of match has its place in the path, behind a slash; write %s://%s/$%s", scheme, before, group)
	}
	return errors.New("a group of match has its place in the path, not in the host; write the host out")
}

// template understands the path of the route's target. It is nil where the
// request's path is kept, or Path replaced.
func (r *Route) template(path string) (pathTemplate, error) {
	t, last := parseTemplate(path)
	switch {
	case strings.Contains(path, "$%7B"):
		return nil, errors.New("a group is written by its number; write $1 to $9, or ${1}")
	case r.Match == "" && last != noGroup:
		return nil, fmt.Errorf("$%d stands for what a group of match took; write match in place of path, or %%24 if the sign itself is meant", last)
	case r.Match == "" || path == "":
		return nil, nil
	}
	// A pattern that is none is a mistake of match, and said there.
	if pattern, err := compileMatch(r.Match); err == nil && last > pattern.NumSubexp() {
		return t, fmt.Errorf("match has no group $%d, as it has %d in round brackets; write a lower number, or one more group", last, pattern.NumSubexp())
	}
	return t, nil
}

// parseBackend understands the route's app or tunnel. Of a route with Match the
// backend has no path of its own: the template stands for it.
func (r *Route) parseBackend(written, plain, secure string) (*backend, pathTemplate, error) {
	if err := groupInHost(written); err != nil {
		return nil, nil, err
	}
	b, err := parseBackend(bareGroups(written), plain, secure)
	if err != nil {
		return nil, nil, err
	}
	b.written = written
	t, err := r.template(b.path)
	if t != nil {
		b.path = ""
	}
	return b, t, err
}

// errTargetEscapes says that what the groups took led out of the target's
// written beginning.
var errTargetEscapes = errors.New("the path that match makes of it climbs out of what is written before its groups")

// appendTarget appends the path that the route's template makes of a path which
// its pattern matches. It is made clean again: put together anew, the pieces may
// hold a segment ".." or an escape that the request's path had not.
func (rt *route) appendTarget(b, path []byte) ([]byte, error) {
	from := len(b)
	groups := rt.pattern.FindSubmatchIndex(path)
	for _, piece := range rt.template {
		b = append(b, piece.text...)
		if i := 2 * piece.group; i >= 0 && i < len(groups) && groups[i] >= 0 {
			b = append(b, path[groups[i]:groups[i+1]]...)
		}
	}
	if isClean(b[from:]) {
		return b, nil
	}
	clean, err := cleanPath(string(b[from:]))
	if err == nil && !strings.HasPrefix(clean, rt.template[0].text) {
		err = errTargetEscapes
	}
	return append(b[:from], clean...), err
}

// makeTarget makes the path that a route with a template sends the request on
// with. It reports false when the request has been refused.
func (x *exchange) makeTarget() bool {
	from := len(x.scratch)
	made, err := x.route.appendTarget(x.scratch, x.path)
	if err == nil && !x.route.EncodedSlashes && hasEncodedSlash(made[from:]) {
		err = errors.New("an encoded slash in the path that match makes of it")
	}
	if err != nil {
		x.failFor(diagnosis.PathUnknown, http.StatusBadRequest, err.Error(), unknownAddressHint)
		return false
	}
	x.scratch = made
	x.target = made[from:len(made):len(made)]
	return true
}
