package natsbroker

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"wsfront/pusher"
)

// A message's Prev is stored with it, so that it must be known when the message
// is sent: before the one in front of it has been acknowledged, if they are not to
// wait for each other. In a store of this process alone that can be: nobody else
// uses up numbers, so that each message's number is the one after that of the
// message sent before. The stream checks it, and refuses all that comes behind one
// that it did not store as foreseen (a duplicate, for one). These are sent again,
// after what was under way has landed and the true number was asked for.
//
// In a store of several processes the stream checks the channel's last number
// instead, and the messages of one channel do wait for each other.

// order is the state of what this process sends, and the lock of what it knows
// of channels.
type order struct {
	mu sync.Mutex
	// last is the number of the message that was sent last, if known says so. Only
	// used in a store of this process alone.
	last  uint64
	known bool
	// unanswered says that a message may be under way that is not waited for.
	unanswered bool
	// flying counts the messages under way. settled, if not nil, is closed when
	// there are none.
	flying  int
	settled chan struct{}
}

// settle waits until nothing is under way; meanwhile the lock is free.
func (o *order) settle(ctx context.Context) error {
	if o.settled == nil {
		o.settled = make(chan struct{})
	}
	settled := o.settled
	o.mu.Unlock()
	defer o.mu.Lock()
	select {
	case <-settled:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// flight is a message on its way.
type flight struct {
	ch       *channel
	record   record
	seq      uint64 // foreseen, in a store of this process alone
	newcomer bool   // counted by Broker.newcomers
	answers  <-chan *nats.Msg
	end      func() // of answers
}

// sole says that no other process writes to the store.
func (b *Broker) sole() bool { return b.server != nil }

// send stores a message of a channel, or the mark of its purge: m and r without
// what depends on the message before.
func (b *Broker) send(ctx context.Context, name string, m *nats.Msg, r record) (pubAck, error) {
	for range maxConflicts {
		if err := b.server.failing(); err != nil { // it would not answer
			return pubAck{}, err
		}
		f, err := b.takeOff(ctx, name, m, r)
		if err != nil {
			return pubAck{}, err
		}
		ack, conflict, err := b.await(ctx, f)
		if err != nil {
			return pubAck{}, err
		}
		if !conflict {
			b.trim(ctx, f.ch)
			return ack, nil
		}
	}
	return pubAck{}, errConflict
}

// takeOff sends a message. The channel's turn is over then, or else when the
// message has landed.
func (b *Broker) takeOff(ctx context.Context, name string, m *nats.Msg, r record) (*flight, error) {
	ch, err := b.channels.lock(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("store: wait for other messages of the channel: %w", err)
	}
	b.order.mu.Lock()
	defer b.order.mu.Unlock()
	f, err := b.sendFrom(ctx, ch, m, r)
	if err != nil {
		if ch.newcomer {
			ch.newcomer, ch.known = false, false
			b.newcomers.Add(-1)
		}
		b.channels.pass(ch)
		b.channels.release(ch)
		return nil, err
	}
	if b.sole() {
		b.channels.pass(ch)
	}
	return f, nil
}

// sendFrom is the part of takeOff with the lock of order and the channel's turn.
func (b *Broker) sendFrom(ctx context.Context, ch *channel, m *nats.Msg, r record) (*flight, error) {
	if err := b.foresee(ctx, ch); err != nil {
		return nil, err
	}
	r.prev, r.total = ch.prev, ch.total
	if r.kind != kindPurge {
		r.total += int64(len(m.Data)) + messageBytes
	}
	f := &flight{ch: ch, record: r, newcomer: ch.newcomer}
	if b.sole() {
		f.seq = b.order.last + 1
		m.Header.Set(headerExpectedAll, strconv.FormatUint(b.order.last, 10))
	} else {
		m.Header.Set(headerExpected, strconv.FormatUint(ch.head, 10))
		m.Header.Set(headerExpectedOf, b.names.messages+channelToken(ch.name))
	}
	m.Header.Set(headerRecord, r.String())
	m.Reply, f.answers, f.end = b.replies.add(1)
	if err := b.conn.PublishMsg(m); err != nil {
		f.end()
		return nil, b.failed(err)
	}
	ch.newcomer = false
	ch.flying++
	b.order.flying++
	if b.sole() {
		b.order.last = f.seq
		ch.passed(f, f.seq, b.options.Age)
	}
	return f, nil
}

// foresee makes sure that the next number and the end of the channel are known.
// While it asks for them, the lock of order may be free.
func (b *Broker) foresee(ctx context.Context, ch *channel) error {
	o := &b.order
	for {
		switch {
		case b.sole() && !o.known && o.flying > 0:
			if err := o.settle(ctx); err != nil {
				return fmt.Errorf("store: wait for other messages: %w", err)
			}
		case b.sole() && !o.known:
			if err := b.lookUp(ctx); err != nil {
				return err
			}
		case !ch.known || ch.flying == 0 && time.Now().After(ch.expires):
			// Nothing of this channel is under way, nor can be before its turn ends:
			// a flight that makes known false does so to that of order.
			o.mu.Unlock()
			err := b.learn(ctx, ch)
			o.mu.Lock()
			if err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// lookUp asks for the last number. Nothing is under way that is waited for; what
// else was sent is made sure to have arrived or to be lost, by a message behind it
// that the stream refuses.
func (b *Broker) lookUp(ctx context.Context) error {
	o := &b.order
	if o.unanswered {
		m := nats.NewMsg(b.names.purges + "~") // no channel has this name
		m.Header.Set(headerExpectedAll, "9000000000000000000")
		if _, err := b.request(ctx, m); err != nil {
			return err
		}
		o.unanswered = false
	}
	state, err := b.state(ctx, b.names.stream, "")
	if err != nil {
		return err
	}
	o.last, o.known = state.LastSeq, true
	return nil
}

// await waits for a flight to land, as long as the caller wants to.
func (b *Broker) await(ctx context.Context, f *flight) (ack pubAck, conflict bool, err error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case m := <-f.answers:
		return b.land(f, m)
	case <-ctx.Done():
		err = fmt.Errorf("store: %w", ctx.Err())
	case <-late.C:
		err = fmt.Errorf("store: no answer within %s", patience)
	case <-b.ctx.Done():
		err = pusher.ErrBrokerClosed
	}
	b.land(f, nil)
	return pubAck{}, false, err
}

// land draws the conclusions from the answer to a message; nil is none.
func (b *Broker) land(f *flight, m *nats.Msg) (ack pubAck, conflict bool, err error) {
	f.end()
	known := false // whether the message was stored
	if m != nil {
		ack, conflict, err = b.readAck(m)
		known = err == nil
	}
	o, ch := &b.order, f.ch
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unanswered = o.unanswered || m == nil
	ch.flying--
	if o.flying--; o.flying == 0 && o.settled != nil {
		close(o.settled)
		o.settled = nil
	}
	if f.newcomer {
		b.newcomers.Add(-1)
	}
	stored := known && !conflict && !ack.Duplicate
	if !stored || b.sole() && ack.Seq != f.seq {
		ch.known, o.known = false, false
	}
	if !known {
		ch.acked.Store(0)
	}
	if stored {
		raise(&b.stored, ack.Seq)
		if f.record.kind != kindPurge {
			raise(&ch.acked, ack.Seq)
		}
		if !b.sole() {
			ch.passed(f, ack.Seq, b.options.Age)
		}
	}
	if !b.sole() {
		b.channels.pass(ch)
	}
	b.channels.release(ch)
	return ack, conflict, err
}

// readAck reads what the stream answers to a message. conflict says that one of
// the numbers that it checks is another one by now.
func (b *Broker) readAck(m *nats.Msg) (ack pubAck, conflict bool, err error) {
	if m.Header.Get(headerStatus) == "503" {
		return pubAck{}, false, b.failed(nats.ErrNoResponders)
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return pubAck{}, false, fmt.Errorf("store: answer of the NATS server: %w", err)
	}
	switch {
	case ack.Error == nil:
		return ack, false, nil
	case ack.Error.Code == errWrongLastSequence:
		return pubAck{}, true, nil
	case ack.Error.Code == errStoreFailed, ack.Error.Code == errNoResources:
		return pubAck{}, false, fmt.Errorf("%w: %s", pusher.ErrStoreFull, ack.Error.Description)
	}
	return pubAck{}, false, fmt.Errorf("store: %s", ack.Error.Description)
}

type pubAck struct {
	Seq       uint64    `json:"seq"`
	Duplicate bool      `json:"duplicate"`
	Error     *apiError `json:"error"`
}
