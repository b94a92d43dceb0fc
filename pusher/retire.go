package pusher

import (
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// standing is one URL at which clients connect, for as long as a configuration
// has it. Endpoints that followed each other there share it, and so what is true
// of it is true of all their clients.
type standing struct{ over atomic.Bool }

// Succeed says that e stands where earlier, another handler of Hub.Endpoint, did
// until now. It is called before e gets any request.
func (e *endpoint) Succeed(earlier http.Handler) {
	before, ok := earlier.(*endpoint)
	if !ok {
		return
	}
	if !e.succeeds {
		e.standings, e.succeeds = nil, true
	}
	for _, s := range before.standings { // several if two URLs became one
		if !slices.Contains(e.standings, s) {
			e.standings = append(e.standings, s)
		}
	}
}

// Retire has all clients leave that came by e or by those it succeeded: as
// Hub.Shutdown does, but with 1001, as there is nothing to come back to. They are
// told within the given time; it does not wait for that.
func (e *endpoint) Retire(within time.Duration) {
	for _, s := range e.standings {
		s.over.Store(true) // who starts from here on hears it from start
	}
	var leaving []*client
	for _, c := range e.hub.clock.all() {
		if c.info.endpoint.retired() && slices.Contains(e.standings, c.info.endpoint.standings[0]) {
			leaving = append(leaving, c)
		}
	}
	if len(leaving) == 0 {
		return
	}
	go func() { // ends within the time, or with the hub
		tell(leaving, within, e.hub.restUntilStopped, func(c *client) { c.close(retiredEnding()) })
	}()
}

// restUntilStopped waits for a moment, and reports false if the hub has ended
// before.
func (h *Hub) restUntilStopped(moment time.Time) bool {
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-h.stop:
		return false
	}
}

// retired says that clients who come now have come too late.
func (e *endpoint) retired() bool { return len(e.standings) > 0 && e.standings[0].over.Load() }

func retiredEnding() ending {
	return ending{code: websocket.CloseGoingAway, reason: "route removed"}
}
