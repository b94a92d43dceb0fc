package diagnosis

import "strings"

// sign is a text in an answer's body that gives away what it is, in lower case.
// These are the words of servers and libraries as they send them; they are few
// enough to be looked for one by one.
type sign struct {
	text  string
	cause Cause
}

// bodySigns are looked for in turn, whatever server seems to have answered.
var bodySigns = []sign{
	// Socket.IO (engine.io): {"code":1,"message":"Session ID unknown"}
	{"session id unknown", SessionUnknown},
	{`{"code":1,`, SessionUnknown},
	// Django under DEBUG, and what it says of CSRF
	{"disallowedhost", HostRefused},
	{"invalid http_host header", HostRefused},
	{"invalid host header", HostRefused}, // Starlette, webpack
	{"blocked host", HostRefused},        // Rails
	{"origin checking failed", ForwardedProto},
	{"referer checking failed", ForwardedProto},
	{"csrf verification failed", ForwardedProto},
	// servers that were asked in plain HTTP at a TLS port: Go, nginx, Apache
	{"client sent an http request to an https server", TLSRequired},
	{"plain http request was sent to https port", TLSRequired},
	{"speaking plain http to an ssl-enabled server port", TLSRequired},
	{"this port takes https only", TLSRequired}, // wsfront
	// a handshake whose key was taken away: websockets and others; nginx under
	// ssl_verify_client; gunicorn on too many fields
	{"sec-websocket-key", HandshakeWrong},
	{"sec-websocket-version", HandshakeWrong},
	{"error parsing headers", Refused},
	{"no required ssl certificate was sent", LoginRequired},
	{"the ssl certificate error", LoginRequired},
	// WebSocket libraries on Origin: gorilla as applications print it, coder, websockets, Rails
	{"request origin not allowed", OriginRefused},
	{"is not authorized for host", OriginRefused},
	{"invalid origin header", OriginRefused},
	{"missing origin header", OriginRefused},
	{"origin not allowed", OriginRefused},
	// WebSocket libraries on a request without Upgrade: Tornado, Jupyter, aiohttp
	// and SockJS, gorilla as applications print it, coder, websockets, ws
	{`can "upgrade" only to "websocket"`, UpgradeDropped},
	{`"connection" must be "upgrade"`, UpgradeDropped},
	{"token not found in 'connection' header", UpgradeDropped},
	{"token not found in 'upgrade' header", UpgradeDropped},
	{"websocket protocol violation", UpgradeDropped},
	{"invalid connection header", UpgradeDropped},
	{"invalid upgrade header", UpgradeDropped},
	{"missing connection header", UpgradeDropped},
	{"missing upgrade header", UpgradeDropped},
	{"cannot access a websocket server directly with a browser", UpgradeDropped},
	{"no websocket upgrade hdr", UpgradeDropped},
	{"not a websocket handshake", UpgradeDropped},
	{"expected websocket", UpgradeDropped},
	{"upgrade required", UpgradeDropped},
	{`{"code":3,"message":"bad request"}`, UpgradeDropped}, // Socket.IO
	// WSGI modules that look for the socket in vain
	{"socket not found in wsgi.input", AppAnswered},
	// Apache's error pages on what is behind it
	{"error during ssl handshake with remote server", BackendScheme},
	{"error reading from remote server", BackendScheme},
	{"dns lookup failure for", BackendDown},
	// HAProxy's
	{"returned an invalid or incomplete response", BackendScheme},
	{"no server is available to handle this request", BackendDown},
	// wsfront's
	{"this websocket is served by wss:// only", TLSRequired},
	{"too many connections are open", TooMany},
}

// ofBody finds the first sign in the beginning of a body, which is in lower
// case.
func ofBody(body string) (Cause, bool) {
	for _, s := range bodySigns {
		if strings.Contains(body, s.text) {
			return s.cause, true
		}
	}
	return "", false
}

// isApp reports whether an answer has signs of an application rather than of a
// server: of WSGI servers, and of Django's middleware and error pages.
func (a *Answer) isApp(body string) bool {
	for _, s := range []string{"gunicorn", "mod_wsgi", "wsgiserver", "waitress", "uwsgi", "werkzeug", "passenger"} {
		if strings.Contains(strings.ToLower(a.Header("Server")), s) {
			return true
		}
	}
	cookies := a.Header("Set-Cookie")
	switch {
	case strings.HasPrefix(cookies, "csrftoken="), strings.HasPrefix(cookies, "sessionid="), strings.Contains(a.Header("Vary"), "Cookie"):
		return true
	case a.Header("Referrer-Policy") == "same-origin" && a.Header("X-Content-Type-Options") == "nosniff":
		return true // Django's SecurityMiddleware as new projects have it
	}
	for _, text := range appPages {
		if strings.Contains(body, text) {
			return true
		}
	}
	return false
}

// appPages are words of the 404 pages of Django, of the same under DEBUG, and of
// Flask; in lower case.
var appPages = []string{
	"the requested resource was not found on this server.",
	"using the urlconf defined in",
	"if you entered the url manually please check your spelling",
}

// djangoBadRequest is all that Django's page for a Host that it does not allow
// has to be known by, where DEBUG is off; in lower case.
const djangoBadRequest = "<title>bad request (400)</title>"
