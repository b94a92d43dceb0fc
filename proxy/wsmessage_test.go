package proxy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/koding/websocketproxy"
)

// serveMessages serves a route of mode message that leads to host.
func serveMessages(t *testing.T, host string, options ...func(*Route)) *front {
	t.Helper()
	route := Route{Path: "/", Tunnel: Tunnel{Backend: "ws://" + host, Mode: TunnelMessage}}
	for _, o := range options {
		o(&route)
	}
	return serveFront(t, route)
}

// wsPeer is one side of a WebSocket, frame by frame.
type wsPeer struct {
	t *testing.T
	net.Conn
	r      *bufio.Reader
	client bool // its own frames are masked
}

// shakeHands opens a WebSocket at addr; fields are lines to add to the handshake.
func shakeHands(t *testing.T, addr, fields string) (*wsPeer, *http.Response) {
	t.Helper()
	conn, r := sendTo(t, addr, crlf(handshakeText+fields))
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &wsPeer{t, conn, r, true}, res
}

// frame is a frame of the peer's; first is its first byte.
func (p *wsPeer) frame(first byte, payload string) []byte {
	if p.client {
		b := maskedFrame(first, []byte(payload))
		head := b[:len(b)-len(payload)]
		key := [maskSize]byte{0x11, 0xf2, 0x33, 0xd4}
		copy(head[len(head)-maskSize:], key[:])
		unmask(b[len(head):], key, 0)
		return b
	}
	b := maskedFrame(first, nil)[:1]
	switch n := len(payload); {
	case n <= 125:
		b = append(b, byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, length16), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, length64), uint64(n))
	}
	return append(b, payload...)
}

func (p *wsPeer) send(first byte, payload string) {
	p.t.Helper()
	if _, err := p.Write(p.frame(first, payload)); err != nil {
		p.t.Fatal(err)
	}
}

// next reads a frame.
func (p *wsPeer) next() (first byte, payload string, err error) {
	head := make([]byte, 2, maxFrameHead)
	if _, err = io.ReadFull(p.r, head); err != nil {
		return 0, "", err
	}
	head = head[:headSize(head[1])]
	if _, err = io.ReadFull(p.r, head[2:]); err != nil {
		return 0, "", err
	}
	n := uint64(head[1] &^ maskedBit)
	switch n {
	case length16:
		n = uint64(binary.BigEndian.Uint16(head[2:]))
	case length64:
		n = binary.BigEndian.Uint64(head[2:])
	}
	body := make([]byte, n)
	if _, err = io.ReadFull(p.r, body); err != nil {
		return 0, "", err
	}
	if head[1]&maskedBit != 0 {
		unmask(body, [maskSize]byte(head[len(head)-maskSize:]), 0)
	}
	if masked := head[1]&maskedBit != 0; masked == p.client {
		return 0, "", fmt.Errorf("masked: %v", masked)
	}
	return head[0], string(body), nil
}

// message reads up to the end of a message, and says what it is: "text: hello",
// "close 1001: why", "close" without a code, or "end" with the connection's.
func (p *wsPeer) message() string {
	var kind byte
	var all strings.Builder
	for {
		first, payload, err := p.next()
		if err != nil {
			return "end"
		}
		if op := first & opcodeBits; op == opcodeClose {
			if payload == "" {
				return "close"
			}
			return fmt.Sprintf("close %d: %s", binary.BigEndian.Uint16([]byte(payload)), payload[2:])
		} else if op > opcodeClose {
			return fmt.Sprintf("control %x: %s", op, payload)
		} else if op != 0 {
			kind = op
		}
		all.WriteString(payload)
		if first&finBit != 0 {
			return map[byte]string{1: "text: ", 2: "binary: "}[kind] + all.String()
		}
	}
}

func (p *wsPeer) want(message string) {
	p.t.Helper()
	if got := p.message(); got != message {
		p.t.Errorf("got %.200q, want %.200q", got, message)
	}
}

func closeFrame(code uint16, text string) string {
	return string(binary.BigEndian.AppendUint16(nil, code)) + text
}

// messageBackend is a backend whose side of each WebSocket is the test's.
type messageBackend struct {
	host       string
	opened     chan *wsPeer
	handshakes chan string
}

// newMessageBackend answers handshakes with before and a 101 with the lines extra
// in it.
func newMessageBackend(t *testing.T, before, extra string) *messageBackend {
	b := &messageBackend{opened: make(chan *wsPeer, 10), handshakes: make(chan string, 10)}
	done := make(chan struct{})
	b.host = rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		text, err := readRequest(r)
		if err != nil {
			return
		}
		b.handshakes <- text
		_, _ = io.WriteString(conn, before+strings.Replace(switchText, exampleAccept, acceptKey([]byte(field(text, "Sec-WebSocket-Key")))+extra, 1))
		b.opened <- &wsPeer{t, conn, r, false}
		<-done // until its end the test reads and writes
	})
	t.Cleanup(func() { close(done) })
	return b
}

// accept is the backend's side of the next tunnel.
func (b *messageBackend) accept(t *testing.T) *wsPeer {
	t.Helper()
	p := receive(t, b.opened)
	t.Cleanup(func() { p.Close() }) // before the front stops, which would await it
	return p
}

// openMessages opens a tunnel of mode message with the test at both of its ends.
func openMessages(t *testing.T, options ...func(*Route)) (f *front, client, backend *wsPeer) {
	t.Helper()
	b := newMessageBackend(t, "", "")
	f = serveMessages(t, b.host, options...)
	client, _ = shakeHands(t, f.addr, "")
	return f, client, b.accept(t)
}

// TestMessage_FaultsOfTheLibrary shows each fault twice: what is seen through a
// front, and what is seen through the library as it is, without which the repair
// would have no reason.
func TestMessage_FaultsOfTheLibrary(t *testing.T) {
	// The standard logger is everybody's: first ours, in which it stays silent.
	logged := newLines()
	log.SetOutput(logged)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	type way func(host string) (addr string)
	faults := []struct {
		name, ours, bare string
		see              func(t *testing.T, through way) string
	}{
		{"1006 on the wire", "close 1001: backend went away", "close 1006: unexpected EOF", func(t *testing.T, through way) string {
			b := newMessageBackend(t, "", "")
			client, _ := shakeHands(t, through(b.host), "")
			b.accept(t).Close()
			return client.message()
		}},
		{"1006 to the backend", "close 1001: client went away", "close 1006: unexpected EOF", func(t *testing.T, through way) string {
			b := newMessageBackend(t, "", "")
			client, _ := shakeHands(t, through(b.host), "")
			backend := b.accept(t)
			client.Close()
			return backend.message()
		}},
		{"a Close without a code", "close", "close 1000: websocket: close 1005 (no status)", func(t *testing.T, through way) string {
			b := newMessageBackend(t, "", "")
			client, _ := shakeHands(t, through(b.host), "")
			client.send(finBit|opcodeClose, "")
			return b.accept(t).message()
		}},
		{"its log", "nothing", "websocketproxy: ", func(t *testing.T, through way) string {
			b := newMessageBackend(t, "", "")
			client, _ := shakeHands(t, through(b.host), "")
			b.accept(t).Close()
			client.message()
			_, _ = client.Write(client.frame(finBit|opcodeClose, ""))
			client.message() // ends when the library has returned
			return "nothing"
		}},
		{"cookies of the 101", "a=1|b=2", "a=1", func(t *testing.T, through way) string {
			_, res := shakeHands(t, through(echoBackend(t)), "")
			return strings.Join(res.Header["Set-Cookie"], "|")
		}},
		{"fields of the 101", "yes", "", func(t *testing.T, through way) string {
			b := newMessageBackend(t, "", "\r\nX-Any: yes")
			_, res := shakeHands(t, through(b.host), "")
			b.accept(t)
			return res.Header.Get("X-Any")
		}},
		{"fields of the handshake", "Bearer x, old, yes", "-, Go-http-client/1.1, -", func(t *testing.T, through way) string {
			b := newMessageBackend(t, "", "")
			shakeHands(t, through(b.host), "\nAuthorization: Bearer x\nUser-Agent: old\nX-Any: yes")
			got := receive(t, b.handshakes)
			b.accept(t)
			return field(got, "Authorization") + ", " + field(got, "User-Agent") + ", " + field(got, "X-Any")
		}},
		{"X-Forwarded-For of the client", "127.0.0.1", "6.6.6.6, 127.0.0.1", func(t *testing.T, through way) string {
			b := newMessageBackend(t, "", "")
			shakeHands(t, through(b.host), "\nX-Forwarded-For: 6.6.6.6")
			b.accept(t)
			return field(receive(t, b.handshakes), "X-Forwarded-For")
		}},
		{"no limit", "close 1009: message too big", "binary: 1048577", func(t *testing.T, through way) string {
			client, _ := shakeHands(t, through(echoBackend(t)), "")
			go func() { _, _ = client.Write(client.frame(finBit|2, strings.Repeat("x", defaultMaxMessage+1))) }() // ended by the conn's Close
			got := client.message()
			if text, ok := strings.CutPrefix(got, "binary: "); ok {
				return fmt.Sprintf("binary: %d", len(text))
			}
			return got
		}},
		{"text that is none", "close 1007: text that is not UTF-8", "text: \xff", func(t *testing.T, through way) string {
			client, _ := shakeHands(t, through(echoBackend(t)), "")
			client.send(finBit|opcodeText, "\xff")
			return client.message()
		}},
		{"an origin that the backend takes", "101", "403", func(t *testing.T, through way) string {
			b := newMessageBackend(t, "", "")
			conn, r := sendTo(t, through(b.host), crlf(strings.Replace(handshakeText, "https://app.test", "https://other.test", 1)))
			defer conn.Close()
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				return err.Error()
			}
			b.accept(t)
			return fmt.Sprint(res.StatusCode)
		}},
		{"a bad handshake asks the backend", "426 asked 0", "400 asked 1", func(t *testing.T, through way) string {
			b := newMessageBackend(t, "", "")
			_, r := sendTo(t, through(b.host), crlf(strings.Replace(handshakeText, "Version: 13", "Version: 8", 1)))
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				return err.Error()
			}
			return fmt.Sprintf("%d asked %d", res.StatusCode, len(b.handshakes))
		}},
		{"a refusal's body", "403 200000", "403 1024", func(t *testing.T, through way) string {
			host, _ := switching(t, "HTTP/1.1 403 Forbidden\r\nContent-Length: 200000\r\n\r\n"+strings.Repeat("n", 200_000), nil)
			_, res := shakeHands(t, through(host), "")
			body, _ := io.ReadAll(res.Body)
			return fmt.Sprint(res.StatusCode, " ", len(body))
		}},
		{"an interim answer", "101", "103", func(t *testing.T, through way) string {
			b := newMessageBackend(t, "HTTP/1.1 103 Early Hints\r\n\r\n", "")
			_, res := shakeHands(t, through(b.host), "")
			b.accept(t)
			return fmt.Sprint(res.StatusCode)
		}},
		{"compression", deflateAnswer, "", func(t *testing.T, through way) string {
			_, res := shakeHands(t, through(echoBackend(t)), "\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
			return res.Header.Get("Sec-WebSocket-Extensions")
		}},
	}
	for _, c := range faults {
		t.Run(c.name+"/ours", func(t *testing.T) {
			if got := c.see(t, func(host string) string { return serveMessages(t, host).addr }); got != c.ours {
				t.Errorf("%.200q, want %q", got, c.ours)
			}
			if logged.String() != "" {
				t.Errorf("the library logged %s", logged)
			}
		})
	}
	for _, c := range faults {
		t.Run(c.name+"/bare", func(t *testing.T) {
			got := c.see(t, func(host string) string { return bareLibrary(t, host) })
			if got == "nothing" {
				logged.await(t, c.bare)
			} else if got != c.bare && !(got == "end" && strings.HasPrefix(c.bare, "close 10")) {
				// It may close the connection before it has written the Close,
				// which is one more fault.
				t.Errorf("%.200q, and not %q: is the repair still needed?", got, c.bare)
			}
		})
	}
}

// bareLibrary serves the library as its README has it.
func bareLibrary(t *testing.T, host string) (addr string) {
	srv := httptest.NewServer(websocketproxy.NewProxy(&url.URL{Scheme: "ws", Host: host}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}
