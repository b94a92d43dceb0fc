package frame

// asWhole reports whether the frame that starts with b is decided on only when
// all of it is there, going by one byte or two: a Close frame, whose payload is
// read, and a pong that may be ours. One that breaks the rules for its header is
// not waited for; there the header is enough.
func (f *Follower) asWhole(b []byte) bool {
	var longest byte = maxControl
	switch b[0] {
	case fin | opClose:
	case fin | opPong:
		// Of a pong whose start has passed, the rest passes too.
		if f.pong == unexpected || f.gone {
			return false
		}
		longest = byte(len(f.nonce))
	default:
		return false
	}
	return len(b) < 2 || b[1]&length <= longest && (b[1]&masked != 0) == (f.side == FromClient)
}

// gather keeps b, the start of a frame of which need bytes are needed, and
// reports whether it is held back.
func (f *Follower) gather(b []byte, need int) (held bool) {
	f.n = uint8(copy(f.room(need), b))
	// The first two bytes are asked for again, wherever the others are.
	copy(f.part[:2], b)
	f.gone = !f.strict && !f.asWhole(b)
	return !f.gone
}

// room is where need bytes of the start of a frame are gathered, with those
// already there.
func (f *Follower) room(need int) []byte {
	if need <= len(f.part) {
		return f.part[:need]
	}
	if f.whole == nil {
		f.whole = new([maxClose]byte)
		copy(f.whole[:], f.part[:min(int(f.n), len(f.part))])
	}
	return f.whole[:need]
}

// resume is Feed for p that goes on with a frame whose start was gathered.
func (f *Follower) resume(p []byte, now int64) (pass, rest []byte, err error) {
	b, i := f.complete(p)
	switch wasGone := f.gone; {
	case f.n > 0 && wasGone:
		return p, nil, nil
	case f.n > 0 && (f.strict || f.asWhole(b)):
		return nil, nil, nil
	case f.n > 0:
		// The second byte shows that the frame need not be held back.
		f.gone = true
		return b, p[i:], nil
	default:
		f.gone = false
		return f.settle(b, p, i, wasGone, now)
	}
}

// complete adds as much of p to the gathered bytes as the decision on their frame
// needs. It returns them all and how much it took of p. f.n is zero when they are
// complete.
func (f *Follower) complete(p []byte) (b []byte, taken int) {
	for {
		need := f.need(f.part[:min(f.n, 2)])
		b = f.room(need)
		if int(f.n) == need {
			f.n, f.whole = 0, nil
			return b, taken
		}
		if taken == len(p) {
			return b[:f.n], taken
		}
		k := copy(b[f.n:], p[taken:])
		f.n += uint8(k)
		taken += k
	}
}

// settle decides on the frame whose gathered start is b, of which the last i
// bytes are also the first of p. wasGone tells that those before have passed.
func (f *Follower) settle(b, p []byte, i int, wasGone bool, now int64) (pass, rest []byte, err error) {
	verdict := f.enter(b, now)
	switch {
	case verdict == ours:
		return f.follow(p, i, i, now)
	case verdict != none && verdict != lost:
		return nil, nil, verdict.violation()
	case !wasGone:
		return b, p[i:], nil
	case verdict == lost:
		return p, nil, nil
	default:
		return f.follow(p, 0, i, now)
	}
}

// Held returns the bytes held back until the rest of their frame comes. A source
// that ends within a frame never sends that rest: then they are what goes on last.
func (f *Follower) Held() []byte {
	if f.n == 0 || f.gone {
		return nil
	}
	return f.room(f.need(f.part[:min(f.n, 2)]))[:f.n]
}
