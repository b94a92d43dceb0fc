package proxy

import "net/http"

// pushHandler answers a route whose Handler a program brought along.
type pushHandler struct{ route *route }

func (p pushHandler) serve(x *exchange, r *http.Request) {
	if p.route.variable != "" {
		r.SetPathValue(p.route.variable, x.path[len(p.route.prefix):])
	}
	p.route.Handler.ServeHTTP(x, r)
}
