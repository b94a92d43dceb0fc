package proxy

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"wsfront/proxy/relay"
)

// Resident is a Handler of a Route whose clients stay when their requests are
// over, as the WebSockets of a push service do. A reload brings another Handler
// for the same route; these methods tell them what has become of each other.
type Resident interface {
	http.Handler
	// Succeed says that this Handler stands for another one's route, before it
	// is asked for anything: when that one is told to retire, this one's clients
	// are meant as well.
	Succeed(earlier http.Handler)
	// Retire says that the route is gone. Clients that came by it are to leave,
	// all of them within the time that is given, and those that are about to
	// come as well. It does not wait for them.
	Retire(within time.Duration)
}

// tenure is how long a route exists: from the reload that brought it to the one
// that takes it away. What outlives a request, tunnels and the clients of a
// Resident, belongs to it and not to a route, of which each reload makes another.
type tenure struct {
	tunnels *relay.Group
	over    context.Context // done when the route is gone or the server stops; for tunnels of mode message
	end     context.CancelCauseFunc
	handler http.Handler // of the route that has it now
}

// errRouteRemoved is why a tenure is over, and the reason in the log.
var errRouteRemoved = errors.New("route removed")

// routeKind is what a route does, as far as something may outlast the change
// from one to another.
type routeKind uint8

const (
	otherRoute routeKind = iota // nothing outlives its requests
	appRoute
	tunnelRoute
	handlerRoute
)

func (rt *route) kind() routeKind {
	switch {
	case rt.App != "":
		return appRoute
	case rt.Tunnel.Backend != "":
		return tunnelRoute
	case rt.Handler != nil:
		return handlerRoute
	}
	return otherRoute
}

// sameAs says whether a route of another table is this one still. A host of its
// site has led to it, so that the names are equal but for what else may have
// changed: where it leads, and any option.
func (rt *route) sameAs(earlier *route) bool {
	return rt.kind() == earlier.kind() && rt.Path == earlier.Path && rt.Match == earlier.Match
}

// succeed has the routes of a new table take over the tenures of the one before,
// which may be nil, and begins those that are new. A site is the same while it
// has one host of those it had.
func (t *table) succeed(before *table, stopping context.Context) {
	if before != nil {
		for _, s := range before.sites {
			t.succeedSite(s)
		}
	}
	for _, s := range t.sites {
		for _, rt := range s.routes {
			if rt.kind() == otherRoute {
				continue
			}
			if rt.tenures == nil {
				n := &tenure{tunnels: relay.NewGroup(relay.Reason(errRouteRemoved.Error())), handler: rt.Handler}
				n.over, n.end = context.WithCancelCause(stopping)
				rt.tenures = []*tenure{n}
			}
			rt.inherit()
		}
	}
}

// succeedSite finds the routes that were those of a site before.
func (t *table) succeedSite(before *site) {
	for _, host := range before.Hosts {
		s := t.siteOf(host)
		if s == nil {
			continue
		}
		for _, rt := range s.routes {
			for _, earlier := range before.routes {
				if !rt.sameAs(earlier) {
					continue
				}
				for _, n := range earlier.tenures { // several if sites have become one
					if !slices.Contains(rt.tenures, n) {
						rt.tenures = append(rt.tenures, n)
					}
				}
			}
		}
	}
}

// siteOf is the site with an element of Site.Hosts, or nil.
func (t *table) siteOf(host string) *site {
	for _, s := range t.sites {
		if slices.ContainsFunc(s.Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
			return s
		}
	}
	return nil
}

// inherit fills in what depends on the route's tenures.
func (rt *route) inherit() {
	if rt.pool != nil {
		rt.tunnel = newTunnelTerms(&rt.Route, rt.tenures[0].tunnels)
	}
	own, ok := rt.Handler.(Resident)
	if !ok {
		return
	}
	for _, n := range rt.tenures {
		if n.handler != rt.Handler {
			own.Succeed(n.handler)
			n.handler = rt.Handler
		}
	}
}

// end ends the tenures that this table, which is out of use, had and the next
// one has not. What belongs to them is over within the given time.
func (t *table) end(next *table, tunnels *relay.Engine, within time.Duration) {
	var gone []*tenure
	for _, s := range t.sites {
		for _, rt := range s.routes {
			for _, n := range rt.tenures {
				if !next.has(n) && !slices.Contains(gone, n) {
					gone = append(gone, n)
				}
			}
		}
	}
	groups := make([]*relay.Group, len(gone))
	for i, n := range gone {
		groups[i] = n.tunnels
		n.end(errRouteRemoved)
		if h, ok := n.handler.(Resident); ok {
			h.Retire(within)
		}
	}
	if len(groups) > 0 {
		tunnels.Dissolve(within, groups...)
	}
}

func (t *table) has(n *tenure) bool {
	return slices.ContainsFunc(t.sites, func(s *site) bool {
		return slices.ContainsFunc(s.routes, func(rt *route) bool { return slices.Contains(rt.tenures, n) })
	})
}
