package heap

import (
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

const (
	// Floor is how large the heap may become, in bytes, before garbage is
	// collected, where Go's default (twice of what is live) would allow less.
	Floor = 16 << 20

	defaultPercent = 100 // Go's own
	tick           = time.Second / 2
	// quietTicks is how long less than quietBytes must be allocated in a tick
	// until the load counts as over.
	quietTicks = 2
	quietBytes = 512 << 10
)

// Pace does so until ctx is done, and then leaves Go's default. Where the
// environment sets GOGC it does nothing, as the operator has decided; of a
// memory limit (GOMEMLIMIT) an eighth is the most garbage that it lets be.
func Pace(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	p := &pacer{floor: Floor}
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		p.floor = min(p.floor, uint64(limit)/8)
	}
	p.percent.Store(defaultPercent)
	p.adjust()
	p.watch()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.tick()
		case <-ctx.Done():
			p.over.Store(true)
			debug.SetGCPercent(defaultPercent)
			return
		}
	}
}

type pacer struct {
	floor   uint64
	percent atomic.Int64 // in effect
	over    atomic.Bool

	allocated uint64 // until the last tick
	quiet     int    // ticks since the last one with load
	loaded    bool   // there was load since memory was given back
}

// watch has adjust called after each collection, when it is known what lives:
// until the next one, the percentage in effect decides.
func (p *pacer) watch() {
	if p.over.Load() {
		return
	}
	runtime.SetFinalizer(&sentinel{p}, func(s *sentinel) {
		s.p.adjust()
		s.p.watch()
	})
}

// sentinel is garbage that tells by its finalizer that it was collected.
type sentinel struct{ p *pacer }

// adjust allows a heap of floor bytes at least. To change the percentage stops
// the world for a moment, so small differences are left.
func (p *pacer) adjust() {
	if p.over.Load() {
		return
	}
	percent := wanted(read("/gc/heap/live:bytes")+read("/gc/scan/globals:bytes")+read("/gc/scan/stack:bytes"), p.floor)
	old := p.percent.Load()
	if math.Abs(float64(percent-old)) > float64(old)/8 {
		debug.SetGCPercent(int(percent))
		p.percent.Store(percent)
	}
}

// leastHeap is the size of the heap below which Go does not collect at 100 %, and
// which grows with the percentage (runtime/mgcpacer.go).
const leastHeap = 4 << 20

// wanted is the percentage by which the heap becomes as large as floor. The garbage
// collector takes it of what is live and of all else that it looks through,
// stacks and global variables.
func wanted(scanned, floor uint64) int64 {
	if scanned >= floor {
		return defaultPercent
	}
	return max(defaultPercent, int64(min(floor*100/leastHeap, (floor-scanned)*100/max(scanned, 1))))
}

// tick gives memory back when the load is over.
func (p *pacer) tick() {
	allocated := read("/gc/heap/allocs:bytes")
	if allocated-p.allocated >= quietBytes {
		p.quiet, p.loaded = 0, true
	} else {
		p.quiet++
	}
	p.allocated = allocated
	if p.loaded && p.quiet == quietTicks {
		p.loaded = false
		debug.FreeOSMemory()
	}
}

func read(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
