package pusher

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// frameLog writes down what a frameReader calls it with.
type frameLog struct {
	events []string
	drop   *frameReader // dropped at the first event
}

func (l *frameLog) message(text bool, data []byte) { l.add(fmt.Sprintf("message %t %q", text, data)) }
func (l *frameLog) control(op byte, payload []byte) {
	l.add(fmt.Sprintf("control %d %q", op, payload))
}

func (l *frameLog) add(event string) {
	l.events = append(l.events, event)
	if l.drop != nil {
		l.drop.drop()
	}
}

// clientFrame is a frame as a client must send it (RFC 6455 §5.2, §5.3).
func clientFrame(first byte, key uint32, payload []byte) []byte {
	frame := []byte{first}
	switch n := len(payload); {
	case n <= 125:
		frame = append(frame, maskBit|byte(n))
	case n <= math.MaxUint16:
		frame = binary.BigEndian.AppendUint16(append(frame, maskBit|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, maskBit|127), uint64(n))
	}
	frame = binary.LittleEndian.AppendUint32(frame, key)
	for i, b := range payload {
		frame = append(frame, b^byte(key>>(8*(i%4))))
	}
	return frame
}

func clientText(first byte, payload string) []byte {
	return clientFrame(first, 0x3d21fa37, []byte(payload))
}

// feedAll feeds a copy of stream in pieces of the lengths given, the last of which
// is repeated, and returns what was called and the code of the Close it ended with.
func feedAll(r *frameReader, stream []byte, limit int64, deflate bool, pieces ...int) ([]string, int) {
	log := &frameLog{}
	stream = slices.Clone(stream)
	for len(stream) > 0 {
		n := len(stream)
		if len(pieces) > 0 {
			n = min(n, pieces[0])
		}
		if len(pieces) > 1 {
			pieces = pieces[1:]
		}
		if err := r.feed(stream[:n], limit, deflate, log); err != nil {
			var e *frameError
			if !errors.As(err, &e) {
				panic(err)
			}
			return log.events, e.code
		}
		clear(stream[:n]) // what was fed belongs to the caller again
		stream = stream[n:]
	}
	return log.events, 0
}

func TestFrameReader_ExamplesOfTheRFC(t *testing.T) {
	const hello = "\x7f\x9f\x4d\x51\x58" // Hello, masked with 37 fa 21 3d
	long256 := string(clientText(finBit|opBinary, strings.Repeat("b", 256)))
	long64K := string(clientText(finBit|opBinary, strings.Repeat("b", 65536)))
	if long256[:4] != "\x82\xfe\x01\x00" || long64K[:10] != "\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00" {
		t.Fatal("the test's frames are not those of RFC 6455 §5.7")
	}
	for _, c := range []struct {
		name, stream string
		deflate      bool
		want         []string
	}{
		{"text", "\x81\x85\x37\xfa\x21\x3d" + hello, false, []string{`message true "Hello"`}},
		{"fragments", string(clientText(opText, "Hel")) + string(clientText(finBit, "lo")), false, []string{`message true "Hello"`}},
		{"ping and pong", "\x89\x85\x37\xfa\x21\x3d" + hello + "\x8a\x85\x37\xfa\x21\x3d" + hello, false,
			[]string{`control 9 "Hello"`, `control 10 "Hello"`}},
		{"256 bytes", long256, false, []string{fmt.Sprintf("message false %q", strings.Repeat("b", 256))}},
		{"64 KiB", long64K, false, []string{fmt.Sprintf("message false %q", strings.Repeat("b", 65536))}},
		// RFC 7692 §7.2.3
		{"compressed", string(clientText(finBit|rsv1Bit|opText, "\xf2\x48\xcd\xc9\xc9\x07\x00")), true, []string{`message true "Hello"`}},
		{"compressed, in fragments", string(clientText(rsv1Bit|opText, "\xf2\x48\xcd")) + string(clientText(finBit, "\xc9\xc9\x07\x00")), true,
			[]string{`message true "Hello"`}},
		{"compressed, stored block", string(clientText(finBit|rsv1Bit|opText, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00")), true,
			[]string{`message true "Hello"`}},
		{"compressed, final block", string(clientText(finBit|rsv1Bit|opText, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00")), true,
			[]string{`message true "Hello"`}},
		{"compressed, two blocks", string(clientText(finBit|rsv1Bit|opText, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")), true,
			[]string{`message true "Hello"`}},
		// Not among the examples: what follows a final block belongs to the message.
		{"compressed, two final blocks", string(clientText(finBit|rsv1Bit|opText, "\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00")), true,
			[]string{`message true "HelloHello"`}},
		{"compressed, nothing behind the final block", string(clientText(finBit|rsv1Bit|opText, "\xf3\x48\xcd\xc9\xc9\x07\x00")), true,
			[]string{`message true "Hello"`}},
		{"not compressed though it could be", string(clientText(finBit|opText, "Hello")), true, []string{`message true "Hello"`}},
	} {
		for _, piece := range []int{1, len(c.stream)} {
			var r frameReader
			got, code := feedAll(&r, []byte(c.stream), 1<<17, c.deflate, piece)
			if !slices.Equal(got, c.want) || code != 0 || !r.idle() {
				t.Errorf("%s in pieces of %d: %.200q, code %d, idle %t", c.name, piece, got, code, r.idle())
			}
		}
	}
}

// TestFrameReader_WhateverTheSplit: a conversation with something of everything
// reads the same however it arrives.
func TestFrameReader_WhateverTheSplit(t *testing.T) {
	packed, ok := deflated(nil, bytes.Repeat([]byte("as packed as can be; "), 20))
	if !ok {
		t.Fatal("not compressed")
	}
	stream := bytes.Join([][]byte{
		clientText(finBit|opText, "first"),
		clientText(finBit|opBinary, ""),
		clientText(opText, "a€"[:2]),
		clientText(finBit|opPing, "between"),
		clientText(0, ""),
		clientText(0, "a€"[2:3]),
		clientText(finBit|opPong, ""),
		clientText(finBit, "a€"[3:]+strings.Repeat("end", 30)),
		clientFrame(finBit|rsv1Bit|opText, 0x01020304, packed),
		clientFrame(rsv1Bit|opBinary, 0, packed[:1]),
		clientFrame(finBit, 0x80, packed[1:]),
		clientText(finBit|opText, strings.Repeat("x", 126)),
		clientText(finBit|opClose, "\x0f\xa1bye"),
		clientText(finBit|opText, "not looked at"),
	}, nil)
	var whole frameReader
	want, code := feedAll(&whole, stream, 1000, true)
	if len(want) != 9 || code != 0 || want[8] != `control 8 "\x0f\xa1bye"` {
		t.Fatalf("%d %q", code, want)
	}
	check := func(pieces ...int) {
		t.Helper()
		var r frameReader
		if got, code := feedAll(&r, stream, 1000, true, pieces...); !slices.Equal(got, want) || code != 0 || !r.idle() {
			t.Fatalf("in pieces of %d: %q, code %d, idle %t", pieces, got, code, r.idle())
		}
	}
	for first := 1; first < len(stream); first++ {
		check(first, len(stream))
		check(first)                              // over and over
		for second := 1; second <= 20; second++ { // longer than any header
			check(first, second, len(stream))
		}
	}
}

func TestFrameReader_WhatClientsMustNotSend(t *testing.T) {
	join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
	closing := func(code uint16, reason string) []byte {
		return clientText(finBit|opClose, string(binary.BigEndian.AppendUint16(nil, code))+reason)
	}
	head := func(bytes ...byte) []byte { return bytes }
	bad := []struct {
		name    string
		deflate bool
		stream  []byte
		code    int
	}{
		{"not masked", false, head(finBit|opText, 2), 1002},
		{"opcode 3", false, head(finBit|3, maskBit), 1002},
		{"opcode 7", false, head(finBit|7, maskBit), 1002},
		{"opcode 11", false, head(finBit|11, maskBit), 1002},
		{"opcode 15", false, head(finBit|15, maskBit), 1002},
		{"RSV1 without compression", false, head(finBit|0x40|opText, maskBit), 1002},
		{"RSV2", true, head(finBit|0x20|opText, maskBit), 1002},
		{"RSV3", true, head(finBit|0x10|opText, maskBit), 1002},
		{"RSV1 and RSV2", true, head(finBit|0x60|opText, maskBit), 1002},
		{"RSV1 of a ping", true, head(finBit|0x40|opPing, maskBit), 1002},
		{"RSV1 of a continuation", true, join(clientText(opText, "a"), head(finBit|0x40, maskBit)), 1002},
		{"fragmented ping", false, head(opPing, maskBit), 1002},
		{"fragmented close", false, head(opClose, maskBit), 1002},
		{"ping of 126", false, head(finBit|opPing, maskBit|126), 1002},
		{"continuation of nothing", false, head(finBit, maskBit), 1002},
		{"text within a text", false, join(clientText(opText, "a"), head(finBit|opText, maskBit)), 1002},
		{"binary within an empty text", false, join(clientText(opText, ""), head(opBinary, maskBit)), 1002},
		{"125 in 16 bits", false, head(finBit|opText, maskBit|126, 0, 125, 1, 2, 3, 4), 1002},
		{"65535 in 64 bits", false, head(finBit|opText, maskBit|127, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4), 1002},
		{"more than 63 bits", false, head(finBit|opText, maskBit|127, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4), 1009},
		{"longest length", false, head(finBit|opText, maskBit|127, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4), 1009},
		{"longest length, compressed", true, head(finBit|rsv1Bit|opText, maskBit|127, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4), 1009},
		{"too long", false, clientText(finBit|opText, strings.Repeat("x", 1001))[:8], 1009},
		{"too long together", false, join(clientText(opText, strings.Repeat("x", 1000)), clientText(finBit, "x")[:6]), 1009},
		{"text not UTF-8", false, clientText(finBit|opText, "a\xffb"), 1007},
		{"text ends within a character", false, clientText(finBit|opText, "€"[:2]), 1007},
		{"fragments not UTF-8 together", false, join(clientText(opText, "€"[:2]), clientText(finBit, "x")), 1007},
		{"surrogate", false, clientText(finBit|opText, "\xed\xa0\x80"), 1007},
		{"half a close code", false, clientText(finBit|opClose, "\x03"), 1002},
		{"close reason not UTF-8", false, closing(1000, "\xff"), 1007},
		{"damaged", true, clientText(finBit|rsv1Bit|opText, "\xff\xff\xff"), 1007},
		{"cut off", true, clientText(finBit|rsv1Bit|opText, "\xf2\x48\xcd\xc9"), 1007},
		{"nothing where a block must begin", true, clientText(finBit|rsv1Bit|opText, "\x07"), 1007},
		{"compressed text not UTF-8", true, clientText(finBit|rsv1Bit|opText, "\x00\x01\x00\xfe\xff\xff\x00"), 1007},
		{"empty fragments", false, join(clientText(opText, ""), bytes.Repeat(clientText(0, ""), maxEmptyFragments)), 1008},
	}
	for _, code := range []uint16{0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535} {
		bad = append(bad, struct {
			name    string
			deflate bool
			stream  []byte
			code    int
		}{fmt.Sprintf("close code %d", code), false, closing(code, ""), 1002})
	}
	for _, c := range bad {
		for _, piece := range []int{1, 2, 3, len(c.stream)} {
			var r frameReader
			ahead, after := clientText(finBit|opText, "fine"), clientText(finBit|opText, "after the end")
			got, code := feedAll(&r, join(ahead, c.stream), 1000, c.deflate, piece)
			if code != c.code || !slices.Equal(got, []string{`message true "fine"`}) || !r.idle() {
				t.Errorf("%s in pieces of %d: code %d, want %d; events %q; idle %t", c.name, piece, code, c.code, got, r.idle())
			}
			if got, code := feedAll(&r, after, 1000, c.deflate); code != 0 || got != nil {
				t.Errorf("%s: after the error %q, code %d", c.name, got, code)
			}
		}
	}
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1010, 1014, 3000, 4999} {
		var r frameReader
		if got, bad := feedAll(&r, closing(code, "grüße"), 1000, false); bad != 0 || len(got) != 1 {
			t.Errorf("close code %d: %q, code %d", code, got, bad)
		}
	}
}

func TestFrameReader_LimitsAreReachedExactly(t *testing.T) {
	full := strings.Repeat("x", 1000)
	noise := make([]byte, 1000)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	stored := append([]byte{0, 0xe8, 0x03, 0x17, 0xfc}, append(noise, 0)...) // 1000 bytes, in 1006
	for name, stream := range map[string][]byte{
		"one frame":      clientText(finBit|opText, full),
		"fragments":      append(clientText(opText, full), append(clientText(0, ""), clientText(finBit, "")...)...),
		"stored":         clientFrame(finBit|rsv1Bit|opBinary, 1, stored),
		"empties":        append(bytes.Repeat(clientText(0, ""), maxEmptyFragments), clientText(finBit, "")...),
		"control inside": append(clientText(opText, full), append(clientText(finBit|opPing, full[:125]), clientText(finBit, "")...)...),
	} {
		for _, piece := range []int{1, 64, len(stream)} {
			var r frameReader
			if name == "empties" {
				feedAll(&r, clientText(opText, "x"), 1000, true)
			}
			if got, code := feedAll(&r, stream, 1000, true, piece); code != 0 || len(got) == 0 || !r.idle() {
				t.Errorf("%s in pieces of %d: code %d, %d events", name, piece, code, len(got))
			}
		}
	}
}

func TestFrameReader_ZipBombIsRefusedSmall(t *testing.T) {
	bomb, _ := deflated(nil, make([]byte, 64<<20))
	stream := clientFrame(finBit|rsv1Bit|opBinary, 7, bomb)
	limit := int64(len(bomb)) // what arrives is within the limit, what it unpacks to is not
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var r frameReader
	_, code := feedAll(&r, stream, limit, true)
	runtime.ReadMemStats(&after)
	if code != 1009 || !r.idle() {
		t.Errorf("code %d, want 1009", code)
	}
	// The steps in which the buffer grows, and the copy that feedAll makes.
	if got := after.TotalAlloc - before.TotalAlloc; got > 8*uint64(limit)+1<<20 {
		t.Errorf("%d bytes taken for a message of %d that unpacks to 64 MiB", got, limit)
	}
}

func TestFrameReader_AnAnnouncedLengthTakesNoMemory(t *testing.T) {
	head := clientFrame(finBit|opBinary, 1, make([]byte, 1<<20))[:15] // and one byte of the payload
	var before, after runtime.MemStats
	readers := make([]frameReader, 1000)
	runtime.ReadMemStats(&before)
	for i := range readers {
		if err := readers[i].feed(slices.Clone(head), 1<<30, false, &frameLog{}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / uint64(len(readers)); got > 256 {
		t.Errorf("%d bytes taken for a header that announces 1 MiB", got)
	}
	if readers[0].idle() {
		t.Error("idle within a frame")
	}
}

// counter takes messages and keeps nothing, as to allocate nothing.
type counter struct{ messages, controls, bytes int }

func (c *counter) message(_ bool, data []byte)    { c.messages++; c.bytes += len(data) }
func (c *counter) control(_ byte, payload []byte) { c.controls++; c.bytes += len(payload) }

func TestFrameReader_IdleClientsAreSmall(t *testing.T) {
	if size := reflect.TypeFor[frameReader]().Size(); size > 16 {
		t.Errorf("%d bytes, want 16 at most", size)
	}
	stream := slices.Concat(clientText(finBit|opText, strings.Repeat("text", 1000)),
		clientText(finBit|opPing, "ping"), clientText(finBit|opBinary, "data"))
	buf := make([]byte, len(stream))
	var r frameReader
	var c counter
	allocs := testing.AllocsPerRun(200, func() {
		copy(buf, stream)
		if err := r.feed(buf, 1<<16, true, &c); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 || !r.idle() || c.messages != 201*2 || c.controls != 201 {
		t.Errorf("%.1f allocations, idle %t, %+v", allocs, r.idle(), c)
	}
}

func TestFrameReader_DropEndsReading(t *testing.T) {
	var r frameReader
	if got, _ := feedAll(&r, clientText(opText, "half"), 1000, false); got != nil || r.idle() {
		t.Fatalf("%q, idle %t", got, r.idle())
	}
	r.drop()
	if got, code := feedAll(&r, clientText(finBit, "rest"), 1000, false); got != nil || code != 0 || !r.idle() {
		t.Errorf("after drop: %q, code %d", got, code)
	}
	// By the handler, while there is more to read.
	for _, first := range [][]byte{clientText(finBit|opText, "first"), clientText(finBit|opPing, "first"),
		slices.Concat(clientText(opText, "half"), clientText(finBit|opPing, "first")),
		slices.Concat(clientText(opText, "half"), clientText(finBit, "first"))} {
		for _, piece := range []int{1, 1000} {
			var r frameReader
			log := &frameLog{drop: &r}
			for b := range slices.Chunk(slices.Concat(first, clientText(finBit|opText, "second")), piece) {
				if err := r.feed(b, 1000, false, log); err != nil {
					t.Error(err)
				}
			}
			if len(log.events) != 1 || !r.idle() {
				t.Errorf("%q after drop in pieces of %d", log.events, piece)
			}
		}
	}
}

func TestUnmask_IsItsOwnReverse(t *testing.T) {
	for n := range 200 {
		want := bytes.Repeat([]byte("0123456789abcdef"), 13)[:n]
		frame := clientFrame(finBit|opBinary, 0xa1b2c3d4, want)
		payload := frame[len(frame)-n:]
		if unmask(payload, 0xa1b2c3d4); !bytes.Equal(payload, want) {
			t.Fatalf("%d bytes: %q", n, payload)
		}
	}
}
