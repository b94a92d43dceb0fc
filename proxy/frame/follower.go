package frame

// Side tells from whom a direction's frames come. A client's are masked, a
// server's are not (RFC 6455 §5.1).
type Side uint8

const (
	// FromClient is the direction from the client to the backend.
	FromClient Side = iota
	// FromBackend is the direction from the backend to the client.
	FromBackend
)

// Follower follows the frames of one direction of one tunnel. It is a value of
// 104 bytes, made usable by Init, and must not be copied after that. One goroutine
// at a time may use it.
type Follower struct {
	rules *Rules
	whole *[maxClose]byte // the start of a Close frame too long for part
	close *goodbye        // of the first Close that passed, or nil

	left     int64 // payload of the current frame still to come
	size     int64 // announced payload of the current message so far
	messages int64
	bytes    int64
	due      int64  // when the message rate's bucket is full again, see tooFast
	controls uint32 // sticks at its maximum
	frames   uint32 // of the unfinished message; sticks at its maximum

	nonce [8]byte         // payload of our pings
	part  [maxHeader]byte // the start of a frame, gathered over several reads
	n     uint8           // bytes gathered of a frame
	gone  bool            // the gathered bytes were passed already

	side   Side
	strict bool  // rules can refuse a frame
	first  byte  // the current frame's first byte
	pong   pong  // whether pongs of ours are to be taken out
	ended  fault // why following has ended
}

// Init prepares f for a direction's first byte, which is the first after the
// handshake. rules are shared, not copied: they must not be nil and must not
// change while f is in use.
func (f *Follower) Init(side Side, rules *Rules) {
	*f = Follower{side: side, rules: rules, strict: rules.refuse()}
}

// Feed looks at p, the direction's next bytes. pass is what goes on to the other
// side: a part of p, or bytes that f had held back, valid until Feed is called
// again. rest is what Feed must be called with next, before any new bytes, until
// it is empty. Mostly pass is all of p; it is less where a pong of ours is taken
// out or the start of a frame is held back.
//
// now is the time in nanoseconds of a clock that is not set back; it matters only
// where a message rate is set.
//
// err is a *Violation or nil. With a violation pass is what goes on before the
// refused frame, nothing behind it may follow, and the other side is at a
// boundary. Feed then returns the same violation for ever.
func (f *Follower) Feed(p []byte, now int64) (pass, rest []byte, err error) {
	switch {
	case f.ended == lost:
		return p, nil, nil
	case f.ended != none:
		return nil, nil, f.ended.violation()
	case f.n > 0:
		return f.resume(p, now)
	}
	return f.follow(p, 0, 0, now)
}

// follow goes over p from i on, where the current frame's payload goes on or the
// next frame starts. Of what is before i, the bytes from start on are to pass.
func (f *Follower) follow(p []byte, start, i int, now int64) (pass, rest []byte, err error) {
	for {
		if f.left > 0 {
			i += f.skip(len(p) - i)
		}
		if i == len(p) {
			return p[start:], nil, nil
		}
		need := f.need(p[i:])
		if need > len(p)-i {
			if f.gather(p[i:], need) {
				return p[start:i], nil, nil
			}
			return p[start:], nil, nil
		}
		switch f.enter(p[i:i+need], now) {
		case ours:
			if i > start {
				return p[start:i], p[i+need:], nil
			}
			start = i + need
		case lost:
			return p[start:], nil, nil
		case none:
		default:
			return p[start:i], nil, f.ended.violation()
		}
		i += need
	}
}

// skip passes over at most n bytes of the current frame's payload and returns
// how many they were.
func (f *Follower) skip(n int) int {
	if f.left < int64(n) {
		n = int(f.left)
	}
	f.left -= int64(n)
	if f.first&opcode < controlStart {
		f.bytes += int64(n)
	}
	if f.left == 0 {
		f.leave()
	}
	return n
}

// need is how many bytes must be at hand to decide on the frame that b starts
// with. While b is a single byte, it is two.
func (f *Follower) need(b []byte) int {
	if len(b) < 2 {
		return 2
	}
	n := headerSize(b[1])
	if f.asWhole(b) {
		n += int(b[1] & length)
	}
	return n
}

// enter decides on a frame of which b is what need asked for. It returns none
// where the frame passes, ours where it is taken out, lost where following ends,
// and otherwise the fault for which the frame is refused.
func (f *Follower) enter(b []byte, now int64) fault {
	size := payloadLength(b)
	if verdict := f.judge(b, size); verdict != none {
		f.ended = lost
		if f.strict {
			f.ended = verdict
		}
		return f.ended
	}
	if b[0] == fin|opPong && f.takesOut(b) {
		return ours
	}
	if f.strict {
		if f.ended = f.exceeds(b[0], int64(size), now); f.ended != none {
			return f.ended
		}
	}
	f.first = b[0]
	f.left = int64(size) - int64(len(b)-headerSize(b[1]))
	switch op := b[0] & opcode; {
	case op == opClose:
		f.noteClose(b)
	case op >= controlStart:
	case b[0]&fin != 0:
		f.frames = 0
	case f.frames+1 != 0:
		f.frames++
	}
	if f.left == 0 {
		f.leave()
	}
	return none
}

// leave is called when the current frame has passed to its end.
func (f *Follower) leave() {
	switch {
	case f.first&opcode < controlStart:
		if f.first&fin != 0 {
			f.messages++
		}
	case f.controls+1 != 0:
		f.controls++
	}
}

// AtBoundary reports whether the other side, after all that was passed, is
// between two frames, so that a control frame may be put in there, between the
// frames of a fragmented message too (RFC 6455 §5.4). After Closed nothing
// should be put in although this is true.
func (f *Follower) AtBoundary() bool {
	return f.ended != lost && f.left == 0 && (f.n == 0 || !f.gone)
}

// InMessage reports whether further frames of a fragmented message are to come.
func (f *Follower) InMessage() bool { return f.frames > 0 }

// Closed reports whether a Close frame has passed, and the status code of the
// first one, which is 1005 if it carried none (RFC 6455 §7.1.5).
func (f *Follower) Closed() (code uint16, ok bool) {
	if f.close == nil {
		return 0, false
	}
	return f.close.code, true
}

// CloseReason is the reason in the first Close frame that has passed, of at most
// 123 bytes, or "". It is UTF-8 only where Rules.Validate has been true.
func (f *Follower) CloseReason() string {
	if f.close == nil {
		return ""
	}
	return f.close.reason
}

// Counts returns what has passed: complete data messages, the bytes of payload of
// all data frames, and complete control frames, of which at most 2³²−1 are
// counted. Pongs taken out are in none of them, nor is what passed after
// following was lost.
func (f *Follower) Counts() (messages, bytes, controls int64) {
	return f.messages, f.bytes, int64(f.controls)
}

// Lost reports whether following has ended because the bytes are no WebSocket
// frames. Then everything passes and nothing may be put in. It stays false where
// Rules refuse anything at all: there such bytes are a Violation.
func (f *Follower) Lost() bool { return f.ended == lost }
