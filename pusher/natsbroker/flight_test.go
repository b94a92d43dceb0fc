package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"wsfront/pusher"
)

// What makes a number another one than was foreseen, all at once: duplicates,
// messages whose publisher has given up, and marks of purges. Whatever was
// acknowledged is there once, and each Prev is true.
func TestAppend_NumbersNotAsForeseen(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir()})
	f := watchAll(t, b)
	mustAppend(t, b, "last", draft("first"))
	const publishers, each = 8, 150
	var mu sync.Mutex
	acked := map[string]uint64{}
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				channel := fmt.Sprintf("c%d", i%3)
				id := fmt.Sprintf("%d-%d", p/2, i) // two publishers send each message
				ctx, cancel := context.WithCancel(context.Background())
				if i%10 == 3 {
					ctx, cancel = context.WithTimeout(ctx, time.Duration(i)*time.Microsecond)
				}
				a, err := b.Append(ctx, channel, pusher.Draft{Data: []byte(id), ID: id})
				cancel()
				switch {
				case errors.Is(err, context.DeadlineExceeded):
				case err != nil:
					t.Error(err)
				default:
					mu.Lock()
					if seq := acked[id]; seq != 0 && seq != a.Seq {
						t.Errorf("message %s has the numbers %d and %d", id, seq, a.Seq)
					}
					acked[id] = a.Seq
					mu.Unlock()
				}
				if i%50 == 20 {
					if err := b.Purge(context.Background(), channel); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	last := mustAppend(t, b, "last", draft("last"))
	eventually(t, "the last message is watched", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.list) > 0 && f.list[len(f.list)-1].Seq == last
	})
	f.await(t, f.len())
	seen := map[string]bool{}
	for _, e := range f.list {
		id := string(e.Data)
		if seen[id] {
			t.Errorf("message %s is stored twice", id)
		}
		seen[id] = true
		if seq := acked[id]; seq != 0 && seq != e.Seq {
			t.Errorf("message %s was acknowledged as %d and is %d", id, seq, e.Seq)
		}
		delete(acked, id)
	}
	if len(acked) > 0 {
		t.Errorf("%d messages were acknowledged and are not there", len(acked))
	}
	for c := range 3 {
		list := next(t, b, fmt.Sprintf("c%d", c), 0)
		for i := 1; i < len(list); i++ {
			if list[i].Prev != list[i-1].Seq {
				t.Errorf("message %d has Prev %d, want %d", list[i].Seq, list[i].Prev, list[i-1].Seq)
			}
		}
	}
	if b.order.flying != 0 || b.newcomers.Load() != 0 {
		t.Errorf("%d are still under way, %d of new channels", b.order.flying, b.newcomers.Load())
	}
	for name, ch := range b.channels.list {
		if ch.refs != 0 || ch.flying != 0 || len(ch.turn) != 0 {
			t.Errorf("channel %s is still in use: %d, %d, %d", name, ch.refs, ch.flying, len(ch.turn))
		}
	}
}

// A message that is not waited for any more may still arrive, and is then in front
// of those that are sent later.
func TestAppend_BehindOneThatIsUnanswered(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir(), Messages: 10_000})
	const rounds, unanswered = 20, 100
	for range rounds {
		var flights [unanswered]*flight
		for i := range flights {
			var err error
			if flights[i], err = b.takeOff(t.Context(), "a", nats.NewMsg(b.names.messages+"a"), record{kind: kindText}); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range flights {
			b.land(f, nil)
		}
		mustAppend(t, b, "b", draft("x"))
		mustAppend(t, b, "a", draft("x"))
	}
	for channel, want := range map[string]int{"a": rounds * (unanswered + 1), "b": rounds} {
		prev := uint64(0)
		list := next(t, b, channel, 0)
		for _, e := range list {
			if e.Prev != prev {
				t.Fatalf("message %d of %s has Prev %d, want %d", e.Seq, channel, e.Prev, prev)
			}
			prev = e.Seq
		}
		if len(list) != want {
			t.Errorf("%d messages of %s, want %d", len(list), channel, want)
		}
	}
}

// A channel whose messages were all too old is as new as one that never was.
func TestChannels_LimitHoldsForThoseThatComeBack(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir(), Channels: 5, Age: time.Second})
	b.channels.max = 100 // remember the old ones for the whole test
	for i := range 5 {
		mustAppend(t, b, fmt.Sprint("old", i), draft("x"))
	}
	eventually(t, "the channels are empty", func() bool {
		list, err := b.Channels(t.Context(), 10)
		return err == nil && len(list) == 0
	})
	for i := range 5 {
		mustAppend(t, b, fmt.Sprint("new", i), draft("x"))
	}
	if _, err := b.Append(t.Context(), "old0", draft("x")); !errors.Is(err, pusher.ErrStoreFull) {
		t.Errorf("a channel that was too old comes back: %v", err)
	}
}
