package proxy

import (
	"maps"
	"sync/atomic"
)

// byReason counts by one of a few reasons, which are fixed when it is made. It
// may be used concurrently.
type byReason map[string]*atomic.Uint64

func newByReason(reasons ...string) byReason {
	c := make(byReason, len(reasons))
	for _, reason := range reasons {
		c[reason] = new(atomic.Uint64)
	}
	return c
}

// add counts one. The reason is one of those that it was made for.
func (c byReason) add(reason string) { c[reason].Add(1) }

// addTo adds what was counted, reasons that never came about included: a counter
// that is there from the start shows its first increase.
func (c byReason) addTo(counts map[string]uint64) {
	for reason, n := range maps.All(c) {
		counts[reason] += n.Load()
	}
}

func (c byReason) counts() map[string]uint64 {
	counts := make(map[string]uint64, len(c))
	c.addTo(counts)
	return counts
}
