package proxy

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
)

// table is a routing table: made once from a Config, never changed.
type table struct {
	sites     []*site
	hosts     hostMap[*site]
	trusted   []netip.Prefix
	traces    bool                     // routes begin traces
	passwords map[string]*passwordFile // by path
	pools     *pools
	accounts  map[routeID]*routeAccount
}

// site is a Site in effect.
type site struct {
	Site
	name            string // its first host, for logs
	upgradeInsecure bool
	answers         *fieldRules
	routes          []*route // those with Match as they stand in the file, then the most specific first
}

// route is a Route in effect.
type route struct {
	Route
	name     string         // site and path, for logs
	prefix   string         // Path without the {name} of a last segment
	variable string         // that name, or ""
	pattern  *regexp.Regexp // Match, or nil
	template pathTemplate   // of the target's path, for a route with Match
	pool     *pool          // nil but for app and tunnel routes
	path     string         // of the App or Tunnel, which replaces Path; "" keeps the request's
	handler  handler        // of requests; nil for tunnel routes
	tunnel   tunnelTerms
	tenures  []*tenure // of what outlives a request, the first for what comes; nil where nothing does
	account  *routeAccount
	place    int            // in Site.Routes
	messages *messageTunnel // nil but for tunnels of mode message
	tunnels  *tunnelAccount // of what comes by handshakes; nil where none lead
	folder   *files         // of a route with Fallthrough; nil for others
	guard    *guard         // nil for a route that asks for no password
	answers  *fieldRules    // for what the client gets
	requests *fieldRules    // for what the backend gets
	traces   bool           // begins a trace for a request without one
}

// handler answers one kind of route.
type handler interface {
	serve(x *exchange)
}

// takes reports whether the route is for this path and kind of request.
func (rt *route) takes(path []byte, upgrade, stream bool) bool {
	switch {
	case rt.Tunnel.Backend != "" && !upgrade, rt.Handler != nil && !rt.Whole && !upgrade && !stream,
		upgrade && (rt.Files != "" || rt.Redirect != Redirect{}):
		return false
	case rt.pattern != nil:
		return rt.pattern.Match(path)
	}
	switch rest, below := cutPrefix(path, rt.prefix); {
	case rt.variable != "":
		return below && len(rest) > 0 && bytes.IndexByte(rest, '/') < 0
	case strings.HasSuffix(rt.prefix, "/"):
		return below
	default:
		return below && (len(rest) == 0 || rest[0] == '/')
	}
}

// before orders routes: those with Match first, as they stand in the file, and
// then by how specific they are: the longer prefix first, of two alike the one
// that ends in {name}, since it takes one segment where the other takes
// everything below, then the one that takes only handshakes, and then the one
// that takes only what its folder has.
func (rt *route) before(other *route) int {
	switch {
	case rt.pattern != nil && other.pattern != nil:
		return 0 // the sort is stable
	case rt.pattern != nil:
		return -1
	case other.pattern != nil:
		return 1
	}
	if d := len(other.prefix) - len(rt.prefix); d != 0 {
		return d
	}
	rank := func(rt *route) int {
		n := 0
		if rt.variable == "" {
			n = 3
		}
		switch {
		case rt.Tunnel.Backend != "" || rt.Handler != nil:
			return n
		case rt.Fallthrough:
			return n + 1
		}
		return n + 2
	}
	return rank(rt) - rank(other)
}

// cutPrefix is strings.CutPrefix for a slice.
func cutPrefix(path []byte, prefix string) (rest []byte, ok bool) {
	if len(path) < len(prefix) || string(path[:len(prefix)]) != prefix {
		return path, false
	}
	return path[len(prefix):], true
}

// site finds the site of a Host field's value, or nil.
func (t *table) site(host []byte) *site {
	s, _ := t.hosts.find(bareName(host))
	return s
}

// route finds the first route of the site that takes the request: one with
// Fallthrough does where its folder has what is asked for.
func (s *site) route(x *exchange) *route {
	stream := isStream(x.req)
	for _, rt := range s.routes {
		if rt.takes(x.path, x.upgrade, stream) && (rt.folder == nil || rt.folder.has(x)) {
			return rt
		}
	}
	return nil
}

// bareName is hostname without an allocation where the name is written the
// common way: in lower case, with or without a port.
func bareName(host []byte) []byte {
	for i, c := range host {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '.' && i+1 < len(host) && host[i+1] != ':':
		case c == ':' && i > 0 && allDigits(host[i+1:]):
			return host[:i]
		default:
			return []byte(hostname(string(host)))
		}
	}
	return host
}

func allDigits(s []byte) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// hostname is a Host field's value in lower case, without port and without the
// dot at the end that a fully qualified name may have.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ".")
	return strings.ToLower(host)
}

// parsePlace fills in by what a request's path the route is found.
func (rt *route) parsePlace() (err error) {
	if rt.Match != "" {
		rt.pattern, err = compileMatch(rt.Match)
	} else {
		rt.prefix, rt.variable, err = parsePath(rt.Path)
	}
	return err
}

// parsePath parts a route's path into its clean prefix and the name of a
// variable last segment.
func parsePath(path string) (prefix, variable string, err error) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 && strings.HasPrefix(path[i+1:], "{") && strings.HasSuffix(path, "}") {
		path, variable = path[:i+1], path[i+2:len(path)-1]
		if variable == "" {
			return "", "", fmt.Errorf("{} has no name; write {channel}")
		}
	}
	if strings.ContainsAny(path, "{}*") {
		return "", "", fmt.Errorf("only a whole last segment may vary; write /push/{channel}")
	}
	prefix, err = cleanPath(path)
	if err != nil {
		return "", "", fmt.Errorf("%q is no path prefix; write one that begins with /, such as /chat/", path)
	}
	if prefix != path {
		return "", "", fmt.Errorf("%q can never match; write %s", path, prefix)
	}
	return prefix, variable, nil
}
