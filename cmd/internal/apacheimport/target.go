package apacheimport

import (
	"net"
	"strings"
)

// target is a URL to which Apache forwards, understood.
type target struct {
	websocket bool // ws and wss
	action    action
	path      string // what stands behind the host
	problem   string // why it cannot be forwarded to; action is empty then
	other     string // the scheme of a protocol that the app inside Apache speaks: fcgi
}

// parseTarget understands http, https, ws, wss, unix sockets and balancers.
func parseTarget(written string) target {
	if socket, rest, ok := strings.Cut(written, "|"); ok && strings.HasPrefix(strings.ToLower(socket), "unix:") {
		t := parseTarget(rest)
		if t.problem == "" && t.other == "" {
			t.action.socket, t.action.written = "unix:"+socket[len("unix:"):], written
			t.action.address, t.action.secure = "", false
		}
		return t
	}
	scheme, rest, ok := strings.Cut(written, "://")
	if !ok {
		return target{problem: printable(written, 80) + " is no URL"}
	}
	authority, path := rest, ""
	end := strings.IndexByte(rest, '/')
	if own := strings.Index(rest, "%{REQUEST_URI}"); own >= 0 && (end < 0 || own < end) {
		end = own // ws://host%{REQUEST_URI}
	}
	if group := strings.IndexByte(rest, '$'); group >= 0 && (end < 0 || group < end) {
		end = group // ws://host$1
	}
	if i := end; i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	t := target{path: path, action: action{kind: toBackend, written: written, address: authority}}
	switch scheme = strings.ToLower(scheme); scheme {
	case "balancer":
		t.action.pool, t.action.address = strings.ToLower(authority), ""
		return t
	case "http", "ws":
	case "https", "wss":
		t.action.secure = true
	case "fcgi", "scgi", "uwsgi", "ajp":
		return target{other: scheme}
	default:
		return target{problem: "wsfront does not speak " + printable(scheme, 20) + " to backends: write app: http://HOST:PORT if the backend speaks HTTP/1.1"}
	}
	t.websocket = strings.HasPrefix(scheme, "ws")
	if strings.ContainsAny(authority, "%${}@") || authority == "" || strings.HasPrefix(path, "$") && !endsAtGroup(authority, path[1:]) {
		if authority = rest; len(path) > 0 && path[0] == '/' {
			authority = strings.TrimSuffix(rest, path)
		}
		return target{problem: "the backend " + printable(authority, 60) + " is not known before a request comes: write a route with its address"}
	}
	t.action.host = hostField(authority, t.action.secure)
	t.action.address = withPort(authority, t.action.secure)
	return t
}

// otherKind is what an app is called that is asked by such a protocol.
func (t target) otherKind() string {
	if t.other == "ajp" {
		return "AJP"
	}
	return "FastCGI"
}

// endsAtGroup reports whether a group behind a host may begin the path, as in
// ws://host:3000$1, and is no part of its name or port: of host:$1, app-$1.
func endsAtGroup(authority, behind string) bool {
	if strings.IndexByte(":.-", authority[len(authority)-1]) >= 0 || behind == "" {
		return false
	}
	return len(behind) == 1 || !hostForm.MatchString(behind[1:2]) && strings.IndexByte(":.-", behind[1]) < 0
}

// hostField is the Host that Apache sends when it does not keep the client's.
func hostField(authority string, secure bool) string {
	if !secure {
		return strings.TrimSuffix(authority, ":80")
	}
	return authority
}

// withPort is an address on this machine with the port that its scheme
// implies, which wsfront wants to see there.
func withPort(authority string, secure bool) string {
	host, port, err := net.SplitHostPort(authority)
	if err != nil {
		host, port = strings.Trim(authority, "[]"), ""
	}
	ip := net.ParseIP(host)
	if port != "" || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return authority
	}
	if secure {
		return net.JoinHostPort(host, "443")
	}
	return net.JoinHostPort(host, "80")
}

// mapped gives an action its part of the path: what Apache appends literally
// is joined by one slash here. trouble says where that differs, or, when ok is
// false, why the path cannot be asked for.
func (t target) mapped(from string) (a action, trouble string, ok bool) {
	a = t.action
	path, query, hasQuery := strings.Cut(t.path, "?")
	a.from = from
	ends, slash := strings.HasSuffix(from, "/"), strings.HasSuffix(path, "/")
	switch {
	case hasQuery:
		trouble = "the query ?" + printable(query, 60) + " of the backend's URL is not sent"
	case path == "" && from == "/":
		trouble = "there is no / behind the backend's address, so that Apache would ask for the host " + printable(t.action.address, 60) + "foo when a client asks for /foo; the slash was put in"
	case path == "":
	case !ends && slash && from != "/" && path != "/":
		trouble = "one ends with a slash and the other does not, so that the backend is asked for " + printable(path, 60) + "/x when a client asks for " + from + "/x; the doubled slash was left out"
	case !ends && slash && path == "/":
		trouble = "the backend is asked for //x when a client asks for " + from + "/x; the doubled slash was left out"
	case ends && !slash:
		trouble = "one ends with a slash and the other does not, so that the backend is asked for " + printable(path, 60) + "x when a client asks for " + from + "x; a slash was put between"
	}
	if path == "" {
		path = "/"
	}
	clean, ok := requestPath(path)
	if !ok {
		return a, "the path " + printable(path, 60) + " of the backend's URL is not known before a request comes: write a route with the path that is meant", false
	}
	a.to = clean
	return a, trouble, true
}
