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
	// Floor is how much garbage may pile up before it is collected, in bytes,
	// where Go's default (as much as is live) would allow less.
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

// adjust allows floor bytes of garbage at least. To change the percentage stops
// the world for a moment, so small differences are left.
func (p *pacer) adjust() {
	if p.over.Load() {
		return
	}
	percent := wanted(read("/gc/heap/live:bytes"), p.floor)
	old := p.percent.Load()
	if math.Abs(float64(percent-old)) > float64(old)/8 {
		debug.SetGCPercent(int(percent))
		p.percent.Store(percent)
	}
}

func wanted(live, floor uint64) int64 {
	return max(defaultPercent, int64(floor*100/max(live, 1<<20)))
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
