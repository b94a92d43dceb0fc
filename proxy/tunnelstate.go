package proxy

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unique"

	"wsfront/proxy/http1"
	"wsfront/proxy/relay"
)

// maxUserAgent is how many bytes of a User-Agent are kept with a tunnel.
const maxUserAgent = 256

// liveTunnel is a tunnel that is open.
type liveTunnel struct {
	entry   *tunnelEntry
	carried carriedTunnel
}

// carriedTunnel is what carries a tunnel: a relay.Tunnel, or a messageRun.
type carriedTunnel interface {
	Stats() relay.Stats
	Close(code uint16, reason string)
}

// liveTunnelsLocked are the tunnels that are not counted as closed. The lock of
// tunnelAccounts is held.
func (s *Server) liveTunnelsLocked() []liveTunnel {
	var open []liveTunnel
	for t := range s.relay.All() {
		if entry := t.Owner().(*tunnelEntry); !entry.over {
			open = append(open, liveTunnel{entry, t})
		}
	}
	for entry, run := range s.accounts.messages {
		open = append(open, liveTunnel{entry, run})
	}
	return open
}

// liveTunnels is liveTunnelsLocked for who does not hold the lock.
func (s *Server) liveTunnels() []liveTunnel {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	return s.liveTunnelsLocked()
}

// Tunnels are the tunnels that are open, the oldest first.
func (s *Server) Tunnels() []TunnelState {
	open := s.liveTunnels()
	states := make([]TunnelState, 0, len(open))
	for _, t := range open {
		states = append(states, t.state())
	}
	slices.SortFunc(states, func(a, b TunnelState) int {
		return cmp.Or(a.Opened.Compare(b.Opened), strings.Compare(a.ID, b.ID))
	})
	return states
}

func (t liveTunnel) state() TunnelState {
	e, stats := t.entry, t.carried.Stats()
	id := e.site.routeID(e.route)
	return TunnelState{
		ID: string(e.id[:]), Client: e.client.String(), UserAgent: e.userAgent.Value(),
		Site: id.site, Route: id.route, Backend: e.member.backend.written,
		Opened: stats.Opened, Moved: stats.Moved,
		BytesIn: stats.FromClient.Bytes, BytesOut: stats.FromBackend.Bytes,
		MessagesIn: stats.FromClient.Messages, MessagesOut: stats.FromBackend.Messages,
		Ponged: stats.Ponged, PingSeconds: stats.PingRoundTrip.Seconds(),
	}
}

// CloseTunnel closes the tunnel with that TunnelState.ID: both sides get a Close
// with 1001. It does not wait for their answers. It reports false if no such
// tunnel is open.
func (s *Server) CloseTunnel(id string) bool {
	for _, t := range s.liveTunnels() {
		if string(t.entry.id[:]) == id {
			t.carried.Close(1001, string(relay.Closed))
			return true
		}
	}
	return false
}

// userAgent is the User-Agent of a request, as far as it is kept: what cannot be
// printed is left out, since terminals and pages show it.
func userAgent(fields []http1.Field) unique.Handle[string] {
	text, _ := http1.Get(fields, http1.UserAgent)
	clean := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return -1
	}, string(text[:min(len(text), maxUserAgent)]))
	return unique.Make(clean)
}
