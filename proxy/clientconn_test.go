package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestClientConn_WriteEndsIfTheClientDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe() // takes nothing that is not read
		defer ours.Close()
		defer theirs.Close()
		c := &clientConn{server: bareServer(nil), Conn: ours}
		for range 3 { // one that reads a little is not cut
			go io.CopyN(io.Discard, theirs, 1)
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(DefaultWriteTimeout / 2)
		}
		go func() { // ended by the last byte
			for range 10 { // nor one that takes its time with what is written at once
				time.Sleep(DefaultWriteTimeout * 9 / 10)
				_, _ = io.CopyN(io.Discard, theirs, 1)
			}
		}()
		if n, err := c.Write(make([]byte, 10)); n != 10 || err != nil {
			t.Fatal(n, err)
		}
		begin := time.Now()
		_, err := c.Write([]byte("x"))
		if took := time.Since(begin); !isTimeout(err) || took < DefaultWriteTimeout || took > DefaultWriteTimeout+deadlineSlack {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// The writes of steady requests move no deadline.
func TestClientConn_WritesShareADeadline(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	go io.Copy(io.Discard, theirs) // ended by its Close
	counted := &movedDeadlines{Conn: ours}
	c := &clientConn{server: bareServer(nil), Conn: counted}
	begin := time.Now()
	for range 100 {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if most := 1 + int(time.Since(begin)/deadlineSlack); counted.moved > most {
		t.Errorf("moved %d times", counted.moved)
	}
}

// movedDeadlines counts how often the write deadline is moved.
type movedDeadlines struct {
	net.Conn
	moved int
}

func (d *movedDeadlines) SetWriteDeadline(at time.Time) error {
	d.moved++
	return d.Conn.SetWriteDeadline(at)
}

// A refusal must not be lost in the reset that closing a connection causes whose
// client is still sending.
func TestClientConn_RefusalReachesAClientThatSendsTooMuch(t *testing.T) {
	app, _ := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	for range 5 {
		conn, r := f.dial("GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + strings.Repeat("x", 200000))
		if res, _ := readAnswer(t, r, "GET"); res.StatusCode != 431 {
			t.Error(res.Status)
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("behind the answer: %v", err)
		}
		for range 100 {
			if _, err := io.WriteString(conn, strings.Repeat("x", 10000)); err != nil {
				t.Fatalf("the connection was not open for what comes late: %v", err)
			}
		}
		conn.Close()
	}
}

// An old client knows an answer's end by that of the connection: one that is cut
// must not look whole to it.
func TestClientConn_CutAtTheEndOfDrainDoesNotLookWhole(t *testing.T) {
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := readRequest(r); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nhalf")
			_, _ = r.ReadByte() // until the front closes
		}
	})
	f := serveConfig(t, Config{DrainTimeout: 50 * time.Millisecond, Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", App: "http://" + addr}}}}})
	_, r := f.dial("GET / HTTP/1.0\r\n\r\n")
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	f.stop()
	if _, err := res.Body.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("the cut answer ended with %v", err)
	}
}
