package relay

import "time"

// silence is how long the tunnel may be silent now, zero for ever, and the
// reason it ends for then. t.mu is held.
func (t *Tunnel) silence() (time.Duration, Reason) {
	linger, idle := t.o.linger(), t.o.IdleTimeout
	switch {
	case t.halfClosed() && (idle <= 0 || linger < idle):
		return linger, LingerTimedOut
	case idle > 0:
		return idle, IdleTimedOut
	}
	return 0, ""
}

// due is when tick has to be called, should nothing happen until then; 0 is
// never. Bytes that move make it later at most, so that a clock need not be set
// anew for them. t.mu is held.
func (t *Tunnel) due() int64 {
	if t.over {
		return 0
	}
	at := t.endAt
	if limit, _ := t.silence(); limit > 0 {
		at = earlier(at, t.moved+int64(limit))
	}
	return at
}

// earlier is the earlier one of two times of which 0 is never.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// tick does what has become due. t.mu is held.
func (t *Tunnel) tick(now int64) {
	if t.over {
		return
	}
	if t.endAt != 0 && now >= t.endAt {
		t.cut(t.endWhy, nil)
		return
	}
	if limit, why := t.silence(); limit > 0 && now-t.moved >= int64(limit) {
		t.cut(why, nil)
	}
}

// endBy has the tunnel end at a time, unless it is to end before that anyway.
// t.mu is held.
func (t *Tunnel) endBy(at int64, why Reason) {
	if t.endAt == 0 || at < t.endAt {
		t.endAt, t.endWhy = at, why
	}
}
