package frame

import "math"

// judge holds a frame against RFC 6455: what it needs to be followed, and with
// Rules.Validate all that can be seen without unmasking messages. b is what need
// asked for and size the announced length of its payload.
func (f *Follower) judge(b []byte, size uint64) fault {
	first, second := b[0], b[1]
	op := first & opcode
	switch {
	case op > opBinary && op < opClose || op > opPong:
		return badOpcode
	case first&reserved != 0 && !f.rules.allowReserved(first):
		return badReserved
	case (second&masked != 0) != (f.side == FromClient):
		return badMasking
	case size > math.MaxInt64:
		return badLength
	case op >= controlStart:
		// RFC 6455 §5.5
		if first&fin == 0 || second&length > maxControl {
			return badControl
		}
	case op == opContinuation && f.frames == 0:
		return strayContinuation
	case op != opContinuation && f.frames > 0:
		return unfinished
	}
	if f.rules.Validate {
		return f.validate(b, size)
	}
	return none
}

// validate finds what is forbidden but does not hinder following.
func (f *Follower) validate(b []byte, size uint64) fault {
	switch n := b[1] & length; {
	case n == length16 && size < length16, n == length64 && size <= math.MaxUint16:
		return longLength
	case b[0]&opcode < controlStart && f.close != nil:
		// RFC 6455 §5.5.1 forbids data only: a ping that came before is answered.
		return dataAfterClose
	case b[0] == fin|opClose:
		return judgeClose(b)
	}
	return none
}
