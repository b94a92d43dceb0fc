package natsbroker

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"wsfront/pusher"
)

const (
	// messageBytes is what a stored message counts besides its data.
	messageBytes = 256
	// maxConflicts is how often an Append is tried when other processes write to
	// the same channel at the same moment.
	maxConflicts = 100
)

func (b *Broker) Append(ctx context.Context, name string, d pusher.Draft) (pusher.Appended, error) {
	if b.ctx.Err() != nil {
		return pusher.Appended{}, pusher.ErrBrokerClosed
	}
	ch, err := b.channels.lock(ctx, name)
	if err != nil {
		return pusher.Appended{}, fmt.Errorf("store: wait for other messages of the channel: %w", err)
	}
	defer b.channels.unlock(ch)
	m := nats.NewMsg(b.names.messages + channelToken(name))
	m.Data = d.Data
	if d.ID != "" {
		m.Header.Set(headerID, messageID(name, d.ID))
	}
	r := record{kind: kindBinary}
	if d.Text {
		r.kind = kindText
	}
	if d.TTL > 0 {
		r.expires = time.Now().Add(max(d.TTL, time.Second))
	}
	for range maxConflicts {
		ack, conflict, err := b.appendTo(ctx, ch, m, r)
		if err != nil {
			ch.forget()
			return pusher.Appended{}, err
		}
		if !conflict {
			return pusher.Appended{Seq: ack.Seq, Duplicate: ack.Duplicate}, nil
		}
		ch.known = false
	}
	return pusher.Appended{}, errConflict
}

// appendTo tries to store m as the message behind the newest one that is known.
func (b *Broker) appendTo(ctx context.Context, ch *channel, m *nats.Msg, r record) (ack pubAck, conflict bool, err error) {
	if !ch.known {
		if err := b.learn(ctx, ch); err != nil {
			return pubAck{}, false, err
		}
	}
	if ch.head == 0 {
		b.newcomers.Add(1)
		defer b.newcomers.Add(-1)
		if err := b.admit(ctx); err != nil {
			return pubAck{}, false, err
		}
	}
	r.prev, r.total = ch.prev.Load(), ch.total+int64(len(m.Data))+messageBytes
	m.Header.Set(headerExpected, strconv.FormatUint(ch.head, 10))
	m.Header.Set(headerRecord, r.String())
	ack, conflict, err = b.publish(ctx, m)
	if err != nil || conflict || ack.Duplicate {
		return ack, conflict, err
	}
	ch.head, ch.total = ack.Seq, r.total
	ch.prev.Store(ack.Seq)
	raise(&b.stored, ack.Seq)
	b.trim(ctx, ch)
	return ack, false, nil
}

// learn reads what the stream has of a channel.
func (b *Broker) learn(ctx context.Context, ch *channel) error {
	end, err := b.end(ctx, ch.name)
	if err != nil {
		return err
	}
	ch.head, ch.total, ch.base = end.head, end.total, 0
	ch.prev.Store(max(end.last, end.certain))
	ch.known = true
	return nil
}

// admit refuses a channel that would be one too many. Appends to such channels
// that are under way count, so that they do not pass together.
func (b *Broker) admit(ctx context.Context) error {
	state, err := b.state(ctx, b.names.stream, "")
	if err != nil {
		return err
	}
	if int64(state.NumSubjects)+b.newcomers.Load() > int64(b.options.Channels) {
		return fmt.Errorf("%w: %d channels have stored messages, which is the limit (channels)", pusher.ErrStoreFull, state.NumSubjects)
	}
	return nil
}

// messageID is a publisher's ID within its channel, of a length and of
// characters that a header may have, whatever the publisher has made up.
func messageID(channel, id string) string {
	sum := sha256.Sum256([]byte(channel + "\x00" + id))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func raise(n *atomic.Uint64, to uint64) {
	for {
		if now := n.Load(); now >= to || n.CompareAndSwap(now, to) {
			return
		}
	}
}
