package publishd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// journal is a log that is read while it is written.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// count is how many lines have a text in them.
func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), text)
}

// startCounted is start with a limit of connections.
func startCounted(t *testing.T, most int, api http.HandlerFunc) (at string, counts *Counts, log *journal) {
	t.Helper()
	log, counts = &journal{}, &Counts{}
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(l, api, most, counts, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ended below
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s.Address(), counts, log
}

// kept is a connection that was answered, by the quick way or by net/http's.
func kept(t *testing.T, at, say string) net.Conn {
	t.Helper()
	conn, got := try(t, at, say)
	if !strings.Contains(got, "200 OK") {
		t.Fatalf("got %q", got)
	}
	return conn
}

// try is a connection, and the first that it was answered.
func try(t *testing.T, at, say string) (conn net.Conn, got string) {
	t.Helper()
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, say) // whoever is refused may be reset
	answer := make([]byte, 4096)
	n, _ := conn.Read(answer)
	return conn, string(answer[:n])
}

func TestServer_ConnectionsBeyondTheLimitAreToldSo(t *testing.T) {
	at, counts, log := startCounted(t, 2, echo)
	quick := kept(t, at, post("/channels/a", "", "hello"))
	handed := kept(t, at, "GET /channels HTTP/1.1\r\nHost: a\r\n\r\n")
	for range 2 {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		got, err := io.ReadAll(conn)
		conn.Close()
		head, body, _ := strings.Cut(string(got), "\r\n\r\n")
		if err != nil || !strings.HasPrefix(head, "HTTP/1.1 503 ") || !strings.Contains(head, "Retry-After: 1") ||
			!strings.Contains(head, fmt.Sprint("Content-Length: ", len(body))) || !strings.Contains(body, "push.publish.max_connections") {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if n := counts.Refused.Load(); n != 2 {
		t.Errorf("%d are counted", n)
	}
	if lines := log.count("msg=limit.reached limit=publish.max_connections count=1"); lines != 1 {
		t.Errorf("%d lines tell of it", lines)
	}
	// Each way gives its place back.
	for _, left := range []net.Conn{quick, handed} {
		left.Close()
		for deadline := time.Now().Add(patience); ; {
			conn, got := try(t, at, post("/channels/a", "", "hello"))
			if strings.Contains(got, "200 OK") {
				break // and keeps the place
			}
			conn.Close()
			if time.Now().After(deadline) {
				t.Fatalf("there is no room: %q", got)
			}
		}
	}
}

func TestServer_FaultsAreCountedInBothWays(t *testing.T) {
	at, counts, log := startCounted(t, 10, func(http.ResponseWriter, *http.Request) { panic("test") })
	for i, say := range []string{post("/channels/a", "", "hello"), "GET /channels HTTP/1.1\r\nHost: a\r\n\r\n"} {
		if got := talk(t, "tcp", at, say); got != "" {
			t.Errorf("got %q", got)
		}
		if n := counts.Panics.Load(); n != uint64(i+1) {
			t.Errorf("%d are counted, want %d", n, i+1)
		}
	}
	if n := log.count("msg=publish.panic panic=test stack="); n != 2 {
		t.Errorf("%d lines tell of them", n)
	}
}

func TestServer_LongHeadIsRefused(t *testing.T) {
	at, _, _ := startCounted(t, 10, echo)
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "GET /channels HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 40<<10)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("HTTP/1.1 431 "))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "HTTP/1.1 431 " {
		t.Errorf("got %q, %v", got, err)
	}
}
