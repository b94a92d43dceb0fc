package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestChannels_ForgetsThoseNotInUse(t *testing.T) {
	var c channels
	c.init(3)
	held, err := c.lock(t.Context(), "held")
	if err != nil {
		t.Fatal(err)
	}
	held.acked.Store(7)
	for i := range 10 {
		ch, err := c.lock(t.Context(), fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		c.pass(ch)
		c.release(ch)
	}
	if len(c.list) != 3 || c.acked("held") != 7 {
		t.Errorf("%d are known, of held %d", len(c.list), c.acked("held"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.lock(ctx, "held"); !errors.Is(err, context.Canceled) {
		t.Errorf("locked twice: %v", err)
	}
	c.pass(held)
	c.release(held)
	if held.refs != 0 {
		t.Errorf("%d still use it", held.refs)
	}
}

// The numbers of a channel that was forgotten are read again.
func TestAppend_MoreChannelsThanAreRemembered(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir()})
	b.channels.max = 2
	prev := map[string]uint64{}
	for i := range 30 {
		name := fmt.Sprint(i % 5)
		seq := mustAppend(t, b, name, draft("x"))
		list := next(t, b, name, prev[name])
		if len(list) != 1 || list[0].Prev != prev[name] || list[0].Seq != seq {
			t.Fatalf("message %d of %s: %+v", seq, name, list)
		}
		prev[name] = seq
	}
}

// A message whose Append was given up may be stored all the same, and be the last
// one of its channel when that is too old.
func TestAppend_GivenUpMayHaveBeenTheLast(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir(), Age: time.Second})
	var stored uint64
	for attempt := 0; stored == 0; attempt++ {
		name := fmt.Sprint("c", attempt)
		mustAppend(t, b, name, draft("first"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(attempt%50)*2*time.Microsecond)
		_, err := b.Append(ctx, name, draft("given up"))
		cancel()
		if err == nil {
			continue
		}
		list := next(t, b, name, 0)
		if len(list) < 2 {
			continue
		}
		stored = list[1].Seq
		eventually(t, "it is too old", func() bool { return len(next(t, b, name, 0)) == 0 })
		if head, err := b.Head(t.Context(), name); err != nil || max(head.Last, head.Certain) < stored {
			t.Errorf("head %+v hides message %d, %v", head, stored, err)
		}
	}
}
