package proxy

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// squeezed is a message compressed as RFC 7692 §7.2.1 has it.
func squeezed(t testing.TB, message string) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(message))
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// Every form of frame that RFC 6455 allows arrives as the message that it is,
// however it is cut into packets.
func TestMessage_EveryValidForm(t *testing.T) {
	const more, bin = 0, 2
	random := make([]byte, 70_000)
	_, _ = rand.Read(random)
	type fr struct {
		first   byte
		payload string
	}
	for name, c := range map[string]struct {
		frames []fr
		want   []string
	}{
		"empty text":      {[]fr{{finBit | opcodeText, ""}}, []string{"text: "}},
		"empty binary":    {[]fr{{finBit | bin, ""}}, []string{"binary: "}},
		"125":             {[]fr{{finBit | opcodeText, strings.Repeat("a", 125)}}, []string{"text: " + strings.Repeat("a", 125)}},
		"126":             {[]fr{{finBit | opcodeText, strings.Repeat("b", 126)}}, []string{"text: " + strings.Repeat("b", 126)}},
		"65535":           {[]fr{{finBit | bin, string(random[:65535])}}, []string{"binary: " + string(random[:65535])}},
		"65536":           {[]fr{{finBit | bin, string(random[:65536])}}, []string{"binary: " + string(random[:65536])}},
		"UTF-8":           {[]fr{{finBit | opcodeText, "κόσμε \U0010ffff"}}, []string{"text: κόσμε \U0010ffff"}},
		"fragments":       {[]fr{{opcodeText, "a"}, {more, ""}, {more, "b"}, {finBit | more, "c"}}, []string{"text: abc"}},
		"cut character":   {[]fr{{opcodeText, "\xf0\x9f"}, {more, "\x8c"}, {finBit | more, "\x8d!"}}, []string{"text: 🌍!"}},
		"empty fragments": {[]fr{{opcodeText, ""}, {finBit | more, ""}, {finBit | bin, "x"}}, []string{"text: ", "binary: x"}},
		"ping":            {[]fr{{finBit | 9, "are you there"}}, []string{"control a: are you there"}},
		"long ping":       {[]fr{{finBit | 9, strings.Repeat("p", 125)}}, []string{"control a: " + strings.Repeat("p", 125)}},
		"ping in message": {[]fr{{bin, "a"}, {finBit | 9, "?"}, {finBit | more, "b"}}, []string{"control a: ?", "binary: ab"}},
		"pong":            {[]fr{{finBit | 10, "unasked"}, {finBit | 10, "12345678"}, {finBit | opcodeText, "x"}}, []string{"text: x"}},
		"several":         {[]fr{{finBit | opcodeText, "a"}, {finBit | bin, "b"}, {finBit | opcodeText, "c"}}, []string{"text: a", "binary: b", "text: c"}},
		"close":           {[]fr{{finBit | opcodeClose, ""}}, []string{"close"}},
		"close, code":     {[]fr{{finBit | opcodeText, "last"}, {finBit | opcodeClose, closeFrame(4999, "grüße")}}, []string{"text: last", "close 4999: grüße"}},
		"largest":         {[]fr{{finBit | bin, strings.Repeat("x", defaultMaxMessage)}}, []string{"binary: " + strings.Repeat("x", defaultMaxMessage)}},
	} {
		for _, from := range []string{"client", "backend"} {
			t.Run(name+" from "+from, func(t *testing.T) {
				_, client, backend := openMessages(t)
				sender, receiver := client, backend
				if from == "backend" {
					sender, receiver = backend, client
				}
				var all []byte
				for _, frame := range c.frames {
					all = append(all, sender.frame(frame.first, frame.payload)...)
				}
				sent := make(chan struct{})
				go func() { // ends when the peer has read, or by the conn's Close; awaited below
					defer close(sent)
					if len(all) < 1000 {
						_ = sender.Conn.(*net.TCPConn).SetNoDelay(true)
						for i := range all {
							_, _ = sender.Write(all[i : i+1])
						}
						return
					}
					_, _ = sender.Write(all)
				}()
				for _, want := range c.want {
					who := receiver
					if strings.HasPrefix(want, "control") {
						who = sender // pings are answered here
					}
					who.want(want)
				}
				<-sent
			})
		}
	}
}

// What RFC 6455 forbids, or a limit does, ends with a Close frame to the offender
// and another one to the other side, after the messages before it.
func TestMessage_OffendersAreClosed(t *testing.T) {
	for name, c := range map[string]struct {
		first byte
		body  string
		want  string
	}{
		"opcode":            {finBit | 3, "", "close 1002: "},
		"reserved bit":      {finBit | 0x40 | opcodeText, "x", "close 1002: "},
		"long ping":         {finBit | 9, strings.Repeat("p", 126), "close 1002: "},
		"cut ping":          {9, "p", "close 1002: "},
		"stray":             {finBit, "x", "close 1002: "},
		"half code":         {finBit | opcodeClose, "\x03", "close 1002: "},
		"code 1005":         {finBit | opcodeClose, closeFrame(1005, ""), "close 1002: "},
		"code 1006":         {finBit | opcodeClose, closeFrame(1006, ""), "close 1002: "},
		"code 2999":         {finBit | opcodeClose, closeFrame(2999, ""), "close 1002: "},
		"surrogate":         {finBit | opcodeText, "ok \xed\xa0\x80", "close 1007: "},
		"cut at the end":    {finBit | opcodeText, "ok \xf0\x9f\x8c", "close 1007: "},
		"bad in a fragment": {opcodeText, "\xff", "close 1007: "},
		"too long":          {finBit | 2, strings.Repeat("x", defaultMaxMessage+1), "close 1009: "},
	} {
		for _, from := range []string{"client", "backend"} {
			t.Run(name+" from "+from, func(t *testing.T) {
				f, client, backend := openMessages(t)
				offender, other := client, backend
				if from == "backend" {
					offender, other = backend, client
				}
				sent := make(chan struct{})
				go func() { // ends by the conn's Close at the latest; awaited below
					defer close(sent)
					_, _ = offender.Write(append(offender.frame(finBit|opcodeText, "before"), offender.frame(c.first, c.body)...))
				}()
				other.want("text: before")
				other.want("close 1001: " + from + " was cut off")
				if got := offender.message(); !strings.HasPrefix(got, c.want) {
					t.Errorf("the offender got %q", got)
				}
				offender.Close()
				other.send(finBit|opcodeClose, "")
				f.log.await(t, "tunnel.close", from+" cut off: ", "closed_by=front", "close_code="+c.want[6:10])
				<-sent
			})
		}
	}
}

// A length or a mask that no writer of ours makes.
func TestMessage_OddHeadersAreRefused(t *testing.T) {
	for name, raw := range map[string]string{
		"unmasked":     "\x81\x01x",
		"16 bit for 1": "\x81\xfe\x00\x01\x00\x00\x00\x00x",
		"64 bit for 1": "\x81\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00x",
		"top bit":      "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00x",
	} {
		t.Run(name, func(t *testing.T) {
			_, client, _ := openMessages(t)
			_, _ = client.Write([]byte(raw))
			if got := client.message(); !strings.HasPrefix(got, "close 1002") {
				t.Error(got)
			}
		})
	}
}

const offerDeflate = "\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

// The client compresses, the backend knows nothing of it.
func TestMessage_CompressionEndsHere(t *testing.T) {
	b := newMessageBackend(t, "", "")
	f := serveMessages(t, b.host)
	client, _ := shakeHands(t, f.addr, offerDeflate)
	backend := b.accept(t)
	if got := field(receive(t, b.handshakes), "Sec-WebSocket-Extensions"); got != "-" {
		t.Errorf("the backend was offered %s", got)
	}
	long := strings.Repeat("compress me ", 5000)
	packed := squeezed(t, long)
	client.send(finBit|packedBit|opcodeText, packed)
	backend.want("text: " + long)
	// In fragments, with a ping between them, followed at once by others.
	var all []byte
	all = append(all, client.frame(packedBit|2, packed[:3])...)
	all = append(all, client.frame(finBit|9, "!")...)
	all = append(all, client.frame(0, packed[3:20])...)
	all = append(all, client.frame(finBit, packed[20:])...)
	all = append(all, client.frame(finBit|opcodeText, "plain")...)
	all = append(all, client.frame(finBit|packedBit|opcodeText, "\x00")...) // empty: RFC 7692 §7.2.3.6
	all = append(all, client.frame(finBit|packedBit|opcodeText, squeezed(t, "short"))...)
	if _, err := client.Write(all); err != nil {
		t.Fatal(err)
	}
	client.want("control a: !")
	for _, want := range []string{"binary: " + long, "text: plain", "text: ", "text: short"} {
		backend.want(want)
	}
	backend.send(finBit|opcodeText, long)
	first, payload, err := client.next()
	if err != nil || first != finBit|packedBit|opcodeText || len(payload) > len(long)/10 {
		t.Errorf("first byte %x, %d bytes, %v", first, len(payload), err)
	}
	backend.send(finBit|opcodeClose, closeFrame(4001, "bye"))
	client.want("close 4001: bye")
}

func TestMessage_CompressedMessagesAreJudgedUnpacked(t *testing.T) {
	for name, c := range map[string]struct{ payload, want string }{
		"bomb":      {squeezed(t, strings.Repeat("0", defaultMaxMessage+1)), "close 1009: "},
		"not UTF-8": {squeezed(t, "ok \xff"), "close 1007: text"},
		"garbage":   {"\xff\xff\xff\xff", "close 1007: a compressed"},
		"too long":  {strings.Repeat("x", defaultMaxMessage+1), "close 1009: "},
	} {
		t.Run(name, func(t *testing.T) {
			b := newMessageBackend(t, "", "")
			client, _ := shakeHands(t, serveMessages(t, b.host).addr, offerDeflate)
			backend := b.accept(t)
			go func() { _, _ = client.Write(client.frame(finBit|packedBit|opcodeText, c.payload)) }() // ended by the conn's Close
			if got := client.message(); !strings.HasPrefix(got, c.want) {
				t.Errorf("the client got %q", got)
			}
			backend.want("close 1001: client was cut off")
		})
	}
}

// gorilla on both sides, compressed towards the client, as applications do it.
func TestMessage_EchoThroughEveryLength(t *testing.T) {
	f := serveMessages(t, echoBackend(t))
	for _, compressed := range []bool{false, true} {
		conn, _ := dialWS(t, f, websocket.Dialer{EnableCompression: compressed}, "/websocket")
		random := make([]byte, defaultMaxMessage)
		_, _ = rand.Read(random)
		for _, n := range []int{0, 1, 125, 126, 1 << 10, 4 << 10, 65535, 65536, len(random) - 1000} {
			echo(t, conn, random[:n])
			echo(t, conn, make([]byte, n))
		}
	}
}

func TestOffersDeflate(t *testing.T) {
	for _, c := range []struct {
		fields string
		want   bool
	}{
		{"permessage-deflate", true},
		{"permessage-deflate; client_max_window_bits", true},
		{"Permessage-Deflate ;client_max_window_bits=\"15\"; server_no_context_takeover", true},
		{"x-webkit-deflate-frame, permessage-deflate; client_no_context_takeover", true},
		{"permessage-deflate; server_max_window_bits=10, permessage-deflate", true},
		{"", false},
		{"permessage-deflate-x", false},
		{"permessage-deflate; server_max_window_bits=10", false},
		{"permessage-deflate; client_max_window_bits=7", false},
		{"permessage-deflate; client_max_window_bits; client_max_window_bits", false},
		{"permessage-deflate; server_no_context_takeover=1", false},
		{"permessage-deflate; unknown", false},
	} {
		if got := offersDeflate([]string{c.fields}); got != c.want {
			t.Errorf("%q: %v", c.fields, got)
		}
	}
	if !offersDeflate([]string{"x-other", "permessage-deflate"}) {
		t.Error("not found in the second field")
	}
}

// readAll runs a client's bytes, cut into pieces of n, through a frameReader.
func readAll(m *messageTunnel, stream []byte, n int, deflate bool) string {
	r := &messageRun{messageTunnel: m}
	e := &r.ends[0]
	e.init(r, 0, messagePeer{conn: noConn{}}, deflate)
	var out []byte
	for len(stream) > 0 {
		piece := bytes.Clone(stream[:min(n, len(stream))])
		stream = stream[len(piece):]
		if e.aside || e.reader.holds() {
			out = append(out, e.reader.take(nil, piece, 0)...)
		} else {
			out = append(out, e.reader.take(piece[:0], piece, 0)...)
		}
		if e.reader.verdict != nil {
			v := e.reader.verdict
			return fmt.Sprintf("%x, %d messages, then %s (%v), %d %q, %v", wholeMessages(out), e.messages.Load(), v.reason, v.err, v.code, v.text, v.words)
		}
	}
	return fmt.Sprintf("%x, %d messages", wholeMessages(out), e.messages.Load())
}

// wholeMessages is what a reader of whole messages gets of frames that are valid,
// controls included; what is incomplete at the end is none.
func wholeMessages(p []byte) (all []string) {
	var message []byte
	for len(p) >= 2 && len(p) >= headSize(p[1]) {
		head := p[:headSize(p[1])]
		n := uint64(head[1] &^ maskedBit)
		switch n {
		case length16:
			n = uint64(binary.BigEndian.Uint16(head[2:]))
		case length64:
			n = binary.BigEndian.Uint64(head[2:])
		}
		if p = p[len(head):]; uint64(len(p)) < n {
			break
		}
		payload := bytes.Clone(p[:n])
		unmask(payload, [maskSize]byte(head[len(head)-maskSize:]), 0)
		p = p[n:]
		if head[0]&opcodeBits >= opcodeClose {
			all = append(all, string(head[:1])+string(payload))
			continue
		}
		if head[0]&opcodeBits != 0 {
			message = append(message[:0], head[0]&opcodeBits)
		}
		if message = append(message, payload...); head[0]&finBit != 0 {
			all = append(all, string(message))
		}
	}
	return all
}

type noConn struct{ net.Conn }

func (noConn) SetDeadline(time.Time) error { return nil }

// What gorilla gets to read, and the verdict, do not depend on how the bytes were
// cut into packets.
func FuzzFrameReader(f *testing.F) {
	client := &wsPeer{client: true}
	for _, frames := range [][]byte{
		client.frame(finBit|opcodeText, "hello"),
		append(client.frame(opcodeText, "\xf0\x9f"), client.frame(finBit, "\x8c\x8d")...),
		append(client.frame(finBit|9, "?"), client.frame(finBit|opcodeClose, closeFrame(1000, "bye"))...),
		append(client.frame(finBit|packedBit|opcodeText, squeezed(f, strings.Repeat("ab", 300))), client.frame(finBit|2, "x")...),
		append(client.frame(finBit|opcodeText, "\xff"), client.frame(finBit|2, strings.Repeat("y", 300))...),
		append(client.frame(finBit|packedBit|2, squeezed(f, strings.Repeat("0", 5000))), client.frame(finBit|2, "x")...),
		client.frame(finBit|2, strings.Repeat("y", 70_000)),
	} {
		f.Add(frames, uint8(3), true)
		f.Add(frames, uint8(1), false)
	}
	m := newMessageTunnel(Route{MaxMessage: 4 << 10})
	f.Fuzz(func(t *testing.T, stream []byte, n uint8, deflate bool) {
		whole := readAll(m, stream, len(stream)+1, deflate)
		if cut := readAll(m, stream, int(n)+1, deflate); cut != whole {
			t.Errorf("in pieces of %d:\n%s\nwhole:\n%s", int(n)+1, cut, whole)
		}
	})
}
