package syslog

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// tallyInterval is the time between two warnings of one kind: a flood of lines
// must not become a flood in the log.
const tallyInterval = 10 * time.Second

// tally counts what goes wrong, and tells of it now and then. Its methods may be
// called concurrently.
type tally struct {
	log *slog.Logger

	mu    sync.Mutex
	found map[string]trouble // by event
}

type trouble struct {
	count  int
	reason string // the newest one
}

func newTally(log *slog.Logger) *tally { return &tally{log: log, found: map[string]trouble{}} }

func (t *tally) add(event, reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.found[event] = trouble{t.found[event].count + 1, reason}
}

// run tells what was counted until ctx is done.
func (t *tally) run(ctx context.Context) {
	tick := time.NewTicker(tallyInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.tell()
		}
	}
}

// tell writes what was counted since the last time.
func (t *tally) tell() {
	t.mu.Lock()
	found := t.found
	t.found = map[string]trouble{}
	t.mu.Unlock()
	for _, event := range slices.Sorted(maps.Keys(found)) {
		t.log.Warn(event, "count", found[event].count, "reason", found[event].reason)
	}
}
