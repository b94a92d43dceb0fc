package proxy

import (
	"cmp"
	"maps"
	"sync"

	"wsfront/proxy/diagnosis"
	"wsfront/proxy/relay"
	"wsfront/proxy/tally"
)

// routeID is what a route is known by over reloads: its site's name, and its
// path or match. It is empty for requests that found no route.
type routeID struct{ site, route string }

func (s *site) routeID(rt *route) routeID { return routeID{s.name, cmp.Or(rt.Path, rt.Match)} }

// tunnelAccounts counts the tunnels of each route. It may be used concurrently.
type tunnelAccounts struct {
	mu       sync.Mutex
	routes   map[routeID]*tunnelAccount   // those of the table in effect
	messages map[*tunnelEntry]*messageRun // tunnels of mode message that are open; the relay has the others
}

// tunnelAccount counts the tunnels of one route, over all reloads that leave it.
// The lock of tunnelAccounts guards it.
type tunnelAccount struct {
	open    int
	opened  uint64
	refused map[diagnosis.Cause]uint64

	// Of those that are over. A tunnel goes from what is open to what is over under
	// the lock, so that a sum of both never falls.
	closed    map[TunnelEnd]uint64
	in, out   relay.Traffic
	lifetimes *tally.Histogram
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
		account = &tunnelAccount{refused: map[diagnosis.Cause]uint64{}, closed: map[TunnelEnd]uint64{}, lifetimes: tally.NewHistogram(tally.Lifetimes())}
	}
	a.routes[id] = account
	return account
}

// begin counts a tunnel that is about to open; run is what carries it in mode
// message, or nil.
func (a *tunnelAccounts) begin(t *tunnelEntry, run *messageRun) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t.route.tunnels.open++
	t.route.tunnels.opened++
	if run != nil {
		a.messages[t] = run
	}
}

// end counts a tunnel that is over, which the relay still has.
func (a *tunnelAccounts) end(t *tunnelEntry, r relay.Result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.messages, t)
	t.over = true
	account := t.route.tunnels
	account.open--
	account.closed[TunnelEnd{By: r.ClosedBy, Code: countedCode(r.CloseCode), Reason: string(r.Reason)}]++
	account.in.Bytes += r.FromClient.Bytes
	account.in.Messages += r.FromClient.Messages
	account.out.Bytes += r.FromBackend.Bytes
	account.out.Messages += r.FromBackend.Messages
	account.lifetimes.Add(r.Duration)
}

// countedCode is the status code of a Close as it is counted: of those that a
// client can make up, which are 65,536, there are few (RFC 6455 §7.4).
func countedCode(code uint16) int {
	switch {
	case code == 0: // there was none
		return 1006
	case 1000 <= code && code <= 1014:
		return int(code)
	case 3000 <= code && code <= 4999:
		return int(code) / 1000 * 1000
	}
	return 0
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
	a := &s.accounts
	a.mu.Lock()
	counts := make(map[*tunnelAccount]*TunnelCounts, len(a.routes))
	ids := make(map[routeID]*TunnelCounts, len(a.routes))
	for id, account := range a.routes {
		ids[id] = account.counts()
		counts[account] = ids[id]
	}
	live := s.liveTunnelsLocked()
	a.mu.Unlock()
	// What moves from here on, to a tunnel's end, is in this sum or in a later one.
	for _, t := range live {
		if c := counts[t.entry.route.tunnels]; c != nil { // else the route is gone
			s := t.carried.Stats()
			c.add(s.FromClient, s.FromBackend)
		}
	}
	all := make(map[routeID]TunnelCounts, len(ids))
	for id, c := range ids {
		all[id] = *c
	}
	return all
}

// counts are those of tunnels that are over, and how many are open. The lock is
// held.
func (a *tunnelAccount) counts() *TunnelCounts {
	c := &TunnelCounts{Open: a.open, Opened: a.opened, Closed: maps.Clone(a.closed), Duration: a.lifetimes.Distribution()}
	c.Refused = make(map[string]uint64, len(a.refused))
	for cause, n := range a.refused {
		c.Refused[string(cause)] = n
	}
	c.add(a.in, a.out)
	return c
}

func (c *TunnelCounts) add(in, out relay.Traffic) {
	c.BytesIn += uint64(in.Bytes)
	c.MessagesIn += uint64(in.Messages)
	c.BytesOut += uint64(out.Bytes)
	c.MessagesOut += uint64(out.Messages)
}

// pingRoundTrip is how long clients took to answer the pings in tunnels.
func (s *Server) pingRoundTrip() tally.Distribution { return s.relay.PingRoundTrip().Distribution() }
