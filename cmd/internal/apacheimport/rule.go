package apacheimport

import (
	"strings"
	"time"

	"wsfront/cmd/internal/apacheconf"
)

// stage is when Apache asks a rule: all of one stage before the next, whatever
// their order in the file.
type stage int

const (
	atSection  stage = iota - 1 // Redirect in <Location>
	atRewrite                   // RewriteRule of the server, and what says nothing
	atLocation                  // ProxyPass in <Location>
	atProxy                     // ProxyPass of the server
	atAlias                     // Redirect, then Alias
	atScript                    // WSGIScriptAlias
	atFolder                    // RewriteRule of the folder
	atRoot                      // DocumentRoot
)

// rule sends requests somewhere: the first that takes one wins.
type rule struct {
	stage  stage
	prefix string   // what is at and below it,
	match  string   // or what this expression takes,
	except []string // without what is at and below these
	files  string   // and only what this folder has no file for

	plain, upgrade bool // which kinds of requests it takes
	act            *action
	from           []*apacheconf.Directive
	used           bool

	// Of a rewrite's pattern on line: anchored says that it begins with ^, open
	// that it ends within a segment, doubled that the target has a doubled slash.
	line                    *apacheconf.Directive
	anchored, open, doubled bool
	meant                   bool // ^ was put in front of match
}

// takes reports whether a rule with a prefix takes the requests at and below a
// path.
func (r *rule) takes(path string, upgrade bool) bool {
	if r.match != "" || !covers(r.prefix, path) || upgrade && !r.upgrade || !upgrade && !r.plain {
		return false
	}
	for _, e := range r.except {
		if covers(e, path) {
			return false
		}
	}
	return true
}

// actionKind says what becomes of a request.
type actionKind int

const (
	toBackend actionKind = iota
	toFiles
	toRedirect
	toStatus
	toNext // on to the rules of a later stage
)

// action is what becomes of the requests that a rule takes.
type action struct {
	kind actionKind

	// from and to are the part of the path that is replaced, and by what. Of
	// expressions, whole says that to is the whole path.
	from, to string
	whole    bool

	// Of toBackend.
	secure  bool // https and wss
	address string
	socket  string // unix
	pool    string
	written string // the URL as it stands in Apache's file
	host    string // Host that Apache sends where it does not keep the client's
	app     bool   // the application inside Apache
	timeout time.Duration
	stops   stage // of toNext: the stage that goes on

	// Of toFiles; of an app inside Apache, the folder of its script.
	folder string
	single bool // folder is a file

	// Of toRedirect and toStatus.
	target string // without the path: https://host, or ""
	query  string // "?" drops the request's own
	status int
}

// pathAt is what the part of the path in front of a prefix's rest becomes.
func (a *action) pathAt(prefix string) string {
	if a.whole {
		return a.to
	}
	rest := strings.TrimPrefix(prefix, strings.TrimSuffix(a.from, "/"))
	if rest == "" {
		return a.to
	}
	return strings.TrimSuffix(a.to, "/") + rest
}

// folderAt is the folder whose files are served below a prefix.
func (a *action) folderAt(prefix string) string {
	if a.kind != toFiles || a.single {
		return a.folder
	}
	rest := strings.TrimPrefix(prefix, strings.TrimSuffix(a.from, "/"))
	return strings.TrimSuffix(strings.TrimSuffix(a.folder, "/")+rest, "/")
}
