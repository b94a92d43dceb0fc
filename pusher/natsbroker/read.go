package natsbroker

import (
	"context"
	"slices"
	"time"

	"wsfront/pusher"
)

const (
	// farBehind is how many messages of all channels are searched forward for
	// those of one without thinking: the server looks at each.
	farBehind = 4096
	// maxSteps is how many messages are read one by one instead.
	maxSteps = 64
)

func (b *Broker) Next(ctx context.Context, name string, after uint64, maxCount int, maxBytes int64) ([]*pusher.Entry, error) {
	subject := b.names.messages + channelToken(name)
	sum := &page{name: name, now: time.Now(), count: maxCount, bytes: maxBytes}
	if b.stored.Load() > after+farBehind {
		// A channel in which little happens has little to go back.
		list, complete, err := b.back(ctx, subject, maxSteps, func(s stored) bool { return s.seq > after })
		if err != nil {
			return nil, err
		}
		if complete {
			for _, s := range slices.Backward(list) {
				sum.add(s)
			}
			return sum.list, nil
		}
	}
	for more := true; more && !sum.full; {
		var batch []stored
		var err error
		// The server counts more than the data: this is the least that is wanted.
		if batch, more, err = b.getFrom(ctx, subject, after+1, sum.count-len(sum.list), sum.bytes); err != nil {
			return nil, err
		}
		for _, s := range batch {
			sum.add(s)
			after = s.seq
		}
	}
	return sum.list, nil
}

// page is a list of messages within limits, from the oldest on.
type page struct {
	name  string
	now   time.Time
	count int
	bytes int64 // left
	list  []*pusher.Entry
	full  bool
}

// add takes the next message, unless it has expired or the page is full.
func (p *page) add(s stored) {
	if p.full || s.foreign() || s.expired(p.now) {
		return
	}
	if p.bytes -= int64(len(s.data)); len(p.list) > 0 && p.bytes < 0 {
		p.full = true
		return
	}
	p.list = append(p.list, s.entry(p.name))
	p.full = len(p.list) >= p.count || p.bytes <= 0
}

func (b *Broker) Last(ctx context.Context, name string, maxCount int, maxBytes int64) ([]*pusher.Entry, error) {
	now, first := time.Now(), true
	list, _, err := b.back(ctx, b.names.messages+channelToken(name), max(maxCount, 1), func(s stored) bool {
		maxBytes -= int64(len(s.data))
		fits := first || maxBytes >= 0
		first = false
		return fits && !s.expired(now)
	})
	if err != nil {
		return nil, err
	}
	entries := make([]*pusher.Entry, 0, len(list))
	for _, s := range slices.Backward(list) {
		entries = append(entries, s.entry(name))
	}
	return entries, nil
}

// back reads messages of a channel from the newest one back, from Prev to Prev,
// as long as the function wants them, up to a limit. complete says that there are
// no more that it wants.
func (b *Broker) back(ctx context.Context, subject string, limit int, want func(stored) bool) (list []stored, complete bool, err error) {
	s, found, err := b.getLast(ctx, subject)
	for {
		if err != nil {
			return nil, false, err
		}
		// Where nothing of the channel is left, Prev may point to another's.
		if !found || s.subject != subject || !want(s) {
			return list, true, nil
		}
		if s.foreign() { // it does not say what was before
			return list, false, nil
		}
		list = append(list, s)
		if s.prev == 0 || len(list) == limit {
			return list, s.prev == 0, nil
		}
		s, found, err = b.getSeq(ctx, s.prev)
	}
}
