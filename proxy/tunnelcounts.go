package proxy

import (
	"cmp"
	"sync"

	"wsfront/proxy/diagnosis"
	"wsfront/proxy/tally"
)

// routeID is what a route is known by over reloads: its site's name, and its
// path or match. It is empty for requests that found no route.
type routeID struct{ site, route string }

func (s *site) routeID(rt *route) routeID { return routeID{s.name, cmp.Or(rt.Path, rt.Match)} }

// tunnelAccounts counts the tunnels of each route. It may be used concurrently.
type tunnelAccounts struct {
	mu     sync.Mutex
	routes map[routeID]*tunnelAccount // those of the table in effect
}

// tunnelAccount counts the tunnels of one route, over all reloads that leave it.
// The lock of tunnelAccounts guards it.
type tunnelAccount struct {
	open    int
	opened  uint64
	refused map[diagnosis.Cause]uint64
}

// adopt gives the routes of a table their accounts: those that they had, or new
// ones. An account that no route has any more is still that of the tunnels which
// have not ended, and of nobody else.
func (a *tunnelAccounts) adopt(t *table) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.routes
	a.routes = map[routeID]*tunnelAccount{}
	a.take(before, routeID{})
	for _, s := range t.sites {
		for _, rt := range s.routes {
			if rt.kind() != otherRoute {
				rt.tunnels = a.take(before, s.routeID(rt))
			}
		}
	}
}

// take is the account of a route that is in effect. a.mu is held.
func (a *tunnelAccounts) take(before map[routeID]*tunnelAccount, id routeID) *tunnelAccount {
	account := cmp.Or(a.routes[id], before[id])
	if account == nil {
		account = &tunnelAccount{refused: map[diagnosis.Cause]uint64{}}
	}
	a.routes[id] = account
	return account
}

// countRefusedTunnel counts a handshake that did not become a tunnel. rt is the
// route that it found, or nil.
func (s *Server) countRefusedTunnel(rt *route, cause diagnosis.Cause) {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	account := s.accounts.routes[routeID{}]
	if rt != nil && rt.tunnels != nil {
		account = rt.tunnels
	}
	account.refused[cmp.Or(cause, diagnosis.Refused)]++
}

// tunnelCounts are the accounts of the routes that tunnels, or handshakes to a
// Handler, can come by, and one with neither site nor route for handshakes that
// found none.
func (s *Server) tunnelCounts() map[routeID]TunnelCounts {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	counts := make(map[routeID]TunnelCounts, len(s.accounts.routes))
	for id, a := range s.accounts.routes {
		counts[id] = a.counts()
	}
	return counts
}

// counts are those of tunnels that are over. The lock is held.
func (a *tunnelAccount) counts() TunnelCounts {
	c := TunnelCounts{Open: a.open, Opened: a.opened, Refused: make(map[string]uint64, len(a.refused))}
	for cause, n := range a.refused {
		c.Refused[string(cause)] = n
	}
	return c
}

// pingRoundTrip is how long clients took to answer the pings in tunnels.
func (s *Server) pingRoundTrip() tally.Distribution { return s.relay.PingRoundTrip().Distribution() }
