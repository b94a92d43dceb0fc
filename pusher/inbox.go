package pusher

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"
)

// inboxBytes is how much of what a client sends may wait to be dealt with
// before nothing more is read from it.
const inboxBytes = 64 << 10

// inbox is what a client has sent and what is being done with it, one message
// after the other, by a goroutine that lives only while there is one.
type inbox struct {
	queue  []inboundMessage
	bytes  int
	paused bool
	since  time.Time       // when it was paused
	credit time.Duration   // for how long it was, and what came of that in one go; see inboundrate.go
	ctx    context.Context // done when the client has gone
	cancel context.CancelFunc
	worker sync.WaitGroup
}

type inboundMessage struct {
	text bool
	buf  []byte // behind headroom free bytes
}

// full says that nothing is read from the client. It may be called on nil.
func (in *inbox) full() bool { return in != nil && in.paused }

// stop ends what is under way. It may be called on nil.
func (in *inbox) stop() {
	if in != nil {
		in.queue = nil
		in.cancel()
	}
}

// cost is what keeping it costs, as for a message that is published.
func (m inboundMessage) cost() int { return len(m.buf) + slotBytes }

// drain returns when what the client has sent is dealt with, closeTimeout at
// most. The client has gone.
func (c *client) drain() {
	in := c.inbox // nobody changes it any more
	if in == nil {
		return
	}
	late := time.AfterFunc(closeTimeout, func() { // stopped here
		c.mu.Lock()
		defer c.mu.Unlock()
		in.stop()
	})
	in.worker.Wait()
	late.Stop()
	c.hub.retained.Add(-int64(in.bytes)) // of what was stopped
}

// receive takes a message that the client has sent. data is the caller's. c.mu
// is held.
func (c *client) receive(text bool, data []byte) {
	e := c.info.endpoint
	switch e.inbound {
	case InboundDrop:
		return
	case InboundEcho:
		c.echo(text, data)
		return
	}
	buf := append(make([]byte, headroom, headroom+len(data)), data...)
	if c.inbox == nil {
		ctx, cancel := context.WithCancel(context.Background())
		c.inbox = &inbox{ctx: ctx, cancel: cancel}
	}
	in := c.inbox
	m := inboundMessage{text, buf}
	in.queue = append(in.queue, m)
	in.bytes += m.cost()
	c.hub.retained.Add(int64(m.cost()))
	if !in.paused && (in.bytes > inboxBytes || c.hub.full()) {
		in.paused, in.since = true, time.Now()
		c.line.pause(true)
	}
	if len(in.queue) == 1 {
		// Ends with the queue; drain waits.
		in.worker.Go(c.work)
	}
}

// echo sends a message back to its sender alone.
func (c *client) echo(text bool, data []byte) {
	m := newMessage(&Entry{Text: text, Data: data})
	c.add(m.appendForm(nil, c.form.unpacked(), c.hub.epoch))
}

// work deals with what the client has sent. The first of the queue is the one
// that is dealt with.
func (c *client) work() {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := c.inbox
	for len(in.queue) > 0 {
		m := in.queue[0]
		c.mu.Unlock()
		c.deal(in.ctx, m)
		c.mu.Lock()
		if len(in.queue) == 0 { // stopped meanwhile
			return
		}
		in.bytes -= m.cost()
		c.hub.retained.Add(-int64(m.cost()))
		in.queue[0] = inboundMessage{}
		in.queue = in.queue[1:]
		if in.paused && in.bytes <= inboxBytes/2 && c.state != gone {
			in.paused = false
			in.credit += time.Since(in.since)
			c.heard = c.hub.ticks.Load() // what it said meanwhile has not been read
			c.line.pause(false)
		}
	}
	in.queue = nil
}

// deal does with a message what the endpoint says.
func (c *client) deal(ctx context.Context, m inboundMessage) {
	defer c.hub.spare(c)
	channel, buf := c.subs[0].shard.ch.name, m.buf
	if c.info.endpoint.inbound == InboundApp {
		verdict, err := c.hub.hooks.Message(ctx, c.asClient(), m.text, m.buf[headroom:])
		if err != nil || !verdict.Publish { // an error has been logged
			return
		}
		channel, m.text = cmp.Or(verdict.Channel, channel), verdict.Text
		buf = append(make([]byte, headroom, headroom+len(verdict.Data)), verdict.Data...)
	}
	// What can fail is the store, or what the app has made of it; the client
	// could not be told.
	if _, err := c.hub.publish(ctx, channel, Message{Text: m.text}, buf); err != nil && ctx.Err() == nil {
		c.hub.log.LogAttrs(ctx, slog.LevelWarn, EventInboundLost, append(c.attrs(), slog.String("reason", err.Error()))...)
	}
}
