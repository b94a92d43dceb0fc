package frame

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// echoServer is a gorilla server that echoes messages until the client closes.
func echoServer(t testing.TB) *httptest.Server {
	upgrader := websocket.Upgrader{EnableCompression: true}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			kind, message, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if err := conn.WriteMessage(kind, message); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// talk has a gorilla client say a little of everything and close.
func talk(t testing.TB, conn *websocket.Conn, sizes ...int) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for _, n := range sizes {
		message := bytes.Repeat([]byte("m"), n)
		w, err := conn.NextWriter(websocket.TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(message[:n/2])
		if err := conn.WriteControl(websocket.PingMessage, []byte("own ping"), time.Time{}); err != nil {
			t.Fatal(err)
		}
		w.Write(message[n/2:])
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.ReadMessage(); err != nil || !bytes.Equal(got, message) {
			t.Fatalf("message of %d: %d came back, %v", n, len(got), err)
		}
	}
	if err := conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4001, "enough")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, 4001) {
		t.Fatalf("close was answered with %v", err)
	}
}

// tunnel is a front for one gorilla client: it puts a ping at every boundary that
// passing a read of n bytes leaves, both ways.
type tunnel struct {
	t        *testing.T
	n        int
	rules    Rules
	answered [2]atomic.Int64 // pongs of ours from each side
}

// flow moves one direction until its source ends.
func (u *tunnel) flow(side Side, f *Follower, dst io.Writer, src io.Reader) error {
	buf := make([]byte, u.n)
	for {
		n, err := src.Read(buf)
		if err != nil {
			return nil
		}
		for rest := buf[:n]; len(rest) > 0; {
			var pass []byte
			if pass, rest, err = f.Feed(rest, 0); err != nil {
				return fmt.Errorf("side %d: %w", side, err)
			}
			if _, err := dst.Write(pass); err != nil {
				return nil
			}
			// Not where nothing passed: pongs, taken out, would make for more pings.
			if _, closed := f.Closed(); len(pass) > 0 && f.AtBoundary() && !closed {
				if _, err := dst.Write(AppendPing(nil, side, nonce[:])); err != nil {
					return nil
				}
			}
			if f.PongSeen() {
				u.answered[side].Add(1)
				f.ExpectPong(nonce)
			}
		}
	}
}

// run takes a client's connection through to the backend after the handshake.
func (u *tunnel) run(client net.Conn, address string) error {
	backend, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	fromClient, fromBackend := bufio.NewReader(client), bufio.NewReader(backend)
	for _, way := range []struct {
		src *bufio.Reader
		dst net.Conn
	}{{fromClient, backend}, {fromBackend, client}} {
		for line := ""; line != "\r\n"; {
			if line, err = way.src.ReadString('\n'); err != nil {
				return err
			}
			io.WriteString(way.dst, line)
		}
	}
	var followers [2]Follower
	for side := range followers {
		followers[side].Init(Side(side), &u.rules)
		followers[side].ExpectPong(nonce)
	}
	// Either flow ends when its source does; closing both ends the other.
	errs := make(chan error, 2)
	go func() { errs <- u.flow(FromClient, &followers[FromClient], backend, fromClient) }()
	go func() { errs <- u.flow(FromBackend, &followers[FromBackend], client, fromBackend) }()
	first := <-errs
	client.Close()
	backend.Close()
	if second := <-errs; first == nil {
		first = second
	}
	for side := range followers {
		if code, ok := followers[side].Closed(); !ok || code != 4001 {
			u.t.Errorf("side %d closed with %d, %v", side, code, ok)
		}
		if messages, _, _ := followers[side].Counts(); messages != 6 {
			u.t.Errorf("side %d: %d messages", side, messages)
		}
	}
	return first
}

func TestFollower_GorillaTalksThroughPingsAtEveryBoundary(t *testing.T) {
	server := echoServer(t)
	for _, n := range []int{1, 6, 100, 4096} {
		for _, compress := range []bool{false, true} {
			t.Run(fmt.Sprintf("reads=%d/compress=%v", n, compress), func(t *testing.T) {
				testThroughPings(t, server, n, compress)
			})
		}
	}
}

func testThroughPings(t *testing.T, server *httptest.Server, n int, compress bool) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &tunnel{t: t, n: n, rules: Rules{Validate: true, Compression: compress, MaxMessage: 1 << 20}}
	done := make(chan error, 1)
	// Ends with the client's connection, or with the listener; waited for below.
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = u.run(conn, server.Listener.Addr().String())
		}
		done <- err
	}()
	defer func() {
		listener.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	dialer := websocket.Dialer{EnableCompression: compress, WriteBufferSize: 300}
	conn, _, err := dialer.Dial("ws://"+listener.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	pongs := 0
	conn.SetPongHandler(func(payload string) error {
		pongs++
		if payload != "own ping" {
			t.Errorf("the client got a pong for %x", payload)
		}
		return nil
	})
	talk(t, conn, 0, 1, 125, 126, 2000, 70000)
	if pongs != 6 {
		t.Errorf("%d of the client's 6 pings were answered", pongs)
	}
	if client, backend := u.answered[FromClient].Load(), u.answered[FromBackend].Load(); client == 0 || backend == 0 {
		t.Errorf("pings answered by the client: %d, by the backend: %d", client, backend)
	}
}
