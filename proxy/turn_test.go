package proxy

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"wsfront/proxy/http1"
)

// The buffer that a handshake was read into goes back to the pool with the
// takeover, and to another connection from there. The log lines come later.
func TestTurn_HeadOutlivesTheTakeover(t *testing.T) {
	s := bareServer(nil)
	for range 20 { // a pool may always forget what it was given
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		c := &clientConn{server: s, listener: &listener{}, Conn: ours}
		c.reader.Reset(strings.NewReader(crlf(handshakeText) + "frames"))
		x := new(turn)
		x.begin(c)
		if err := x.readHead(); err != nil {
			t.Fatal(err)
		}
		x.arrived(nil)
		x.path = x.req.Path
		x.beginBody()
		taken, err := x.takeOver()
		if err != nil || string(taken.leftover) != "frames" {
			t.Fatalf("%q, %v", taken.leftover, err)
		}
		var next http1.Reader
		next.Reset(strings.NewReader(strings.Repeat("x", 4096)))
		if err := next.Fill(); err != nil {
			t.Fatal(err)
		}
		origin, _ := http1.Get(x.req.Fields, http1.Origin)
		if string(x.req.Target) != "/websocket?room=1" || string(x.host) != "app.test" || string(x.path) != "/websocket" || string(origin) != "https://app.test" {
			t.Fatalf("the handshake became %q at %q, %q, by %q", x.req.Target, x.host, x.path, origin)
		}
		next.Reset(nil)
	}
}

// A buffer that a part of a head was read into may be another connection's when
// the wait for the rest is over.
// A clock that was set back by years is believed at once.
func TestDateCache_ClockSetBack(t *testing.T) {
	var d dateCache
	d.last.Store(&date{second: time.Now().AddDate(10, 0, 0).Unix(), text: []byte("Mon, 01 Jan 2046 00:00:00 GMT")})
	got, err := http.ParseTime(string(d.now()))
	if err != nil || time.Since(got).Abs() > time.Minute {
		t.Errorf("%s, %v", got, err)
	}
}

func TestTurn_LogOfAHeadThatTookTooLong(t *testing.T) {
	for range 20 { // a pool may always forget what it was given
		var log bytes.Buffer
		s := bareServer(accessLogTo(&log, AccessCombined))
		ours, theirs := net.Pipe()
		go io.Copy(io.Discard, theirs) // ended by ours
		c := &clientConn{server: s, listener: &listener{}, Conn: ours}
		part := "GET /mine HTTP/1.1\r\nHost: a\r\nUser-Agent: mine\r\nX-Long: "
		part += strings.Repeat("x", 4096-len(part)) // all that the first buffer holds
		c.reader.Reset(io.MultiReader(strings.NewReader(part), iotest.ErrReader(os.ErrDeadlineExceeded)))
		x := new(turn)
		x.begin(c)
		err := x.readHead()
		var next http1.Reader
		next.Reset(strings.NewReader(strings.Repeat("y", 4096)))
		if err := next.Fill(); err != nil {
			t.Fatal(err)
		}
		x.unreadable(err)
		next.Reset(nil)
		ours.Close()
		if line := log.String(); strings.Contains(line, "yyy") || !strings.Contains(line, "GET /mine") {
			t.Fatal(line)
		}
	}
}

// A client that sends the rest of a body drop by drop does not keep its
// goroutine for as long as that takes.
func TestTurn_RestOfABodyIsReadForAWhileOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := &clientConn{server: bareServer(nil), listener: &listener{}, Conn: ours}
		c.reader.Reset(ours)
		ended := make(chan struct{})
		go func() { // ended by ours, awaited below
			defer close(ended)
			_, err := io.WriteString(theirs, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
			for err == nil {
				time.Sleep(lingerTime / 2)
				_, err = io.WriteString(theirs, "x")
			}
		}()
		x := new(turn)
		x.begin(c)
		if err := x.readHead(); err != nil {
			t.Fatal(err)
		}
		x.beginBody()
		begin := time.Now()
		if x.drained() || time.Since(begin) != lingerTime {
			t.Errorf("read for %v", time.Since(begin))
		}
		ours.Close()
		<-ended
	})
}
