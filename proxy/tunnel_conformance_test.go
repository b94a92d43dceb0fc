package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// tunnelPath is a way to reach the echo service.
type tunnelPath struct {
	name string
	url  string
	tls  *tls.Config // nil for ws://
}

// TestTunnel_GorillaConformance holds a list of exchanges first against a
// gorilla echo service itself, then through the front: by ws and by both
// versions of TLS, to a backend with TLS and without.
func TestTunnel_GorillaConformance(t *testing.T) {
	for _, path := range tunnelPaths(t) {
		t.Run(path.name, func(t *testing.T) {
			for name, talk := range tunnelTalks() {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					talk(&tunnelTalk{T: t, path: path})
				})
			}
		})
	}
}

// tunnelPaths starts the services and fronts.
func tunnelPaths(t *testing.T) []tunnelPath {
	plain := httptest.NewServer(http.HandlerFunc(conformanceEcho))
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(conformanceEcho))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plainHost, secureHost := strings.TrimPrefix(plain.URL, "http://"), strings.TrimPrefix(secure.URL, "https://")
	routes := []Route{
		{Path: "/plain", Tunnel: Tunnel{Backend: "ws://" + plainHost}},
		{Path: "/secure", Tunnel: Tunnel{Backend: "wss://" + secureHost}, BackendTLS: BackendTLS{InsecureSkipVerify: true}},
	}
	front := serveFront(t, routes...)
	secureFront := newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"app.test"}, TLS: freshPair(t, "app.test"), Routes: routes}}}).serve()
	version := func(v uint16) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, ServerName: "app.test", MinVersion: v, MaxVersion: v}
	}
	return []tunnelPath{
		{"direct", "ws://" + plainHost, nil},
		{"direct TLS", "wss://" + secureHost, version(tls.VersionTLS13)},
		{"ws to ws", "ws://" + front.addr + "/plain", nil},
		{"ws to wss", "ws://" + front.addr + "/secure", nil},
		{"wss 1.2 to ws", "wss://" + secureFront.secure + "/plain", version(tls.VersionTLS12)},
		{"wss 1.2 to wss", "wss://" + secureFront.secure + "/secure", version(tls.VersionTLS12)},
		{"wss 1.3 to ws", "wss://" + secureFront.secure + "/plain", version(tls.VersionTLS13)},
		{"wss 1.3 to wss", "wss://" + secureFront.secure + "/secure", version(tls.VersionTLS13)},
	}
}

// conformanceEcho sends every message back; "ping …" is answered by a ping with
// that payload, "close 4000 …" by a Close.
func conformanceEcho(w http.ResponseWriter, r *http.Request) {
	u := websocket.Upgrader{EnableCompression: true, CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := u.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	defer conn.Close()
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		var code int
		if _, err := fmt.Sscanf(string(message), "close %d", &code); err == nil && kind == websocket.TextMessage {
			reason := strings.TrimPrefix(string(message), fmt.Sprintf("close %d ", code))
			_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(patience))
			continue
		}
		if payload, ok := strings.CutPrefix(string(message), "ping "); ok {
			_ = conn.WriteControl(websocket.PingMessage, []byte(payload), time.Now().Add(patience))
			continue
		}
		if conn.WriteMessage(kind, message) != nil {
			return
		}
	}
}

// tunnelTalk is one exchange of messages by one path.
type tunnelTalk struct {
	*testing.T
	path tunnelPath
}

// dial connects; wrap may change how bytes reach the connection.
func (k *tunnelTalk) dial(d websocket.Dialer, wrap func(net.Conn) net.Conn) (*websocket.Conn, *http.Response) {
	k.Helper()
	if wrap == nil {
		wrap = func(c net.Conn) net.Conn { return c }
	}
	d.HandshakeTimeout = 3 * patience // many talk at once
	d.NetDialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}
	d.NetDialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&tls.Dialer{Config: k.path.tls}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}
	conn, res, err := d.Dial(k.path.url, http.Header{"Host": {"app.test"}})
	if err != nil {
		k.Fatal(err)
	}
	k.Cleanup(func() { conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(3 * patience))
	return conn, res
}

// echoed writes a message and wants it back.
func (k *tunnelTalk) echoed(conn *websocket.Conn, kind int, message []byte) {
	k.Helper()
	written := make(chan error, 1)
	go func() { written <- conn.WriteMessage(kind, message) }() // ended by conn's Close, awaited below
	k.reads(conn, kind, message)
	if err := receive(k.T, written); err != nil {
		k.Fatal(err)
	}
}

func (k *tunnelTalk) reads(conn *websocket.Conn, kind int, message []byte) {
	k.Helper()
	gotKind, got, err := conn.ReadMessage()
	if err != nil || gotKind != kind || !bytes.Equal(got, message) {
		k.Fatalf("echo of %d bytes of kind %d: %d bytes of kind %d, %v", len(message), kind, len(got), gotKind, err)
	}
}

func randomBytes(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(p) // never fails
	return p
}

// tunnelTalks are the exchanges, each of which any echo service passes.
func tunnelTalks() map[string]func(*tunnelTalk) {
	talks := map[string]func(*tunnelTalk){
		"text": func(k *tunnelTalk) {
			conn, _ := k.dial(websocket.Dialer{}, nil)
			k.echoed(conn, websocket.TextMessage, []byte("grüß dich, 世界"))
		},
		"many messages at once":    manyMessages,
		"fragments":                fragments,
		"a ping between fragments": pingBetweenFragments,
		"byte by byte":             byteByByte,
		"the client's pings":       clientPings,
		"the backend's pings":      backendPings,
		"the client's close":       clientCloses,
		"the backend's close":      backendCloses,
		"a close without a code":   closeWithoutCode,
		"compressed messages":      compressed,
		"an end without a close":   endsWithoutClose,
	}
	for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 10 << 20} {
		talks[fmt.Sprintf("binary of %d bytes", size)] = func(k *tunnelTalk) {
			conn, _ := k.dial(websocket.Dialer{}, nil)
			k.echoed(conn, websocket.BinaryMessage, randomBytes(size))
			k.echoed(conn, websocket.TextMessage, []byte("still there"))
		}
	}
	return talks
}

func manyMessages(k *tunnelTalk) {
	conn, _ := k.dial(websocket.Dialer{}, nil)
	go func() { // ended by conn's Close at the latest; what it failed to send is not read
		for i := range 1000 {
			if conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, "message %d", i)) != nil {
				return
			}
		}
	}()
	for i := range 1000 {
		k.reads(conn, websocket.TextMessage, fmt.Appendf(nil, "message %d", i))
	}
}

func fragments(k *tunnelTalk) {
	conn, _ := k.dial(websocket.Dialer{WriteBufferSize: 64}, nil) // a frame for each 64 bytes
	message := randomBytes(10000)
	w, err := conn.NextWriter(websocket.BinaryMessage)
	if err != nil {
		k.Fatal(err)
	}
	_, _ = w.Write(message[:1])
	_, _ = w.Write(message[1:])
	if err := w.Close(); err != nil {
		k.Fatal(err)
	}
	k.reads(conn, websocket.BinaryMessage, message)
}

func pingBetweenFragments(k *tunnelTalk) {
	conn, _ := k.dial(websocket.Dialer{WriteBufferSize: 64}, nil)
	pongs := make(chan string, 1)
	conn.SetPongHandler(func(payload string) error { pongs <- payload; return nil })
	message := randomBytes(1000)
	w, err := conn.NextWriter(websocket.BinaryMessage)
	if err != nil {
		k.Fatal(err)
	}
	_, _ = w.Write(message[:500])
	if err := conn.WriteControl(websocket.PingMessage, []byte("between"), time.Now().Add(patience)); err != nil {
		k.Fatal(err)
	}
	_, _ = w.Write(message[500:])
	if err := w.Close(); err != nil {
		k.Fatal(err)
	}
	k.reads(conn, websocket.BinaryMessage, message)
	if got := receive(k.T, pongs); got != "between" {
		k.Errorf("pong %q", got)
	}
}

// bytewise writes every byte by itself: over TLS, each is a record.
type bytewise struct{ net.Conn }

func (b bytewise) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := b.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func byteByByte(k *tunnelTalk) {
	conn, _ := k.dial(websocket.Dialer{}, func(c net.Conn) net.Conn { return bytewise{c} })
	for _, size := range []int{0, 1, 5, 300} {
		k.echoed(conn, websocket.BinaryMessage, randomBytes(size))
	}
}

func clientPings(k *tunnelTalk) {
	conn, _ := k.dial(websocket.Dialer{}, nil)
	pongs := make(chan string, 10)
	conn.SetPongHandler(func(payload string) error { pongs <- payload; return nil })
	payloads := []string{"", "p", strings.Repeat("x", 125)}
	for _, payload := range payloads {
		if err := conn.WriteControl(websocket.PingMessage, []byte(payload), time.Now().Add(patience)); err != nil {
			k.Fatal(err)
		}
	}
	k.echoed(conn, websocket.TextMessage, []byte("reads the pongs before it"))
	for _, payload := range payloads {
		if got := receive(k.T, pongs); got != payload {
			k.Errorf("pong %q, want %q", got, payload)
		}
	}
}

func backendPings(k *tunnelTalk) {
	conn, _ := k.dial(websocket.Dialer{}, nil)
	pings := make(chan string, 1)
	conn.SetPingHandler(func(payload string) error {
		pings <- payload
		return conn.WriteControl(websocket.PongMessage, []byte(payload), time.Now().Add(patience))
	})
	if err := conn.WriteMessage(websocket.TextMessage, []byte("ping are you there")); err != nil {
		k.Fatal(err)
	}
	k.echoed(conn, websocket.TextMessage, []byte("reads the ping before it"))
	if got := receive(k.T, pings); got != "are you there" {
		k.Errorf("ping %q", got)
	}
}

func clientCloses(k *tunnelTalk) {
	for _, code := range []int{1000, 1001, 1003, 1011, 3000, 4999} {
		conn, _ := k.dial(websocket.Dialer{}, nil)
		message := websocket.FormatCloseMessage(code, strings.Repeat("r", 123))
		if err := conn.WriteControl(websocket.CloseMessage, message, time.Now().Add(patience)); err != nil {
			k.Fatal(err)
		}
		wantClose(k, conn, code, "") // gorilla answers with the code alone
	}
}

func backendCloses(k *tunnelTalk) {
	for code, reason := range map[int]string{1000: "bye", 1001: "", 1012: "restart", 4000: strings.Repeat("r", 123)} {
		conn, _ := k.dial(websocket.Dialer{}, nil)
		if err := conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, "close %d %s", code, reason)); err != nil {
			k.Fatal(err)
		}
		wantClose(k, conn, code, reason)
	}
}

func closeWithoutCode(k *tunnelTalk) {
	conn, _ := k.dial(websocket.Dialer{}, nil)
	if err := conn.WriteControl(websocket.CloseMessage, nil, time.Now().Add(patience)); err != nil {
		k.Fatal(err)
	}
	wantClose(k, conn, websocket.CloseNoStatusReceived, "")
}

func wantClose(k *tunnelTalk, conn *websocket.Conn, code int, reason string) {
	k.Helper()
	_, _, err := conn.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != code || closed.Text != reason {
		k.Errorf("got %v, want close %d %q", err, code, reason)
	}
}

func compressed(k *tunnelTalk) {
	conn, res := k.dial(websocket.Dialer{EnableCompression: true}, nil)
	if !strings.Contains(res.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
		k.Fatalf("no compression: %v", res.Header)
	}
	for _, message := range [][]byte{nil, []byte("short"), bytes.Repeat([]byte("again and "), 100000), randomBytes(100000)} {
		k.echoed(conn, websocket.BinaryMessage, message)
	}
}

// endsWithoutClose has the client end its half without a Close: the service's
// end must reach it.
func endsWithoutClose(k *tunnelTalk) {
	conn, _ := k.dial(websocket.Dialer{}, nil)
	k.echoed(conn, websocket.TextMessage, []byte("last words"))
	half, ok := conn.NetConn().(interface{ CloseWrite() error })
	if !ok {
		k.Fatalf("%T cannot end its half", conn.NetConn())
	}
	if err := half.CloseWrite(); err != nil {
		k.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); err == nil {
		k.Error("a message after the end")
	}
}

// TestTunnel_FramesInTheHandshakesPackets sends a frame in one packet with the
// handshake, and gets one in a packet with the 101. gorilla's own service takes
// no such client, so that the backend is raw.
func TestTunnel_FramesInTheHandshakesPackets(t *testing.T) {
	const fromClient, fromBackend = "\x81\x85\x01\x02\x03\x04igmhn", "\x81\x05world"
	talk := func(conn net.Conn, r *bufio.Reader) {
		if _, err := readRequest(r); err != nil {
			return
		}
		_, _ = io.WriteString(conn, switchText+fromBackend)
		p := make([]byte, len(fromClient))
		n, _ := io.ReadFull(r, p)
		_, _ = conn.Write(p[:n]) // so that the client sees what came
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	files := freshPair(t, "app.test")
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	serveRaw(t, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}}), talk)
	routes := []Route{
		{Path: "/plain", Tunnel: Tunnel{Backend: "ws://" + rawBackend(t, talk)}},
		{Path: "/secure", Tunnel: Tunnel{Backend: "wss://" + l.Addr().String()}, BackendTLS: BackendTLS{InsecureSkipVerify: true}},
	}
	plain := serveFront(t, routes...)
	secure := newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"app.test"}, TLS: files, Routes: routes}}}).serve()
	for _, path := range []string{"/plain", "/secure"} {
		for name, dial := range map[string]func() (net.Conn, error){"ws": dialFront(plain.addr, false), "wss": dialFront(secure.secure, true)} {
			t.Run(name+path, func(t *testing.T) {
				conn, err := dial()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				if _, err := io.WriteString(conn, crlf(strings.Replace(handshakeText, "/websocket", path, 1))+fromClient); err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(conn)
				_, frames, _ := strings.Cut(string(got), "\r\n\r\n")
				if err != nil || frames != fromBackend+fromClient {
					t.Errorf("%q, %v", got, err)
				}
			})
		}
	}
}
