package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"wsfront/proxy/record"
	"wsfront/pusher"
)

// sealedListener does the front's handshake before it hands out a connection, one
// after the other.
type sealedListener struct {
	net.Listener
	accepter *record.Accepter
}

func (l sealedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	sealed, _, err := l.accepter.Handshake(context.Background(), c)
	return sealed, err
}

// sealedPush is a push service whose clients come by the front's own TLS, and how
// to dial it.
func sealedPush(t *testing.T, cfg pusher.Config) (*pusher.Hub, func(query string) *websocket.Conn) {
	t.Helper()
	hub, err := pusher.New(cfg, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	endpoint, err := hub.Endpoint(pusher.Endpoint{Channel: "board", Inbound: pusher.InboundEcho})
	if err != nil {
		t.Fatal(err)
	}
	certified := httptest.NewTLSServer(nil) // for its certificate
	certified.Close()
	client := certified.Client().Transport.(*http.Transport).TLSClientConfig
	server := httptest.NewUnstartedServer(endpoint)
	server.Listener = sealedListener{server.Listener, record.NewAccepter(&tls.Config{Certificates: certified.TLS.Certificates})}
	server.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return hub, func(query string) *websocket.Conn {
		t.Helper()
		dialer := websocket.Dialer{TLSClientConfig: client.Clone(), HandshakeTimeout: 20 * time.Second, Subprotocols: []string{"resume.v1"}}
		c, answer, err := dialer.Dial("wss://"+server.Listener.Addr().String()+"/"+query, nil)
		if err != nil {
			t.Fatalf("%v %v", err, answer)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, status, err := c.ReadMessage(); err != nil || !bytes.Contains(status, []byte(" ")) {
			t.Fatalf("the first frame is %q, %v", status, err)
		}
		return c
	}
}

func publish(t *testing.T, hub *pusher.Hub, text string) {
	t.Helper()
	if _, err := hub.Publish(t.Context(), "board", pusher.Message{Text: true, Data: []byte(text)}); err != nil {
		t.Fatal(err)
	}
}

// afterToken reads a message of resume.v1.
func afterToken(t *testing.T, c *websocket.Conn) (token, text string) {
	t.Helper()
	_, data, err := c.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	token, text, _ = strings.Cut(string(data), "\n")
	return token, text
}

func TestPushTLS_ClientsHoldNoGoroutineAndHearEverything(t *testing.T) {
	hub, dial := sealedPush(t, pusher.Config{})
	dial("")
	before := runtime.NumGoroutine()
	var clients []*websocket.Conn
	for range 50 {
		clients = append(clients, dial(""))
	}
	for i := range 20 {
		publish(t, hub, fmt.Sprint(i, strings.Repeat("x", i*4000))) // over many records
	}
	for _, c := range clients {
		for i := range 20 {
			if _, text := afterToken(t, c); text != fmt.Sprint(i, strings.Repeat("x", i*4000)) {
				t.Fatalf("message %d is %.20q", i, text)
			}
		}
		// And what they send is read, in records of any size.
		echo := strings.Repeat("echo", 15_000)
		if err := c.WriteMessage(websocket.TextMessage, []byte(echo)); err != nil {
			t.Fatal(err)
		}
		if _, text := afterToken(t, c); text != echo {
			t.Fatalf("the echo is %.20q", text)
		}
	}
	if n := runtime.NumGoroutine(); n > before+20 {
		t.Errorf("%d goroutines, and %d before 50 clients came", n, before)
	}
}

// A record that a socket has taken a part of must go on where it stopped.
func TestPushTLS_ClientThatStallsGetsWholeRecords(t *testing.T) {
	hub, dial := sealedPush(t, pusher.Config{QueueBytes: 64 << 20})
	c := dial("")
	filler := strings.Repeat("x", 10_000)
	const messages = 2000 // 20 MB, more than sockets take
	for i := range messages {
		publish(t, hub, fmt.Sprint(i, " ", filler))
	}
	for i := range messages {
		if _, text := afterToken(t, c); text != fmt.Sprint(i, " ", filler) {
			t.Fatalf("message %d is %.20q", i, text)
		}
	}
}

func TestPushTLS_WhoWasCutResumes(t *testing.T) {
	hub, dial := sealedPush(t, pusher.Config{History: pusher.History{Messages: 10_000, Bytes: 1 << 30, Total: 1 << 30}})
	c := dial("")
	filler := strings.Repeat("x", 10_000)
	const messages = 2000
	for i := range messages {
		publish(t, hub, fmt.Sprint(i, " ", filler))
	}
	token, cuts := "", 0
	for i := 0; i < messages; {
		_, data, err := c.ReadMessage()
		if err != nil {
			if cuts++; cuts > 20 {
				t.Fatalf("cut off again and again, at last by %v", err)
			}
			c = dial("?from=" + token)
			continue
		}
		var text string
		if token, text, _ = strings.Cut(string(data), "\n"); text != fmt.Sprint(i, " ", filler) {
			t.Fatalf("message %d is %.20q", i, text)
		}
		i++
	}
	if cuts == 0 {
		t.Error("it was not cut off")
	}
}

func TestPushTLS_EndsAreEnds(t *testing.T) {
	_, dial := sealedPush(t, pusher.Config{})
	t.Run("Close", func(t *testing.T) {
		c := dial("")
		c.SetCloseHandler(func(int, string) error { return nil })
		_ = c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
		var closed *websocket.CloseError
		if _, _, err := c.ReadMessage(); !errors.As(err, &closed) || closed.Code != websocket.CloseNormalClosure {
			t.Errorf("ended by %v", err)
		}
		// Behind it stands close_notify: without, crypto/tls reports an unexpected EOF.
		if n, err := c.NetConn().Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("then %d, %v", n, err)
		}
	})
	t.Run("Close and close_notify", func(t *testing.T) {
		for range 50 {
			c := dial("")
			c.SetCloseHandler(func(int, string) error { return nil })
			_ = c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, ""))
			_ = c.NetConn().(*tls.Conn).CloseWrite()
			var closed *websocket.CloseError
			if _, _, err := c.ReadMessage(); !errors.As(err, &closed) || closed.Code != 4000 {
				t.Fatalf("ended by %v", err)
			}
		}
	})
	t.Run("a record that does not verify", func(t *testing.T) {
		c := dial("")
		bad := append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...)
		if _, err := c.NetConn().(*tls.Conn).NetConn().Write(bad); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadMessage(); err == nil || !strings.Contains(err.Error(), "bad record MAC") && !strings.Contains(err.Error(), "reset") {
			t.Errorf("ended by %v", err)
		}
	})
}
