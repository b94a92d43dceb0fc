package apacheimport

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"wsfront/cmd/internal/apacheconf"
)

// scopeKind says for which requests a section holds.
type scopeKind int

const (
	inServer    scopeKind = iota
	inLocation            // path is a prefix of the request's path
	inPattern             // path is an expression on it: <LocationMatch>
	inDirectory           // path is a folder
	inProxy               // path is the beginning of a backend's URL
	inRest                // holds for what cannot be told: <Files>, <If>, <Limit>
)

// scope is where a directive stands, and what the directives there say of the
// requests that it holds for.
type scope struct {
	kind    scopeKind
	path    string
	also    []string              // further paths for which the same section holds
	section *apacheconf.Directive // nil: the server
	global  bool                  // outside of the vhosts
	file    string                // of a .htaccess file, whose content has no section

	access   access
	fields   fields // of answers
	request  fields // of requests
	maxBody  *apacheconf.Directive
	keepHost *apacheconf.Directive
	timeout  *apacheconf.Directive // ProxyTimeout
	general  *apacheconf.Directive // Timeout
	slashes  *apacheconf.Directive
	verify   []*apacheconf.Directive // SSLProxyVerify and its like

	rewriting  *apacheconf.Directive // RewriteEngine
	base       string                // RewriteBase
	fallback   *apacheconf.Directive // FallbackResource
	conds      []*apacheconf.Directive
	folderOnly string // the folder to which expr is bound
	expr       string // for what has an expression: <LocationMatch>, <Files>
	handshakes bool   // it holds for WebSocket handshakes alone: <If> on Upgrade
	dealt      bool   // accessOfRest has seen it
}

// inherit takes over what is said outside, where nothing is said here.
func (s *scope) inherit(outer *scope) {
	first := func(own **apacheconf.Directive, other *apacheconf.Directive) {
		if *own == nil {
			*own = other
		}
	}
	first(&s.maxBody, outer.maxBody)
	first(&s.keepHost, outer.keepHost)
	first(&s.timeout, outer.timeout)
	first(&s.general, outer.general)
	first(&s.slashes, outer.slashes)
	first(&s.fallback, outer.fallback)
	s.fields = outer.fields.join(s.fields)
	s.request = outer.request.join(s.request)
	s.verify = append(append([]*apacheconf.Directive{}, outer.verify...), s.verify...)
}

// enter makes the scope of a section; nil says that it was dealt with.
func (im *importer) enter(d *apacheconf.Directive, outer *scope) *scope {
	s := &scope{section: d, global: outer.global}
	path := d.Arg(0)
	if path == "~" {
		path = d.Arg(1)
	}
	switch name := strings.ToLower(d.Name); {
	case outer.kind != inServer: // a section in a section narrows it down to what cannot be told
		s.kind, s.path = inRest, outer.path
	case name == "location" && d.Arg(0) == "~", name == "locationmatch":
		s.kind, s.path = inPattern, path
		if heads, end, ok := plainPattern(path); ok && end != endExact && (len(heads) == 1 || onlyFields(d)) {
			s.kind, s.path, s.also = inLocation, heads[0], heads[1:]
		}
	case name == "location":
		s.kind, s.path = inLocation, path
		switch {
		case strings.Contains(path, "["):
			s.kind = inRest
		case strings.ContainsAny(path, "*?"):
			s.kind, s.path = inPattern, "^"+wildcards(path)+"(/|$)"
		}
	case name == "directory" && d.Arg(0) != "~":
		s.kind, s.path = inDirectory, strings.TrimSuffix(path, "/")
		if strings.ContainsAny(path, "*?[") {
			s.kind = inRest
		}
	case name == "proxy" && d.Arg(0) != "~":
		s.kind, s.path = inProxy, strings.TrimSuffix(path, "*")
	default:
		s.kind = inRest
	}
	if s.kind == inPattern {
		s.expr = s.path
	}
	if strings.HasPrefix(strings.ToLower(d.Name), "files") && outer.folder() != "" {
		s.expr, s.folderOnly = fileExpression(d, path), outer.folder()
	}
	if s.kind == inLocation {
		var ok bool
		if s.path, ok = requestPath(s.path); !ok {
			s.kind = inRest
		}
	}
	im.imported(d)
	return s
}

// onlyFields reports whether a section does no more than set fields of answers.
func onlyFields(d *apacheconf.Directive) bool {
	return !slices.ContainsFunc(d.Children, func(c *apacheconf.Directive) bool {
		return !c.Is("Header") && !strings.HasPrefix(strings.ToLower(c.Name), "expires")
	})
}

// everywhere stands for the folder of what is not bound to one.
const everywhere = "*"

// folder is the folder that a section of files is bound to; "" is none that
// can be told.
func (s *scope) folder() string {
	switch s.kind {
	case inServer:
		return everywhere
	case inDirectory:
		return s.path
	}
	return ""
}

// fileExpression is an expression on the path for the names of files that
// <Files> and <FilesMatch> take.
func fileExpression(d *apacheconf.Directive, name string) string {
	if d.Is("Files") && d.Arg(0) != "~" {
		return "/" + wildcards(name) + "(/|$)"
	}
	if rest, anchored := strings.CutPrefix(name, "^"); anchored {
		return "/" + rest
	}
	if strings.HasSuffix(name, "$") {
		return name
	}
	return "/[^/]*(?:" + name + ")[^/]*$"
}

// wildcards is an expression for a name with * and ?, which take no slash.
func wildcards(name string) string {
	return strings.NewReplacer(`\*`, `[^/]*`, `\?`, `[^/]`).Replace(regexp.QuoteMeta(name))
}

// narrow reports whether a section holds for some paths or folders.
func (s *scope) narrow() bool {
	return s.kind == inLocation || s.kind == inPattern || s.kind == inDirectory
}

// says reports whether a section says anything that a route has, but for who
// may come.
func (s *scope) says() bool {
	return len(s.fields.lines) > 0 || len(s.request.lines) > 0 || s.maxBody != nil || s.timeout != nil || s.slashes != nil
}

// holds reports whether a section holds for a route.
func (s *scope) holds(prefix string, act *action) bool {
	switch s.kind {
	case inServer:
		return true
	case inLocation:
		return covers(s.path, prefix)
	case inDirectory:
		return act != nil && act.folder != "" && (s.path == "" || covers(s.path, act.folderAt(prefix)))
	case inProxy:
		return act != nil && act.kind == toBackend && strings.HasPrefix(act.written, s.path)
	}
	return false
}

// covers reports whether a prefix takes what is at and below path, as Apache
// and wsfront match them: at the boundaries of segments.
func covers(prefix, path string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || strings.HasSuffix(prefix, "/") || rest[0] == '/')
}

// keepsHost reports whether the backend sees the client's Host.
func keepsHost(scopes []*scope) bool {
	keep := false
	for _, s := range scopes {
		if s.keepHost != nil {
			keep = strings.EqualFold(s.keepHost.Arg(0), "on")
		}
	}
	return keep
}

// waits is how long the backend may take to answer; 0 where nothing says so.
func waits(scopes []*scope) time.Duration {
	var t time.Duration
	for _, s := range scopes {
		for _, d := range []*apacheconf.Directive{s.general, s.timeout} {
			if d != nil {
				t, _ = seconds(d.Arg(0))
			}
		}
	}
	return t
}

// sortByPath puts sections of folders into the order in which Apache merges
// them: the shortest path first.
func sortByPath(list []*scope) {
	slices.SortStableFunc(list, func(a, b *scope) int { return len(a.path) - len(b.path) })
}
