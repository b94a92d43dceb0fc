package tally

import (
	"sync/atomic"
	"time"
)

// Buckets are the upper bounds of a histogram's buckets, in ascending order; one
// more is for what is above the last. A value at a bound is in its bucket.
// Histograms share them: they are not to be changed.
type Buckets []time.Duration

// Latencies are bounds for what a person or a program waits for: 1 ms to 30 s.
func Latencies() Buckets {
	return Buckets{
		time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
		50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	}
}

// Lifetimes are bounds for how long connections live: 1 s to a week.
func Lifetimes() Buckets {
	return Buckets{
		time.Second, 10 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
	}
}

// Histogram counts durations by how long they are. It may be used concurrently.
type Histogram struct {
	bounds Buckets
	counts []atomic.Uint64
	sum    atomic.Int64
}

// NewHistogram makes an empty one.
func NewHistogram(bounds Buckets) *Histogram {
	return &Histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// Add counts one duration. It does not allocate.
func (h *Histogram) Add(d time.Duration) {
	i := 0
	for i < len(h.bounds) && d > h.bounds[i] {
		i++
	}
	h.sum.Add(int64(d))
	h.counts[i].Add(1)
}

// Distribution is what a Histogram has counted by some moment.
type Distribution struct {
	Bounds Buckets
	// Counts are how many there were in each bucket alone, the last one above all
	// bounds.
	Counts []uint64
	// Sum is all of them together.
	Sum time.Duration
}

// Distribution tells what was counted so far. What is counted meanwhile may be
// in a part of it.
func (h *Histogram) Distribution() Distribution {
	d := Distribution{Bounds: h.bounds, Counts: make([]uint64, len(h.counts)), Sum: time.Duration(h.sum.Load())}
	for i := range h.counts {
		d.Counts[i] = h.counts[i].Load()
	}
	return d
}

// Count is how many were counted.
func (d Distribution) Count() uint64 {
	var n uint64
	for _, c := range d.Counts {
		n += c
	}
	return n
}
