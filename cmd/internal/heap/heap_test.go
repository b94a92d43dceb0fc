package heap

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestWanted_FloorBelowWhichDefaultAbove(t *testing.T) {
	for _, c := range []struct {
		live, floor uint64
		percent     int64
	}{
		{2 << 20, 32 << 20, 800},
		{8 << 20, 32 << 20, 300},
		{16 << 20, 32 << 20, 100},
		{32 << 20, 32 << 20, 100},
		{500 << 20, 32 << 20, 100},
		{0, 32 << 20, 800}, // nothing was collected yet
		{8 << 20, 4 << 20, 100},
	} {
		if got := wanted(c.live, c.floor); got != c.percent {
			t.Errorf("live %d, floor %d: %d, want %d", c.live, c.floor, got, c.percent)
		}
	}
}

func TestPace_AdjustsToWhatLivesAndLeavesTheDefault(t *testing.T) {
	t.Setenv("GOGC", "")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { // ended by cancel, awaited below
		defer close(done)
		Pace(ctx)
	}()
	await(t, "a percentage above the default", func(percent int) bool { return percent > defaultPercent })
	live := make([]byte, 4*Floor)
	await(t, "the default for a large heap", func(percent int) bool { return percent == defaultPercent })
	runtime.KeepAlive(live)
	cancel()
	<-done
	if percent := current(); percent != defaultPercent {
		t.Errorf("%d is left behind", percent)
	}
}

// await collects until the percentage is as wanted.
func await(t *testing.T, what string, fits func(percent int) bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !fits(current()); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: still %d", what, current())
		}
		runtime.GC()
	}
}

func current() int { return int(read("/gc/gogc:percent")) }

func TestPace_GOGCOfTheOperatorStays(t *testing.T) {
	t.Setenv("GOGC", "50")
	before := debug.SetGCPercent(50)
	defer debug.SetGCPercent(before)
	Pace(t.Context()) // returns at once
	if percent := current(); percent != 50 {
		t.Errorf("%d, want the operator's 50", percent)
	}
}
