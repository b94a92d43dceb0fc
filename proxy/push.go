package proxy

import (
	"net/http"
	"net/url"
)

// pushHandler answers a route whose Handler a program brought along.
type pushHandler struct{ route *route }

// serve hands the request over in its clean form: the path is the one that the
// route was found by, and RemoteAddr the client's, trusted proxies seen
// through. A handler that takes the connection over returns when it is done
// with it, and the access log has its line then.
func (p pushHandler) serve(x *exchange) {
	x.small = nil // a client that listens for long does without
	if t, ok := x.down.(*turn); ok && !p.route.Whole {
		t.c.carries(carriesPush)
		defer func() {
			if !t.taken {
				t.c.carries(carriesHTTP1)
			}
		}()
	}
	if x.upgrade {
		x.down.closeAfter() // as for a tunnel
	}
	x.handle(func(w *responseWriter, r *http.Request) {
		if p.route.variable != "" {
			// Unescaped apart from the path, as an escaped slash belongs to it.
			r.SetPathValue(p.route.variable, unescapePath(string(x.path[len(p.route.prefix):])))
		}
		if !x.trusted || x.user != "" {
			delete(r.Header, remoteUser)
		}
		if x.user != "" { // as a backend would get it
			delete(r.Header, "Authorization")
			r.Header.Set(remoteUser, x.user)
		}
		p.route.Handler.ServeHTTP(w, r)
	})
}

// unescapePath decodes a clean path, whose escapes were checked.
func unescapePath(clean string) string {
	if path, err := url.PathUnescape(clean); err == nil {
		return path
	}
	return clean
}
