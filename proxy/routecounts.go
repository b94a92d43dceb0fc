package proxy

import (
	"net/http"
	"sync/atomic"
	"time"

	"wsfront/proxy/tally"
)

// strangeStatus stands in the counts for all statuses that HTTP has no class
// for, from 600 on.
const strangeStatus = 600

// routeAccount is what is counted of the requests of one route, over all reloads
// that leave it. It may be used concurrently.
type routeAccount struct {
	statuses          [strangeStatus - 100 + 1]atomic.Uint64
	durations         [4]*tally.Histogram // 2xx, 3xx, 4xx, 5xx and above
	bytesIn, bytesOut atomic.Uint64
}

func newRouteAccount() *routeAccount {
	a := &routeAccount{}
	for i := range a.durations {
		a.durations[i] = tally.NewHistogram(tally.Latencies())
	}
	return a
}

// account is that of the exchange's route, or of those that found none.
func (x *exchange) account() *routeAccount {
	if x.route != nil {
		return x.route.account
	}
	return x.server.unrouted
}

// took counts a piece of the request's body.
func (x *exchange) took(n int) { x.account().bytesIn.Add(uint64(n)) }

// gave counts a piece of the answer's body.
func (x *exchange) gave(n int64) { x.account().bytesOut.Add(uint64(n)) }

// count counts an exchange that is over, or has become a tunnel.
func (s *Server) count(x *exchange) {
	a, status := x.account(), x.status
	if status == 0 {
		status = statusNone
	}
	a.statuses[min(max(status, 100), strangeStatus)-100].Add(1)
	if status >= 200 && !(x.route != nil && x.route.Handler != nil && !x.route.Whole) {
		a.durations[min(status, strangeStatus-1)/100-2].Add(time.Since(x.begin))
	}
	if x.upgrade && status != http.StatusSwitchingProtocols {
		s.countRefusedTunnel(x.route, x.cause)
	}
}

// counts are what was counted by now.
func (a *routeAccount) counts() RouteCounts {
	c := RouteCounts{Requests: map[int]uint64{}, Duration: map[string]tally.Distribution{}, BytesIn: a.bytesIn.Load(), BytesOut: a.bytesOut.Load()}
	for i := range a.statuses {
		if n := a.statuses[i].Load(); n > 0 {
			c.Requests[100+i] = n
		}
	}
	for i, h := range a.durations {
		if d := h.Distribution(); d.Count() > 0 {
			c.Duration[[...]string{"2xx", "3xx", "4xx", "5xx"}[i]] = d
		}
	}
	return c
}

// requests are how many there were, and how many of them failed: by a status of
// 500 and above, or without an answer.
func (a *routeAccount) requests() (all, failed uint64) {
	for i := range a.statuses {
		n := a.statuses[i].Load()
		all += n
		if status := 100 + i; status >= 500 || status == statusNone {
			failed += n
		}
	}
	return all, failed
}

// addAccounts gives the routes of a new table their accounts: those that they
// had, or others. before is nil for the first table.
func (t *table) addAccounts(before *table) {
	t.accounts = map[routeID]*routeAccount{}
	for _, s := range t.sites {
		for _, rt := range s.routes {
			id := s.routeID(rt)
			if t.accounts[id] == nil && before != nil {
				t.accounts[id] = before.accounts[id]
			}
			if t.accounts[id] == nil {
				t.accounts[id] = newRouteAccount()
			}
			rt.account = t.accounts[id]
		}
	}
	if before != nil {
		t.pools.keepAccounts(before.pools)
	}
}

// routeCounts are the accounts of all routes, in the order of the configuration.
func (t *table) routeCounts(tunnels map[routeID]TunnelCounts) []RouteCounts {
	counts := make([]RouteCounts, 0, len(t.accounts)+1)
	counted := make(map[routeID]bool, len(t.accounts))
	for _, s := range t.sites {
		for _, c := range s.Routes {
			id := s.routeID(&route{Route: c})
			if counted[id] { // several of one path, for different kinds of requests
				continue
			}
			counted[id] = true
			one := t.accounts[id].counts()
			one.Site, one.Route, one.Tunnels = id.site, id.route, tunnels[id]
			counts = append(counts, one)
		}
	}
	return counts
}

// Counts are what the Server has counted by now. Each figure is as it was at some
// moment of the call. It may be called concurrently, and as often as one likes:
// requests do not wait for it.
func (s *Server) Counts() Counts {
	t, conns := s.table.Load(), &s.conns.counts
	tunnels := s.tunnelCounts()
	c := Counts{
		Connections:          conns.connections(),
		Accepted:             map[string]uint64{"tls": conns.secure.Load(), "plain": conns.plain.Load()},
		TLSHandshakes:        map[string]uint64{"1.2": conns.tls12.Load(), "1.3": conns.tls13.Load()},
		TLSFailures:          conns.failures.counts(),
		Routes:               t.routeCounts(tunnels),
		Backends:             t.backendCounts(),
		PingRoundTrip:        s.pingRoundTrip(),
		CertificatesObtained: s.certs.account.obtained.Load(),
		CertificatesRenewed:  s.certs.account.renewed.Load(),
		CertificateFailures:  s.certs.account.failed.Load(),
		AccessLogLost:        s.access.allLost.Load(),
	}
	unrouted := s.unrouted.counts()
	unrouted.Tunnels = tunnels[routeID{}]
	c.Routes = append(c.Routes, unrouted)
	for _, one := range tunnels {
		c.Connections["websocket"] += one.Open
	}
	return c
}
