package pusher

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// memoryConn is a connection to a peer that has sent all it will. It also hands
// itself to gorilla's handshake.
type memoryConn struct {
	net.Conn // nil: nothing else is called
	http.ResponseWriter
	in  *bytes.Reader
	out bytes.Buffer
}

func (c *memoryConn) Read(b []byte) (int, error)       { return c.in.Read(b) }
func (c *memoryConn) Write(b []byte) (int, error)      { return c.out.Write(b) }
func (c *memoryConn) Close() error                     { return nil }
func (c *memoryConn) SetDeadline(time.Time) error      { return nil }
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }
func (c *memoryConn) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return c, bufio.NewReadWriter(bufio.NewReader(strings.NewReader("")), bufio.NewWriter(io.Discard)), nil
}

// handshake is what gorilla's server answers to a request with these offers.
func handshake(stream []byte, enable bool, offers ...string) (*memoryConn, *websocket.Conn, error) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Extensions": offers}
	c := &memoryConn{ResponseWriter: httptest.NewRecorder(), in: bytes.NewReader(stream)}
	upgrader := websocket.Upgrader{EnableCompression: enable, ReadBufferSize: 256}
	ws, err := upgrader.Upgrade(c, r, nil)
	return c, ws, err
}

// byGorilla is what gorilla's server makes of stream, and the code of the Close
// that it answers with, 0 for none. What it leaves to its user, UTF-8, is added.
func byGorilla(t *testing.T, stream []byte, limit int64, deflate bool) (events []string, code int) {
	c, ws, err := handshake(stream, deflate, "permessage-deflate")
	if err != nil {
		t.Fatal(err)
	}
	c.out.Reset()
	log := &frameLog{}
	ws.SetReadLimit(limit)
	ws.SetPingHandler(func(s string) error { log.control(opPing, []byte(s)); return nil })
	ws.SetPongHandler(func(s string) error { log.control(opPong, []byte(s)); return nil })
	ws.SetCloseHandler(func(code int, s string) error {
		payload := []byte(nil)
		if code != websocket.CloseNoStatusReceived {
			payload = append(binary.BigEndian.AppendUint16(nil, uint16(code)), s...)
		}
		log.control(opClose, payload)
		return nil
	})
	for {
		kind, data, err := ws.ReadMessage()
		if err != nil {
			if frame := c.out.Bytes(); len(frame) >= 4 {
				code, _ = parseClose(frame[2:])
			}
			if err == websocket.ErrReadLimit {
				code = websocket.CloseMessageTooBig
			}
			return log.events, code
		}
		if kind == websocket.TextMessage && !utf8.Valid(data) {
			return log.events, websocket.CloseInvalidFramePayloadData
		}
		log.message(kind == websocket.TextMessage, data)
	}
}

// stricter lists what gorilla does not refuse, or with another code.
var stricter = []string{
	"length not in its shortest form", "half a close code", "too many empty fragments", "close reason is not UTF-8",
}

// compareWithGorilla feeds stream in random pieces.
func compareWithGorilla(t *testing.T, stream []byte, limit int64, deflate bool, random *rand.Rand) {
	var r frameReader
	log, own := &frameLog{}, slices.Clone(stream)
	code, reason := 0, ""
	for rest := own; len(rest) > 0 && code == 0; {
		n := 1 + random.IntN(min(len(rest), 1+random.IntN(len(rest))))
		if err := r.feed(rest[:n], limit, deflate, log); err != nil {
			code, reason = err.(*frameError).code, err.(*frameError).reason
		}
		rest = rest[n:]
	}
	want, wantCode := byGorilla(t, stream, limit, deflate)
	// gorilla takes the bit of compression on any frame where it was agreed on.
	if slices.Contains(stricter, reason) || deflate && reason == "reserved bit set" {
		want, wantCode = want[:min(len(want), len(log.events))], code
	}
	// gorilla refuses a length beyond 63 bits before the masking key has come.
	if code == 0 && wantCode == 1009 && r.part != nil && r.part.headLen >= 2+8 {
		wantCode = 0
	}
	// gorilla takes a close code of 1014, which is younger, for a bad one.
	if n := len(log.events); n > 0 && wantCode == 1002 && n == len(want)+1 && strings.HasPrefix(log.events[n-1], `control 8 "\x03\xf6`) {
		return
	}
	if !slices.Equal(log.events, want) || code != wantCode {
		t.Errorf("%x\n got code %d (%s) %q\nwant code %d %q", stream, code, reason, log.events, wantCode, want)
	}
}

// TestFrameReader_AgreesWithGorilla has random clients, most of which behave.
func TestFrameReader_AgreesWithGorilla(t *testing.T) {
	for seed := range uint64(1000) {
		random := rand.New(rand.NewPCG(seed, 1))
		stream := randomConversation(random, seed%2 == 1, 10, 2000)
		compareWithGorilla(t, stream, 4000, seed%2 == 1, random)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func randomConversation(random *rand.Rand, deflate bool, messages, length int) []byte {
	var stream []byte
	frame := func(first byte, payload []byte) {
		if random.IntN(200) == 0 {
			first ^= 1 << random.IntN(6)
		}
		stream = append(stream, clientFrame(first, random.Uint32(), payload)...)
	}
	control := func() {
		switch random.IntN(12) {
		case 0:
			frame(finBit|opPing, randomText(random, random.IntN(min(length, 126))))
		case 1:
			frame(finBit|opPong, randomText(random, random.IntN(min(length, 130))))
		}
	}
	for range 1 + random.IntN(messages) {
		control()
		payload, first := randomText(random, random.IntN(1+random.IntN(length))), byte(opText+random.IntN(2))
		if random.IntN(50) == 0 {
			payload = append(payload, 0xe2)
		}
		if packed, ok := deflated(nil, payload); ok && deflate {
			payload, first = packed, first|rsv1Bit
		}
		for random.IntN(2) == 0 {
			n := random.IntN(len(payload) + 1)
			frame(first, payload[:n])
			payload, first = payload[n:], opContinuation
			control()
		}
		frame(finBit|first, payload)
	}
	frame(finBit|opClose, append(binary.BigEndian.AppendUint16(nil, uint16(1000+random.IntN(16))), randomText(random, random.IntN(20))...))
	return stream[:len(stream)-max(0, random.IntN(40)-30)]
}

func randomText(random *rand.Rand, n int) []byte {
	var text []byte
	for len(text) < n {
		text = fmt.Appendf(text, `{"id":%d,"ort":"Köln €"},`, random.IntN(1000))
	}
	return []byte(strings.ToValidUTF8(string(text[:n]), "")) // n may be within a character
}

// FuzzFrameReader compares with gorilla's reader whatever is not compressed.
func FuzzFrameReader(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomConversation(rand.New(rand.NewPCG(seed, 2)), false, 3, 20), seed)
	}
	f.Add([]byte("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), uint64(1))
	f.Add(slices.Concat(clientText(opText, "€"[:1]), clientText(finBit|opPing, "p"), clientText(finBit, "€"[1:])), uint64(2))
	f.Add(clientText(finBit|opClose, "\x03\xe8bye"), uint64(3))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		compareWithGorilla(t, stream, 1000, false, rand.New(rand.NewPCG(seed, 3)))
	})
}

// FuzzFrameReaderDeflate wants the same of a stream however it is split. What
// gorilla makes of compressed messages that are damaged, or longer than the limit
// when unpacked, differs from ours.
func FuzzFrameReaderDeflate(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomConversation(rand.New(rand.NewPCG(seed, 4)), true, 2, 200), seed)
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		var whole, split frameReader
		random := rand.New(rand.NewPCG(seed, 5))
		var pieces []int
		for range 10 {
			pieces = append(pieces, 1+random.IntN(1+random.IntN(100)))
		}
		want, wantCode := feedAll(&whole, stream, 1000, true)
		got, code := feedAll(&split, stream, 1000, true, pieces...)
		if !slices.Equal(got, want) || code != wantCode || whole.idle() != split.idle() {
			t.Errorf("%x in pieces of %d\n got code %d %q\nwant code %d %q", stream, pieces, code, got, wantCode, want)
		}
	})
}
