package proxy

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// redirect checks where a redirect route leads, and its status.
func (v *validator) redirect(at string, r Route) {
	switch status := r.Redirect.Status; status {
	case 0, 301, 302, 303, 307, 308:
		if r.Redirect.To == "" {
			v.failf(at+".redirect.to", "missing; write where browsers are sent, such as to: https://www.example.org, or a status of 403, 404 or 410 alone")
			return
		}
	case 403, 404, 410:
		if r.Redirect.To != "" {
			v.failf(at+".redirect.status", "%d leads nowhere, so that to has no effect; remove to, or write 301, 302, 303, 307 or 308", status)
		}
		return
	default:
		v.failf(at+".redirect.status", "%d is no redirect; write 301, 302, 303, 307 or 308, or 403, 404 or 410 without to", status)
	}
	if r.Redirect.To == "" {
		return
	}
	// By its own name even in the short form: see tunnelOf.
	field := at + ".redirect.to"
	to, _, err := r.parseRedirect()
	if err != nil {
		v.fail(field, err)
		return
	}
	if _, variable, _ := parsePath(r.Path); variable != "" && to.path != "" {
		v.failf(field, "the path %s cannot replace one that varies; write it without, and the request's own path is kept", to.path)
	}
}

// circles finds redirects that keep the path and lead to the site that they
// stand in. One without TLS may lead to a proxy that has it, and another port to
// another server.
func (v *validator) circles(at string, s Site) {
	if s.TLS.mode() == TLSOff {
		return
	}
	for i, r := range s.Routes {
		to, t, err := r.parseRedirect()
		_, host, ok := strings.Cut(to.origin, "://")
		if _, _, portErr := net.SplitHostPort(host); err != nil || !ok || to.path != "" || t != nil || portErr == nil {
			continue
		}
		if slices.ContainsFunc(s.Hosts, func(h string) bool { return hostname(h) == hostname(host) }) {
			v.failf(fmt.Sprintf("%s.routes[%d].redirect.to", at, i), "%s is a host of this site, and the path is kept, so that browsers would go in circles; give the other hosts a site of their own", host)
		}
	}
}
