package proxy

import (
	"net/netip"
	"slices"
	"strings"

	"wsfront/proxy/http1"
)

// identify finds out who asks, by which scheme and for which host: from the
// connection, or, when that is a trusted proxy's, from the fields it sets.
func (x *exchange) identify(trusted []netip.Prefix) {
	x.client, x.host, x.scheme = x.peer, x.req.HostValue, "http"
	if x.secure {
		x.scheme = "https"
	}
	x.hops = append(x.hops[:0], x.peer)
	if x.trusted = contains(trusted, x.peer); !x.trusted {
		return
	}
	x.hops = forwardedHops(x.peer, x.values(http1.XForwardedFor), trusted)
	x.client = x.hops[0]
	switch proto := lastItem(x.values(http1.XForwardedProto)); strings.ToLower(proto) {
	case "https", "wss":
		x.scheme = "https"
	case "http", "ws":
		x.scheme = "http"
	}
	if host := lastItem(x.values(http1.XForwardedHost)); validHost(host) {
		x.host = []byte(host)
	}
}

// forwardedHops walks X-Forwarded-For from the right, where the nearest proxy
// wrote, to the first address that is not a trusted proxy's, and returns the
// way from there to the peer: whatever stands left of it, anybody may have
// written.
func forwardedHops(peer netip.Addr, values []string, trusted []netip.Prefix) []netip.Addr {
	hops := []netip.Addr{peer}
	items := strings.Split(strings.Join(values, ","), ",")
	for i := len(items) - 1; i >= 0 && contains(trusted, hops[len(hops)-1]); i-- {
		addr, ok := forwardedAddr(strings.TrimSpace(items[i]))
		if !ok {
			break
		}
		hops = append(hops, addr)
	}
	slices.Reverse(hops)
	return hops
}

// forwardedAddr reads one item: an address, which some proxies write with its
// port. A zone means nothing to anybody else, and may hold any text.
func forwardedAddr(item string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(item)
	if err != nil {
		ap, err := netip.ParseAddrPort(item)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = ap.Addr()
	}
	return addr.WithZone("").Unmap(), true
}

// validHost reports whether a host field can be repeated to a backend or in an
// answer without changing what stands around it: the characters of RFC 3986
// §3.2.2, and at least one.
func validHost[T ~string | ~[]byte](host T) bool {
	for i := 0; i < len(host); i++ {
		if c := host[i]; !isUnreserved(c) && strings.IndexByte("!$&'()*+,;=:[]%", c) < 0 {
			return false
		}
	}
	return len(host) > 0
}

func lastItem(values []string) string {
	joined := strings.Join(values, ",")
	return strings.TrimSpace(joined[strings.LastIndexByte(joined, ',')+1:])
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
