package relay

import (
	"time"

	"wsfront/proxy/frame"
)

const (
	// boundaryWait is how long a Close may have to wait for the end of the
	// frame that is just passing.
	boundaryWait = 5 * time.Second
	// answerWait is how long both sides have to answer a Close. One that does
	// not is gone, or has a queue before the answer that nobody waits for.
	answerWait = 2 * time.Second
)

// The status codes that the front itself closes with (RFC 6455 §7.4.1).
const goingAway = 1001

// A party is whoever sent the first Close.
type party uint8

const (
	nobody party = iota
	byClient
	byBackend
	front
)

func (p party) String() string { return [...]string{"nobody", "client", "backend", "front"}[p] }

// closing is how a tunnel ends in the words of WebSocket: by a Close to either
// side, in the middle of no frame, and both their answers.
type closing struct {
	why   Reason
	main  uint16    // the code for the account
	code  [2]uint16 // for the Close to either side
	text  [2]string
	until int64 // how long that may take
	asked bool  // both have their Close, and are to answer
}

// Close ends the tunnel with a Close to both sides that carries code (RFC 6455
// §7.4) and reason, of which 123 bytes are sent; each of them after the frame
// that is just passing, for which it waits 5 s. Then both have 2 s to answer.
// Where frames are not followed, it is as Cut, but for the reason Closed. Close
// itself does not wait.
func (t *Tunnel) Close(code uint16, reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.close(Closed, code, reason, t.engine.now())
	t.mover.wake()
}

// close begins to close the tunnel in the same words to both sides. t.mu is
// held.
func (t *Tunnel) close(why Reason, code uint16, text string, now int64) {
	t.beginClosing(&closing{why: why, main: code, code: [2]uint16{code, code}, text: [2]string{text, text}}, now)
}

// refuse closes the tunnel as s broke a rule: s is told of that, and the other
// side only that it is over. t.mu is held.
func (t *Tunnel) refuse(s side, v *frame.Violation, now int64) {
	t.ways[s].refused = true
	if t.closing != nil {
		return
	}
	c := &closing{why: s.violated(), main: v.Code}
	c.code[s], c.text[s] = v.Code, v.Reason
	c.code[s.other()] = goingAway
	t.err = v
	t.beginClosing(c, now)
}

func (t *Tunnel) beginClosing(c *closing, now int64) {
	if t.over || t.closing != nil {
		return
	}
	if t.o.Frames == nil {
		t.cut(c.why, nil)
		return
	}
	c.until = now + int64(boundaryWait)
	t.closing = c
	t.sooner = true
	for s := range t.ways {
		if t.open(side(s)) {
			t.ways[s].wants = wantClose
		}
	}
}

// progress ends a tunnel that is closing once both sides have had their Close
// and have answered. t.mu is held.
func (t *Tunnel) progress(now int64) {
	c := t.closing
	if c == nil || t.over {
		return
	}
	for s := range t.ways {
		if !t.delivered(side(s)) {
			return
		}
	}
	if !c.asked {
		c.asked = true
		c.until = now + int64(answerWait)
		t.sooner = true
	}
	for s := range t.ways {
		if !t.answered(side(s)) {
			return
		}
	}
	t.over, t.polite, t.why = true, true, c.why
}

// delivered says whether all is written that is to go the way of s. t.mu is
// held.
func (t *Tunnel) delivered(s side) bool {
	w := &t.ways[s]
	return !w.owing && (w.wants == 0 || w.ended || w.follower.Lost())
}

// answered says whether nothing more is to be waited for from s. t.mu is held.
func (t *Tunnel) answered(s side) bool {
	w := &t.ways[s]
	_, closed := w.follower.Closed()
	return closed || w.ended || w.follower.Lost()
}

// noteClose keeps who closed first, if that was s. t.mu is held.
func (t *Tunnel) noteClose(s side) {
	if code, ok := t.ways[s].follower.Closed(); ok {
		t.closer, t.closeCode = byClient+party(s), code
	}
}

// closeReason is the reason in the first Close. t.mu is held.
func (t *Tunnel) closeReason() string {
	switch t.closer {
	case byClient, byBackend:
		return t.ways[t.closer-byClient].follower.CloseReason()
	case front:
		for s, code := range t.closing.code {
			if code == t.closing.main {
				return t.closing.text[s]
			}
		}
	}
	return ""
}
