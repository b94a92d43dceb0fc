package pusher

import (
	"bytes"
	"encoding/binary"
	"sync"
)

// Message is what is published.
type Message struct {
	// Text makes it a text message: a string in the page's message.data. Its
	// Data must be UTF-8. Otherwise it is binary: a Blob or ArrayBuffer there,
	// and not sent to event streams, which carry text only.
	Text bool
	// Data is the message itself, sent as it is. Publish copies it.
	Data []byte
}

// message is a Message as all its receivers share it: encoded once for each
// kind of connection, and never changed afterwards.
type message struct {
	text    bool
	frame   []byte // a whole WebSocket frame; the payload is its end
	payload []byte

	eventOnce sync.Once
	event     []byte
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

// newMessage makes a message of buf[headroom:] and takes buf over.
func newMessage(text bool, buf []byte) *message {
	payload := buf[headroom:]
	op := byte(opBinary)
	if text {
		op = opText
	}
	start := headroom
	switch n := len(payload); {
	case n <= 125:
		start -= 2
		buf[start+1] = byte(n)
	case n <= 0xffff:
		start -= 4
		buf[start+1] = 126
		binary.BigEndian.PutUint16(buf[start+2:], uint16(n))
	default:
		start -= 10
		buf[start+1] = 127
		binary.BigEndian.PutUint64(buf[start+2:], uint64(n))
	}
	buf[start] = finBit | op
	return &message{text: text, frame: buf[start:], payload: payload}
}

// asEvent is the message as an event stream carries it; nil for a binary one.
// It is made when the first event stream asks, as most channels have none.
func (m *message) asEvent() []byte {
	if !m.text {
		return nil
	}
	m.eventOnce.Do(func() {
		m.event = appendEvent(make([]byte, 0, len(m.payload)+16), m.payload)
	})
	return m.event
}

// appendEvent writes text as one event of an event stream (HTML standard
// §9.2.6): a data line for each of its lines, since CR, LF and CRLF all end a
// line there. The page gets them back joined by LF.
func appendEvent(dst, text []byte) []byte {
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

// closeFrame is a whole Close frame. The reason is cut to what a control frame
// holds (RFC 6455 §5.5); all reasons are this program's own ASCII.
func closeFrame(code int, reason string) []byte {
	reason = reason[:min(len(reason), 123)]
	frame := make([]byte, 4, 4+len(reason))
	frame[0], frame[1] = finBit|opClose, byte(2+len(reason))
	binary.BigEndian.PutUint16(frame[2:], uint16(code))
	return append(frame, reason...)
}

// parseClose takes code and reason out of a whole Close frame from this side;
// 1005 stands for a frame without a code (RFC 6455 §7.1.5).
func parseClose(frame []byte) (code int, reason string) {
	if len(frame) < 4 {
		return 1005, ""
	}
	return int(binary.BigEndian.Uint16(frame[2:])), string(frame[4:])
}
