package frame

import (
	"encoding/binary"
	"unicode/utf8"
)

// noStatus stands for a Close frame without a status code (RFC 6455 §7.1.5). It
// is never on the wire.
const noStatus = 1005

// goodbye is what a Close frame says.
type goodbye struct {
	code   uint16
	reason string
}

// noteClose keeps what the first Close frame says. Nothing of it exists before,
// so that a tunnel that is open need not hold it.
func (f *Follower) noteClose(frame []byte) {
	if f.close != nil {
		return
	}
	f.close = &goodbye{code: noStatus}
	if frame[0]&reserved != 0 {
		// The payload means what an extension makes of it.
		return
	}
	var buf [maxControl]byte
	if payload := unmasked(buf[:0], frame); len(payload) >= 2 {
		f.close.code, f.close.reason = binary.BigEndian.Uint16(payload), string(payload[2:])
	}
}

// judgeClose judges the payload of a whole Close frame (RFC 6455 §5.5.1, §7.4).
func judgeClose(frame []byte) fault {
	var buf [maxControl]byte
	payload := unmasked(buf[:0], frame)
	switch {
	case len(payload) == 0:
		return none
	case len(payload) == 1:
		return shortClose
	case !sendable(binary.BigEndian.Uint16(payload)):
		return badCloseCode
	case !utf8.Valid(payload[2:]):
		return badCloseReason
	}
	return none
}

// sendable reports whether a status code may be in a Close frame: those that
// RFC 6455 §7.4.1 and IANA's registry define for it, and the ranges left to
// libraries and applications (§7.4.2).
func sendable(code uint16) bool {
	switch code {
	case 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014:
		return true
	}
	return code >= 3000 && code <= 4999
}
