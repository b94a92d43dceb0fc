package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// idleConns is how many connections BenchmarkIdle opens.
const idleConns = 2000

// BenchmarkIdle tells what a keep-alive connection holds that has carried one
// request and was parked since: heap, and stacks of goroutines.
func BenchmarkIdle(b *testing.B) {
	for _, c := range []struct {
		name    string
		secure  bool
		version uint16
		streams bool
	}{{"http", false, 0, false}, {"https-1.3", true, tls.VersionTLS13, false}, {"https-1.2", true, tls.VersionTLS12, false},
		{"http2-1.3", true, tls.VersionTLS13, true}, {"http2-1.2", true, tls.VersionTLS12, true}} {
		b.Run(c.name, func(b *testing.B) { benchIdle(b, c.secure, c.version, c.streams) })
	}
}

func benchIdle(b *testing.B, secure bool, version uint16, streams bool) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	b.Cleanup(app.Close)
	s, err := New(Config{Listen: Addresses{"127.0.0.1:0"}, HTTPListen: Addresses{"127.0.0.1:0"}, State: b.TempDir(), AccessLog: AccessLog{Format: AccessJSON},
		Sites: []Site{{Hosts: []string{"app.test"}, TLS: freshPair(b, "app.test"), Routes: []Route{{Path: "/", App: app.URL}}}}},
		slog.New(slog.DiscardHandler), io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ended by cancel, awaited below
	addr := s.listeners[0].Addr().String()
	if !secure {
		addr = s.listeners[1].Addr().String()
	}
	open := make([]int, 0, idleConns+1)
	b.Cleanup(func() {
		for _, fd := range open {
			syscall.Close(fd)
		}
	})
	open = append(open, idleConnection(b, addr, secure, version, streams)) // what the first one makes stays
	until(b, "the first one is parked", func() bool { return s.conns.lot.Len() == 1 })
	manyGoroutines()
	heap, stacks := held()
	b.ResetTimer()
	for b.Loop() { // nothing: the figure is not a time
	}
	for range idleConns {
		open = append(open, idleConnection(b, addr, secure, version, streams))
	}
	until(b, "all are parked", func() bool { return s.conns.lot.Len() == idleConns+1 })
	heap2, stacks2 := held()
	b.ReportMetric(float64(heap2-heap)/idleConns, "heap-B/conn")
	b.ReportMetric(float64(stacks2-stacks)/idleConns, "stack-B/conn")
	b.ReportMetric(0, "ns/op")
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}

// manyGoroutines runs as many at once as there are going to be connections,
// before these are parked. The runtime keeps some 450 bytes of each for ever,
// for the next ones.
func manyGoroutines() {
	var wg sync.WaitGroup
	end := make(chan struct{})
	for range 2 * idleConns {
		wg.Go(func() { <-end }) // ended and awaited below
	}
	close(end)
	wg.Wait()
}

// held is what the heap and the stacks take, once what pools hold is given back.
func held() (heap, stacks int64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.StackInuse)
}

// idleConnection opens a connection that has had one answer, and returns all
// that is left of the client: its socket. So what is held is the front's.
func idleConnection(b *testing.B, addr string, secure bool, version uint16, streams bool) (fd int) {
	b.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(patience))
	conn := raw
	if secure {
		conn = tls.Client(raw, &tls.Config{ServerName: "app.test", InsecureSkipVerify: true, MaxVersion: version})
	}
	if streams {
		client := streamClient{conn: tls.Client(raw, &tls.Config{ServerName: "app.test", InsecureSkipVerify: true, MaxVersion: version, NextProtos: []string{"h2"}}), in: make([]byte, 4096)}
		if err := client.begin(); err != nil {
			b.Fatal(err)
		}
		if err := client.ask(1); err != nil {
			b.Fatal(err)
		}
	} else {
		askOnce(b, conn, secure)
	}
	control, err := raw.(*net.TCPConn).SyscallConn()
	if err != nil {
		b.Fatal(err)
	}
	if failed := control.Control(func(orig uintptr) { fd, err = syscall.Dup(int(orig)) }); failed != nil || err != nil {
		b.Fatal(failed, err)
	}
	return fd
}

// askOnce has one request answered.
func askOnce(b *testing.B, conn net.Conn, secure bool) {
	b.Helper()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"); err != nil {
		b.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		b.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(body), "ok") && secure {
		b.Fatalf("%s, %q, %v", res.Status, body, err)
	}
}
