package relay

import "wsfront/proxy/frame"

// A way is one direction of a tunnel: what one side says to the other.
type way struct {
	follower frame.Follower // if Options.Frames are set
	nonce    [8]byte        // payload of the pings put into it; zero before the first
	bytes    int64          // handed to the destination
	heard    int64          // when its source last said anything
	told     int64          // when anything was last put out to its destination
	pinged   int64          // when a ping was put in whose pong did not come yet, negative once anything did; 0 is none
	wants    wish           // what is to be put in at the next boundary
	ended    bool           // the source has ended cleanly
	shut     bool           // the destination was told so
	owing    bool           // the destination has not yet taken what was read
	muted    bool           // a Close was put in, and nothing may follow it
	refused  bool           // the source has broken a rule, and nothing passes any more
}

// A wish is a set of control frames to be put in.
type wish uint8

const (
	wantPing wish = 1 << iota
	wantClose
)

// direction is what the follower calls the way of s.
func (s side) direction() frame.Side { return frame.Side(s) }

// pass puts into out what goes on of p, which s has just said, and what is to
// be put in between. t.mu is held.
func (t *Tunnel) pass(s side, p []byte, now int64, out *outbox) {
	if t.over {
		return
	}
	w := &t.ways[s]
	w.heard = now
	to := &t.ways[s.other()]
	to.pinged = min(to.pinged, -to.pinged)
	if t.o.Frames == nil {
		t.moved = now
		out.add(p)
		return
	}
	out.settle() // it may be bytes that the follower had held back, and Feed changes
	for len(p) > 0 && !w.refused {
		n := len(p)
		if w.wants != 0 {
			t.put(s, now, out)
			if w.wants != 0 && !w.follower.Lost() {
				n = int(min(int64(n), max(w.follower.Ahead(), 1)))
			}
		}
		pass, rest, err := w.follower.Feed(p[:n], now)
		p = p[n-len(rest):]
		if len(pass) > 0 && !w.muted {
			t.moved, w.told = now, now
			if len(p) == 0 {
				out.add(pass)
			} else {
				out.copy(pass) // the next Feed may change it
			}
		}
		if to.pinged != 0 && w.follower.PongSeen() {
			t.notePong(s, now)
		}
		if t.closer == nobody {
			t.noteClose(s)
		}
		if err != nil {
			t.refuse(s, err.(*frame.Violation), now)
		}
	}
	if w.wants != 0 {
		t.put(s, now, out)
	}
}

// put puts into out the control frames that the way of s wants, if the other
// side is between two frames. t.mu is held.
func (t *Tunnel) put(s side, now int64, out *outbox) {
	w := &t.ways[s]
	if !t.open(s) {
		w.wants &^= wantPing
	}
	if w.wants == 0 || t.over || !w.follower.AtBoundary() {
		return
	}
	var room [144]byte // a control frame with its longest payload
	b := room[:0]
	if w.wants&wantClose != 0 { // whoever gets it has no use for a ping
		c := t.closing
		b = frame.AppendClose(b, s.direction(), c.code[s.other()], c.text[s.other()])
		w.muted = true
		if t.closer == nobody {
			t.closer, t.closeCode = front, c.main
		}
	} else {
		b = frame.AppendPing(b, s.direction(), w.nonce[:])
		t.ways[s.other()].follower.ExpectPong(w.nonce)
		w.pinged = now
		t.sooner = true
	}
	w.wants = 0
	w.told = now
	out.copyOwn(b)
}

// open says whether a control frame may still be put into the way of s: its
// frames are followed, it has not ended, and no Close has passed (RFC 6455
// §5.5.1). t.mu is held.
func (t *Tunnel) open(s side) bool {
	w := &t.ways[s]
	if t.o.Frames == nil || w.ended || w.muted || w.follower.Lost() {
		return false
	}
	_, closed := w.follower.Closed()
	return !closed
}

// taken notes that the other side has taken all that s said, from which nothing
// was read meanwhile: the answer to a ping can come only from now on. t.mu is
// held.
func (t *Tunnel) taken(s side, now int64) {
	t.ways[s].owing = false
	if to := &t.ways[s.other()]; to.pinged > 0 {
		to.pinged = now
	}
}

// last puts into out what the follower has held back of a frame that s will not
// complete, as it has ended. t.mu is held.
func (t *Tunnel) last(s side, out *outbox) {
	w := &t.ways[s]
	if t.o.Frames != nil && !w.muted && !w.refused {
		out.add(w.follower.Held())
	}
}
