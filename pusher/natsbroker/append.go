package natsbroker

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"wsfront/pusher"
)

const (
	// messageBytes is what a stored message counts besides its data.
	messageBytes = 256
	// maxConflicts is how often a message is sent when others got the number that
	// was foreseen for it.
	maxConflicts = 100
)

func (b *Broker) Append(ctx context.Context, name string, d pusher.Draft) (pusher.Appended, error) {
	if b.ctx.Err() != nil {
		return pusher.Appended{}, pusher.ErrBrokerClosed
	}
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
	ack, err := b.send(ctx, name, m, r)
	if err != nil {
		return pusher.Appended{}, err
	}
	return pusher.Appended{Seq: ack.Seq, Duplicate: ack.Duplicate}, nil
}

// learn reads what the stream has of a channel, whose turn is the caller's. If it
// has nothing, the channel needs to be admitted.
func (b *Broker) learn(ctx context.Context, ch *channel) error {
	end, err := b.end(ctx, ch.name)
	if err != nil {
		return err
	}
	if end.head == 0 {
		if err := b.admit(ctx); err != nil {
			return err
		}
	}
	b.order.mu.Lock()
	defer b.order.mu.Unlock()
	ch.known, ch.newcomer = true, end.head == 0
	ch.head, ch.prev, ch.total, ch.base = end.head, max(end.last, end.certain), end.total, 0
	ch.expires = time.Now().Add(b.options.Age)
	ch.acked.Store(end.last)
	return nil
}

// admit refuses a channel that would be one too many. Those whose first message
// is under way count, so that they do not pass together.
func (b *Broker) admit(ctx context.Context) error {
	newcomers := b.newcomers.Add(1)
	state, err := b.state(ctx, b.names.stream, "")
	if err == nil && int64(state.NumSubjects)+newcomers > int64(b.options.Channels) {
		err = fmt.Errorf("%w: %d channels have stored messages, which is the limit (channels)", pusher.ErrStoreFull, state.NumSubjects)
	}
	if err != nil {
		b.newcomers.Add(-1)
	}
	return err
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
