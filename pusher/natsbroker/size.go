package natsbroker

import (
	"context"
	"sync"
	"time"

	"wsfront/pusher"
)

// sizeInterval is for how long an answer about the stream's size is told again: it
// is asked for to look at, by several at once, and the servers may be far away.
const sizeInterval = time.Second

// size is what was known of the stream's size last.
type size struct {
	mu              sync.Mutex
	until           time.Time // then it is asked for again
	messages, bytes int64
}

// Size counts the marks of purges too: each is one message.
func (b *Broker) Size(ctx context.Context) (messages, bytes int64, err error) {
	if b.ctx.Err() != nil {
		return 0, 0, pusher.ErrBrokerClosed
	}
	s := &b.size
	s.mu.Lock()
	known := time.Now().Before(s.until)
	messages, bytes = s.messages, s.bytes
	s.mu.Unlock()
	if known {
		return messages, bytes, nil
	}
	state, err := b.state(ctx, b.names.stream, "")
	if err != nil {
		return 0, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages, s.bytes, s.until = state.Messages, state.Bytes, time.Now().Add(sizeInterval)
	return s.messages, s.bytes, nil
}
