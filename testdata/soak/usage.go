package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// usage is what a wsfront holds, by its own metrics.
type usage struct {
	goroutines, descriptors int
	heap, resident          int // bytes
}

func (u usage) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, heap %.1f MiB, resident %.1f MiB", u.goroutines, u.descriptors, mebi(u.heap), mebi(u.resident))
}

func mebi(n int) float64 { return float64(n) / (1 << 20) }

func (u usage) most(v usage) usage {
	return usage{max(u.goroutines, v.goroutines), max(u.descriptors, v.descriptors), max(u.heap, v.heap), max(u.resident, v.resident)}
}

// backAt reports whether nothing is left of the load. The heap may keep what
// serves the next one: the history of the channel, tables that have grown.
func (u usage) backAt(start usage) bool {
	return u.goroutines <= start.goroutines+4 && u.descriptors <= start.descriptors+4 && u.heap <= start.heap+6<<20
}

func table(start, peak, end usage) string {
	verdict := "back"
	if !end.backAt(start) {
		verdict = "NOT back"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-14s %10s %10s %10s\n", "", "start", "peak", "end")
	fmt.Fprintf(&b, "%-14s %10d %10d %10d\n", "goroutines", start.goroutines, peak.goroutines, end.goroutines)
	fmt.Fprintf(&b, "%-14s %10d %10d %10d\n", "descriptors", start.descriptors, peak.descriptors, end.descriptors)
	fmt.Fprintf(&b, "%-14s %10.1f %10.1f %10.1f\n", "heap MiB", mebi(start.heap), mebi(peak.heap), mebi(end.heap))
	fmt.Fprintf(&b, "%-14s %10.1f %10.1f %10.1f\n", "resident MiB", mebi(start.resident), mebi(peak.resident), mebi(end.resident))
	return b.String() + verdict + "\n"
}

// readUsage reads the figures out of Prometheus' text form.
func readUsage(r io.Reader) (u usage, err error) {
	names := map[string]*int{"go_goroutines": &u.goroutines, "process_open_fds": &u.descriptors,
		"go_memstats_heap_alloc_bytes": &u.heap, "process_resident_memory_bytes": &u.resident}
	for s := bufio.NewScanner(r); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), " ")
		if into := names[name]; into != nil {
			f, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return u, err
			}
			*into = int(f)
			delete(names, name)
		}
	}
	if len(names) > 0 {
		return u, fmt.Errorf("the metrics lack %d of the figures needed", len(names))
	}
	return u, nil
}

// settled waits until the usage is back at start, where there is one, or does
// not fall any more, and returns it: garbage is collected each two minutes.
func (f *front) settled(ctx context.Context, start usage, most time.Duration) (usage, error) {
	begin := time.Now()
	least, since := usage{}, time.Now()
	for {
		u, err := f.usage()
		if err != nil {
			return u, err
		}
		if start != (usage{}) && u.backAt(start) {
			return u, nil
		}
		if least == (usage{}) || u.heap < least.heap || u.goroutines < least.goroutines || u.descriptors < least.descriptors {
			least, since = u, time.Now()
		}
		quiet := 150 * time.Second // beyond a collection
		if time.Since(since) > quiet || time.Since(begin) > most {
			if start == (usage{}) {
				return least, nil
			}
			return u, nil
		}
		if !pause(ctx, time.Second) {
			return u, ctx.Err()
		}
	}
}
