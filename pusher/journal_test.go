package pusher

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
)

// journal keeps what is logged.
type journal struct {
	mu      sync.Mutex
	records []slog.Record
	panicAt func(slog.Record) bool
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }
func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = append(j.records, r)
	if j.panicAt != nil && j.panicAt(r) {
		panic("test")
	}
	return nil
}

// find gives the lines with this event as "LEVEL key=value key=value".
func (j *journal) find(event string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []string
	for _, r := range j.records {
		if r.Message == event {
			line := r.Level.String()
			r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
			found = append(found, line)
		}
	}
	return found
}

// await waits for a line with this event that has all of these in it.
func (j *journal) await(t *testing.T, event string, parts ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("log line %s with %q", event, parts), func() bool {
		return slices.ContainsFunc(j.find(event), func(line string) bool {
			return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) })
		})
	})
}
