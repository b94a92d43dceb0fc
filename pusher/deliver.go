package pusher

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// blockBytes is how much is written to a client at once when more than one
	// message waits: one system call, and under TLS few records, for all of them.
	blockBytes = 64 << 10
	// turnClients is how many clients are served before others may run: those
	// whose publishes make the next block longer, above all.
	turnClients = 64
	// pauseShare is what part of the time that the last work took may be spent
	// on waiting for more, maxPause at most.
	pauseShare = 16
	maxPause   = time.Millisecond
	// maxDeliverers bounds their number; one is busy for about 8 µs with a client.
	maxDeliverers = 8
)

// A deliverer is the one goroutine that writes to a part of all clients. It
// never waits for any of them. What it writes to one client it writes to all
// that are at the same place of the channel in the same form, so that a block of
// messages is put together once; and while it makes its way through them, what
// is published meanwhile piles up to the next block.
type deliverer struct {
	hub   *Hub
	index int           // in Hub.deliverers
	wake  chan struct{} // holds a token while there is something to do

	mu      sync.Mutex
	shards  []*shard  // that have something new
	clients []*client // to be looked at

	// Its own.
	ended  time.Time     // the last work
	pause  time.Duration // what gather may take
	turn   [turnClients]*subscription
	blocks [forms]block
	own    []byte // a block for one client alone
	sealed []byte // what a line makes of a block

	// What it has written to all its clients: its own, and as of the end of the last
	// work for Hub.Counts.
	wrote, wroteBytes         uint64
	delivered, deliveredBytes atomic.Uint64
}

// A block is messages in a row, in one form.
type block struct {
	from, to *message
	count    int
	data     []byte
	scratch  []byte // that data was made in; nil when somebody holds on to it
	lease    *lease // of those who do
}

func newDeliverer(h *Hub, index int) *deliverer {
	return &deliverer{hub: h, index: index, wake: make(chan struct{}, 1)}
}

// run delivers until stop is closed.
func (d *deliverer) run(stop <-chan struct{}) {
	for {
		select {
		case <-d.wake:
			d.gather()
			began := time.Now()
			d.work()
			d.ended = time.Now()
			d.pause = min(d.ended.Sub(began)/pauseShare, maxPause)
		case <-stop:
			return
		}
	}
}

// gather waits a moment for more to deliver, if the last work was much and is just
// over: publishers that wait for it come back together, and to begin with the
// first of them would take a whole pass for one message.
func (d *deliverer) gather() {
	runtime.Gosched() // those that are ready to publish do so first
	if time.Since(d.ended) < d.pause {
		time.Sleep(d.pause)
	}
}

func (d *deliverer) work() {
	d.mu.Lock()
	shards, clients := d.shards, d.clients
	d.shards, d.clients = nil, nil
	for _, sh := range shards {
		sh.queued = false
	}
	for _, c := range clients {
		c.kicked = false
	}
	d.mu.Unlock()
	for _, c := range clients {
		d.look(c)
	}
	for _, sh := range shards {
		d.pass(sh)
	}
	d.rest()
	d.delivered.Store(d.wrote)
	d.deliveredBytes.Store(d.wroteBytes)
}

// count counts what is about to be written to c.
func (d *deliverer) count(c *client, messages, bytes int) {
	c.messages += int64(messages)
	c.bytes += int64(bytes)
	d.wrote += uint64(messages)
	d.wroteBytes += uint64(bytes)
}

// post has the deliverer go through a channel's clients.
func (d *deliverer) post(sh *shard) {
	d.mu.Lock()
	if !sh.queued {
		sh.queued = true
		d.shards = append(d.shards, sh)
	}
	d.mu.Unlock()
	d.signal()
}

// kick has the deliverer look at one client.
func (d *deliverer) kick(c *client) {
	d.mu.Lock()
	if !c.kicked {
		c.kicked = true
		d.clients = append(d.clients, c)
	}
	d.mu.Unlock()
	d.signal()
}

func (d *deliverer) signal() {
	select {
	case d.wake <- struct{}{}:
	default: // it has one already
	}
}

// pass gives each client of a shard what is new.
func (d *deliverer) pass(sh *shard) {
	sh.mu.Lock()
	sh.passing, sh.moved = true, false
	sh.mu.Unlock()
	sh.slowest = nil
	slowest := sh.ch.end.Load()
	for i := 0; ; {
		sh.mu.Lock()
		n := 0
		if i < len(sh.subs) {
			n = copy(d.turn[:], sh.subs[i:])
		}
		if n == 0 {
			again := sh.moved
			sh.passing = false
			sh.mu.Unlock()
			d.note(sh, slowest)
			if again {
				d.post(sh)
			}
			return
		}
		sh.mu.Unlock()
		i += n
		for _, s := range d.turn[:n] {
			if at := d.serve(s); at < slowest {
				slowest, sh.slowest = at, s
			}
		}
		if n == turnClients {
			runtime.Gosched()
		}
	}
}

// note keeps account of what is kept in memory for slow clients only.
func (d *deliverer) note(sh *shard, slowest int64) {
	retained := sh.ch.end.Load() - slowest
	if before := sh.retained.Swap(retained); retained != before {
		d.hub.retained.Add(retained - before)
	}
}

// serve gives the client of s what it can take and says where in the chain it
// is, or cuts it off if that is too far behind.
func (d *deliverer) serve(s *subscription) (at int64) {
	c := s.client
	c.mu.Lock()
	defer c.mu.Unlock()
	d.pump(c)
	head := s.shard.ch.end.Load()
	switch {
	case c.state == gone:
		return head
	case !c.busy && !c.held:
		s.grace = 0
		return s.at.end
	case c.state == open:
		if limit := d.tooSlow(s, head-s.at.end); limit != "" {
			c.fallBehind(s, limit)
		}
	}
	return s.at.end
}

// tooSlow tells the limit by which a client that does not take what waits for it
// is to be cut off: for its own backlog, or as one of the slowest while all
// backlogs together are too much; "" if it is not. With less than an equal share
// of that it is none of those who make it so.
func (d *deliverer) tooSlow(s *subscription, lag int64) (limit string) {
	h := d.hub
	switch {
	case lag > h.cfg.QueueBytes+s.grace:
		return limitQueue
	case h.full() && lag >= max(s.shard.retained.Load()/2, h.share()):
		return limitQueueTotal
	}
	return ""
}

func (d *deliverer) look(c *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d.pump(c)
	for i := range c.subs {
		if s := &c.subs[i]; s.shard.slowest == s && !c.busy {
			d.post(s.shard) // for somebody else to be the slowest, or nobody
		}
	}
}

// pump writes to c what waits for it, until c takes no more. c.mu is held.
func (d *deliverer) pump(c *client) {
	defer d.hub.contain(c)
	for !c.busy && !c.held && c.state != gone {
		if len(c.control) > 0 {
			d.write(c, c.takeControl(), nil)
			continue
		}
		if !c.forgetting() {
			if d.messages(c) {
				continue
			}
		}
		c.caughtUp()
		if c.state != closing || c.shut {
			return
		}
		if b := c.farewell; b != nil {
			c.farewell = nil
			d.write(c, b, nil)
			continue
		}
		c.shut = true
		c.line.shut()
	}
}

// messages writes one block of messages and reports whether there were any, if
// only such as have no form.
func (d *deliverer) messages(c *client) bool {
	limit := d.hub.latest.Load()
	if c.state == closing {
		limit = min(limit, c.until)
	}
	if len(c.subs) != 1 || c.subs[0].skip != 0 {
		return d.merged(c, limit)
	}
	s := &c.subs[0]
	b := d.block(s.at, c.form, limit)
	if b.to == s.at {
		return false
	}
	s.at, c.seen = b.to, b.to.seq
	if len(b.data) > 0 {
		d.count(c, b.count, len(b.data))
		d.write(c, b.data, b)
	}
	return true
}

// block is what follows from, in a form.
func (d *deliverer) block(from *message, f form, limit uint64) *block {
	b := &d.blocks[f]
	if b.from == from && b.to != from {
		return b
	}
	next := from.next.Load()
	*b = block{from: from, to: from, scratch: b.scratch}
	if next == nil || next.seq > limit {
		return b
	}
	if after := next.next.Load(); f == 0 && (after == nil || after.seq > limit) {
		// One message as it is: nothing to put together.
		b.to, b.count, b.data = next, 1, next.frame
		return b
	}
	data := b.scratch[:0]
	for m := next; m != nil && m.seq <= limit; m = m.next.Load() {
		if len(data) > 0 && len(data)+len(m.frame) > blockBytes {
			break
		}
		n := len(data)
		if data = m.appendForm(data, f, d.hub.epoch); len(data) > n {
			b.count++
		}
		b.to = m
	}
	b.scratch, b.data = data[:0], data
	return b
}

// merged writes a block to a client with several channels, in the order of the
// messages' numbers, so that one number says what it has seen of all of them.
func (d *deliverer) merged(c *client, limit uint64) bool {
	data, count, moved := d.own[:0], 0, false
	for len(data) < blockBytes {
		s := c.nextSub(limit)
		if s == nil {
			break
		}
		m := s.at.next.Load()
		s.at, c.seen, moved = m, max(c.seen, m.seq), true
		if m.seq <= s.skip {
			continue
		}
		s.skip = 0
		if n := len(data); m.frame != nil {
			if data = m.appendForm(data, c.form, d.hub.epoch); len(data) > n {
				count++
			}
		}
	}
	d.own = data[:0]
	if len(data) > 0 {
		d.count(c, count, len(data))
		if d.write(c, data, nil) {
			d.own = nil
		}
	}
	return moved
}

// write hands b to the client's line. b is shared if it comes from a block. It
// reports whether the line keeps it. c.mu is held.
func (d *deliverer) write(c *client, b []byte, from *block) (keeps bool) {
	rest, keeps, err := c.line.send(b)
	switch {
	case err != nil:
		c.cutLocked(writeEnding(err))
	case rest > 0:
		c.busy, c.busySince = true, d.hub.ticks.Load()
		if keeps && from != nil {
			c.shares = from.share(d.hub)
		} else {
			c.rest = int64(rest)
			d.hub.retained.Add(c.rest)
		}
	}
	if keeps && from != nil {
		from.scratch = nil
	}
	return keeps
}

// keptScratch is how much of a buffer a deliverer keeps while it has nothing to
// do.
const keptScratch = 2 * blockBytes

// rest lets go of messages and of long buffers.
func (d *deliverer) rest() {
	for i := range d.blocks {
		b := &d.blocks[i]
		scratch := b.scratch
		if cap(scratch) > keptScratch {
			scratch = nil
		}
		*b = block{scratch: scratch}
	}
	if cap(d.own) > keptScratch {
		d.own = nil
	}
	if cap(d.sealed) > keptScratch {
		d.sealed = nil
	}
	clear(d.turn[:])
}
