package frame

import (
	"encoding/binary"
	"math/rand/v2"
	"unicode/utf8"
)

// maxReason is how much of a Close frame's payload the status code leaves.
const maxReason = maxControl - 2

// AppendPing appends a ping to b. side is the direction it is put into: among the
// frames FromClient, on the way to a backend, it is masked, among those
// FromBackend it is not. payload beyond 125 bytes is cut off.
func AppendPing(b []byte, side Side, payload []byte) []byte {
	payload = payload[:min(len(payload), maxControl)]
	b, start := appendControl(b, opPing, side, len(payload))
	return mask(append(b, payload...), start, side)
}

// AppendClose appends a Close frame to b. side is the direction it is put into,
// as with AppendPing. A code that must not be on the wire (RFC 6455 §7.4.1), like
// the 1005 of Closed, is left out together with the reason. reason is UTF-8; it is
// cut off before the character with which it would exceed 123 bytes.
func AppendClose(b []byte, side Side, code uint16, reason string) []byte {
	if !sendable(code) {
		b, _ = appendControl(b, opClose, side, 0)
		return b
	}
	if len(reason) > maxReason {
		end := maxReason
		for end > 0 && !utf8.RuneStart(reason[end]) {
			end--
		}
		reason = reason[:end]
	}
	b, start := appendControl(b, opClose, side, 2+len(reason))
	b = binary.BigEndian.AppendUint16(b, code)
	return mask(append(b, reason...), start, side)
}

// appendControl appends a control frame's header and returns where its payload
// starts.
//
// A masking key keeps a script in a browser from choosing the bytes on the wire
// (RFC 6455 §10.3). No script chooses the payload of our frames, so that a key from
// math/rand/v2, ChaCha8 seeded by the operating system, is more than enough, and it
// costs no system call.
func appendControl(b []byte, op byte, side Side, size int) (header []byte, start int) {
	if side == FromClient {
		b = append(b, fin|op, masked|byte(size))
		b = binary.BigEndian.AppendUint32(b, rand.Uint32())
	} else {
		b = append(b, fin|op, byte(size))
	}
	return b, len(b)
}

// mask masks b's last frame, whose payload is from start on, where its side masks.
func mask(b []byte, start int, side Side) []byte {
	if side == FromClient {
		key := b[start-keySize : start]
		for i := range b[start:] {
			b[start+i] ^= key[i%keySize]
		}
	}
	return b
}
