package pusher

import (
	"log/slog"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// client is one connection as the hub sees it: a queue that publishers fill and
// one writer empties. What differs between WebSockets and event streams is
// behind line.
type client struct {
	id      uint64
	channel string
	remote  string
	opened  time.Time
	limit   int64 // of queued
	line    line

	index int // in channel.clients; belongs to channel.mu

	// Written by the writer alone, read after it has ended.
	messages, bytes int64

	mu      sync.Mutex
	state   state
	ending  ending
	queue   [][]byte // whole frames or events, in the order they go out
	queued  int64    // bytes in queue, and slotBytes for each entry
	writing bool     // the writer is awake, or has been called
}

// line is a client's connection. wake, allow and hurry are called with
// client.mu held; none may wait.
type line interface {
	// transport is what the log calls it.
	transport() string
	// encode gives the message in the line's own form; nil when it cannot
	// carry it. The answer is shared: it must not be changed.
	encode(m *message) []byte
	// farewell is the line's last frame at Shutdown; nil when it needs none.
	farewell(reason string) []byte
	// wake has the writer call take until it gets nothing.
	wake()
	// allow gives the next write as long as a client may be silent.
	allow()
	// hurry has everything under way, reading and writing, end by then, or at
	// once when it has passed.
	hurry(by time.Time)
}

// state only ever moves forward.
type state uint8

const (
	// open: messages are queued and written.
	open state = iota
	// closing: the last frame is queued; nothing is added any more, and the
	// peer has closeTimeout to take it.
	closing
	// gone: nothing is read or written any more.
	gone
)

// ending is how a connection came to its end: the first cause found wins.
type ending struct {
	code   int // WebSocket close code; 0 for event streams
	reason string
	slow   bool // cut off because it did not read
}

const (
	// slotBytes is what an entry of the queue costs besides its bytes: without
	// it, a flood of empty messages would fill memory within any limit.
	slotBytes = 24
	// blockBytes is how much is written at once when several frames wait: one
	// system call, and under TLS one record, for all of them. It also bounds
	// what is under way for a client on top of its queue.
	blockBytes = 16 << 10
	// keptSlots is the longest queue whose slice an idle client keeps.
	keptSlots = 8
	// closeTimeout is how long a peer has for the close handshake, with what
	// was queued before it.
	closeTimeout = 5 * time.Second
)

// push queues a message. False: the client does not get it, because it is
// closing, cannot carry it, or has just been cut off.
func (c *client) push(m *message) bool {
	b := c.line.encode(m)
	if b == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.add(b)
}

// add queues b, or cuts off a client that has too much waiting already. Needs mu.
func (c *client) add(b []byte) bool {
	if c.state != open {
		return false
	}
	cost := int64(len(b) + slotBytes)
	if c.queued > 0 && c.queued+cost > c.limit {
		c.cutLocked(ending{code: websocket.CloseAbnormalClosure, reason: "queue full: the client does not read", slow: true})
		return false
	}
	c.queue = append(c.queue, b)
	c.queued += cost
	c.call()
	return true
}

// call wakes the writer unless it is awake. Needs mu.
func (c *client) call() {
	if !c.writing {
		c.writing = true
		c.line.wake()
	}
}

// finish queues last, if there is one, as the last thing that is written. With
// drop it goes out next, and what waits is forgotten: a peer that has said Close
// does not look at messages any more, and one that broke the protocol is not
// owed any.
func (c *client) finish(last []byte, e ending, drop bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open {
		return
	}
	c.state, c.ending = closing, e
	if drop {
		c.queue, c.queued = nil, 0
	}
	if last != nil {
		c.queue = append(c.queue, last)
	}
	c.line.hurry(time.Now().Add(closeTimeout))
	c.call()
}

// goodbye is what Shutdown says.
func (c *client) goodbye() {
	const reason = "service restart"
	c.finish(c.line.farewell(reason), ending{code: websocket.CloseServiceRestart, reason: reason}, false)
}

// cut ends the connection at once. The reader and the writer find their I/O
// failing; the connection is closed by its own goroutine, never by the caller,
// since closing may have to wait (under TLS it writes).
func (c *client) cut(e ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cutLocked(e)
}

func (c *client) cutLocked(e ending) {
	switch c.state {
	case gone:
		return
	case open:
		c.ending = e
	}
	c.state, c.queue, c.queued = gone, nil, 0
	c.line.hurry(longAgo)
}

// longAgo is a deadline that has passed; the zero Time would mean none.
var longAgo = time.Unix(1, 0)

// take gives the writer what to write next: as many entries as fit in a block,
// or a single longer one. Nil sends the writer to sleep. done is what the last
// call gave; its slice is used again.
func (c *client) take(done [][]byte) [][]byte {
	c.account(done)
	clear(done)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		c.writing = false
		if c.queue = nil; c.state == open && cap(done) <= keptSlots {
			c.queue = done[:0]
		}
		return nil
	}
	n, size := 1, len(c.queue[0])
	for n < len(c.queue) && size+len(c.queue[n]) <= blockBytes {
		size += len(c.queue[n])
		n++
	}
	batch := c.queue[:n:n]
	c.queue = c.queue[n:]
	c.queued -= int64(size + n*slotBytes)
	if c.state == open {
		c.line.allow()
	}
	return batch
}

// account counts what was written, without control frames.
func (c *client) account(written [][]byte) {
	for _, b := range written {
		if b[0] >= finBit|opClose {
			continue
		}
		c.messages++
		c.bytes += int64(len(b))
	}
}

// isOpen says whether the client still gets messages.
func (c *client) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == open
}

// attrs are what every log line about a client begins with.
func (c *client) attrs() []slog.Attr {
	return []slog.Attr{
		slog.Uint64("client", c.id),
		slog.String("channel", c.channel),
		slog.String("transport", c.line.transport()),
		slog.String("remote", c.remote),
	}
}
