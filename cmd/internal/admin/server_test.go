package admin

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// connect opens a connection to a rig, and says something.
func (r *rig) connect(text string) net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.at)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// status reads one answer to the end of its connection.
func status(t *testing.T, conn net.Conn) (status int, body string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// Connections that say nothing, or never end what they say, take a place, but
// nobody's turn; beyond the last place one is told so, and a place that is given up
// is free.
func TestServer_SlowClientsHoldUpNobody(t *testing.T) {
	r := serveAt(t, some(), Access{})
	says := []string{"", "GET /status HT", "GET /status HTTP/1.1\r\nHost: localhost\r\n", "POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx"}
	slow := make([]net.Conn, maxConnections-1)
	for i := range slow {
		slow[i] = r.connect(says[i%len(says)])
	}
	r.want(200, "GET", "/status") // the last place, which is kept
	code, body := status(t, r.connect("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	if code != 503 || !strings.Contains(body, "has 100 connections") {
		t.Errorf("%d: %q", code, body)
	}
	slow[0].Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // between two tries
		if code, _ = status(t, r.connect("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")); code == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("its place is not free")
		}
	}
	r.want(200, "GET", "/status")
}

func TestServer_HeadsAreBounded(t *testing.T) {
	r := serveAt(t, some(), Access{})
	conn := r.connect("GET /status HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", maxHead+8<<10) + "\r\n\r\n")
	// What follows the status may be lost, as not all that was sent is read.
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 431 ") {
		t.Errorf("%q, %v", line, err)
	}
}

// What lasts as long as somebody listens is told of the server's end, and can say
// goodbye.
func TestServer_EventsEndWithIt(t *testing.T) {
	s := some()
	began := make(chan struct{})
	s.Page = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		io.WriteString(w, "goodbye")
	})
	r := serveAt(t, s, Access{})
	conn := r.connect("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-began
	r.end()
	if text, err := io.ReadAll(conn); err != nil || !strings.Contains(string(text), "goodbye") {
		t.Errorf("%q, %v", text, err)
	}
}

// A server that waits for the end of what is open gives its socket's place to one
// that is started meanwhile, and does not take that one's away at its own end.
func TestListen_ReplacesOneThatEnds(t *testing.T) {
	state := t.TempDir()
	serve := func(of string) *rig {
		l, err := Listen(state, false)
		if err != nil {
			t.Fatal(err)
		}
		s := some()
		s.Status = func(context.Context) Status { return Status{State: of} }
		return serveOn(t, l, s, Access{Host: SocketHost})
	}
	old := serve(StateDraining)
	next := serve(StateServing)
	old.end()
	if s, err := GetStatus(t.Context(), state); err != nil || s.State != StateServing {
		t.Errorf("%v, %v", s, err)
	}
	if _, err := Listen(state, false); err == nil || !strings.Contains(err.Error(), "another wsfront runs") {
		t.Errorf("beside one that serves: %v", err)
	}
	next.end()
	if _, err := os.Lstat(Socket(state)); !os.IsNotExist(err) {
		t.Errorf("its file is left behind: %v", err)
	}
}

// The file is removed while the listener is open: after that its number, by which a
// server knows its own, may be that of another server's file.
func TestServer_RemovesItsFileBeforeItEnds(t *testing.T) {
	state := t.TempDir()
	l, err := Listen(state, false)
	if err != nil {
		t.Fatal(err)
	}
	s, asked, answer := some(), make(chan struct{}), make(chan struct{})
	s.NotReady = func(context.Context) []string {
		close(asked)
		<-answer
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	server := New(l, Handler(s, Access{Host: SocketHost}))
	go func() { done <- server.Run(ctx) }() // ended by cancel, awaited below
	conn, err := net.Dial("unix", Socket(state))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /readyz HTTP/1.1\r\nHost: admin\r\n\r\n")
	<-asked
	cancel()
	for deadline := time.Now().Add(drainTimeout / 2); ; time.Sleep(time.Millisecond) { // between two looks
		if _, err := os.Lstat(Socket(state)); os.IsNotExist(err) {
			break
		}
		if time.Now().After(deadline) {
			t.Error("the file is there while the last request is answered")
			break
		}
	}
	close(answer)
	if code, _ := status(t, conn); code != 200 {
		t.Error(code)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestListenTCP_AddressIsTaken(t *testing.T) {
	r := serveAt(t, some(), Access{})
	if _, err := ListenTCP(r.at); err == nil || !strings.Contains(err.Error(), "write another one into admin.listen") {
		t.Error(err)
	}
}
