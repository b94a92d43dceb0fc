package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/koding/websocketproxy"

	"wsfront/proxy/relay"
)

// tuned is openMessages with times that the configuration has no words for.
func tuned(t *testing.T, set func(m *messageTunnel)) (f *front, client, backend *wsPeer) {
	b := newMessageBackend(t, "", "")
	f = serveMessages(t, b.host)
	m := f.table.Load().sites[0].routes[0].messages
	set(m)
	client, _ = shakeHands(t, f.addr, "")
	return f, client, b.accept(t)
}

func TestMessage_PingsReachBothSides(t *testing.T) {
	f, client, backend := tuned(t, func(m *messageTunnel) { m.ping = 50 * time.Millisecond })
	for range 3 {
		for _, p := range []*wsPeer{client, backend} {
			first, payload, err := p.next()
			if err != nil || first != finBit|9 || len(payload) != 8 {
				t.Fatalf("%x %q %v instead of a ping\n%s", first, payload, err, f.log)
			}
			p.send(finBit|10, payload)
		}
	}
	client.send(finBit|opcodeText, "no pong gets in between")
	for got := ""; !strings.HasPrefix(got, "text"); {
		if got = backend.message(); strings.HasPrefix(got, "control a") || got == "end" {
			t.Fatalf("the backend got %q", got)
		}
	}
	// Now the client answers no more.
	for got := ""; got != "close 1001: client went away"; {
		if got = backend.message(); got == "end" {
			t.Fatal("the backend was not told")
		} else if text, ok := strings.CutPrefix(got, "control 9: "); ok {
			backend.send(finBit|10, text)
		}
	}
	backend.send(finBit|opcodeClose, closeFrame(1001, ""))
	f.log.await(t, "tunnel.close", "ping timeout of the client", "close_code=1006")
}

func TestMessage_TimesOver(t *testing.T) {
	const soon = 100 * time.Millisecond
	for reason, set := range map[string]func(m *messageTunnel){
		// Our own pings and their pongs do not keep it alive.
		"idle timeout": func(m *messageTunnel) { m.idle, m.ping = 3*soon, soon },
		"max lifetime": func(m *messageTunnel) { m.lifetime = soon },
	} {
		t.Run(reason, func(t *testing.T) {
			f, client, backend := tuned(t, set)
			var wg sync.WaitGroup
			for _, p := range []*wsPeer{client, backend} {
				wg.Go(func() { // ends with the tunnel; awaited below
					for {
						got := p.message()
						if text, ok := strings.CutPrefix(got, "control 9: "); ok {
							_, _ = p.Write(p.frame(finBit|10, text))
							continue
						}
						if got != "close 1001: "+reason {
							t.Errorf("got %q", got)
						}
						_, _ = p.Write(p.frame(finBit|opcodeClose, closeFrame(1001, "")))
						return
					}
				})
			}
			wg.Wait()
			f.log.await(t, "tunnel.close", fmt.Sprintf("reason=%q", reason), "closed_by=front", "close_code=1001")
		})
	}
}

func TestMessage_RateIsTheClients(t *testing.T) {
	_, client, backend := openMessages(t, func(r *Route) { r.MessageRate = 3 })
	for range 20 {
		backend.send(finBit|opcodeText, "many")
		client.want("text: many")
	}
	for range 4 {
		client.send(finBit|opcodeText, "few")
	}
	for range 3 {
		backend.want("text: few")
	}
	backend.want("close 1001: client was cut off")
	client.want("close 1008: too many messages")
}

func TestMessage_LimitOfTheRoute(t *testing.T) {
	_, client, backend := openMessages(t, func(r *Route) { r.MaxMessage = 10 })
	client.send(opcodeText, "123456")
	client.send(finBit, "7890")
	backend.want("text: 1234567890")
	backend.send(opcodeText, "123456")
	backend.send(finBit, "78901")
	client.want("close 1001: backend was cut off")
	backend.want("close 1009: message too big")
}

func TestMessage_ShutdownSaysGoodbyeToBoth(t *testing.T) {
	f, client, backend := openMessages(t)
	client.send(finBit|opcodeText, "it is open")
	backend.want("text: it is open")
	client.send(opcodeText, "an unfinished ") // what is not whole is not sent on
	var wg sync.WaitGroup
	for _, p := range []*wsPeer{client, backend} {
		wg.Go(func() { // awaited below
			p.want("close 1001: drained")
			p.send(finBit|opcodeClose, closeFrame(1001, ""))
			p.want("end")
		})
	}
	f.stop() // returns when the tunnel has ended
	wg.Wait()
	if t.Failed() || !strings.Contains(f.log.String(), "reason=drained") {
		t.Error(f.log)
	}
}

func TestMessage_BytesSentWithTheHandshakeArrive(t *testing.T) {
	p := &wsPeer{t: t}
	host, _ := switching(t, switchText+string(p.frame(finBit|opcodeText, "from backend")), func(conn net.Conn, r *bufio.Reader) {
		backend := &wsPeer{t, conn, r, false}
		backend.want("text: from client")
		backend.want("text: and more")
		backend.want("close")
	})
	f := serveMessages(t, host)
	p.client = true
	conn, r := f.dial(crlf(handshakeText) + string(p.frame(finBit|opcodeText, "from client")))
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 101 {
		t.Fatalf("%v %v", res, err)
	}
	client := &wsPeer{t, conn, r, true}
	client.want("text: from backend")
	client.send(finBit|opcodeText, "and more")
	client.send(finBit|opcodeClose, "")
	line := f.log.await(t, "tunnel.close")
	for _, want := range []string{"messages_in=2", "messages_out=1", "bytes_in=37", "closed_by=client", "close_code=1005"} {
		if !strings.Contains(line, want) {
			t.Errorf("%s is missing: %s", want, line)
		}
	}
}

func TestMessage_UnaskedExtensionIsRefused(t *testing.T) {
	host, _ := switching(t, strings.Replace(switchText, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 1), nil)
	f := serveMessages(t, host)
	if res, _ := f.ask(handshakeText + offerDeflate); res.StatusCode != 502 {
		t.Error(res.Status)
	}
	f.log.await(t, "handshake.failed", "extension that it was not offered", "cause=frames-broken")
}

// deadlines notes whether a write was ever given one.
type deadlines struct {
	net.Conn
	set chan time.Time
}

func (d *deadlines) SetWriteDeadline(at time.Time) error {
	select {
	case d.set <- at:
	default:
	}
	return d.Conn.SetWriteDeadline(at)
}

func TestMessage_PeerThatDoesNotReadIsCutOff(t *testing.T) {
	for _, from := range []string{"client", "backend"} {
		t.Run("ours/"+from, func(t *testing.T) {
			f, client, backend := tuned(t, func(m *messageTunnel) { m.stall, m.farewell = 200*time.Millisecond, 200*time.Millisecond })
			writer := client
			if from == "backend" {
				writer = backend
			}
			flooded := make(chan struct{})
			go func() { // ends when the tunnel does; awaited below
				defer close(flooded)
				for message := writer.frame(finBit|2, strings.Repeat("x", 100_000)); ; {
					if _, err := writer.Write(message); err != nil {
						return
					}
				}
			}()
			f.log.await(t, "tunnel.close", "it took nothing for 200ms")
			<-flooded
		})
	}
	t.Run("bare", func(t *testing.T) {
		set := make(chan time.Time, 10)
		host := echoBackend(t)
		srv := httptest.NewServer(&websocketproxy.WebsocketProxy{
			Backend: func(*http.Request) *url.URL { return &url.URL{Scheme: "ws", Host: host, Path: "/"} },
			Dialer: &websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
				conn, err := net.Dial(network, addr)
				return &deadlines{conn, set}, err
			}},
		})
		defer srv.Close()
		client, _ := shakeHands(t, srv.Listener.Addr().String(), "")
		client.send(finBit|opcodeText, "x")
		client.want("text: x")
		if at := receive(t, set); !at.IsZero() {
			t.Errorf("the library set a deadline, %v: is ours still needed?", at)
		}
		client.send(finBit|opcodeClose, "")
		client.message()
	})
}

// explosive panics once: at that read.
type explosive struct {
	net.Conn
	at, reads int
}

func (e *explosive) Read(p []byte) (int, error) {
	if e.reads++; e.reads == e.at {
		panic("boom")
	}
	return e.Conn.Read(p)
}

func pipe(t *testing.T) (near, far net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if far, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if near, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	_ = far.SetDeadline(time.Now().Add(patience))
	return near, far
}

func TestMessage_PanicEndsOneTunnelOnly(t *testing.T) {
	nearClient, farClient := pipe(t)
	nearBackend, farBackend := pipe(t)
	m := newMessageTunnel(Route{})
	m.farewell = 100 * time.Millisecond
	done := make(chan relay.Result, 1)
	go func() { // ends by the panic; awaited below
		done <- m.open(messagePeer{conn: nearClient}, messagePeer{conn: &explosive{Conn: nearBackend, at: 1}}, false, nil).carry(context.Background())
	}()
	for _, p := range []*wsPeer{{t, farClient, bufio.NewReader(farClient), true}, {t, farBackend, bufio.NewReader(farBackend), false}} {
		p.want("close 1011: internal error")
	}
	var fault *relay.Panic
	if r := receive(t, done); !errors.As(r.Err, &fault) || fault.Value != "boom" || !strings.Contains(string(fault.Stack), "explosive") {
		t.Errorf("%+v", r)
	}
}

// hesitant takes its time to write, and notes whether it was closed meanwhile.
type hesitant struct {
	net.Conn
	closed, tooEarly chan struct{}
	once             sync.Once
}

func (h *hesitant) Write(p []byte) (int, error) {
	select {
	case <-h.closed:
		close(h.tooEarly)
	case <-time.After(100 * time.Millisecond): // less makes the test weaker, never red
	}
	return h.Conn.Write(p)
}

func (h *hesitant) Close() error {
	h.once.Do(func() { close(h.closed) })
	return h.Conn.Close()
}

func TestMessage_NothingIsClosedBeforeBothSidesAreTold(t *testing.T) {
	nearClient, farClient := pipe(t)
	nearBackend, farBackend := pipe(t)
	slow := &hesitant{Conn: nearClient, closed: make(chan struct{}), tooEarly: make(chan struct{})}
	done := make(chan relay.Result, 1)
	go func() { // ends by the Close frames; awaited below
		done <- newMessageTunnel(Route{}).open(messagePeer{conn: slow}, messagePeer{conn: nearBackend}, false, nil).carry(context.Background())
	}()
	client := &wsPeer{t, farClient, bufio.NewReader(farClient), true}
	backend := &wsPeer{t, farBackend, bufio.NewReader(farBackend), false}
	client.send(finBit|opcodeClose, closeFrame(4000, "bye"))
	backend.want("close 4000: bye")
	backend.send(finBit|opcodeClose, closeFrame(4000, ""))
	client.want("close 4000: ")
	client.want("end")
	receive(t, done)
	select {
	case <-slow.tooEarly:
		t.Error("closed while its Close frame was being written")
	default:
	}
}

// The library's goroutines are its own: a panic in one ends the process, which
// is therefore another one here.
func TestMessage_PanicInTheBareLibraryEndsTheProcess(t *testing.T) {
	const inside = "WSFRONT_TEST_BARE_PANIC"
	if os.Getenv(inside) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), inside+"=1")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "panic: boom") {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	host := echoBackend(t)
	srv := httptest.NewServer(&websocketproxy.WebsocketProxy{
		Backend: func(*http.Request) *url.URL { return &url.URL{Scheme: "ws", Host: host, Path: "/"} },
		Dialer: &websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
			conn, err := net.Dial(network, addr)
			return &explosive{Conn: conn, at: 2}, err
		}},
	})
	client, _ := shakeHands(t, srv.Listener.Addr().String(), "")
	client.message()
}

func TestMessage_ThroughTLSOnBothSides(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(echoHandler))
	t.Cleanup(srv.Close)
	f := serveFront(t, Route{Path: "/", Tunnel: Tunnel{Backend: "wss://" + strings.TrimPrefix(srv.URL, "https://"), Mode: TunnelMessage},
		BackendTLS: BackendTLS{CA: writeCA(t, srv)}})
	secure := f.secure(1)
	d := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, EnableCompression: true}
	conn, _, err := d.Dial("wss://"+secure.addr+"/", http.Header{"Origin": {"https://" + secure.addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	random := make([]byte, 100_000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	echo(t, conn, []byte("hello"))
	echo(t, conn, random)
	go f.stop() // awaited by Cleanup
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Error(err)
	}
}

// Clients that come, talk and go in every way leave nothing behind: see TestMain,
// and f.stop, which waits for every tunnel.
func TestMessage_ChurnLeavesNothingBehind(t *testing.T) {
	host := echoBackend(t)
	f := serveMessages(t, host, func(r *Route) { r.IdleTimeout = time.Minute })
	seeds := rand.New(rand.NewPCG(1, 2))
	var wg sync.WaitGroup
	for range 8 {
		r := rand.New(rand.NewPCG(seeds.Uint64(), 0))
		wg.Go(func() { // awaited below
			for range 40 {
				talkAndLeave(t, f, r)
			}
		})
	}
	wg.Wait()
	f.stop()
	if opened, closed := strings.Count(f.log.String(), "tunnel.open"), strings.Count(f.log.String(), "tunnel.close"); opened != 320 || closed != opened {
		t.Errorf("%d opened, %d closed", opened, closed)
	}
	if strings.Contains(f.log.String(), "panic") {
		t.Error("a panic was logged")
	}
}

func talkAndLeave(t *testing.T, f *front, r *rand.Rand) {
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fields := []string{"", offerDeflate}[r.IntN(2)]
	_, _ = io.WriteString(conn, crlf(handshakeText+fields))
	p := &wsPeer{t, conn, bufio.NewReader(conn), true}
	if res, err := http.ReadResponse(p.r, nil); err != nil || res.StatusCode != 101 {
		t.Error(res, err)
		return
	}
	message := p.frame(finBit|2, string(bytes.Repeat([]byte("m"), r.IntN(20_000))))
	for range r.IntN(4) {
		_, _ = p.Write(message)
		_ = p.message()
	}
	switch r.IntN(5) {
	case 0: // a clean end
		_, _ = p.Write(p.frame(finBit|opcodeClose, closeFrame(1000, "")))
		_ = p.message()
	case 1: // an end within a frame
		_, _ = p.Write(message[:len(message)/2])
	case 2: // a reset
		_ = conn.(*net.TCPConn).SetLinger(0)
	case 3: // half an end
		_ = conn.(*net.TCPConn).CloseWrite()
		_ = p.message()
	case 4: // nonsense
		_, _ = p.Write([]byte("\x00\x00\x00\x00"))
		_ = p.message()
	}
}
