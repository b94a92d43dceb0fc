package proxy

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// table is a routing table: made once from a Config, never changed.
type table struct {
	sites   []*site
	hosts   hostMap[*site]
	trusted []netip.Prefix
}

// site is a Site in effect.
type site struct {
	Site
	name            string // its first host, for logs
	upgradeInsecure bool
	routes          []*route // most specific first
}

// route is a Route in effect.
type route struct {
	Route
	name     string         // site and path, for logs
	prefix   string         // Path without the {name} of a last segment
	variable string         // that name, or ""
	backend  *backend       // nil for files and handlers
	messages *messageTunnel // nil but for tunnels of mode message
	handler  handler
}

// handler answers one kind of route.
type handler interface {
	serve(x *exchange, r *http.Request)
}

// takes reports whether the route is for this path and kind of request.
func (rt *route) takes(path string, upgrade, stream bool) bool {
	switch {
	case rt.Tunnel.Backend != "" && !upgrade, rt.Handler != nil && !upgrade && !stream, rt.Files != "" && upgrade:
		return false
	case rt.variable != "":
		rest, ok := strings.CutPrefix(path, rt.prefix)
		return ok && rest != "" && !strings.Contains(rest, "/")
	case strings.HasSuffix(rt.prefix, "/"):
		return strings.HasPrefix(path, rt.prefix)
	}
	rest, ok := strings.CutPrefix(path, rt.prefix)
	return ok && (rest == "" || rest[0] == '/')
}

// before orders routes by how specific they are: the longer prefix first, of
// two alike the one that ends in {name}, since it takes one segment where the
// other takes everything below, and then the one that takes only handshakes.
func (rt *route) before(other *route) int {
	if d := len(other.prefix) - len(rt.prefix); d != 0 {
		return d
	}
	rank := func(rt *route) int {
		n := 0
		if rt.variable == "" {
			n = 2
		}
		if rt.Tunnel.Backend == "" && rt.Handler == nil {
			n++
		}
		return n
	}
	return rank(rt) - rank(other)
}

// site finds the site of a Host field's value, or nil.
func (t *table) site(host string) *site {
	s, _ := t.hosts.find(hostname(host))
	return s
}

// route finds the most specific route of the site that takes the request.
func (s *site) route(path string, r *http.Request) *route {
	upgrade, stream := isHandshake(r), isEventStream(r)
	for _, rt := range s.routes {
		if rt.takes(path, upgrade, stream) {
			return rt
		}
	}
	return nil
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
