package relay

import (
	"math/rand/v2"
	"testing"
)

func TestClock_RingsInOrderWhateverWasSetAndRemoved(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var c clock
	tunnels := make([]looped, 100)
	want := make(map[*looped]int64) // when each is due
	for i := range tunnels {
		tunnels[i].alarm = noAlarm
	}
	for range 20_000 {
		lt := &tunnels[rng.IntN(len(tunnels))]
		switch at := rng.Int64N(100) * clockGrain; rng.IntN(4) {
		case 0:
			c.set(lt, 0)
			delete(want, lt)
		default:
			c.set(lt, at)
			if delete(want, lt); at != 0 {
				want[lt] = at
			}
		}
		var first int64
		for _, at := range want {
			first = earlier(first, at)
		}
		if len(c) != len(want) || c.next() != first {
			t.Fatalf("%d tunnels are in the clock and the next is due at %d; want %d, and %d", len(c), c.next(), len(want), first)
		}
		if lt := c.first(first); first != 0 && want[lt] != first || c.first(first-1) != nil {
			t.Fatalf("at %d the wrong tunnel is due", first)
		}
	}
}
