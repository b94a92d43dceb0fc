package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// openHandshakes holds TLS handshakes to their limits: they cost more than
// anything else that a client can have for one packet. It may be used
// concurrently.
type openHandshakes struct {
	open  atomic.Int64
	rates addressRates
}

// beginHandshake reports whether a client may begin a handshake, which
// endHandshake ends.
func (s *Server) beginHandshake(peer netip.Addr) bool {
	l := s.limits.Load()
	if s.handshakes.open.Add(1) > int64(l.MaxHandshakes) {
		s.endHandshake()
		s.hits.add(limitMaxHandshakes, peer)
		return false
	}
	if from := s.countedAs(peer, l); from.IsValid() && !s.handshakes.rates.take(from, l.MaxHandshakesPerSecond, time.Now()) {
		s.endHandshake()
		s.hits.add(limitMaxHandshakesPerSecond, peer)
		return false
	}
	return true
}

func (s *Server) endHandshake() { s.handshakes.open.Add(-1) }

// countedAs is the address or network that a client's connections are counted
// by. It is not valid for those that are not counted.
func (s *Server) countedAs(peer netip.Addr, l *limits) netip.Prefix {
	if contains(l.trusted, peer) {
		return netip.Prefix{}
	}
	return s.addressGroup(peer)
}

const (
	// rateSpan is after how long a bucket that was not used is full again, as
	// it holds what a second brings.
	rateSpan = time.Second
	// ratedAddresses is how many addresses are known at a time, in each of two
	// generations. Who has more of them at hand is not held back by a limit for
	// each, but by max_handshakes.
	ratedAddresses = 16384
)

// addressRates are token buckets of addresses. Those used within the last
// rateSpan are in one of two generations: of the others nothing needs to be
// known, since they are full.
type addressRates struct {
	mu         sync.Mutex
	young, old map[netip.Prefix]bucket
	since      time.Time // when the young ones began
}

// bucket is what an address may still do at once.
type bucket struct {
	tokens float64
	at     time.Time
}

// take takes one token of an address, which has perSecond of them a second, and
// no more than that at a time. It reports false if there is none.
func (r *addressRates) take(from netip.Prefix, perSecond int, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.young == nil || now.Sub(r.since) >= rateSpan || len(r.young) >= ratedAddresses {
		r.young, r.old, r.since = map[netip.Prefix]bucket{}, r.young, now
	}
	b, known := r.young[from]
	if !known {
		b, known = r.old[from]
	}
	if most := float64(perSecond); known {
		b.tokens = min(most, b.tokens+now.Sub(b.at).Seconds()*most)
	} else {
		b.tokens = most
	}
	b.at = now
	allowed := b.tokens >= 1
	if allowed {
		b.tokens--
	}
	r.young[from] = b
	return allowed
}
