package logging

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// eventSampled (as important as what it counts): of an event there were more lines
// than are written. Attributes: event, and the cause, status or limit that these lines have
// in common, count (of those left out), per (how long they were counted).
const eventSampled = "log.sampled"

// maxKinds is how many kinds of lines are told apart within one period; others
// count as one. There are some hundred at most, unless an attribute holds what
// it should not.
const maxKinds = 512

// Sampler is a slog.Handler that writes some lines of each kind within a period,
// and one eventSampled for the others at its end. A kind is an event, its level
// and its attributes cause, status and limit: a scanner's 404 do not hide that an
// application fails. Info and debug lines all pass, as those of a
// tunnel's life do, of which each is looked for by its id, but for those of events
// that it is told to count as well. It may be used concurrently.
type Sampler struct {
	next slog.Handler
	*period
}

// period is what all Samplers that were made of one have in common.
type period struct {
	lines slog.Handler // writes eventSampled, without groups and attributes
	burst int
	per   time.Duration
	also  []string // events that are counted at any level

	mu    sync.Mutex
	seen  map[kind]int
	order []kind      // as they came
	timer *time.Timer // ends the period; nil while there is none
}

// kind is what lines have in common that are counted together.
type kind struct {
	event                string
	level                slog.Level
	cause, status, limit string
}

// NewSampler makes a Sampler that writes to next burst lines of each kind within
// per, or all of them if burst is 0. also are events of which it counts the lines
// below warnings too: whoever is outside can have as many written as he likes.
// Flush belongs at the end.
func NewSampler(next slog.Handler, burst int, per time.Duration, also ...string) *Sampler {
	return &Sampler{next, &period{lines: next, burst: burst, per: per, also: also, seen: map[kind]int{}}}
}

// Enabled reports whether next writes lines of that level.
func (s *Sampler) Enabled(ctx context.Context, level slog.Level) bool {
	return s.next.Enabled(ctx, level)
}

// Handle writes a line, or counts it.
func (s *Sampler) Handle(ctx context.Context, r slog.Record) error {
	if s.burst > 0 && (r.Level >= slog.LevelWarn || slices.Contains(s.also, r.Message)) && !s.admit(kindOf(r)) {
		return nil
	}
	return s.next.Handle(ctx, r)
}

// WithAttrs is a Sampler whose lines have attributes besides. They are counted
// with those of s.
func (s *Sampler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Sampler{s.next.WithAttrs(attrs), s.period}
}

// WithGroup is a Sampler whose lines have their attributes in a group. They are
// counted with those of s.
func (s *Sampler) WithGroup(name string) slog.Handler {
	return &Sampler{s.next.WithGroup(name), s.period}
}

func kindOf(r slog.Record) kind {
	k := kind{event: r.Message, level: r.Level}
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "cause":
			k.cause = a.Value.String()
		case "status":
			k.status = a.Value.String()
		case "limit":
			k.limit = a.Value.String()
		}
		return true
	})
	return k
}

// admit reports whether a line is to be written. The first one begins a period.
func (p *period) admit(k kind) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil {
		p.timer = time.AfterFunc(p.per, p.Flush) // whose goroutine ends with the lines that it writes
	}
	if _, known := p.seen[k]; !known {
		if len(p.seen) >= maxKinds {
			k = kind{event: "others", level: k.level}
		}
		if _, known := p.seen[k]; !known {
			p.order = append(p.order, k)
		}
	}
	p.seen[k]++
	return p.seen[k] <= p.burst
}

// Flush ends the period, and writes what was counted in it.
func (p *period) Flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
	for _, k := range p.order {
		if left := p.seen[k] - p.burst; left > 0 {
			p.tell(k, left)
		}
	}
	p.timer, p.order = nil, p.order[:0]
	clear(p.seen)
}

// tell writes that lines were left out. p.mu is held, so that no line of the next
// period comes before it.
func (p *period) tell(k kind, left int) {
	r := slog.NewRecord(time.Now(), k.level, eventSampled, 0)
	r.AddAttrs(slog.String("event", k.event))
	for _, a := range []struct{ key, value string }{{"cause", k.cause}, {"status", k.status}, {"limit", k.limit}} {
		if a.value != "" {
			r.AddAttrs(slog.String(a.key, a.value))
		}
	}
	r.AddAttrs(slog.Int("count", left), slog.Duration("per", p.per))
	_ = p.lines.Handle(context.Background(), r) // a log that cannot be written has no place to say so
}
