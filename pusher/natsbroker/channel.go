package natsbroker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// channel is what this process knows of a channel. Where nothing else is said,
// order.mu is the lock.
type channel struct {
	name string
	// turn belongs to who prepares a message: one at a time.
	turn chan struct{}
	refs int // of channels.mu

	// known says that what follows is so, if all that is under way is stored.
	known bool
	// head is the number of the newest stored message; 0 if there is none.
	head uint64
	// prev is the number of the newest message that was sent, or one above it if
	// that is not known any more; 0 if there was none.
	prev uint64
	// total is the bytes that the channel has ever had, and base those up to the
	// oldest message that is stored, or less.
	total, base int64
	// expires is when nothing of it may be stored any more, because of its age.
	expires time.Time

	flying   int  // messages under way
	newcomer bool // the next one is counted by Broker.newcomers
	trimming bool // somebody does it

	// acked is prev of what is known to have been stored; 0 if nothing is known.
	// It has no lock, and outlives the message.
	acked atomic.Uint64
}

// passed notes that a flight has, or will have, the number seq.
func (ch *channel) passed(f *flight, seq uint64, age time.Duration) {
	if f.record.kind != kindPurge {
		ch.head, ch.prev, ch.total, ch.expires = seq, seq, f.record.total, time.Now().Add(age)
	}
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

// lock gives the caller the channel's turn, until pass, and the channel, until
// release.
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

func (*channels) pass(ch *channel) { <-ch.turn }

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

// acked is the number of the last message of a channel, or 0.
func (c *channels) acked(name string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.list[name]; ch != nil {
		return ch.acked.Load()
	}
	return 0
}
