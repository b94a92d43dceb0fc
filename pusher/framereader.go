package pusher

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

const (
	opContinuation = 0x0
	opPong         = 0xa

	rsvBits = 0x70
	rsv1Bit = 0x40 // the message is compressed, RFC 7692 §6
	maskBit = 0x80

	maxFrameHead = 14  // a length of 64 bits and a masking key
	maxControl   = 125 // the payload of a control frame, RFC 6455 §5.5
)

// maxEmptyFragments is how many fragments of one message may carry nothing. A
// fragment costs no memory here, and those that carry something are bounded by
// the longest message; the others could go on for ever.
const maxEmptyFragments = 1024

// partialBytes is what a partial costs besides its buf, about.
const partialBytes = 128

// frameHandler gets what a frameReader has read. It may call the reader's drop,
// after which it is not called again.
type frameHandler interface {
	// message is called for each whole message. A text is UTF-8. data is valid
	// during the call only.
	message(text bool, data []byte)
	// control is called for each ping, pong and close. payload is at most 125
	// bytes, of a close none or a lawful code and UTF-8, and valid during the
	// call only. After a close nothing more is called.
	control(op byte, payload []byte)
}

// frameError is what a client did wrong, in the terms of the Close that answers
// it (RFC 6455 §7.4.1).
type frameError struct {
	code   int
	reason string
}

func (e *frameError) Error() string { return fmt.Sprintf("%s (close code %d)", e.reason, e.code) }

func protocolError(reason string) error {
	return &frameError{websocket.CloseProtocolError, reason}
}

// frameReader makes messages of the bytes that a client sends, the frames of RFC
// 6455 §5. The zero value is at the start of a connection. Between two messages
// it holds no memory besides itself, whatever it has read before: each idle client
// has one. It is not safe for concurrent use.
type frameReader struct {
	part *partial // nil while nothing is unfinished
	over bool     // what comes now is not looked at
}

// partial is what has come of a header, a frame or a message.
type partial struct {
	head    [maxFrameHead]byte
	headLen int

	frame  frame
	left   uint64 // of the frame's payload, what has not come
	inside bool   // the frame's payload has not come to its end

	op     byte // of a message that has begun, opText or opBinary; otherwise 0
	packed bool
	empty  int // fragments without payload
	// buf is the payload of the message's fragments, and behind it that of the
	// frame which the reader is inside of.
	buf []byte
}

// frame is a frame's header.
type frame struct {
	op     byte
	fin    bool
	packed bool
	key    uint32 // little-endian, turned to the next byte's place
	length uint64
}

// feed takes the next bytes of the connection, as many as there are, and calls h
// for all that is whole with them. b is unmasked in place; a message that lies in
// it as one frame is handed on from there. limit is the length of the longest
// message, unpacked; a header that announces more is refused before anything is
// kept of it, and memory is taken as bytes come. deflate says that
// permessage-deflate is in use, without context takeover (RFC 7692). The error is
// a *frameError: 1002, 1007, 1009, or 1008 for too many empty fragments. Whatever
// is fed after it, or after a close, is ignored.
func (r *frameReader) feed(b []byte, limit int64, deflate bool, h frameHandler) error {
	for len(b) > 0 && !r.over {
		n, err := r.step(b, limit, deflate, h)
		if err != nil {
			r.drop()
			return err
		}
		b = b[n:]
	}
	return nil
}

// idle tells whether the reader is between two messages and holds no memory.
func (r *frameReader) idle() bool { return r.part == nil }

// kept is how many bytes are kept of what is unfinished.
func (r *frameReader) kept() int64 {
	if r.part == nil {
		return 0
	}
	return int64(cap(r.part.buf)) + partialBytes
}

// drop gives the memory back and ends reading: what was unfinished is forgotten,
// and where the next frame begins is not known any more.
func (r *frameReader) drop() { r.part, r.over = nil, true }

func (r *frameReader) unfinished() *partial {
	if r.part == nil {
		r.part = &partial{}
	}
	return r.part
}

// step takes a header or what there is of it, and the payload, or what there is
// of that. It returns how much of b it took.
func (r *frameReader) step(b []byte, limit int64, deflate bool, h frameHandler) (int, error) {
	if r.part != nil && r.part.inside {
		return r.more(b, limit, h)
	}
	f, n, err := r.header(b, deflate)
	if err != nil || n == 0 {
		return len(b), err
	}
	if f.op < opClose {
		if err := r.admit(f, limit); err != nil {
			return n, err
		}
	}
	if uint64(len(b)-n) < f.length {
		p := r.unfinished()
		p.frame, p.left, p.inside = f, f.length, true
		return n, nil
	}
	payload := b[n : n+int(f.length)]
	unmask(payload, f.key)
	return n + len(payload), r.end(f, payload, limit, h)
}

// header reads a frame's header. n is how much of b belongs to it, 0 if b ends
// before the header does.
func (r *frameReader) header(b []byte, deflate bool) (f frame, n int, err error) {
	head, before := b, 0
	if p := r.part; p != nil && p.headLen > 0 {
		before = p.headLen
		head = p.head[:before+copy(p.head[before:], b)]
	}
	size := maxFrameHead
	if len(head) >= 2 {
		// Here and not when the header is whole: an offender may send no more
		// than this.
		if err := judgeHead(head[0], head[1], deflate, r.part != nil && r.part.op != 0); err != nil {
			return frame{}, 0, err
		}
		size = frameHeadSize(head[1])
	}
	if len(head) < size {
		p := r.unfinished()
		if before == 0 {
			copy(p.head[:], b)
		}
		p.headLen = len(head)
		return frame{}, 0, nil
	}
	if before > 0 {
		r.part.headLen = 0
	}
	f, err = parseHead(head[:size])
	return f, size - before, err
}

// judgeHead judges the first two bytes of a header. open says that a message has
// begun.
func judgeHead(first, second byte, deflate, open bool) error {
	op, rsv := first&0xf, first&rsvBits
	switch {
	case op > opBinary && op < opClose || op > opPong:
		return protocolError("reserved opcode")
	case second&maskBit == 0:
		return protocolError("frame not masked") // RFC 6455 §5.1
	case rsv != 0 && !(rsv == rsv1Bit && deflate && (op == opText || op == opBinary)):
		return protocolError("reserved bit set")
	case op >= opClose && first&finBit == 0:
		return protocolError("control frame in fragments")
	case op >= opClose && second&0x7f > maxControl:
		return protocolError("control frame too long")
	case op == opContinuation && !open:
		return protocolError("continuation of no message")
	case op != opContinuation && op < opClose && open:
		return protocolError("message within a message")
	}
	return nil
}

// frameHeadSize is the size of a masked frame's header with this second byte.
func frameHeadSize(second byte) int {
	switch second & 0x7f {
	case 126:
		return 2 + 2 + 4
	case 127:
		return 2 + 8 + 4
	}
	return 2 + 4
}

// parseHead reads a whole header. A length beyond 63 bits is left to the limit.
func parseHead(head []byte) (frame, error) {
	f := frame{
		op:     head[0] & 0xf,
		fin:    head[0]&finBit != 0,
		packed: head[0]&rsv1Bit != 0,
		key:    binary.LittleEndian.Uint32(head[len(head)-4:]),
		length: uint64(head[1] & 0x7f),
	}
	var least uint64 // that needs a length as long as this one, RFC 6455 §5.2
	switch f.length {
	case 126:
		f.length, least = uint64(binary.BigEndian.Uint16(head[2:])), 126
	case 127:
		f.length, least = binary.BigEndian.Uint64(head[2:]), math.MaxUint16+1
	}
	if f.length < least {
		return frame{}, protocolError("length not in its shortest form")
	}
	return f, nil
}

// admit checks what a data frame adds to its message.
func (r *frameReader) admit(f frame, limit int64) error {
	packed, have := f.packed, int64(0)
	if p := r.part; p != nil && p.op != 0 {
		packed, have = p.packed, int64(len(p.buf))
	}
	if packed {
		limit = maxPacked(limit)
	}
	if f.length > uint64(max(limit-have, 0)) {
		return errTooLong()
	}
	if f.length == 0 && !f.fin {
		p := r.unfinished()
		if p.empty++; p.empty > maxEmptyFragments {
			return &frameError{websocket.ClosePolicyViolation, "too many empty fragments"}
		}
	}
	return nil
}

func errTooLong() error {
	return &frameError{websocket.CloseMessageTooBig, "message too long"}
}

// more takes payload of a frame whose header came before b.
func (r *frameReader) more(b []byte, limit int64, h frameHandler) (int, error) {
	p := r.part
	piece := b[:min(uint64(len(b)), p.left)]
	unmask(piece, p.frame.key)
	p.frame.key = bits.RotateLeft32(p.frame.key, -8*len(piece))
	if have := len(p.buf) + len(piece); have > cap(p.buf) {
		// Twice of what has come, and no more than the frame will need.
		size := min(uint64(2*have), uint64(len(p.buf))+p.left)
		p.buf = append(make([]byte, 0, size), p.buf...)
	}
	p.buf = append(p.buf, piece...)
	p.left -= uint64(len(piece))
	if p.left > 0 {
		return len(piece), nil
	}
	start := len(p.buf) - int(p.frame.length)
	payload := p.buf[start:]
	p.buf, p.inside = p.buf[:start], false
	return len(piece), r.end(p.frame, payload, limit, h)
}

// end does what is to be done when a frame is whole. payload is in what was fed,
// or where it belongs in the message's buf.
func (r *frameReader) end(f frame, payload []byte, limit int64, h frameHandler) error {
	if f.op >= opClose {
		return r.control(f.op, payload, h)
	}
	if f.op != opContinuation && f.fin {
		r.part = nil
		return deliver(f.op, f.packed, payload, limit, h)
	}
	p := r.unfinished()
	if f.op != opContinuation {
		p.op, p.packed = f.op, f.packed
	}
	p.buf = append(p.buf, payload...)
	if !f.fin {
		return nil
	}
	r.part = nil
	return deliver(p.op, p.packed, p.buf, limit, h)
}

func (r *frameReader) control(op byte, payload []byte, h frameHandler) error {
	if r.part != nil && r.part.op == 0 {
		r.part = nil // it held this frame alone
	}
	if op == opClose {
		if err := judgeClose(payload); err != nil {
			return err
		}
		r.drop()
	}
	h.control(op, payload)
	return nil
}

// judgeClose judges the payload of a Close (RFC 6455 §5.5.1).
func judgeClose(payload []byte) error {
	switch {
	case len(payload) == 0:
		return nil
	case len(payload) == 1:
		return protocolError("half a close code")
	case !validCloseCode(binary.BigEndian.Uint16(payload)):
		return protocolError("close code that must not be sent")
	case !utf8.Valid(payload[2:]):
		return &frameError{websocket.CloseInvalidFramePayloadData, "close reason is not UTF-8"}
	}
	return nil
}

// validCloseCode tells whether a client may send this code: those that RFC 6455
// §7.4.1 and IANA's registry define for the wire, and the ranges left to
// libraries and applications (§7.4.2).
func validCloseCode(code uint16) bool {
	return code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
}

// deliver hands a whole message on. The text is looked at as a whole, since a
// fragment may end within a character (RFC 6455 §5.6).
func deliver(op byte, packed bool, data []byte, limit int64, h frameHandler) error {
	if packed {
		in := inflaters.Get().(*inflater)
		defer in.release()
		var err error
		if data, err = in.inflate(data, limit); err != nil {
			return err
		}
	}
	if op == opText && !utf8.Valid(data) {
		return &frameError{websocket.CloseInvalidFramePayloadData, "text is not UTF-8"}
	}
	h.message(op == opText, data)
	return nil
}

// unmask undoes the masking of b (RFC 6455 §5.3), which begins with the lowest
// byte of key. Four words at a time take a third less time than one at 125 bytes,
// and less than half of it from 1 KiB on.
func unmask(b []byte, key uint32) {
	word := uint64(key)<<32 | uint64(key)
	for len(b) >= 32 {
		c := b[:32:32]
		binary.LittleEndian.PutUint64(c, binary.LittleEndian.Uint64(c)^word)
		binary.LittleEndian.PutUint64(c[8:], binary.LittleEndian.Uint64(c[8:])^word)
		binary.LittleEndian.PutUint64(c[16:], binary.LittleEndian.Uint64(c[16:])^word)
		binary.LittleEndian.PutUint64(c[24:], binary.LittleEndian.Uint64(c[24:])^word)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(word >> (8 * i))
	}
}
