package natsbroker

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"

	"wsfront/pusher"
)

// before is the bytes that the channel had had before s.
func (s stored) before() int64 { return s.total - int64(len(s.data)) - messageBytes }

// trim drops the oldest messages of a channel that has more bytes than it may.
// The server has no such limit. To look is cheap as long as the limit is far, and
// dropping an eighth at a time makes it cheap when it is reached. If it fails,
// the next message tries again.
func (b *Broker) trim(ctx context.Context, ch *channel) {
	if ch.total-ch.base <= b.options.Bytes {
		return
	}
	subject := b.names.messages + channelToken(ch.name)
	oldest, _, err := b.getFrom(ctx, subject, 1, 1, 1)
	if err != nil || len(oldest) == 0 {
		return
	}
	// Most have gone already because of their number or age.
	if ch.base = oldest[0].before(); ch.total-ch.base <= b.options.Bytes {
		return
	}
	for from, more := uint64(1), true; more; {
		var batch []stored
		if batch, more, err = b.getFrom(ctx, subject, from, maxBatch, maxBatchBytes); err != nil {
			return
		}
		for _, s := range batch {
			from = s.seq + 1
			if s.seq != ch.head && ch.total-s.before() > b.options.Bytes-b.options.Bytes/8 {
				continue
			}
			if b.purge(ctx, b.names.stream, subject, s.seq) == nil {
				ch.base = s.before()
			}
			return
		}
	}
}

// Purge leaves a mark behind, with the number of the last message that there
// was. The mark is stored first: in between, the messages are what counts.
func (b *Broker) Purge(ctx context.Context, name string) error {
	if b.ctx.Err() != nil {
		return pusher.ErrBrokerClosed
	}
	ch, err := b.channels.lock(ctx, name)
	if err != nil {
		return fmt.Errorf("store: wait for messages of the channel: %w", err)
	}
	defer b.channels.unlock(ch)
	if err := b.learn(ctx, ch); err != nil || ch.head == 0 {
		return err
	}
	token := channelToken(name)
	mark := nats.NewMsg(b.names.purges + token)
	mark.Header.Set(headerRecord, record{kind: kindPurge, prev: ch.head, total: ch.total}.String())
	if _, _, err := b.publish(ctx, mark); err != nil {
		return err
	}
	if err := b.purge(ctx, b.names.stream, b.names.messages+token, ch.head+1); err != nil {
		ch.known = false
		return err
	}
	ch.head, ch.base = 0, ch.total
	return nil
}
