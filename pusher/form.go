package pusher

import (
	"encoding/base64"
	"encoding/json"
)

// form is how a client gets its messages: as WebSocket frames, with or without
// the flags, or in one of the ways of plain HTTP.
type form uint8

const (
	formToken   form = 1 << iota // with the token in front
	formDeflate                  // compressed, where that is worth it

	formEvent form = iota + 2 // as events of an event stream
	formLine                  // as lines of text, one poll's worth
	formJSON                  // as lines of JSON, likewise
	forms                     // how many there are
)

func (f form) socket() bool { return f < formEvent }

// unpacked is the form without compression.
func (f form) unpacked() form {
	if f.socket() {
		f &^= formDeflate
	}
	return f
}

// transport is what the log calls it.
func (f form) transport() string {
	switch f {
	case formEvent:
		return "event-stream"
	case formLine, formJSON:
		return "long-poll"
	}
	return "websocket"
}

// lasts says whether a connection stays, and so stands for somebody who listens;
// polls come and go.
func (f form) lasts() bool { return f != formLine && f != formJSON }

// answers says whether clients answer pings.
func (f form) answers() bool { return f.socket() }

// heartbeat is a comment, which browsers do not show the page (HTML standard
// §9.2.6).
const heartbeat = ":\n\n"

// ping is what keeps a silent connection in use, and finds out whether it still
// is one; nil where nothing is to be said before there is a message.
func (f form) ping() []byte {
	switch f {
	case formEvent:
		return []byte(heartbeat)
	case formLine, formJSON:
		return nil
	}
	return []byte{finBit | opPing, 0}
}

// bye is the last frame that a client gets; nil when it needs none.
func (f form) bye(code int, reason string) []byte {
	if !f.socket() {
		return nil
	}
	return closeFrame(code, reason)
}

// appendForm appends the message in a form. A mark has none, and a binary
// message none in forms that are text. One for its receiver alone has no number,
// and so no token: it changes nothing about what has been seen.
func (m *message) appendForm(dst []byte, f form, epoch string) []byte {
	if m.frame == nil {
		return dst
	}
	at := Position{epoch, m.seq}
	switch f {
	case formEvent:
		if !m.text {
			return dst
		}
		if m.seq > 0 {
			dst = append(at.append(append(dst, "id: "...)), '\n')
		}
		return appendEventData(dst, m.payload)
	case formLine:
		if m.text {
			dst = append(append(dst, m.payload...), '\n')
		}
		return dst
	case formJSON:
		return m.appendJSON(dst, at)
	}
	if f&formDeflate != 0 {
		if packed := m.pack(f, epoch); len(packed) > 0 {
			return append(dst, packed...)
		}
	}
	if f&formToken != 0 {
		return at.appendFrame(dst, opcode(m.text), m.payload)
	}
	return append(dst, m.frame...)
}

// appendFrame appends a frame with the token in front of the payload.
func (p Position) appendFrame(dst []byte, op byte, payload []byte) []byte {
	var room [maxEpoch + 22]byte
	head := room[:0]
	if p.Seq > 0 {
		head = p.append(head)
	}
	head = append(head, '\n')
	dst = appendHeader(dst, op, len(head)+len(payload))
	return append(append(dst, head...), payload...)
}

func (m *message) appendJSON(dst []byte, at Position) []byte {
	dst = append(at.append(append(dst, `{"id":"`...)), `","`...)
	if !m.text {
		dst = append(dst, `base64":"`...)
		return append(base64.StdEncoding.AppendEncode(dst, m.payload), "\"}\n"...)
	}
	text, _ := json.Marshal(string(m.payload)) // a string always has a form
	return append(append(append(dst, `data":`...), text...), "}\n"...)
}
