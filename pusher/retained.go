package pusher

import (
	"errors"
	"sync/atomic"
)

// Hub.retained is what is kept in memory for clients that have not taken it yet,
// and for nobody else:
//
//   - of each shard's chain, what its slowest client has not been given (deliver.go)
//   - what a line has not written: a block that several clients share counts once
//   - what was read from the store for one client that comes back
//   - what waits to be sent before messages, and what clients have sent and waits
//     to be dealt with, or has not come whole
//
// Beyond Config.QueueTotal the slowest clients are cut off, nothing is read from
// the store any more, clients are not listened to while they have something
// waiting, and those with more than a share of it in unfinished messages are cut
// off.

// errFull is why a client cannot come back just now.
var errFull = errors.New("the clients that are being served fill queue_total")

func (h *Hub) full() bool { return h.retained.Load() > h.cfg.QueueTotal }

// share is an equal share of QueueTotal.
func (h *Hub) share() int64 { return h.cfg.QueueTotal / max(h.active.Load(), 1) }

// lease is a block that clients keep. It counts once, however many they are.
type lease struct {
	size    int64
	holders atomic.Int32
}

// share is called for each client that keeps b.
func (b *block) share(h *Hub) *lease {
	if b.lease == nil {
		b.lease = &lease{size: int64(len(b.data))}
	}
	if b.lease.holders.Add(1) == 1 {
		h.retained.Add(b.lease.size)
	}
	return b.lease
}

func (l *lease) drop(h *Hub) {
	if l.holders.Add(-1) == 0 {
		h.retained.Add(-l.size)
	}
}

// queueControl has b go out before messages. c.mu is held.
func (c *client) queueControl(b []byte) {
	c.control = append(c.control, b...)
	c.hub.retained.Add(int64(len(b)))
}

// takeControl is what is to go out before messages, and is not any more. c.mu is
// held.
func (c *client) takeControl() []byte {
	b := c.control
	c.control = nil
	c.hub.retained.Add(-int64(len(b)))
	return b
}

// caughtUp is called when c has been given what was read for it from the store.
// c.mu is held, or c has not joined.
func (c *client) caughtUp() {
	if c.replay > 0 {
		c.hub.retained.Add(-c.replay)
		c.replay = 0
	}
}

// outlive has what the line was given last be counted until written is called,
// whatever becomes of c. c.mu is held.
func (c *client) outlive() (written func()) {
	shares, rest := c.shares, c.rest
	c.shares, c.rest = nil, 0
	return func() {
		if shares != nil {
			shares.drop(c.hub)
		}
		c.hub.retained.Add(-rest)
	}
}

// written is called when the line has done with what it was given last. c.mu is
// held.
func (c *client) written() {
	if c.shares != nil {
		c.shares.drop(c.hub)
		c.shares = nil
	}
	if c.rest > 0 {
		c.hub.retained.Add(-c.rest)
		c.rest = 0
	}
}
