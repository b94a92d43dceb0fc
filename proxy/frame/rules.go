package frame

import "math"

// Rules are what one direction is held to. The zero value only follows and
// counts. They are shared by all tunnels of a kind and are not to be changed
// once a Follower uses them.
//
// Where any limit is set or Validate is true, bytes that are no WebSocket frames
// are refused too, since they would evade the limit.
type Rules struct {
	// Compression tells that permessage-deflate was negotiated (RFC 7692): bit
	// RSV1 may be set on the first frame of a data message. Default false.
	Compression bool
	// AnyReserved tells that an extension was negotiated whose use of the
	// reserved bits is not known: they are not judged. Default false.
	AnyReserved bool
	// Validate refuses, with 1002, all that RFC 6455 forbids and that can be seen
	// without unmasking messages, like lengths that are not in their shortest
	// form, unlawful Close frames, and messages after a Close. Default false.
	Validate bool
	// MaxMessage is the most payload one message may have, in bytes as on the
	// wire, which is before decompression. A longer message is refused with 1009
	// at the header that announces too much. 0 is any.
	MaxMessage int64
	// MaxFragments is the most frames one message may have. The frame beyond is
	// refused with 1008 and not 1009, which would tell the sender that fewer
	// bytes would have passed. 0 is any.
	MaxFragments int
	// MessageRate is how many messages may come in a second on average, pings
	// included, since each asks the receiver for an answer. What is beyond is
	// refused with 1008 at its first header. 0 is any.
	MessageRate float64
	// Burst is how many messages may come at once within MessageRate. Less than
	// one is one.
	Burst int
}

// refuse reports whether the rules can refuse a frame.
func (r *Rules) refuse() bool {
	return r.Validate || r.MaxMessage > 0 || r.MaxFragments > 0 || r.MessageRate > 0
}

// allowReserved reports whether the reserved bits set in a frame's first byte are
// lawful.
func (r *Rules) allowReserved(first byte) bool {
	if r.AnyReserved {
		return true
	}
	// RFC 7692 §6: on neither continuations nor control frames
	op := first & opcode
	return r.Compression && first&reserved == rsv1 && (op == opText || op == opBinary)
}

// exceeds checks the limits for a frame, of which size bytes of payload are
// announced, and counts it towards them.
func (f *Follower) exceeds(first byte, size, now int64) fault {
	op := first & opcode
	if op < controlStart {
		if op != opContinuation {
			f.size = 0
		}
		switch r := f.rules; {
		case r.MaxMessage > 0 && size > r.MaxMessage-f.size:
			return tooBig
		case r.MaxFragments > 0 && int64(f.frames) >= int64(r.MaxFragments):
			return tooManyFragments
		case r.MaxMessage > 0:
			f.size += size
		}
	}
	if f.rules.MessageRate > 0 && (op == opText || op == opBinary || op == opPing) && f.tooFast(now) {
		return tooMany
	}
	return none
}

// tooFast takes a message out of the token bucket. The bucket is kept as the time
// at which it will be full again: each message puts that off by the time in which
// one token drops in, and it may lie as far ahead as the burst allows.
func (f *Follower) tooFast(now int64) bool {
	interval := 1e9 / f.rules.MessageRate
	ahead := float64(max(f.due-now, 0))
	if ahead > interval*float64(max(f.rules.Burst, 1)-1) {
		return true
	}
	// 73 years ahead are enough; beyond, the sum could overflow.
	f.due = now + int64(math.Min(ahead+interval, 1<<61))
	return false
}

// Violation is why a frame was refused. Code is the status for the offender's
// Close frame (RFC 6455 §7.4.1): 1002 for an invalid frame, 1008 for too many
// fragments or messages, 1009 for a message too big. Reason is a few words of
// ASCII, at most 123 bytes, fit for that frame.
type Violation struct {
	Code   uint16
	Reason string
}

// Error returns the reason.
func (v *Violation) Error() string { return v.Reason }

// fault is why following ended, or what becomes of a frame.
type fault uint8

const (
	none fault = iota // the frame passes
	ours              // the frame is a pong for us and is taken out
	lost              // the bytes are no frames and no rule refuses them

	badOpcode
	badReserved
	badMasking
	badLength
	badControl
	strayContinuation
	unfinished
	longLength
	dataAfterClose
	shortClose
	badCloseCode
	badCloseReason

	tooBig
	tooManyFragments
	tooMany
)

// violation is what the fault is called outside.
func (k fault) violation() *Violation {
	code, reason := uint16(1002), ""
	switch k {
	case badOpcode:
		reason = "reserved opcode"
	case badReserved:
		reason = "reserved bits set without an extension"
	case badMasking:
		reason = "a client must mask its frames, a server must not"
	case badLength:
		reason = "payload length with its top bit set"
	case badControl:
		reason = "control frame fragmented or longer than 125 bytes"
	case strayContinuation:
		reason = "continuation without a message"
	case unfinished:
		reason = "new message before the end of the last"
	case longLength:
		reason = "payload length not in its shortest form"
	case dataAfterClose:
		reason = "message after a close frame"
	case shortClose:
		reason = "close frame with half a status code"
	case badCloseCode:
		reason = "close frame with a status code that must not be sent"
	case badCloseReason:
		reason = "close frame whose reason is not UTF-8"
	case tooBig:
		code, reason = 1009, "message too big"
	case tooManyFragments:
		code, reason = 1008, "message in too many fragments"
	case tooMany:
		code, reason = 1008, "too many messages"
	}
	return &Violation{Code: code, Reason: reason}
}
