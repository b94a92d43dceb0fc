package natsbroker

import (
	"context"

	"wsfront/pusher"
)

// end is what is known of the end of a channel.
type end struct {
	// head is the number of the newest stored message, or 0.
	head uint64
	// last is the number of the newest one that was published, stored or not.
	// When it is 0, there may have been some up to certain.
	last, certain uint64
	// total is the bytes of all that was ever published.
	total int64
}

// end looks for the end of a channel: in its newest message, in the mark of its
// last purge, in what this process remembers, and at last in where the stream
// begins, since it forgets the end of a channel only together with everything
// older than that.
func (b *Broker) end(ctx context.Context, name string) (end, error) {
	token := channelToken(name)
	s, found, err := b.getLast(ctx, b.names.messages+token)
	if err != nil {
		return end{}, err
	}
	if found {
		return end{head: s.seq, last: s.seq, certain: s.seq, total: s.total}, nil
	}
	if s, found, err = b.getLast(ctx, b.names.purges+token); err != nil {
		return end{}, err
	}
	if found {
		return end{last: s.prev, total: s.total}, nil
	}
	if b.sole() {
		if last := b.channels.acked(name); last != 0 {
			return end{last: last}, nil
		}
	}
	state, err := b.state(ctx, b.names.stream, "")
	if err != nil {
		return end{}, err
	}
	return end{certain: max(state.FirstSeq, 1) - 1}, nil
}

// Head asks the stream; what this process remembers is for when it has nothing.
func (b *Broker) Head(ctx context.Context, name string) (pusher.Head, error) {
	end, err := b.end(ctx, name)
	if err != nil {
		return pusher.Head{}, err
	}
	head := pusher.Head{Last: end.last, Certain: end.certain}
	if end.head != 0 {
		subject := b.names.messages + channelToken(name)
		state, err := b.state(ctx, b.names.stream, subject)
		if err != nil {
			return pusher.Head{}, err
		}
		head.Count = state.Subjects[subject]
	}
	return head, nil
}

func (b *Broker) Channels(ctx context.Context, limit int) (map[string]int, error) {
	subjects, err := b.subjectCounts(ctx, b.names.stream, b.names.messages+"*", limit)
	if err != nil {
		return nil, err
	}
	channels := make(map[string]int, len(subjects))
	for subject, n := range subjects {
		if name, ok := b.channelOf(subject, b.names.messages); ok {
			channels[name] = n
		}
	}
	return channels, nil
}
