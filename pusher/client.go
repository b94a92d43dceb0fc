package pusher

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// client is one connection as the hub sees it: places in channels, of which its
// deliverer writes what follows. What differs between kinds of connections is
// behind line.
type client struct {
	hub  *Hub
	line line
	d    *deliverer
	info *clientInfo

	subs []subscription // fixed once the client has joined
	form form

	// Written by the deliverer, with mu held.
	messages, bytes int64
	shares          *lease // of the block that the line has not written whole
	rest            int64  // of what it has not written, what is this client's alone
	replay          int64  // what was read from the store for this client alone
	seen            uint64 // number of the last message that was taken from the chain, or where the client began

	kicked bool // of d.mu

	mu        sync.Mutex
	state     state
	held      bool   // nothing may be written yet
	busy      bool   // the line has not done with what it was given last
	shut      bool   // the last was written
	dropped   bool   // what waits is forgotten
	told      bool   // webhooks know of it
	busySince uint32 // in ticks of the hub's clock
	heard     uint32 // when the peer was heard last, in those ticks
	until     uint64 // when closing: the last message that is owed
	control   []byte // goes out before messages
	farewell  []byte // goes out last
	ending    *ending
	inbox     *inbox // what the client sent and is not dealt with; nil if none yet
}

// clientInfo is what is told about a client.
type clientInfo struct {
	id       uint64
	remote   string
	opened   time.Time
	bucket   int // of Hub.clock
	place    int
	endpoint *endpoint

	key       string // what webhooks and the API know it by
	admission Admission
	arrival   *arrival    // until the client has started
	watch     *admitted   // over its admission; nil if there is nothing to watch
	late      *time.Timer // cuts it off if closing takes too long; nil before that
}

// line is a client's connection. Its methods are called with client.mu held, and
// none may wait.
type line interface {
	// send writes b; only the client's deliverer calls it. rest is how much of it
	// does not go at once; when that has gone the line calls client.free. keeps
	// tells that the line holds on to b until then, and not to a copy.
	send(b []byte) (rest int, keeps bool, err error)
	// shut ends our side, as the last was written.
	shut()
	// pause has the line read no more, or again.
	pause(bool)
	// hangUp closes the line, by a reset if the peer is not to take it for a
	// good end. It is called once, and nothing is called after it.
	hangUp(reset bool)
}

// opening is the line of a client whose handshake is not over: nothing is
// written to it, and it has nothing to close.
type opening struct{}

func (opening) send([]byte) (rest int, keeps bool, err error) { return 0, false, nil }
func (opening) shut()                                         {}
func (opening) pause(bool)                                    {}
func (opening) hangUp(bool)                                   {}

// state only ever moves forward.
type state uint8

const (
	// open: messages are written.
	open state = iota
	// closing: there is a last thing to write; nothing is added any more, and the
	// peer has closeTimeout to take it.
	closing
	// gone: nothing is read or written any more.
	gone
)

// ending is how a connection came to its end: the first cause found wins.
type ending struct {
	code   int // WebSocket close code; 0 for event streams
	reason string
	cause  string // one of those that are counted; "" is causeOther
}

// closeTimeout is how long a peer has for the close handshake, with what was
// to be written before it.
const closeTimeout = 5 * time.Second

// forgetting says that messages are not written any more.
func (c *client) forgetting() bool { return c.state != open && c.dropped }

// nextSub is the subscription whose next message has the lowest number, limit
// at most; nil when there is none.
func (c *client) nextSub(limit uint64) *subscription {
	var first *subscription
	for i := range c.subs {
		s := &c.subs[i]
		if next := s.at.next.Load(); next != nil && next.seq <= limit {
			first, limit = s, next.seq
		}
	}
	return first
}

// start lets the deliverer write, by l. c.mu is held, and c not gone.
func (c *client) start(l line) {
	c.line, c.held = l, false
	c.heard = c.hub.ticks.Load()
	c.watch()
	c.hub.tellConnect(c)
	switch {
	case c.hub.leaving():
		c.closeLocked(goodbyeEnding())
	case c.info.endpoint.retired():
		c.closeLocked(retiredEnding())
	}
	c.d.kick(c)
}

// free says that the line can take more. c.mu is held.
func (c *client) free() {
	c.busy = false
	c.written()
	c.d.kick(c)
}

// add queues b to go out before messages, or cuts off a client that has too much
// of that waiting. c.mu is held.
func (c *client) add(b []byte) {
	if c.state != open {
		return
	}
	limit := ""
	switch {
	case int64(len(c.control)+len(b)) > c.hub.cfg.QueueBytes:
		limit = limitQueue
	case len(c.control) > 0 && c.hub.full():
		limit = limitQueueTotal
	}
	if limit != "" {
		c.hub.hits.add(limit)
		c.cutLocked(ending{code: websocket.CloseAbnormalClosure, reason: "queue full: the client does not read", cause: causeSlow})
		return
	}
	c.queueControl(b)
	c.d.kick(c)
}

// queue has b go out before messages and wakes nobody: c has not started.
func (c *client) queue(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != gone {
		c.queueControl(b)
	}
}

// finish has last, if there is one, be the last thing that is written. With drop
// it goes out next, and what waits is forgotten: a peer that has said Close does
// not look at messages any more, and one that broke the protocol is not owed
// any. c.mu is held.
func (c *client) finish(last []byte, e ending, drop bool) {
	if c.state != open {
		return
	}
	c.state, c.ending, c.farewell = closing, &e, last
	c.until = c.hub.latest.Load()
	if drop {
		c.dropped = true
		c.takeControl()
	}
	c.info.late = time.AfterFunc(closeTimeout, func() { // stopped by end
		c.cut(ending{code: websocket.CloseAbnormalClosure, reason: "closing took too long"})
	})
	c.d.kick(c)
}

// close ends a connection in good order: after what waits for it.
func (c *client) close(e ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked(e)
}

// closeLocked is close with c.mu held.
func (c *client) closeLocked(e ending) { c.finish(c.form.bye(e.code, e.reason), e, false) }

// cut ends the connection at once.
func (c *client) cut(e ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cutLocked(e)
}

// cutLocked is cut with c.mu held.
func (c *client) cutLocked(e ending) {
	c.inbox.stop()
	c.end(e, true)
}

// end ends it, e being the cause if there was none before. What the client has
// sent is still dealt with. c.mu is held.
func (c *client) end(e ending, reset bool) {
	if c.state == gone {
		return
	}
	if c.ending == nil {
		c.ending = &e
	}
	c.state, c.farewell = gone, nil
	if c.info.late != nil {
		c.info.late.Stop()
	}
	c.info.watch.unwatch()
	c.line.hangUp(reset)
	c.takeControl()
	c.caughtUp()
	c.written()
	// It takes locks that come before c.mu. Hub.Shutdown waits for it.
	go c.hub.depart(c)
}

// fallBehind does with a client that does not take what is meant for it, beyond a
// limit, what the configuration says. c.mu is held, by the deliverer.
func (c *client) fallBehind(s *subscription, limit string) {
	if c.hub.cfg.Slow != SlowSkip || c.held {
		c.hub.hits.add(limit)
		c.cutLocked(ending{code: websocket.CloseAbnormalClosure, reason: "queue full: the client does not read", cause: causeSlow})
		return
	}
	// To the newest message: it is the one that the client is given next.
	newest := c.hub.latest.Load()
	at := s.at
	for next := at.next.Load(); next != nil && next.seq <= newest && next.next.Load() != nil; next = next.next.Load() {
		at = next
	}
	if at == s.at {
		return
	}
	c.hub.hits.add(limit)
	s.grace = 0
	// In all channels, as one position stands for all of them.
	for i := range c.subs {
		c.subs[i].at = c.subs[i].at.before(at.seq)
	}
	c.add(statusOf(c.form, Position{c.hub.epoch, at.seq}, resumeGap))
}

// writeEnding tells a peer that stopped reading from one that is gone.
func writeEnding(err error) ending {
	e := ending{code: websocket.CloseAbnormalClosure, reason: "client gone: " + err.Error(), cause: causeClosed}
	if isTimeout(err) {
		e.reason, e.cause = "write timed out: the client does not read", causeSlow
	}
	return e
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

func (c *client) channelNames() string {
	if len(c.subs) == 1 {
		return c.subs[0].shard.ch.name
	}
	return strings.Join(c.names(), " ")
}

func (c *client) names() []string {
	names := make([]string, len(c.subs))
	for i := range c.subs {
		names[i] = c.subs[i].shard.ch.name
	}
	return names
}

// attrs are what every log line about a client begins with.
func (c *client) attrs() []slog.Attr {
	return []slog.Attr{
		slog.Uint64("client", c.info.id),
		slog.String("channel", c.channelNames()),
		slog.String("transport", c.form.transport()),
		slog.String("remote", c.info.remote),
	}
}
