package proxy

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// files checks the options of a files route.
func (v *validator) files(at string, r Route) {
	if !filepath.IsAbs(r.Files) {
		v.failf(at+".files", "%q is not absolute; write the whole path, such as %s", r.Files, filepath.Join("/srv", r.Files))
	}
	if r.Fallback == "" {
		return
	}
	if r.Fallthrough {
		v.failf(at+".fallback", "fallback and fallthrough exclude each other, as no request is left for the next route; remove one of them")
	}
	switch name, ok := fileName(r.Fallback); {
	case !strings.HasPrefix(r.Fallback, "/"):
		v.failf(at+".fallback", "%q does not begin with /; write the file as it is named in the folder: /%s", r.Fallback, filepath.Base(r.Fallback))
	case !ok || name == "." || strings.HasSuffix(r.Fallback, "/"):
		v.failf(at+".fallback", "%q names no file that is served; write one of the folder, such as /index.html", r.Fallback)
	}
}

// letThrough finds files routes that let requests through where no route is that
// takes them: each missing file would be a mistake in the log.
func (v *validator) letThrough(at string, s Site) {
	for i, r := range s.Routes {
		if !r.Fallthrough || r.Files == "" || r.Fallback != "" {
			continue
		}
		if !slices.ContainsFunc(s.Routes, func(next Route) bool { return next.follows(r) }) {
			v.failf(fmt.Sprintf("%s.routes[%d].fallthrough", at, i), "no other route takes what the folder has not; add one, such as {path: %s, app: \"http://127.0.0.1:8080\"}, or remove this option", r.Path)
		}
	}
}

// follows reports whether requests that a route with Fallthrough lets through
// reach this one.
func (r Route) follows(files Route) bool {
	if r.Fallthrough || r.App == "" && r.Files == "" && r.Redirect == (Redirect{}) {
		return false
	}
	rest, below := strings.CutPrefix(files.Path, strings.TrimSuffix(r.Path, "/"))
	return r.Path != "" && below && (rest == "" || rest[0] == '/')
}
