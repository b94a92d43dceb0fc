package pusher

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// tallyPause is how long the log is silent about a cause after it was named: an
// app that is away would fill it.
const tallyPause = 10 * time.Second

// hookTally counts what went wrong, and logs it from time to time.
type hookTally struct {
	log *slog.Logger

	mu   sync.Mutex
	rows map[tallyKey]*tallyRow
}

type tallyKey struct{ message, event, cause string }

type tallyRow struct {
	count int // since the last line
	next  time.Time
	err   error // the newest
}

func newHookTally(log *slog.Logger) *hookTally {
	return &hookTally{log: log, rows: map[tallyKey]*tallyRow{}}
}

// note counts one more. message is EventHookRetry or EventHookLost, cause one of
// a few words, and err, which may be nil, says more.
func (t *hookTally) note(message, event, cause string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := tallyKey{message, event, cause}
	row := t.rows[key]
	if row == nil {
		row = &tallyRow{}
		t.rows[key] = row
	}
	row.count++
	row.err = err
	t.write(key, row, time.Now(), false)
}

// flush logs what has waited long enough, or all.
func (t *hookTally) flush(all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for key, row := range t.rows {
		t.write(key, row, now, all)
	}
}

func (t *hookTally) write(key tallyKey, row *tallyRow, now time.Time, all bool) {
	if row.count == 0 || !all && now.Before(row.next) {
		return
	}
	attrs := []slog.Attr{slog.String("event", key.event), slog.String("cause", key.cause), slog.Int("count", row.count)}
	if row.err != nil {
		attrs = append(attrs, slog.String("error", row.err.Error()))
	}
	t.log.LogAttrs(context.Background(), slog.LevelWarn, key.message, attrs...)
	row.count, row.next = 0, now.Add(tallyPause)
}
