package http2

import (
	"slices"
	"time"
)

// A rate counts what may happen a number of times within rateTime.
type rate struct {
	count int // below 0: so many are allowed beyond the number
	since time.Time
}

// take counts one, and reports whether it is within the limit.
func (r *rate) take(limit int) bool {
	now := time.Now()
	if r.count > 0 && !r.since.IsZero() {
		if faded := int(now.Sub(r.since) * time.Duration(limit) / rateTime); faded > 0 {
			r.count = max(r.count-faded, 0)
			r.since = now
		}
	} else {
		r.since = now
	}
	r.count++
	return r.count <= limit
}

// allow makes up for n.
func (r *rate) allow(n, limit int) { r.count = max(r.count-n, -limit) }

// ignored are the streams whose rest the client may have sent before it learned
// of their end (RFC 9113 §5.1): the last of them, as it learns soon.
type ignored struct {
	ids  []uint32
	next int
}

const mostIgnored = 128

func (g *ignored) add(id uint32) {
	if len(g.ids) < mostIgnored {
		g.ids = append(g.ids, id)
		return
	}
	g.ids[g.next] = id
	g.next = (g.next + 1) % mostIgnored
}

func (g *ignored) has(id uint32) bool { return slices.Contains(g.ids, id) }

// remove ends it for a stream whose end the client knows by now.
func (g *ignored) remove(id uint32) {
	if i := slices.Index(g.ids, id); i >= 0 {
		g.ids[i] = 0
	}
}
