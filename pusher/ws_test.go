package pusher

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// masked is a frame as a client must send it (RFC 6455 §5.3).
func masked(first byte, payload string) []byte {
	frame := []byte{first}
	switch n := len(payload); {
	case n <= 125:
		frame = append(frame, 0x80|byte(n))
	case n <= 0xffff:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	frame = append(frame, key[:]...)
	for i := range len(payload) {
		frame = append(frame, payload[i]^key[i%4])
	}
	return frame
}

func TestSocket_WhatBreaksTheProtocolIsClosedWithItsCode(t *testing.T) {
	text, fin := byte(opText), byte(finBit)
	ping := byte(opPing)
	for _, c := range []struct {
		name string
		send [][]byte
		code int
	}{
		{"unmasked frame", [][]byte{{fin | text, 2, 'h', 'i'}}, websocket.CloseProtocolError},
		{"reserved opcode", [][]byte{masked(fin|0x3, "hi")}, websocket.CloseProtocolError},
		{"reserved control opcode", [][]byte{masked(fin|0xb, "hi")}, websocket.CloseProtocolError},
		{"reserved bit", [][]byte{masked(fin|0x40|text, "hi")}, websocket.CloseProtocolError},
		{"continuation of nothing", [][]byte{masked(fin, "hi")}, websocket.CloseProtocolError},
		{"text within a fragmented text", [][]byte{masked(text, "hi"), masked(fin|text, "hi")}, websocket.CloseProtocolError},
		{"fragmented ping", [][]byte{masked(ping, "hi")}, websocket.CloseProtocolError},
		{"long ping", [][]byte{masked(fin|ping, strings.Repeat("x", 126))}, websocket.CloseProtocolError},
		{"text that is not UTF-8", [][]byte{masked(fin|text, "a\xffb")}, websocket.CloseInvalidFramePayloadData},
		{"text that ends within a character", [][]byte{masked(fin|text, "€"[:2])}, websocket.CloseInvalidFramePayloadData},
		{"fragments that are not UTF-8 together", [][]byte{masked(text, "€"[:2]), masked(fin, "x")}, websocket.CloseInvalidFramePayloadData},
		{"message too long", [][]byte{masked(fin|text, strings.Repeat("x", 1001))}, websocket.CloseMessageTooBig},
		{"message too long in fragments", [][]byte{masked(text, strings.Repeat("x", 1000)), masked(fin, "x")}, websocket.CloseMessageTooBig},
		{"length beyond 63 bits", [][]byte{{fin | text, 0x80 | 127, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}}, websocket.CloseMessageTooBig},
		{"message too long that is still being sent", [][]byte{masked(fin|text, strings.Repeat("x", 4<<20))}, websocket.CloseMessageTooBig},
		{"close with a code that is not for the wire", [][]byte{masked(fin|opClose, "\x03\xed")}, websocket.CloseProtocolError},
		{"close 1000", [][]byte{masked(fin|opClose, "\x03\xe8bye")}, websocket.CloseNormalClosure},
		{"close 1001", [][]byte{masked(fin|opClose, "\x03\xe9")}, websocket.CloseGoingAway},
		{"close 4001", [][]byte{masked(fin|opClose, "\x0f\xa1")}, 4001},
		{"close without a code", [][]byte{masked(fin|opClose, "")}, websocket.CloseNoStatusReceived},
	} {
		for _, start := range []struct {
			name    string
			options []option
		}{{"", nil}, {" over TLS", []option{overTLS}}} {
			t.Run(c.name+start.name, func(t *testing.T) {
				s := newService(t, Config{MaxInbound: 1000}, Endpoint{Channel: "board"}, start.options...)
				conn := s.dial("/websocket")
				go func() { // ends when it has written, or with conn
					for _, frame := range c.send {
						if _, err := conn.NetConn().Write(frame); err != nil {
							return
						}
					}
				}()
				// Not the client's usual answer, to which the server's side may be
				// closed already.
				conn.SetCloseHandler(func(int, string) error { return nil })
				expectClose(t, conn, c.code)
				// The end is an end and no reset, which could have overtaken the
				// Close.
				if _, err := io.Copy(io.Discard, conn.NetConn()); err != nil {
					t.Errorf("after the Close: %v", err)
				}
				conn.Close()
				eventually(t, "it has left", func() bool { return s.Subscribers("board") == 0 })
			})
		}
	}
}

func TestSocket_InboundEcho(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board", Inbound: InboundEcho})
	sender, other := s.dial("/websocket"), s.dial("/websocket")
	send := func(frames ...[]byte) {
		t.Helper()
		if _, err := sender.NetConn().Write(bytes.Join(frames, nil)); err != nil {
			t.Fatal(err)
		}
	}
	send(masked(finBit|opText, "hello"))
	expect(t, sender, websocket.TextMessage, "hello")
	send(masked(finBit|opBinary, "\xff\x00"))
	expect(t, sender, websocket.BinaryMessage, "\xff\x00")
	send(masked(finBit|opText, ""))
	expect(t, sender, websocket.TextMessage, "")
	// A character across fragments, and a ping between them (RFC 6455 §5.4).
	send(masked(opText, "€"[:1]), masked(finBit|opPing, "hi"), masked(0, "€"[1:2]), masked(finBit, "€"[2:]))
	expect(t, sender, websocket.TextMessage, "€")
	long := strings.Repeat("long", 16<<10)
	send(masked(finBit|opText, long))
	expect(t, sender, websocket.TextMessage, long)

	s.publishText("board", "to all")
	expect(t, other, websocket.TextMessage, "to all") // and none of the echoes before
}

func TestSocket_InboundPublishReachesTheChannel(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Inbound: InboundPublish})
	sender, other, stranger := s.dial("/push/a"), s.dial("/push/a"), s.dial("/push/b")
	if err := sender.WriteMessage(websocket.TextMessage, []byte("to a")); err != nil {
		t.Fatal(err)
	}
	expect(t, sender, websocket.TextMessage, "to a")
	expect(t, other, websocket.TextMessage, "to a")
	s.publishText("b", "to b")
	expect(t, stranger, websocket.TextMessage, "to b")
}

func TestSocket_InboundDropIsTheDefault(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	c := s.dial("/websocket")
	if err := c.WriteMessage(websocket.TextMessage, []byte("lost")); err != nil {
		t.Fatal(err)
	}
	// The pong comes after whatever an echo would have sent.
	pong := make(chan string, 1)
	c.SetPongHandler(func(data string) error { pong <- data; return nil })
	if err := c.WriteControl(websocket.PingMessage, []byte("hi"), time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server has read it", func() bool {
		s.publishText("board", "next")
		expect(t, c, websocket.TextMessage, "next")
		select {
		case data := <-pong:
			if data != "hi" {
				t.Errorf("pong says %q", data)
			}
			return true
		default:
			return false
		}
	})
}

func TestSocket_IdleClientIsPingedAndKept(t *testing.T) {
	s := newService(t, Config{PingInterval: brisk}, Endpoint{Channel: "board"})
	c := s.dial("/websocket")
	pings := 0
	answer := c.PingHandler()
	c.SetPingHandler(func(data string) error {
		if pings++; pings == 6 { // three times the silence that ends a connection
			s.publishText("board", "still here")
		}
		return answer(data)
	})
	expect(t, c, websocket.TextMessage, "still here")
}

func TestSocket_ClientThatAnswersNoPingIsGone(t *testing.T) {
	s := newService(t, Config{PingInterval: minPingInterval}, Endpoint{Channel: "board"})
	c := s.dial("/websocket")
	c.SetPingHandler(func(string) error { return nil })
	if _, _, err := c.ReadMessage(); err == nil {
		t.Fatal("got a message")
	}
	s.log.await(t, EventClose, "code=1006", "no answer to pings")
	eventually(t, "it has left", func() bool { return s.Subscribers("board") == 0 })
}

func TestSocket_ClosingLine(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	c := s.dial("/websocket")
	s.publishText("board", "one")
	s.publishText("board", "two")
	expect(t, c, websocket.TextMessage, "one")
	expect(t, c, websocket.TextMessage, "two")
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := c.WriteMessage(websocket.CloseMessage, bye); err != nil {
		t.Fatal(err)
	}
	expectClose(t, c, websocket.CloseNormalClosure)
	remote := "remote=" + c.LocalAddr().String()
	s.log.await(t, EventOpen, "DEBUG client=1 channel=board transport=websocket", remote)
	s.log.await(t, EventClose, "DEBUG client=1 channel=board transport=websocket", remote,
		"messages=2", "bytes=10", "duration=", "code=1000", "reason=closed by the client")
}

func TestSocket_LeavingWithoutAWordIsNoticed(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	c := s.dial("/websocket")
	c.Close()
	s.log.await(t, EventClose, "code=1006", "client gone")
}

func TestSocket_BadHandshakeIsRefusedInPlainWords(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	good := http.Header{
		"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"WebSocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	for _, c := range []struct {
		name, method, path, key, value string
		status                         int
		says                           string
	}{
		{"another version", "GET", "/websocket", "Sec-Websocket-Version", "8", 400, "version"},
		{"no key", "GET", "/websocket", "Sec-Websocket-Key", "", 400, "Sec-WebSocket-Key"},
		{"POST", "POST", "/websocket", "", "", 405, "GET"},
		{"Upgrade dropped by a proxy", "GET", "/websocket", "Upgrade", "", 426, "a proxy on the way has dropped it"},
		{"bad channel", "GET", "/push/no%20channel", "", "", 400, `"no channel" is no channel name`},
	} {
		t.Run(c.name, func(t *testing.T) {
			request, err := http.NewRequest(c.method, s.server.URL+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = good.Clone()
			if c.key != "" {
				request.Header.Set(c.key, c.value)
			}
			answer, err := s.server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			if body := bodyOf(t, answer); answer.StatusCode != c.status || !strings.Contains(body, c.says) {
				t.Errorf("got %d %q, want %d with %q", answer.StatusCode, body, c.status, c.says)
			}
		})
	}
	if n := s.Subscribers("board"); n != 0 {
		t.Errorf("%d subscribers", n)
	}
}

func TestEndpoint_PlainRequestGets426(t *testing.T) {
	for _, start := range []struct {
		name    string
		options []option
		upgrade string
	}{{"HTTP/1.1", nil, "websocket"}, {"HTTP/2", []option{overH2}, ""}} {
		t.Run(start.name, func(t *testing.T) {
			s := newService(t, Config{}, Endpoint{Channel: "board"}, start.options...)
			answer, err := s.server.Client().Get(s.server.URL + "/websocket")
			if err != nil {
				t.Fatal(err)
			}
			body := bodyOf(t, answer)
			if answer.StatusCode != http.StatusUpgradeRequired || !strings.Contains(body, "new WebSocket(url)") {
				t.Errorf("got %d %q", answer.StatusCode, body)
			}
			if got := answer.Header.Get("Upgrade"); got != start.upgrade {
				t.Errorf("Upgrade: %q, want %q", got, start.upgrade)
			}
			s.log.await(t, EventRefused, "status=426", "path=/websocket")
		})
	}
}

func bodyOf(t *testing.T, answer *http.Response) string {
	t.Helper()
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return string(body)
}
