package pusher

import (
	"bytes"
	"encoding/binary"
	"sync/atomic"
	"time"
)

// Message is what is published.
type Message struct {
	// Text makes it a text message: a string in the page's message.data. Its
	// Data must be UTF-8. Otherwise it is binary: a Blob or ArrayBuffer there,
	// and not sent to event streams, which carry text only.
	Text bool
	// Data is the message itself, sent as it is. Publish copies it.
	Data []byte
	// ID makes a second Publish of the same message harmless: it stores and sends
	// nothing where the channel has seen the ID within the last minutes. At most
	// MaxID bytes; empty means none.
	ID string
	// TTL is how long the message is kept for those who come back. 0 is as long
	// as the channel's history allows; less than a second counts as one.
	TTL time.Duration
}

// MaxID is the length of the longest Message.ID.
const MaxID = 255

// message is a stored message as all its receivers share it. The messages of a
// channel are a chain; a client's place in it is all that there is of its queue.
type message struct {
	next atomic.Pointer[message]
	seq  uint64
	end  int64 // what the chain costs up to and including this one
	text bool
	// expires is when it is no longer kept for those who come back, in
	// nanoseconds since 1970; 0: never.
	expires int64
	// frame is a whole WebSocket frame, whose end the payload is. Nil for a
	// mark, which is a place in the chain without a message.
	frame   []byte
	payload []byte
	// packed are the frames with compression, without and with the token; one
	// of length 0 says that it is not worth while. Made when first asked for.
	packed [2]atomic.Pointer[[]byte]
}

// newMessage makes a link of what was stored.
func newMessage(e *Entry) *message {
	m := &message{seq: e.Seq, text: e.Text, payload: e.Data, frame: e.frame}
	if !e.Expires.IsZero() {
		m.expires = e.Expires.UnixNano()
	}
	if m.frame == nil {
		m.frame = appendFrame(make([]byte, 0, len(e.Data)+headroom), opcode(e.Text), e.Data)
		m.payload = m.frame[len(m.frame)-len(e.Data):]
	}
	return m
}

// before is the last of the chain from m on that has no number above seq, which
// m has not.
func (m *message) before(seq uint64) *message {
	for next := m.next.Load(); next != nil && next.seq <= seq; next = next.next.Load() {
		m = next
	}
	return m
}

// cost is what keeping it costs. Without the constant, a flood of empty
// messages would fill memory within any limit.
func (m *message) cost() int64 { return int64(len(m.frame) + slotBytes) }

const slotBytes = 64

// pack is the message's compressed frame, empty when that is not worth it.
func (m *message) pack(f form, epoch string) []byte {
	if len(m.payload) < minDeflated {
		return nil
	}
	slot := &m.packed[f&formToken]
	if p := slot.Load(); p != nil {
		return *p
	}
	payload := m.payload
	if f&formToken != 0 {
		payload = append(append(Position{epoch, m.seq}.append(nil), '\n'), m.payload...)
	}
	var frame []byte
	if packed, ok := deflated(nil, payload); ok {
		frame = appendFrame(make([]byte, 0, len(packed)+headroom), opcode(m.text)|rsv1Bit, packed)
	}
	slot.Store(&frame) // whoever is second has made the same
	return frame
}

// appendEventData writes text as the data of an event (HTML standard §9.2.6): a
// data line for each of its lines, since CR, LF and CRLF all end a line there.
// The page gets them back joined by LF.
func appendEventData(dst, text []byte) []byte {
	for {
		// The space is not decoration: a reader strips one, so that a text
		// which begins with a space keeps its own.
		dst = append(dst, "data: "...)
		end := bytes.IndexAny(text, "\r\n")
		if end < 0 {
			return append(append(dst, text...), "\n\n"...)
		}
		dst = append(append(dst, text[:end]...), '\n')
		if text[end] == '\r' && end+1 < len(text) && text[end+1] == '\n' {
			end++
		}
		text = text[end+1:]
	}
}

// headroom is the longest header of a frame from a server, which does not mask
// (RFC 6455 §5.2). Whoever reads a message into memory leaves it free in front,
// so that the frame needs no copy.
const headroom = 10

const (
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	finBit   = 0x80
)

func opcode(text bool) byte {
	if text {
		return opText
	}
	return opBinary
}

// frameOf makes a frame of buf[headroom:] in place, whose payload is its end.
func frameOf(text bool, buf []byte) []byte {
	var head [headroom]byte
	h := appendHeader(head[:0], opcode(text), len(buf)-headroom)
	start := headroom - len(h)
	copy(buf[start:], h)
	return buf[start:]
}

// appendHeader appends the header of a whole message's frame with n bytes of
// payload. op may hold rsv1Bit.
func appendHeader(dst []byte, op byte, n int) []byte {
	switch {
	case n <= 125:
		return append(dst, finBit|op, byte(n))
	case n <= 0xffff:
		return append(dst, finBit|op, 126, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, finBit|op, 127), uint64(n))
}

func appendFrame(dst []byte, op byte, payload []byte) []byte {
	return append(appendHeader(dst, op, len(payload)), payload...)
}

// closeFrame is a whole Close frame. The reason is cut to what a control frame
// holds (RFC 6455 §5.5); all reasons are this program's own ASCII.
func closeFrame(code int, reason string) []byte {
	reason = reason[:min(len(reason), 123)]
	frame := make([]byte, 4, 4+len(reason))
	frame[0], frame[1] = finBit|opClose, byte(2+len(reason))
	binary.BigEndian.PutUint16(frame[2:], uint16(code))
	return append(frame, reason...)
}

// parseClose takes code and reason out of a Close frame's payload; 1005 stands
// for none (RFC 6455 §7.1.5).
func parseClose(payload []byte) (code int, reason string) {
	if len(payload) < 2 {
		return 1005, ""
	}
	return int(binary.BigEndian.Uint16(payload)), string(payload[2:])
}
