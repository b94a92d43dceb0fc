package tally

import (
	"slices"
	"sync"
	"testing"
	"time"
)

func TestHistogram_ValueAtABoundIsInItsBucket(t *testing.T) {
	h := NewHistogram(Buckets{time.Millisecond, time.Second})
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, time.Second, time.Second + 1, time.Hour} {
		h.Add(d)
	}
	got := h.Distribution()
	if want := []uint64{2, 2, 2}; !slices.Equal(got.Counts, want) {
		t.Errorf("counts %v, want %v", got.Counts, want)
	}
	if want := time.Hour + 2*time.Second + 2*time.Millisecond + 2; got.Sum != want {
		t.Errorf("sum %v, want %v", got.Sum, want)
	}
}

func TestHistogram_CountsFromManyGoroutinesAreAllThere(t *testing.T) {
	h := NewHistogram(Latencies())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { // ends with its loop
			for range 1000 {
				h.Add(time.Second)
			}
		})
	}
	wg.Wait()
	if got := h.Distribution(); got.Count() != 8000 || got.Sum != 8000*time.Second {
		t.Errorf("count %d, sum %v", got.Count(), got.Sum)
	}
}

func TestBuckets_Ascend(t *testing.T) {
	for name, b := range map[string]Buckets{"latencies": Latencies(), "lifetimes": Lifetimes()} {
		if !slices.IsSorted(b) || len(slices.Compact(slices.Clone(b))) != len(b) {
			t.Errorf("%s do not ascend: %v", name, b)
		}
	}
}

func BenchmarkHistogramAdd(b *testing.B) {
	h := NewHistogram(Latencies())
	b.ReportAllocs()
	for b.Loop() {
		h.Add(3 * time.Millisecond)
	}
}
