package natsbroker

import (
	"context"
	"sync"
	"sync/atomic"
)

// channel is what this process knows of a channel. All but prev belongs to who
// has locked it.
type channel struct {
	name string
	// turn is the lock: one message is on its way to the stream at a time, since
	// the next one must tell the number of this one.
	turn chan struct{}
	refs int // of channels.mu

	// known says that what follows is so, as far as this process knows.
	known bool
	// head is the number of the newest stored message; 0 if there is none.
	head uint64
	// prev is the number of the newest message that was published, or one that
	// is above it if that is not known any more; 0 if nothing is known. It
	// outlives the message.
	prev atomic.Uint64
	// total is the bytes that the channel has ever had, and base those up to the
	// oldest message that is stored, or less.
	total, base int64
}

// forget is for when a message may have been stored, or not.
func (ch *channel) forget() {
	ch.known = false
	ch.prev.Store(0)
}

// channels keeps what is known of channels, most of all the numbers, which are
// known for sure as long as nobody else writes. A channel that is not in use is
// forgotten when there are too many: what matters can be read again.
type channels struct {
	mu   sync.Mutex
	max  int
	list map[string]*channel
}

func (c *channels) init(limit int) {
	c.max, c.list = limit, map[string]*channel{}
}

// lock gives the caller the channel alone, until unlock.
func (c *channels) lock(ctx context.Context, name string) (*channel, error) {
	c.mu.Lock()
	ch := c.list[name]
	if ch == nil {
		if len(c.list) >= c.max {
			c.forgetOne()
		}
		ch = &channel{name: name, turn: make(chan struct{}, 1)}
		c.list[name] = ch
	}
	ch.refs++
	c.mu.Unlock()
	select {
	case ch.turn <- struct{}{}:
		return ch, nil
	case <-ctx.Done():
		c.release(ch)
		return nil, ctx.Err()
	}
}

func (c *channels) unlock(ch *channel) {
	<-ch.turn
	c.release(ch)
}

func (c *channels) release(ch *channel) {
	c.mu.Lock()
	ch.refs--
	c.mu.Unlock()
}

// forgetOne makes room, at the cost of whichever channel the map comes up with
// first. c.mu is held.
func (c *channels) forgetOne() {
	for name, ch := range c.list {
		if ch.refs == 0 {
			delete(c.list, name)
			return
		}
	}
}

// prev is the number of the last message of a channel as far as it is known.
func (c *channels) prev(name string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.list[name]; ch != nil {
		return ch.prev.Load()
	}
	return 0
}
