package proxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"

	"wsfront/proxy/diagnosis"
)

// retryTunnel is the Retry-After of a handshake beyond a limit, in seconds.
const retryTunnel = "10"

// openTunnels counts the tunnels that are open, handshakes under way included,
// and holds them to their limits. It outlasts the routing tables, as tunnels
// do. It may be used concurrently.
type openTunnels struct {
	mu     sync.Mutex
	all    int
	routes map[string]int       // by the route's name
	from   map[netip.Prefix]int // by address, or network of IPv6
}

// tunnelPlace is the place that one tunnel takes. The zero value takes none.
type tunnelPlace struct {
	tunnels *openTunnels
	route   string
	from    netip.Prefix // not valid for a client that is not counted
}

// admit takes a place for a handshake. Where there is none left it answers the
// handshake, and says so.
func (o *openTunnels) admit(x *exchange) (tunnelPlace, bool) {
	p := tunnelPlace{tunnels: o, route: x.route.name, from: addressGroup(x.client)}
	limits := x.server.limits.Load()
	o.mu.Lock()
	status, reason, limit := http.StatusServiceUnavailable, "", ""
	switch {
	case limits.maxTunnels > 0 && o.all >= limits.maxTunnels:
		limit = limitMaxTunnels
		reason = fmt.Sprintf("%d tunnels are open; raise max_tunnels, and the limit of open files with it", o.all)
	case x.route.MaxTunnels > 0 && o.routes[p.route] >= x.route.MaxTunnels:
		limit = limitRouteMaxTunnels
		reason = fmt.Sprintf("%d tunnels of this route are open; raise its max_tunnels if the backend takes more", o.routes[p.route])
	case p.from.IsValid() && o.from[p.from] >= limits.maxTunnelsPerAddress:
		status, limit = http.StatusTooManyRequests, limitMaxTunnelsPerAddress
		reason = fmt.Sprintf("%s has %d tunnels open; raise max_tunnels_per_address, or name it in trusted_proxies if it is a proxy of yours", groupName(p.from), o.from[p.from])
	default:
		o.all++
		o.routes[p.route]++
		if p.from.IsValid() {
			o.from[p.from]++
		}
	}
	o.mu.Unlock()
	if limit == "" {
		return p, true
	}
	x.server.hits.add(limit, x.client)
	x.addField("Retry-After", retryTunnel)
	x.failFor(diagnosis.TooMany, status, reason, "Too many connections are open. Try again shortly.")
	return tunnelPlace{}, false
}

// leave gives the place back.
func (p tunnelPlace) leave() {
	o := p.tunnels
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all--
	if o.routes[p.route]--; o.routes[p.route] == 0 {
		delete(o.routes, p.route)
	}
	if p.from.IsValid() {
		if o.from[p.from]--; o.from[p.from] == 0 {
			delete(o.from, p.from)
		}
	}
}

// addressGroup is what one client is known by: its address, or the /64 network
// that is one customer's in IPv6. Loopback stands for nobody in particular.
func addressGroup(a netip.Addr) netip.Prefix {
	if !a.IsValid() || a.IsLoopback() {
		return netip.Prefix{}
	}
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits) // fails only for bits out of range
	return p
}

// groupName is an addressGroup in the words of the log: an address or a network.
func groupName(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
