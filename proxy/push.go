package proxy

import (
	"net/http"
	"net/netip"
	"net/url"
)

// pushHandler answers a route whose Handler a program brought along.
type pushHandler struct{ route *route }

// serve hands the request over in its clean form: the path is the one that the
// route was found by, and RemoteAddr the client's, trusted proxies seen
// through. A handler that takes the connection over returns when it is done
// with it, and the access log has its line then.
func (p pushHandler) serveHTTP(x *httpExchange, r *http.Request) {
	if p.route.variable != "" {
		// Unescaped apart from the path, as an escaped slash belongs to it.
		r.SetPathValue(p.route.variable, unescapePath(string(x.path[len(p.route.prefix):])))
	}
	r.URL.Path, r.URL.RawPath = unescapePath(string(x.path)), string(x.path)
	// What net/http leaves empty says how the client came, through whatever proxies.
	r.URL.Scheme, r.Host = x.scheme, string(x.host)
	if x.client != x.peer {
		r.RemoteAddr = netip.AddrPortFrom(x.client, 0).String() // only its proxy knows the port
	}
	if !x.trusted || x.user != "" {
		delete(r.Header, remoteUser)
	}
	if x.user != "" { // as a backend would get it
		delete(r.Header, "Authorization")
		r.Header.Set(remoteUser, x.user)
	}
	p.route.Handler.ServeHTTP(x, r)
}

// unescapePath decodes a clean path, whose escapes were checked.
func unescapePath(clean string) string {
	if path, err := url.PathUnescape(clean); err == nil {
		return path
	}
	return clean
}
