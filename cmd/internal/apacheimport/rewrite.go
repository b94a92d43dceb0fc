package apacheimport

import (
	"slices"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// rewrite is a RewriteRule with the conditions in front of it.
type rewrite struct {
	line  *apacheconf.Directive
	conds []*apacheconf.Directive
	scope *scope
}

func (r rewrite) lines() []*apacheconf.Directive {
	return append(append([]*apacheconf.Directive{}, r.conds...), r.line)
}

func (r rewrite) flags() string { return strings.Join(r.line.Args[min(2, len(r.line.Args)):], "") }

// rewriteDirective is a directive of mod_rewrite.
func (im *importer) rewriteDirective(v *vhost, d *apacheconf.Directive, s *scope) {
	switch strings.ToLower(d.Name) {
	case "rewriteengine":
		s.rewriting = d
		im.imported(d)
	case "rewritebase":
		s.base = d.Arg(0)
		im.imported(d)
	case "rewritecond":
		s.conds = append(s.conds, d)
	case "rewriterule":
		v.rewrites = append(v.rewrites, rewrite{d, s.conds, s})
		s.conds = nil
	}
}

// rewriter makes rules of a vhost's rewrites, as they are for one host.
type rewriter struct {
	*importer
	v    *vhost
	host string
	// anyHost says that host only stands for those that a request may name.
	anyHost bool
	// filesFirst are scopes in which an earlier rule lets existing files be.
	filesFirst map[*scope]bool
	rules      []*rule
}

func (im *importer) rewriteRules(v *vhost, host string) []*rule {
	w := &rewriter{importer: im, v: v, host: host, anyHost: !slices.Contains(v.names, host), filesFirst: map[*scope]bool{}}
	for _, r := range v.rewrites {
		w.rewrite(r)
	}
	return w.rules
}

func (w *rewriter) needs(r rewrite, message string) {
	for _, c := range r.conds {
		w.goesWith(c, r.line)
	}
	w.needsYou(r.line, message)
}

func (w *rewriter) skip(r rewrite, because string) {
	for _, d := range r.lines() {
		w.notNeeded(d, because)
	}
}

func (w *rewriter) done(r rewrite) {
	for _, d := range r.lines() {
		w.imported(d)
	}
}

// What stays in Apache with an app inside it.
const (
	partOfApp     = "it is a part of the app, which stays in Apache"
	setsVariables = "it only sets variables inside Apache"
	keepsTarget   = "it only keeps the next rules from rewriting their own target"
)

const laterAdvice = "; write a route for what it is meant to do, see deploy/docs/configuration.md"

func (w *rewriter) rewrite(r rewrite) {
	flags, pattern, written := r.flags(), r.line.Arg(0), r.line.Arg(1)
	switch {
	case len(r.line.Args) < 2:
		w.needs(r, "it lacks a pattern or a target")
		return
	case r.scope.rewriting != nil && strings.EqualFold(r.scope.rewriting.Arg(0), "off"):
		w.skip(r, "RewriteEngine is off there, so that it has no effect")
		return
	case r.scope.kind == inPattern || r.scope.kind == inProxy || r.scope.kind == inRest:
		w.needs(r, "it stands in a section whose requests cannot be told by their path"+laterAdvice)
		return
	case strings.HasPrefix(pattern, "!"):
		w.needs(r, "a pattern with ! has no counterpart"+laterAdvice)
		return
	case hasFlag(flags, "c", "chain", "s", "skip", "n", "next"):
		w.needs(r, "its flags "+printable(flags, 40)+" make other rules depend on it"+laterAdvice)
		return
	}
	h := w.conditions(r.conds, w.v, w.host)
	switch {
	case h.plain == never && h.upgrade == never:
		w.skip(r, "its conditions never hold for the requests that come here")
		return
	case h.unknown != nil && w.harmless(r):
		return
	case h.plain == maybe || h.upgrade == maybe:
		w.needs(r, "what "+printable(h.unknown.Raw, 80)+" asks for has no counterpart"+laterAdvice)
		return
	}
	w.act(r, h, written, flags)
}

// harmless deals with rules whose conditions do not matter.
func (w *rewriter) harmless(r rewrite) bool {
	for _, c := range r.conds {
		if strings.Contains(c.Arg(0), "REQUEST_METHOD") && strings.Contains(c.Arg(1), "TRAC") {
			w.skip(r, "wsfront answers TRACE by itself, with 405")
			return true
		}
	}
	if r.line.Arg(1) == "-" && !hasFlag(r.flags(), "f", "forbidden", "g", "gone", "l", "last", "end", "r", "redirect") {
		w.skip(r, setsVariables)
		return true
	}
	return false
}

// act makes the rule that a RewriteRule stands for.
func (w *rewriter) act(r rewrite, h held, written, flags string) {
	status, redirects := flagValue(flags, "r", "redirect")
	code := redirectStatus(status)
	switch {
	case hasFlag(flags, "f", "forbidden"):
		w.answer(r, h, 403)
	case hasFlag(flags, "g", "gone"):
		w.answer(r, h, 410)
	case redirects && code == 0:
		w.needs(r, "wsfront redirects with 301, 302, 303, 307 and 308 only; write a route with redirect")
	case redirects && (code == 403 || code == 404 || code == 410):
		w.answer(r, h, code)
	case written == "-":
		w.pass(r, h, flags)
	case hasFlag(flags, "p", "proxy"):
		w.forward(r, h, written)
	case redirects || strings.Contains(written, "://"):
		w.redirect(r, h, written, code)
	default:
		w.inside(r, h, written)
	}
}

// answer makes a rule that refuses.
func (w *rewriter) answer(r rewrite, h held, code int) {
	rl := w.place(r, h, target{action: action{kind: toStatus, status: code}, path: "%{REQUEST_URI}"})
	if rl == nil {
		return
	}
	w.add(r, h, rl)
}

// pass is a rule without a target: with L, what it takes is not rewritten.
func (w *rewriter) pass(r rewrite, h held, flags string) {
	switch {
	case !hasFlag(flags, "l", "last", "end"):
		w.skip(r, setsVariables)
	case h.isFile:
		w.filesFirst[r.scope] = true
		w.done(r)
	case r.scope.kind == inDirectory:
		w.skip(r, keepsTarget)
	default:
		rl := w.place(r, h, target{action: action{kind: toNext, stops: atLocation}, path: "%{REQUEST_URI}"})
		if rl == nil {
			return
		}
		if rl.match != "" {
			w.needs(r, "an exception by an expression has no counterpart"+laterAdvice)
			return
		}
		w.add(r, h, rl)
	}
}

// forward is a rule with P.
func (w *rewriter) forward(r rewrite, h held, written string) {
	url, problem := w.fill(written, h, r.flags())
	if problem != "" {
		w.needs(r, problem)
		return
	}
	t := parseTarget(url)
	switch {
	case t.other != "":
		w.appInside(w.v, r.line, t.otherKind())
		w.skip(r, partOfApp)
		return
	case t.problem != "":
		w.needs(r, t.problem)
		return
	}
	if rl := w.place(r, h, t); rl != nil {
		w.add(r, h, rl)
	}
}

// redirect is a rule that sends the client elsewhere.
func (w *rewriter) redirect(r rewrite, h held, written string, code int) {
	url, problem := w.fill(written, h, r.flags())
	if problem != "" {
		w.needs(r, problem)
		return
	}
	t, problem := redirectTarget(url)
	path, sameHost := strings.CutPrefix(url, "https://*")
	if sameHost = sameHost && w.host == "*"; sameHost { // whatever was asked for
		problem, t.path, t.action.target = "", path, "https://*"
	}
	if problem != "" {
		w.needs(r, problem)
		return
	}
	t.action.status = code
	drops := strings.HasSuffix(t.path, "?") && len(t.path) > 1
	if rl := w.place(r, h, t); rl != nil {
		if sameHost && (rl.match != "" || rl.prefix != "/" || rl.act.from != rl.act.to) {
			w.needs(r, "it sends clients to https with the name that they asked for, and only some; write a route with redirect for each name")
			return
		}
		if drops {
			rl.act.query = "?"
		}
		w.add(r, h, rl)
	}
}

// redirectTarget understands an address that clients are sent to.
func redirectTarget(url string) (t target, problem string) {
	t.action.kind = toRedirect
	if strings.HasPrefix(url, "/") || strings.HasPrefix(url, "%{REQUEST_URI}") || strings.HasPrefix(url, "$") {
		t.path = url
		return t, ""
	}
	scheme, rest, ok := strings.Cut(url, "://")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "http" && scheme != "https" {
		return t, "it sends clients to " + printable(url, 60) + ", which is no http or https address"
	}
	end := strings.IndexAny(rest, "/?%$")
	if end < 0 {
		end = len(rest)
	}
	authority := strings.ToLower(rest[:end])
	if !hostForm.MatchString(stripPort(authority)) && !isAddress(stripPort(authority)) {
		return t, "the host " + printable(authority, 60) + " that it sends clients to is not known before a request comes"
	}
	t.action.target, t.path = scheme+"://"+authority, rest[end:]
	return t, ""
}

// inside is a rule that rewrites inside Apache.
func (w *rewriter) inside(r rewrite, h held, written string) {
	path, _, _ := strings.Cut(written, "?")
	noFile := h.noFile || w.filesFirst[r.scope]
	switch {
	case isProgram(path):
		w.appInside(w.v, r.line, programKind(path))
		w.skip(r, partOfApp)
	case noFile && strings.HasSuffix(path, ".html") && !strings.ContainsAny(path, "$%"):
		folder := w.folderOf(r.scope)
		if folder == "" {
			w.needs(r, "the folder is not known; write fallback: /index.html into the route of its files")
			return
		}
		base := w.base(r.scope)
		w.v.setFallback(folder, "/"+strings.TrimPrefix(strings.TrimPrefix(path, base), "/"))
		w.done(r)
	case w.v.app.inside():
		w.skip(r, partOfApp)
	default:
		w.needs(r, "it changes the path inside Apache"+laterAdvice)
	}
}
