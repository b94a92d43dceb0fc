package relay

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// drainStep is the time that each tunnel adds to that over which Shutdown
	// spreads their ends: clients that are sent away come back at once, and not
	// all of them are to come back at the same time. Few of them are no crowd,
	// and nobody who stops a server with few should wait for it.
	drainStep = 10 * time.Millisecond
	// drainSpread is the longest such time where Shutdown's context has no
	// deadline.
	drainSpread = 5 * time.Second
)

// Shutdown closes the tunnels that live, as Tunnel.Close does, with 1001, and
// from now on each one as it begins: the only one at once, several each at a random
// time within 10 ms for each further one, but at most within the first half of
// what ctx leaves (5 s if it has no deadline). It returns nil once all have
// ended and their owners know it; called again, it does so
// for those that began meanwhile. When ctx is done before, the rest is cut, and
// its error returned after they have ended. Run goes on until its own context is
// done.
func (e *Engine) Shutdown(ctx context.Context) error {
	longest := drainSpread
	if deadline, ok := ctx.Deadline(); ok {
		longest = max(0, time.Until(deadline)/2)
	}
	e.mu.Lock()
	e.draining = true
	e.mu.Unlock()
	e.part(e.snapshot(), longest, Drained)
	select {
	case <-e.ended():
		return nil
	case <-ctx.Done():
	}
	e.cutAll()
	<-e.ended()
	return ctx.Err()
}

// Wait returns nil once no tunnel lives, or the error of ctx when that is done before.
func (e *Engine) Wait(ctx context.Context) error {
	select {
	case <-e.ended():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A Group is tunnels that may have to end while others go on, such as those of
// one route. It must not be copied.
type Group struct {
	why  Reason
	over bool // of the engine's mu
}

// NewGroup makes a Group whose tunnels end for that reason.
func NewGroup(why Reason) *Group { return &Group{why: why} }

// Dissolve closes the tunnels of the groups as Shutdown does those of the engine,
// with the group's reason, and within at most; and each that begins from now on.
// It does not wait for their ends.
func (e *Engine) Dissolve(within time.Duration, groups ...*Group) {
	e.mu.Lock()
	for _, g := range groups {
		g.over = true
	}
	e.mu.Unlock()
	of := map[*Group][]*Tunnel{}
	for _, t := range e.snapshot() {
		if slices.Contains(groups, t.o.Group) {
			of[t.o.Group] = append(of[t.o.Group], t)
		}
	}
	for g, tunnels := range of {
		e.part(tunnels, within, g.why)
	}
}

// Spread is the time over which the ends of n tunnels are spread: 10 ms for each
// but the first, within at most.
func Spread(n int, within time.Duration) time.Duration {
	return min(within, time.Duration(max(0, n-1))*drainStep)
}

// part has tunnels end within at most, each in its own moment.
func (e *Engine) part(tunnels []*Tunnel, within time.Duration, why Reason) {
	spread := Spread(len(tunnels), within)
	for _, t := range tunnels {
		at := e.now() + rand.Int64N(int64(spread)+1)
		t.mu.Lock()
		t.endBy(at, why)
		t.mover.wake()
		t.mu.Unlock()
	}
}
