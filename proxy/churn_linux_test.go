package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// churnFor is how long TestChurn runs: -churn 10m is the full one.
var churnFor = flag.Duration("churn", 10*time.Second, "how long TestChurn opens, talks and aborts")

const (
	churnClients  = 16
	churnBackends = 8 // each end of a connection blocks its port for a minute: see dial
	// churnHeap is how much the heap may have grown when all is quiet again:
	// 350 bytes for each of the 3,000 connections of a usual run.
	churnHeap = 1 << 20
)

// TestChurn has clients open, talk and abort at random over TLS. When they are
// done, goroutines, descriptors and heap must be where they began.
func TestChurn(t *testing.T) {
	var routes []Route
	for i := range churnBackends {
		srv := httptest.NewServer(http.HandlerFunc(churnBackend))
		t.Cleanup(srv.Close)
		host := strings.TrimPrefix(srv.URL, "http://")
		routes = append(routes, Route{Path: fmt.Sprintf("/ws%d", i), Tunnel: Tunnel{Backend: "ws://" + host}},
			Route{Path: fmt.Sprintf("/app%d", i), App: "http://" + host})
	}
	cfg := Config{Listen: Addresses{"127.0.0.1:0"}, HTTPListen: Addresses{}, State: t.TempDir(), AccessLog: AccessLog{Format: AccessJSON},
		Sites: []Site{{Hosts: []string{"app.test"}, TLS: freshPair(t, "app.test"), Routes: routes}}}
	s, err := New(cfg, slog.New(slog.DiscardHandler), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ended by cancel, awaited below
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	openLot(t, s)
	begin := measure(t)
	churn(t, s, min(*churnFor, time.Second)) // fills the pools
	warm := settle(t, s, cfg, begin)
	talks := churn(t, s, *churnFor)
	after := settle(t, s, cfg, begin)
	t.Logf("%d talks; goroutines %d, %d after; descriptors %d, %d after; heap %d KiB, warm %d KiB, %d KiB after", talks,
		begin.goroutines, after.goroutines, begin.descriptors, after.descriptors, begin.heap>>10, warm.heap>>10, after.heap>>10)
	if after.heap > warm.heap+churnHeap {
		t.Errorf("the heap grew from %d to %d bytes", warm.heap, after.heap)
	}
}

// openLot has a connection be idle for so long that it is parked: from the first
// one on, the lot has a goroutine and a descriptor.
func openLot(t *testing.T, s *Server) {
	t.Helper()
	conn, err := net.Dial("tcp", s.listeners[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	secured := tls.Client(conn, &tls.Config{ServerName: "app.test", InsecureSkipVerify: true})
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
	awaitLot(t, s, 1)
	conn.Close()
	awaitLot(t, s, 0)
}

func awaitLot(t *testing.T, s *Server, parked int) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for s.conns.lot.Len() != parked {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("%d connections are parked, want %d", s.conns.lot.Len(), parked)
		}
	}
}

// footprint is what is held.
type footprint struct {
	goroutines, descriptors int
	heap                    uint64
}

func measure(t *testing.T) footprint {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC() // what finalizers and pools let go of in the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{runtime.NumGoroutine(), len(open), m.HeapAlloc}
}

// settle waits until goroutines and descriptors are where they began. The
// reload lets go of connections that are kept for the backends.
func settle(t *testing.T, s *Server, cfg Config, begin footprint) footprint {
	t.Helper()
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	late := time.After(3 * patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		now := measure(t)
		if now.goroutines <= begin.goroutines && now.descriptors <= begin.descriptors {
			return now
		}
		select {
		case <-again.C:
		case <-late:
			stacks := make([]byte, 1<<20)
			t.Fatalf("began with %+v, left with %+v\n%s", begin, now, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// churnBackend echoes messages, takes uploads, and has a page of a megabyte.
func churnBackend(w http.ResponseWriter, r *http.Request) {
	if websocket.IsWebSocketUpgrade(r) && r.URL.Query().Get("refuse") == "" {
		conformanceEcho(w, r)
		return
	}
	if n, err := io.Copy(io.Discard, r.Body); err != nil || r.Method == http.MethodPost {
		_, _ = fmt.Fprintf(w, "got %d", n)
		return
	}
	_, _ = w.Write(make([]byte, 1<<20)) // to a client that may have gone
}

// churn runs clients for a time and returns how many talks they had.
func churn(t *testing.T, s *Server, d time.Duration) (talks int) {
	addr := s.listeners[0].Addr().String()
	end := time.Now().Add(d)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range churnClients {
		wg.Go(func() { // ends with the time
			c := &churnClient{addr: addr, number: i, rng: rand.New(rand.NewPCG(uint64(i), uint64(d)))}
			for n := 0; time.Now().Before(end) && !t.Failed(); n++ {
				if err := c.talk(); err != nil {
					t.Errorf("client %d, talk %d: %v", i, n, err)
				}
				mu.Lock()
				talks++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return talks
}

// churnClient is one client; what it does is a matter of its random numbers.
type churnClient struct {
	addr   string
	number int
	rng    *rand.Rand
}

// dial connects from an address of its own: the side that closes first blocks
// the port for a minute, and one address has 28,000.
func (c *churnClient) dial() (*net.TCPConn, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(c.number+1))}}
	conn, err := d.Dial("tcp", c.addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(3 * patience))
	return conn.(*net.TCPConn), nil
}

// talk is one connection from its beginning to one of its ends.
func (c *churnClient) talk() error {
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	if c.rng.IntN(3) == 0 {
		_ = conn.SetLinger(0) // ends by RST wherever it ends
	}
	if c.rng.IntN(20) == 0 { // no handshake, or none that is whole
		_, err := conn.Write([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")[:c.rng.IntN(12)])
		return err
	}
	config := &tls.Config{ServerName: "app.test", InsecureSkipVerify: true}
	if c.rng.IntN(3) == 0 {
		config.MaxVersion = tls.VersionTLS12
	}
	secured := tls.Client(conn, config)
	if err := secured.Handshake(); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	switch c.rng.IntN(10) {
	case 0:
		return nil
	case 1:
		return c.halfARequest(secured)
	case 2, 3, 4:
		return c.requests(secured)
	}
	return c.webSocket(secured)
}

func (c *churnClient) head(method, path string) string {
	return fmt.Sprintf("%s /%s%d HTTP/1.1\r\nHost: app.test\r\n", method, path, c.rng.IntN(churnBackends))
}

// halfARequest aborts in a head, in a body, or before the answer is read.
func (c *churnClient) halfARequest(conn net.Conn) error {
	text := []string{
		c.head("GET", "app"),
		c.head("POST", "app") + "Content-Length: 100000\r\n\r\nhalf",
		c.head("POST", "app") + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		c.head("GET", "app") + "\r\n",
		c.head("GET", "ws") + c.upgrade() + "\r\n",
	}[c.rng.IntN(5)]
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	if c.rng.IntN(2) == 0 {
		return nil
	}
	// The answer, if one comes, is left in the middle.
	_ = conn.SetReadDeadline(time.Now().Add(time.Duration(c.rng.IntN(20)) * time.Millisecond))
	_, _ = io.CopyN(io.Discard, conn, int64(c.rng.IntN(1<<18)))
	return nil
}

func (c *churnClient) upgrade() string {
	return "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + exampleKey + "\r\n"
}

// requests are some on one connection, answered whole.
func (c *churnClient) requests(conn net.Conn) error {
	r := bufio.NewReader(conn)
	for range 1 + c.rng.IntN(5) {
		text, want := c.head("GET", "app")+"\r\n", int64(1<<20)
		if c.rng.IntN(2) == 0 {
			body := strings.Repeat("x", c.rng.IntN(50000))
			text = c.head("POST", "app") + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
			want = int64(len(fmt.Sprintf("got %d", len(body))))
		}
		if _, err := io.WriteString(conn, text); err != nil {
			return err
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		if n, err := io.Copy(io.Discard, res.Body); err != nil || n != want || res.StatusCode != 200 {
			return fmt.Errorf("%s: %d of %d bytes, %v", res.Status, n, want, err)
		}
	}
	return nil
}

// webSocket talks and ends in one of the ways that a browser, or a network,
// may end it.
func (c *churnClient) webSocket(conn net.Conn) error {
	d := websocket.Dialer{HandshakeTimeout: 3 * patience, EnableCompression: c.rng.IntN(2) == 0,
		NetDialTLSContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	url := fmt.Sprintf("wss://app.test/ws%d", c.rng.IntN(churnBackends))
	if c.rng.IntN(10) == 0 {
		_, res, err := d.Dial(url+"?refuse=1", nil)
		if res == nil || res.StatusCode != 200 {
			return fmt.Errorf("a refused handshake: %v, %w", res, err)
		}
		return nil
	}
	ws, _, err := d.Dial(url, nil)
	if err != nil {
		return err
	}
	_ = ws.SetReadDeadline(time.Now().Add(3 * patience))
	for range c.rng.IntN(6) {
		message := make([]byte, c.rng.IntN(1<<c.rng.IntN(17)))
		if err := ws.WriteMessage(websocket.BinaryMessage, message); err != nil {
			return err
		}
		if _, got, err := ws.ReadMessage(); err != nil || len(got) != len(message) {
			return fmt.Errorf("echo of %d bytes: %d, %w", len(message), len(got), err)
		}
	}
	switch c.rng.IntN(5) {
	case 0:
		_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience))
		if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, 1000) {
			return fmt.Errorf("close: %w", err)
		}
	case 1:
		return conn.(*tls.Conn).CloseWrite()
	case 2: // messages whose echo is never read
		for range 10 {
			_ = ws.WriteMessage(websocket.BinaryMessage, make([]byte, 20000))
		}
	case 3: // in the middle of a frame
		_, _ = io.WriteString(conn, "\x82\xfe\xff\xff\x00\x00\x00\x00half")
	}
	return nil // the connection just ends
}
