package proxy

import (
	"net/http"
	"net/netip"
	"strings"
)

// identify finds out who asks, by which scheme and for which host: from the
// connection, or, when that is a trusted proxy's, from the fields it sets.
func (x *exchange) identify(r *http.Request, trusted []netip.Prefix) {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		x.peer = ap.Addr().Unmap()
	}
	x.client = x.peer
	if !contains(trusted, x.peer) {
		return
	}
	x.client = forwardedClient(x.peer, r.Header["X-Forwarded-For"], trusted)
	switch proto := lastItem(r.Header["X-Forwarded-Proto"]); strings.ToLower(proto) {
	case "https", "wss":
		x.scheme = "https"
	case "http", "ws":
		x.scheme = "http"
	}
	if host := lastItem(r.Header["X-Forwarded-Host"]); host != "" {
		x.host = host
	}
}

// forwardedClient walks X-Forwarded-For from the right, where the nearest
// proxy wrote, to the first address that is not a trusted proxy's: whatever
// stands left of it, anybody may have written.
func forwardedClient(peer netip.Addr, values []string, trusted []netip.Prefix) netip.Addr {
	client := peer
	items := strings.Split(strings.Join(values, ","), ",")
	for i := len(items) - 1; i >= 0; i-- {
		addr, err := netip.ParseAddr(strings.TrimSpace(items[i]))
		if err != nil {
			return client
		}
		client = addr.Unmap()
		if !contains(trusted, client) {
			return client
		}
	}
	return client
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
