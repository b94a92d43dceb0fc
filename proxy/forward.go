package proxy

import (
	"net/http"
	"net/http/httputil"
)

// forwarder sends requests to an app backend.
type forwarder struct {
	route *route
	proxy *httputil.ReverseProxy
}

func newForwarder(rt *route) *forwarder { return &forwarder{route: rt} }

func (f *forwarder) serve(x *exchange, r *http.Request) { f.proxy.ServeHTTP(x, r) }
