package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
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

// A message without an answer may be stored all the same, and be the last one of
// its channel when that is too old.
func TestAppend_UnansweredMayHaveBeenTheLast(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir(), Age: time.Second})
	mustAppend(t, b, "a", draft("first"))
	m := nats.NewMsg(b.names.messages + "a")
	f, err := b.takeOff(t.Context(), "a", m, record{kind: kindText})
	if err != nil {
		t.Fatal(err)
	}
	b.land(f, nil)
	eventually(t, "it is stored", func() bool { return len(next(t, b, "a", 0)) == 2 })
	stored := next(t, b, "a", 0)[1].Seq
	eventually(t, "it is too old", func() bool { return len(next(t, b, "a", 0)) == 0 })
	if head, err := b.Head(t.Context(), "a"); err != nil || max(head.Last, head.Certain) < stored {
		t.Errorf("head %+v hides message %d, %v", head, stored, err)
	}
}
