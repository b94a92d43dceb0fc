package pusher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// cutTimeout is how long Shutdown waits for connections that it has cut off.
	cutTimeout = time.Second
	// partingPace is how many clients are told to go in each of partingStep, so
	// that they do not all come back in the same moment.
	partingPace = 100
	partingStep = 10 * time.Millisecond
)

// Shutdown refuses new clients with 503 and says goodbye to those there are: a
// WebSocket is sent what waits for it and a Close with code 1012, service
// restart, upon which a page may connect again; an event stream ends, and the
// browser connects again by itself. Of many clients, each hundred is told 10 ms
// after the one before, within half of the time that ctx leaves. It returns when
// all have ended. When ctx is done before, the rest is cut off, and the error
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
	clients := h.clock.all()
	until := time.Now().Add(time.Hour)
	if deadline, ok := ctx.Deadline(); ok {
		until = time.Now().Add(time.Until(deadline) / 2)
	}
	for i, c := range clients {
		if i > 0 && i%partingPace == 0 && time.Now().Before(until) {
			select {
			case <-time.After(partingStep):
			case <-ctx.Done():
			}
		}
		c.goodbye()
	}
}

// goodbye is what a client is told at Shutdown.
func (c *client) goodbye() { c.close(goodbyeCode, goodbyeReason) }

const (
	goodbyeCode   = websocket.CloseServiceRestart
	goodbyeReason = "service restart"
)

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
		c.cut(ending{code: websocket.CloseAbnormalClosure, reason: "shutdown did not wait any longer"})
	}
	select {
	case <-h.idle:
	case <-time.After(cutTimeout):
	}
	return fmt.Errorf("%d push clients were cut off: %w", n, context.Cause(ctx))
}
