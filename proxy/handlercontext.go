package proxy

import (
	"context"
	"sync"
	"time"
)

// requestContext is done when the client goes away and when the exchange is over.
// The client is watched only once somebody has asked, as that costs a goroutine,
// and only behind the request's body.
type requestContext struct {
	context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	down    downstream // nil once the exchange, or what HTTP has to do with it, is over
	wanted  bool
	read    bool   // the body, to its end
	unwatch func() // nil while the client is not watched
}

func (c *requestContext) begin(down downstream) {
	c.Context, c.cancel = context.WithCancel(context.Background())
	c.down = down
}

// Done is as context.Context has it, as is Err.
func (c *requestContext) Done() <-chan struct{} {
	c.want()
	return c.Context.Done()
}

func (c *requestContext) Err() error {
	c.want()
	return c.Context.Err()
}

func (c *requestContext) want() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = true
	c.watch()
}

// bodyOver is called when nobody reads the request's body any more.
func (c *requestContext) bodyOver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = true
	c.watch()
}

// watch begins to look whether the client is still there. mu is held.
func (c *requestContext) watch() {
	if c.wanted && c.read && c.unwatch == nil && c.down != nil {
		c.unwatch = c.down.watch(c.cancel)
	}
}

// resume goes on after stop.
func (c *requestContext) resume(down downstream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
	c.watch()
}

// stop ends the watch. None begins from then on.
func (c *requestContext) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = nil
	if c.unwatch != nil {
		c.unwatch()
		c.unwatch = nil
	}
}

func (c *requestContext) end() {
	c.stop()
	c.cancel()
}

// setDeadline has set change a deadline, unless the exchange is over and the
// connection may be another one's.
func (c *requestContext) setDeadline(set func(downstream, time.Time) error, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down == nil {
		return errHandlerOver
	}
	return set(c.down, t)
}
