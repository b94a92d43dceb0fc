package pusher

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// cutTimeout is how long Shutdown waits for connections that it has cut off.
	cutTimeout = time.Second
	// partingStep is the time that each client adds to that over which Shutdown
	// spreads its goodbyes: who is sent away comes back at once, and not all of
	// them are to come back in the same moment.
	partingStep = 10 * time.Millisecond
	// partingSpread is the longest such time where Shutdown's context has no
	// deadline.
	partingSpread = 5 * time.Second
)

// Shutdown refuses new clients with 503 and says goodbye to those there are: a
// WebSocket is sent what waits for it and a Close with code 1012, service
// restart, upon which a page may connect again; an event stream ends, and the
// browser connects again by itself; a poll is answered. The only client is told at
// once, several each at a random time within 10 ms for each further one, but at
// most within the first half of what ctx leaves (5 s if it has no deadline). It
// returns when all have ended. When ctx is done before, the rest is cut off, and the error
// says so. It may be called more than once.
func (h *Hub) Shutdown(ctx context.Context) error {
	h.part()
	h.sayGoodbye(ctx)
	var err error
	select {
	case <-h.idle:
	case <-ctx.Done():
		err = h.cutAll(ctx)
	}
	h.starting.Do(func() {}) // nothing starts any more
	h.stopping.Do(func() { close(h.stop) })
	h.poller.close()
	h.running.Wait()
	if h.hooks != nil {
		err = errors.Join(err, h.hooks.Shutdown(ctx))
	}
	return err
}

func (h *Hub) part() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.parting.Swap(true) && h.active.Load() == 0 {
		close(h.idle)
	}
}

// sayGoodbye tells every client, and those that join meanwhile hear it from start.
func (h *Hub) sayGoodbye(ctx context.Context) {
	longest := partingSpread
	if deadline, ok := ctx.Deadline(); ok {
		longest = max(0, time.Until(deadline)/2)
	}
	// Should the wait be over, nobody is left, or all are about to be cut off.
	tell(h.clock.all(), longest, func(moment time.Time) bool { return h.restUntil(ctx, moment) }, (*client).goodbye)
}

// tell has each client told to go: the only one at once, several each at a random
// time within partingStep for each further one, but at most within longest. rest
// waits for such a moment; when it reports false, nobody is told any more.
func tell(clients []*client, longest time.Duration, rest func(time.Time) bool, what func(*client)) {
	spread := min(longest, time.Duration(max(0, len(clients)-1))*partingStep)
	began := time.Now()
	for i, at := range partingTimes(len(clients), spread) {
		if !rest(began.Add(at)) {
			return
		}
		what(clients[i])
	}
}

// partingTimes are n random times within spread, in order. The order of clients is
// that of the clock, which says nothing of when they came.
func partingTimes(n int, spread time.Duration) []time.Duration {
	times := make([]time.Duration, n)
	for i := range times {
		times[i] = rand.N(spread + 1)
	}
	slices.Sort(times)
	return times
}

// restUntil waits for a moment of Shutdown, and reports false if what it waits for
// is over before: everybody has left, or ctx is done.
func (h *Hub) restUntil(ctx context.Context, moment time.Time) bool {
	wait := time.Until(moment)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-h.idle:
	case <-ctx.Done():
	}
	return false
}

// goodbye is what a client is told at Shutdown.
func (c *client) goodbye() { c.close(goodbyeEnding()) }

func goodbyeEnding() ending {
	return ending{code: websocket.CloseServiceRestart, reason: "service restart", cause: causeShutdown}
}

// cutAll cuts off who has not left. Their I/O fails, and they end now. Only
// net/http, when it gives up an event stream over HTTP/1.1 and TLS, may still
// spend five seconds on sending a TLS goodbye to a reader that stands still:
// nobody waits for that.
func (h *Hub) cutAll(ctx context.Context) error {
	h.mu.Lock()
	h.over = true
	h.mu.Unlock()
	n := 0
	for _, c := range h.clock.all() {
		n++
		c.cut(ending{code: websocket.CloseAbnormalClosure, reason: "shutdown did not wait any longer", cause: causeShutdown})
	}
	select {
	case <-h.idle:
	case <-time.After(cutTimeout):
	}
	return fmt.Errorf("%d push clients were cut off: %w", n, context.Cause(ctx))
}
