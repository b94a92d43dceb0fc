package relay

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

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
	switch {
	case t.over:
		return 0
	case t.closing != nil:
		return t.closing.until
	}
	at := t.endAt
	if limit, _ := t.silence(); limit > 0 {
		at = earlier(at, t.moved+int64(limit))
	}
	if t.o.Ping > 0 && t.o.Frames != nil {
		at = earlier(at, t.pingDue(client))
		at = earlier(at, t.pingDue(backend))
	}
	return at
}

// pingDue is when a ping to s is due, or its answer; 0 is never. t.mu is held.
func (t *Tunnel) pingDue(s side) int64 {
	from, to := &t.ways[s], &t.ways[s.other()]
	switch {
	// Of a side that will say nothing more, or is closing, no pong is expected;
	// and one that could not be recognised must not be asked for.
	case !t.open(s) || !t.open(s.other()) || from.refused:
		return 0
	case to.wants != 0:
		return 0 // it waits for a boundary
	case to.pinged > 0:
		return to.pinged + int64(t.o.Ping)
	}
	return min(from.heard, to.told) + int64(t.o.Ping)
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
	if c := t.closing; c != nil {
		if now >= c.until {
			t.cut(c.why, nil)
			t.polite = c.asked && !t.ways[client].owing && !t.ways[backend].owing
		}
		return
	}
	if t.endAt != 0 && now >= t.endAt {
		t.close(t.why, goingAway, string(t.why), now)
		return
	}
	if limit, why := t.silence(); limit > 0 && now-t.moved >= int64(limit) {
		if why == LingerTimedOut {
			t.cut(why, nil)
		} else {
			t.close(why, goingAway, string(why), now)
		}
		return
	}
	if t.o.Ping > 0 && t.o.Frames != nil {
		t.ping(client, now)
		t.ping(backend, now)
	}
}

// ping asks s whether it is still there, if that is due, or cuts the tunnel if
// it has not answered. t.mu is held.
func (t *Tunnel) ping(s side, now int64) {
	at := t.pingDue(s)
	if at == 0 || now < at || t.over {
		return
	}
	from, to := &t.ways[s], &t.ways[s.other()]
	switch {
	case to.pinged <= 0:
		if to.nonce == [8]byte{} {
			binary.NativeEndian.PutUint64(to.nonce[:], rand.Uint64())
		}
		to.wants = wantPing
	case from.owing:
		// Its answer may be there, but is not read before the other side has
		// taken what it said before.
		to.pinged = now
	default:
		t.cut(s.silent(), nil)
	}
}

// notePong notes that s has answered a ping, and how long a client took. t.mu is
// held.
func (t *Tunnel) notePong(s side, now int64) {
	to := &t.ways[s.other()]
	if s == client {
		t.ponged, t.trip = now, time.Duration(now+to.pinged)
		t.engine.pings.Add(t.trip)
	}
	to.pinged = 0
}

// endBy has the tunnel end at a time, unless it is to end before that anyway.
// t.mu is held.
func (t *Tunnel) endBy(at int64, why Reason) {
	if !t.over && (t.endAt == 0 || at < t.endAt) {
		t.endAt, t.why = at, why
		t.sooner = true
	}
}
