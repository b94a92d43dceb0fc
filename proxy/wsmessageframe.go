package proxy

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"unicode/utf8"

	"wsfront/proxy/frame"
	"wsfront/proxy/relay"
)

// The bits and opcodes of a frame's first two bytes (RFC 6455 §5.2, RFC 7692
// §6) that matter here.
const (
	finBit       = 0x80
	packedBit    = 0x40
	opcodeBits   = 0x0f
	opcodeText   = 0x1
	opcodeClose  = 0x8
	maskedBit    = 0x80
	length16     = 126
	length64     = 127
	maxFrameHead = 14
	maskSize     = 4
)

// frameReader looks at the frames of one peer before gorilla does, and refuses
// what gorilla would not, or not in time: invalid frames, too long messages, text
// that is not UTF-8. Compressed messages are unpacked here, so that both limit
// and check hold for what is in them. What is refused never comes back as an
// error: it is the verdict.
type frameReader struct {
	end     *messageEnd
	follow  frame.Follower
	verdict *messageEnding // why no more is taken from this peer
	closed  bool           // the peer's Close was read
	mute    bool           // nothing goes on; only its Close is waited for

	within bool  // a frame's header was read, and not its end
	left   int64 // payload of it still to come
	first  byte  // of its header
	key    [maskSize]byte
	phase  int  // of the key
	bare   bool // its payload is to be unmasked

	kind   byte  // the first byte of the message's first frame
	size   int64 // announced payload of the message so far
	text   textCheck
	packed *[]byte // payload of a compressed message so far
	source bytes.Reader
}

func (f *frameReader) init(e *messageEnd, rules *frame.Rules) {
	f.end = e
	f.follow.Init(e.side, rules)
	f.follow.ExpectPong(e.run.nonce)
}

// holds reports whether bytes read earlier come before what is read next.
func (f *frameReader) holds() bool { return len(f.follow.Held()) > 0 }

// take appends to dst what gorilla gets of the bytes src. dst may be src's own
// beginning as long as holds is false and nothing is compressed.
func (f *frameReader) take(dst, src []byte, now int64) []byte {
	for len(src) > 0 {
		pass, rest, err := f.follow.Feed(src, now)
		if len(pass) > 0 {
			f.end.run.moved.Store(now) // it is not just the answer to our ping
		}
		dst = f.walk(dst, pass)
		if f.follow.PongSeen() {
			f.follow.ExpectPong(f.end.run.nonce)
			f.end.notePong(now)
		}
		if violation, ok := err.(*frame.Violation); ok {
			f.refuse(violation.Code, violation.Reason)
			return dst
		}
		src = rest
	}
	return dst
}

// walk goes over frames that are valid, their headers whole.
func (f *frameReader) walk(dst, p []byte) []byte {
	for len(p) > 0 {
		if !f.within {
			head := p[:headSize(p[1])]
			p = p[len(head):]
			if f.enter(head); f.passes() {
				dst = append(dst, head...)
			}
		}
		n := int(min(f.left, int64(len(p))))
		f.left -= int64(n)
		dst = f.payload(dst, p[:n])
		p = p[n:]
		if f.left == 0 {
			f.within = false
			dst = f.leave(dst)
		}
	}
	return dst
}

func headSize(second byte) int {
	n := 2
	switch second &^ maskedBit {
	case length16:
		n += 2
	case length64:
		n += 8
	}
	if second&maskedBit != 0 {
		n += maskSize
	}
	return n
}

// enter reads a header. The key of what is unmasked here is set to zero, with
// which gorilla unmasks it once more and changes nothing.
func (f *frameReader) enter(head []byte) {
	f.within, f.first = true, head[0]
	switch n := head[1] &^ maskedBit; n {
	case length16:
		f.left = int64(binary.BigEndian.Uint16(head[2:]))
	case length64:
		f.left = int64(binary.BigEndian.Uint64(head[2:]))
	default:
		f.left = int64(n)
	}
	op := f.first & opcodeBits
	if op != 0 && op < opcodeClose {
		f.kind, f.size = f.first, 0
	}
	switch limit := f.end.run.maxMessage; {
	case op >= opcodeClose:
	case f.left > limit-f.size:
		f.tooBig()
	default:
		if f.size += f.left; f.cutsText() {
			f.notText()
		}
	}
	if f.bare = head[1]&maskedBit != 0 && (op == opcodeClose || op < opcodeClose && (f.kind&packedBit != 0 || f.isText())); f.bare {
		key := head[len(head)-maskSize:]
		f.key, f.phase = [maskSize]byte(key), 0
		clear(key)
	}
}

func (f *frameReader) isControl() bool { return f.first&opcodeBits >= opcodeClose }
func (f *frameReader) isText() bool    { return f.kind&opcodeBits == opcodeText }
func (f *frameReader) isPacked() bool  { return !f.isControl() && f.kind&packedBit != 0 }

// passes reports whether the current frame is for gorilla as it is.
func (f *frameReader) passes() bool {
	return !f.mute && !f.isPacked() && f.first&opcodeBits != opcodeClose
}

// cutsText reports whether a text ends here in the middle of a character. It is
// asked before the last byte goes on, with which gorilla would have a message.
func (f *frameReader) cutsText() bool {
	return f.left == 0 && f.first&finBit != 0 && f.isText() && !f.isPacked() && !f.text.whole()
}

// payload takes a piece of the current frame's payload.
func (f *frameReader) payload(dst, p []byte) []byte {
	if f.bare {
		f.phase = unmask(p, f.key, f.phase)
	}
	switch {
	case f.first&opcodeBits == opcodeClose:
		// All of it at once: a Close frame is held back until it is whole.
		f.sayGoodbye(p)
	case f.mute:
	case f.isPacked():
		if f.packed == nil {
			f.packed = f.end.run.getBuffer()
		}
		*f.packed = append(*f.packed, p...)
	default:
		if !f.isControl() && f.isText() && (!f.text.add(p) || f.cutsText()) {
			f.notText()
			break
		}
		return append(dst, p...)
	}
	return dst
}

// leave is called at the end of each frame.
func (f *frameReader) leave(dst []byte) []byte {
	if f.mute || f.isControl() || f.first&finBit == 0 {
		return dst
	}
	if f.isPacked() {
		dst = f.unpack(dst)
	}
	if !f.mute {
		f.end.messages.Add(1)
	}
	return dst
}

// sayGoodbye reads a valid Close frame's payload.
func (f *frameReader) sayGoodbye(payload []byte) {
	f.closed = true
	code, text := uint16(1005), ""
	if len(payload) >= 2 {
		code, text = binary.BigEndian.Uint16(payload), string(payload[2:])
	}
	e := f.end
	ending := messageEnding{reason: [...]relay.Reason{relay.ClientClosed, relay.BackendClosed}[e.side], by: e.name, code: code, text: text}
	ending.words[e.side] = lastWord{true, code, ""} // RFC 6455 §5.5.1: the code comes back
	ending.words[e.other()] = lastWord{true, code, text}
	f.conclude(ending)
}

func (f *frameReader) tooBig()  { f.refuse(1009, "message too big") }
func (f *frameReader) notText() { f.refuse(1007, "text that is not UTF-8") }

// refuse ends the tunnel by a fault of this peer.
func (f *frameReader) refuse(code uint16, text string) {
	e := f.end
	ending := messageEnding{reason: relay.Reason(e.name + " cut off"), err: errors.New(text), by: "front", code: code, text: text}
	ending.words[e.side] = lastWord{true, code, text}
	ending.words[e.other()] = lastWord{true, 1001, e.name + " was cut off"}
	f.conclude(ending)
}

func (f *frameReader) conclude(ending messageEnding) {
	f.mute = true
	if f.verdict == nil {
		f.verdict = &ending
	}
}

// unpack appends the message that is in packed as one frame (RFC 7692 §7.2.2).
func (f *frameReader) unpack(dst []byte) []byte {
	m := f.end.run.messageTunnel
	if f.packed == nil {
		f.packed = m.getBuffer() // a compressed message without a byte
	}
	// The end that a sender leaves out, and an empty last block behind it, as
	// compress/flate wants to see one.
	*f.packed = append(*f.packed, "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...)
	f.source.Reset(*f.packed)
	inflater, _ := m.inflaters.Get().(io.Reader)
	if inflater == nil {
		inflater = flate.NewReader(&f.source)
	} else if err := inflater.(flate.Resetter).Reset(&f.source, nil); err != nil {
		f.refuse(1011, err.Error())
		return dst
	}
	start := len(dst)
	dst, err := f.inflate(append(dst, make([]byte, maxFrameHead)...), inflater)
	f.source.Reset(nil)
	m.inflaters.Put(inflater)
	m.putBuffer(f.packed)
	f.packed = nil
	message := dst[start+maxFrameHead:]
	switch {
	case err != nil:
		f.refuse(1007, "a compressed message that cannot be unpacked")
	case int64(len(message)) > m.maxMessage:
		f.tooBig()
	case f.isText() && !utf8.Valid(message):
		f.notText()
	default:
		head := dst[start:]
		head[0], head[1] = finBit|f.kind&opcodeBits, maskedBit|length64
		binary.BigEndian.PutUint64(head[2:], uint64(len(message)))
		return dst // with a key of zero
	}
	return dst[:start]
}

// inflate appends what r gives, but not much more than a message may have.
func (f *frameReader) inflate(dst []byte, r io.Reader) ([]byte, error) {
	limit := int64(len(dst)) + f.end.run.maxMessage
	for int64(len(dst)) <= limit {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, 512)
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// unmask undoes the masking of p (RFC 6455 §5.3), of which the first byte goes
// with the key's byte at phase. It returns the phase behind p.
func unmask(p []byte, key [maskSize]byte, phase int) int {
	after := (phase + len(p)) % maskSize
	var turned [2 * maskSize]byte
	for i := range turned {
		turned[i] = key[(phase+i)%maskSize]
	}
	word := binary.LittleEndian.Uint64(turned[:])
	for len(p) >= len(turned) {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^word)
		p = p[len(turned):]
	}
	for i := range p {
		p[i] ^= turned[i]
	}
	return after
}

// textCheck checks that text which comes in pieces is UTF-8 (RFC 6455 §8.1).
type textCheck struct {
	part [utf8.UTFMax]byte // of a character that the last piece has cut
	n    int
}

// add reports whether the text may still be UTF-8 with p at its end.
func (t *textCheck) add(p []byte) bool {
	for t.n > 0 && len(p) > 0 {
		t.part[t.n] = p[0]
		t.n++
		p = p[1:]
		if utf8.FullRune(t.part[:t.n]) {
			if !utf8.Valid(t.part[:t.n]) {
				return false
			}
			t.n = 0
		}
	}
	if len(p) == 0 {
		return true
	}
	whole := len(p)
	for i := len(p) - 1; i >= max(0, len(p)-utf8.UTFMax+1); i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				whole = i
			}
			break
		}
	}
	t.n = copy(t.part[:], p[whole:])
	return utf8.Valid(p[:whole])
}

// whole reports whether the text ends with a character's end.
func (t *textCheck) whole() bool { return t.n == 0 }
