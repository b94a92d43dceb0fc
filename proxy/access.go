package proxy

import (
	"fmt"
	"net/http"

	"wsfront/proxy/diagnosis"
)

// admit holds a request to its route's rules of who may use it. It reports
// false when the request has been answered. Nothing has been asked of a backend
// by then, nor of the disk but what finding the route takes: whether the folder of
// a route with fallthrough has the file.
func (x *exchange) admit() bool {
	rt := x.route
	if rt.Allow != nil && !contains(rt.Allow, x.client.WithZone("")) { // a prefix has no zone, and contains none
		x.refuse(diagnosis.AddressRefused, http.StatusForbidden, fmt.Sprintf("%s is not among the addresses of allow", x.client), "This address is not open to you.")
		return false
	}
	return rt.guard == nil || rt.guard.admit(x)
}

// refuse answers who may not use the route. What a client sends behind a
// handshake may be frames: see Server.tunnel.
func (x *exchange) refuse(cause diagnosis.Cause, status int, reason, hint string) {
	if x.upgrade {
		x.down.closeAfter()
	}
	x.failFor(cause, status, reason, hint)
}
