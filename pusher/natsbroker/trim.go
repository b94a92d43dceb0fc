package natsbroker

import (
	"context"

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
	o := &b.order
	o.mu.Lock()
	total := ch.total
	if ch.trimming || total-ch.base <= b.options.Bytes {
		o.mu.Unlock()
		return
	}
	ch.trimming = true
	o.mu.Unlock()
	base := b.trimTo(ctx, b.names.messages+channelToken(ch.name), total)
	o.mu.Lock()
	ch.base, ch.trimming = max(ch.base, base), false
	o.mu.Unlock()
}

// trimTo drops the oldest messages of a channel that has had so many bytes. It
// returns those that it had had before the oldest message that is left, or less.
func (b *Broker) trimTo(ctx context.Context, subject string, total int64) (base int64) {
	limit := b.options.Bytes
	for from, more := uint64(1), true; more; {
		var batch []stored
		var err error
		if batch, more, err = b.getFrom(ctx, subject, from, maxBatch, maxBatchBytes); err != nil {
			return base
		}
		for i, s := range batch {
			if s.foreign() {
				continue
			}
			if from == 1 && i == 0 {
				// Most have gone already because of their number or age.
				if base = s.before(); total-base <= limit {
					return base
				}
			}
			newest := i == len(batch)-1 && !more
			if newest || total-s.before() <= limit-limit/8 {
				if b.purge(ctx, b.names.stream, subject, s.seq) == nil {
					base = s.before()
				}
				return base
			}
		}
		if len(batch) > 0 {
			from = batch[len(batch)-1].seq + 1
		}
	}
	return base
}

// Purge leaves a mark behind, with the number of the last message that there
// was. The mark is stored first: until the messages have gone, they count.
func (b *Broker) Purge(ctx context.Context, name string) error {
	if b.ctx.Err() != nil {
		return pusher.ErrBrokerClosed
	}
	token := channelToken(name)
	if _, found, err := b.getLast(ctx, b.names.messages+token); err != nil || !found {
		return err
	}
	ack, err := b.send(ctx, name, nats.NewMsg(b.names.purges+token), record{kind: kindPurge})
	if err != nil {
		return err
	}
	return b.purge(ctx, b.names.stream, b.names.messages+token, ack.Seq)
}
