package pusher

import (
	"context"
	"fmt"
)

// How a client's stream continues what it has seen before.
type continuation string

const (
	// resumeNew: it asked for nothing from before.
	resumeNew continuation = "new"
	// resumeResumed: everything since its position follows.
	resumeResumed continuation = "resumed"
	// resumeGap: something since its position is not there any more; what follows
	// begins now.
	resumeGap continuation = "gap"
)

// start is where a client wants to begin: behind a position, or with the last
// few messages; at this moment if neither is given.
type start struct {
	from *Position
	lost bool // it gave a position that cannot be read, and so is one of nowhere
	last int
}

// statusOf is the frame by which a stream begins, or says later that there is a
// gap; nil for forms that have none.
func statusOf(f form, at Position, how continuation) []byte {
	switch {
	case f == formEvent && how == resumeGap:
		return fmt.Appendf(nil, "event: gap\nid: %s\ndata: %[1]s\n\n", at)
	case f == formEvent:
		// An id alone is no event, but what the browser comes back with.
		return fmt.Appendf(nil, "id: %s\n\n", at)
	case f.socket() && f&formToken != 0:
		return appendFrame(nil, opText, fmt.Appendf(nil, "%s %s", at, how))
	}
	return nil
}

// join makes c a client of channels, from where it wants to begin. It tells how
// that went, and the position up to which the client has seen everything, once
// it has been given what is before it. Nothing is written before c.start. The
// names have been checked.
//
// What is published from the moment of the first step on stays in the chain for
// c, so whatever is read from the store meanwhile, behind it there is no hole.
func (h *Hub) join(ctx context.Context, c *client, names []string, from start) (continuation, Position, error) {
	c.subs = make([]subscription, len(names))
	marks := make([]*message, len(names))
	reached := true
	if from.from != nil {
		var err error
		if reached, err = h.broker.Reaches(ctx, *from.from); err != nil {
			return "", Position{}, fmt.Errorf("look for the position: %w", err)
		}
	}
	h.mu.Lock()
	if !h.hasRoomFor(names) {
		h.mu.Unlock()
		return "", Position{}, errChannels
	}
	at := Position{h.epoch, h.latest.Load()}
	for i, name := range names {
		ch := h.hold(name)
		s := &c.subs[i]
		s.client, s.shard = c, &ch.shards[c.d.index]
		ch.expire()
		h.measure(ch)
		s.at, marks[i] = ch.last, ch.first
	}
	known := from.from != nil && reached && h.inWindows(c, *from.from)
	h.mu.Unlock()

	how, err := resumeNew, error(nil)
	switch {
	case known:
		how, at = resumeResumed, Position{h.epoch, from.from.Seq}
	case from.lost || from.from != nil && !reached:
		how = resumeGap
	case from.from != nil:
		var complete bool
		complete, err = h.replay(ctx, c, names, marks, *from.from)
		if how = resumeGap; complete {
			how, at = resumeResumed, Position{h.epoch, from.from.Seq}
		}
	case from.last > 0:
		at, err = h.recall(ctx, c, names, marks, from.last, at)
	}
	if err == nil {
		h.mu.Lock()
		err = h.admit(c)
		h.mu.Unlock()
	}
	if err != nil {
		c.caughtUp()
		h.release(names)
		return "", Position{}, err
	}
	return how, at, nil
}

// inWindows puts c behind seq in all of its channels, if that is in the windows.
// h.mu is held.
func (h *Hub) inWindows(c *client, from Position) bool {
	places := make([]*message, len(c.subs))
	for i := range c.subs {
		if places[i] = c.subs[i].shard.ch.after(from.Seq); places[i] == nil {
			return false
		}
	}
	for i := range c.subs {
		s := &c.subs[i]
		s.at, s.skip = places[i], 0
		if from.Seq > s.at.seq && s.at.next.Load() == nil {
			s.skip = from.Seq // it may have seen what has not come here yet
		}
		s.grace = s.shard.ch.last.end - s.at.end
	}
	return true
}

// replay puts c behind its position in each channel, by what the window has behind
// the mark, or else the store in front of it. It reports false if something is
// missing there, and has changed nothing then.
func (h *Hub) replay(ctx context.Context, c *client, names []string, marks []*message, from Position) (complete bool, err error) {
	places := make([]*message, len(names))
	for i, name := range names {
		if marks[i].seq <= from.Seq { // the window reaches that far
			places[i] = marks[i].before(from.Seq)
			continue
		}
		entries, complete, err := h.missed(ctx, c, name, from.Seq)
		if err != nil || !complete {
			c.caughtUp()
			return false, err
		}
		places[i] = chain(from.Seq, entries, marks[i])
		h.extend(c.subs[i].shard.ch, places[i], marks[i])
	}
	for i, place := range places {
		s := &c.subs[i]
		s.at, s.skip = place, from.Seq
		s.grace = s.shard.ch.end.Load() - place.end
	}
	return true, nil
}

// extend has the window of ch begin at a chain in front of it, if there is room:
// after a restart all clients come back for the same messages.
func (h *Hub) extend(ch *channel, place, mark *message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	count := ch.count
	for m := place; m != mark; m = m.next.Load() {
		count++
	}
	if h.windows <= windowsTotal && ch.first == mark && count <= windowMessages && ch.last.end-place.end <= windowBytes {
		ch.first, ch.count, ch.mortal = place, count, true // as far as is known
		h.measure(ch)
	}
}

// maxReading is how many may read what clients have missed at the same time, and
// readingBytes how much each of them reads before it is counted.
const (
	maxReading   = 8
	readingBytes = 1 << 20
)

// read reads entries from the store for c alone, and counts them.
func (h *Hub) read(ctx context.Context, c *client, from func() ([]*Entry, error)) ([]*Entry, error) {
	if h.retained.Load()-c.replay > h.cfg.QueueTotal { // what others have
		return nil, errFull
	}
	select {
	case h.reading <- struct{}{}:
		defer func() { <-h.reading }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	entries, err := from()
	size := int64(0)
	for _, e := range entries {
		size += int64(len(e.Data)) + entryBytes
	}
	c.replay += size
	h.retained.Add(size)
	return entries, err
}

// missed is everything that channel had since seq, or complete is false.
func (h *Hub) missed(ctx context.Context, c *client, channel string, seq uint64) (entries []*Entry, complete bool, err error) {
	head, err := h.broker.Head(ctx, channel)
	if err != nil {
		return nil, false, fmt.Errorf("read the head of %s: %w", channel, err)
	}
	seen := seq
	room := h.cfg.ReplayBytes
	for seen < head.Last {
		page, err := h.read(ctx, c, func() ([]*Entry, error) {
			return h.broker.Next(ctx, channel, seen, h.cfg.ReplayMessages-len(entries), min(room, readingBytes))
		})
		if err != nil {
			return nil, false, fmt.Errorf("read what %s had: %w", channel, err)
		}
		if len(page) == 0 {
			return nil, false, nil // the newest has vanished
		}
		for _, e := range page {
			if e.Prev > seen {
				return nil, false, nil // the one before it has
			}
			seen = e.Seq
			room -= int64(len(e.Data))
		}
		entries = append(entries, page...)
		if seen < head.Last && len(entries) >= h.cfg.ReplayMessages {
			h.hits.add(limitReplayMessages)
			return nil, false, nil
		}
		if seen < head.Last && room <= 0 {
			h.hits.add(limitReplayBytes)
			return nil, false, nil
		}
	}
	if len(entries) == 0 && seq < head.Certain {
		return nil, false, nil // nobody knows
	}
	return entries, true, nil
}

// recall puts c in front of the last few messages of each channel that have no
// number above that of at, and says at which position that is.
func (h *Hub) recall(ctx context.Context, c *client, names []string, marks []*message, count int, at Position) (Position, error) {
	begin := at.Seq
	for i, name := range names {
		entries, err := h.read(ctx, c, func() ([]*Entry, error) {
			return h.broker.Last(ctx, name, min(count, h.cfg.ReplayMessages), h.cfg.ReplayBytes)
		})
		if err != nil {
			return at, fmt.Errorf("read the last messages of %s: %w", name, err)
		}
		for len(entries) > 0 && entries[len(entries)-1].Seq > at.Seq {
			entries = entries[:len(entries)-1] // it comes by itself
		}
		if len(entries) == 0 {
			continue
		}
		before := entries[0].Seq - 1
		s := &c.subs[i]
		s.at, s.skip = chain(before, entries, marks[i]), before
		s.grace = s.shard.ch.end.Load() - s.at.end
		begin = min(begin, before)
	}
	return Position{at.Epoch, begin}, nil
}

// chain makes a chain of what was read from the store, that begins behind a mark
// for seq and goes on with the one that the channel has from mark on.
func chain(seq uint64, entries []*Entry, mark *message) *message {
	first := &message{seq: seq}
	at := first
	for _, e := range entries {
		if e.Seq > mark.seq || e.Seq == mark.seq && mark.frame != nil {
			break
		}
		m := newMessage(e)
		m.end = at.end + m.cost()
		at.next.Store(m)
		at = m
	}
	// Costs go on at the mark, and so are counted from below it.
	below := mark.end - mark.cost() - at.end
	for m := first; m != nil; m = m.next.Load() {
		m.end += below
	}
	at.next.Store(mark)
	return first
}
