package apacheimport

import (
	"cmp"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// alias is Alias: files of a folder, or one file, below a path.
func (im *importer) alias(v *vhost, d *apacheconf.Directive, s *scope) {
	from, folder := d.Arg(0), d.Arg(1)
	if s.kind == inLocation && len(d.Args) == 1 {
		from, folder = s.path, d.Arg(0)
	}
	prefix, ok := requestPath(from)
	if !ok || folder == "" || strings.ContainsAny(folder, "%$") {
		im.needsYou(d, "what it serves cannot be told before a request comes; write a route with files for it")
		return
	}
	if s.global && prefix == "/icons/" {
		im.notNeeded(d, "the icons of Apache's own listings of folders")
		return
	}
	im.fileRule(v, d, prefix, folder)
}

// fileRule makes the rule of files below a path.
func (im *importer) fileRule(v *vhost, d *apacheconf.Directive, prefix, folder string) {
	a := &action{kind: toFiles, from: prefix, folder: im.absolute(folder)}
	if a.single = isFile(prefix, a.folder); !a.single {
		a.folder = strings.TrimSuffix(a.folder, "/")
		if strings.HasSuffix(prefix, "/") && prefix != "/" && !strings.HasSuffix(folder, "/") {
			im.remark("one ends with a slash and the other does not, so that Apache looks for "+printable(folder, 60)+"x when a client asks for "+prefix+"x; a slash was put between", d)
		}
	}
	v.rules = append(v.rules, &rule{stage: atAlias, prefix: prefix, plain: true, act: a, from: []*apacheconf.Directive{d}})
	if isProgram(a.folder) || holdsPrograms(a.folder) {
		im.appInside(v, d, cmp.Or(programKind(a.folder), "PHP"))
	}
	im.imported(d)
}

// isFile reports whether an alias names a file: what is there says so, or else
// the same ending on both sides.
func isFile(prefix, name string) bool {
	if info, err := os.Stat(name); err == nil {
		return info.Mode().IsRegular()
	}
	ext := path.Ext(prefix)
	return ext != "" && !strings.HasSuffix(prefix, "/") && path.Ext(name) == ext
}

// absolute is a file's name as Apache reads it: below ServerRoot.
func (im *importer) absolute(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(im.serverRoot, name)
}

// aliasMatch is AliasMatch, as far as it is an Alias.
func (im *importer) aliasMatch(v *vhost, d *apacheconf.Directive, _ *scope) {
	p, ok := parsePattern(d.Arg(0))
	if ok && p.anchored && p.end == endRest && len(p.heads) == 1 && !p.whole {
		if folder, own := strings.CutSuffix(d.Arg(1), "$1"); own && !strings.Contains(folder, "$") {
			if prefix, ok := requestPath(p.heads[0]); ok && strings.HasSuffix(prefix, "/") == strings.HasSuffix(folder, "/") {
				im.fileRule(v, d, prefix, folder)
				return
			}
		}
	}
	im.needsYou(d, "files by an expression have no counterpart; write a route with files for each folder or file that is meant")
}

// documentRoot is DocumentRoot: what no other rule takes.
func (im *importer) documentRoot(v *vhost, d *apacheconf.Directive, _ *scope) {
	v.docRoot = d
	im.imported(d)
}

// rootRule is the rule of DocumentRoot, or of the app inside Apache that takes
// its place.
func (im *importer) rootRule(v *vhost) *rule {
	r := &rule{stage: atRoot, prefix: "/", plain: true}
	folder := ""
	if v.docRoot != nil && v.docRoot.Arg(0) != "" && !strings.Contains(v.docRoot.Arg(0), "${") {
		folder = im.absolute(v.docRoot.Arg(0))
		r.from = append(r.from, v.docRoot)
		if v.app.kind == "" && holdsPrograms(folder) {
			im.appInside(v, v.docRoot, "PHP")
		}
	}
	switch {
	case v.app.whole():
		r.upgrade = true
		r.act = im.inApache(v.app.line)
		r.act.folder = folder
		if len(r.from) == 0 {
			r.from = append(r.from, v.app.line)
		}
		return r
	case folder == "":
		return nil
	}
	r.act = &action{kind: toFiles, from: "/", folder: folder}
	return r
}

// holdsPrograms reports whether a folder, where it is on this machine, has
// programs that Apache runs and that nobody may read.
func holdsPrograms(folder string) bool {
	for _, pattern := range []string{"*.php", "*.cgi", "*.pl"} {
		if found, err := filepath.Glob(filepath.Join(folder, pattern)); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

// setFallback notes the file that a folder's missing paths are answered with.
func (v *vhost) setFallback(folder, file string) {
	if v.fallbacks == nil {
		v.fallbacks = map[string]string{}
	}
	v.fallbacks[strings.TrimSuffix(folder, "/")] = file
}

// urlOf is the path at which a folder is served; / where that does not show.
func (v *vhost) urlOf(folder string) string {
	for _, r := range v.rules {
		if r.act.kind == toFiles && !r.act.single && covers(r.act.folder, folder) {
			return strings.TrimSuffix(r.prefix, "/") + strings.TrimPrefix(folder, r.act.folder)
		}
	}
	if v.docRoot != nil {
		if root := strings.TrimSuffix(v.docRoot.Arg(0), "/"); covers(root, folder) && folder != root {
			return strings.TrimPrefix(folder, root)
		}
	}
	return "/"
}

// fallbackResource is FallbackResource.
func (im *importer) fallbackResource(v *vhost, d *apacheconf.Directive, s *scope) {
	switch file := d.Arg(0); {
	case strings.EqualFold(file, "disabled"):
		im.notNeeded(d, "without fallback: nothing falls back")
	case isProgram(file):
		im.appInside(v, d, programKind(file))
		im.notNeeded(d, partOfApp)
	case s.kind == inDirectory || s.kind == inServer:
		s.fallback = d
		im.imported(d)
	default:
		im.needsYou(d, "write fallback: /index.html into the route of the files that are meant")
	}
}

// fallbacksOf takes FallbackResource of all scopes into account.
func (im *importer) fallbacksOf(v *vhost) {
	for _, s := range append([]*scope{&v.server}, v.scopes...) {
		if s.fallback == nil {
			continue
		}
		folder := s.path
		if s.kind == inServer && v.docRoot != nil {
			folder = v.docRoot.Arg(0)
		}
		base := strings.TrimSuffix(v.urlOf(folder), "/")
		v.setFallback(folder, strings.TrimPrefix(s.fallback.Arg(0), base))
	}
}

// directoryIndex is DirectoryIndex.
func (im *importer) directoryIndex(v *vhost, d *apacheconf.Directive, s *scope) {
	for i, name := range d.Args {
		if isProgram(name) && (i == 0 || s.global && v.app.kind != "") {
			im.appInside(v, d, programKind(name))
		}
	}
	if len(d.Args) > 0 && d.Arg(0) != "index.html" && !isProgram(d.Arg(0)) && !strings.EqualFold(d.Arg(0), "disabled") {
		im.needsYou(d, "wsfront serves index.html of a folder and no other name: rename "+printable(d.Arg(0), 40)+", or link index.html to it")
		return
	}
	im.notNeeded(d, "index.html of a folder is served; programs are the app's, which stays in Apache")
}

// redirectDirective is Redirect, RedirectPermanent and RedirectTemp.
func (im *importer) redirectDirective(v *vhost, d *apacheconf.Directive, s *scope) {
	args, status := d.Args, 302
	switch {
	case d.Is("RedirectPermanent"):
		status = 301
	case d.Is("RedirectTemp"):
	case len(args) > 0 && !strings.HasPrefix(args[0], "/") && !strings.Contains(args[0], "://"):
		if status = redirectStatus(args[0]); status == 0 {
			im.needsYou(d, "wsfront redirects with 301, 302, 303, 307 and 308, and refuses with 403, 404 and 410; write a route with redirect")
			return
		}
		args = args[1:]
	}
	from, fixed := s.path, true
	if gone := status == 403 || status == 404 || status == 410; gone && len(args) > 0 || len(args) > 1 {
		from, args, fixed = args[0], args[1:], false
	}
	prefix, ok := requestPath(from)
	if s.kind != inServer && s.kind != inLocation && !(s.kind == inDirectory && !fixed) || !ok {
		im.needsYou(d, "the path it holds for cannot be told; write a route with redirect")
		return
	}
	r := &rule{stage: atAlias, prefix: prefix, plain: true, upgrade: true, from: []*apacheconf.Directive{d}}
	if status == 403 || status == 404 || status == 410 {
		r.act = &action{kind: toStatus, status: status}
	} else {
		if len(args) == 0 {
			im.needsYou(d, "it does not say where to; write a route with redirect")
			return
		}
		t, problem := redirectTarget(args[0])
		if problem != "" {
			im.needsYou(d, problem+"; write a route with redirect")
			return
		}
		t.action.status = status
		if r.act, problem = redirectTo(t, prefix); problem != "" {
			im.needsYou(d, problem)
			return
		}
		switch ends := strings.HasSuffix(t.path, "/"); {
		case fixed && s.kind == inLocation: // nothing is appended
			r.prefix, r.match, r.act.whole = "", below(prefix), true
		case ends && !strings.HasSuffix(prefix, "/"):
			im.remark(prefix+"/x is sent to a path with a doubled slash, //x at its end, which was left out", d)
		case !ends && t.path != "" && strings.HasSuffix(prefix, "/") && prefix != "/":
			im.remark(prefix+"x is sent to "+printable(t.path, 60)+"x; a slash was put between", d)
		}
	}
	if s.kind == inLocation {
		r.stage = atSection
	}
	v.redirects = append(v.redirects, r)
	im.imported(d)
}

// below is an expression that takes what is at and below a prefix.
func below(prefix string) string {
	if strings.HasSuffix(prefix, "/") {
		return "^" + regexp.QuoteMeta(prefix)
	}
	return "^" + regexp.QuoteMeta(prefix) + "(/|$)"
}

// redirectTo maps a prefix to where it is redirected.
func redirectTo(t target, prefix string) (*action, string) {
	a := t.action
	a.from = prefix
	path, query, asks := strings.Cut(t.path, "?")
	if path == "" {
		path = "/"
	}
	clean, ok := requestPath(path)
	if !ok {
		return nil, "the path " + printable(path, 60) + " that it leads to is none that wsfront can write; write a route with redirect"
	}
	a.to = clean
	if asks {
		if query == "" {
			query = "?"
		}
		a.query = query
	}
	return &a, ""
}

// redirectMatch is RedirectMatch.
func (im *importer) redirectMatch(v *vhost, d *apacheconf.Directive, _ *scope) {
	args, status := d.Args, 302
	if len(args) == 3 || len(args) == 2 && redirectStatus(args[0]) >= 400 {
		if status = redirectStatus(args[0]); status == 0 {
			im.needsYou(d, "wsfront redirects with 301, 302, 303, 307 and 308, and refuses with 403, 404 and 410; write a route with redirect")
			return
		}
		args = args[1:]
	}
	t := target{action: action{kind: toStatus, status: status}, path: "%{REQUEST_URI}"}
	if status < 400 {
		var problem string
		if t, problem = redirectTarget(last(args)); problem != "" || len(args) != 2 {
			im.needsYou(d, problem+"; write a route with match: and redirect for it")
			return
		}
		t.action.status = status
		if t.path == "" {
			t.path = "/"
		}
	}
	p, simple := parsePattern(args[0])
	var r *rule
	if simple && p.anchored && p.end != endExact && sameButSlash(p.heads) && p.boundary() {
		r = rewritten(p, t, "")
	}
	if r == nil {
		var problem string
		if r, problem = matching(args[0], false, t, ""); problem != "" {
			im.needsYou(d, problem)
			return
		}
	}
	r.stage, r.plain, r.upgrade, r.from = atAlias, true, true, []*apacheconf.Directive{d}
	v.redirects = append(v.redirects, r)
	im.imported(d)
}

func last(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}
