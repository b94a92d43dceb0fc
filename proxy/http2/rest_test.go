package http2

import (
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// connected makes a connection, and the client at its other end.
func connected(t *testing.T) (net.Conn, *rawClient) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := dialBare(t, &front{addr: l.Addr().String()})
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return nc, c
}

// resting makes a connection, lets it answer one request and rest, and returns
// it with its client.
func resting(t *testing.T, cfg Config) (*Conn, *rawClient) {
	t.Helper()
	nc, c := connected(t)
	cfg.RestAfter, cfg.Handler = 20*time.Millisecond, hello
	conn := NewServer(cfg).NewConn(nc, nil)
	t.Cleanup(conn.Close)
	c.settle()
	c.request(1, true)
	if rests, err := conn.Serve(true); !rests || err != nil {
		t.Fatalf("it does not rest: %v", err)
	}
	c.ends(1)
	return conn, c
}

func TestRest_GoesOnWhereItWas(t *testing.T) {
	conn, c := resting(t, Config{})
	for id := uint32(3); id < 9; id += 2 {
		c.request(id, true, "cookie", "one=1") // whose table must be what it was
		if rests, err := conn.Serve(true); !rests || err != nil {
			t.Fatalf("it does not rest again: %v", err)
		}
		c.ends(id)
	}
	if conn.reader.Buffered() != nil && len(conn.reader.Buffered()) > 0 || conn.out != nil {
		t.Error("a connection at rest holds a buffer")
	}
}

func TestRest_EndsWhenItIsTime(t *testing.T) {
	conn, c := resting(t, Config{IdleTimeout: 50 * time.Millisecond})
	time.Sleep(time.Until(conn.IdleEnd())) // it is what whoever parks it waits for
	if rests, err := conn.Serve(true); rests || err != nil {
		t.Errorf("rests %v, %v", rests, err)
	}
	if code := c.goAway(); code != http2.ErrCodeNo {
		t.Errorf("GOAWAY with %v", code)
	}
}

func TestRest_EndsAfterShutdown(t *testing.T) {
	conn, c := resting(t, Config{})
	conn.Shutdown()
	c.request(3, true) // it was on its way
	done := make(chan error, 1)
	go func() { // ends with the connection, awaited below
		_, err := conn.Serve(true)
		done <- err
	}()
	c.ends(3)
	if code := c.goAway(); code != http2.ErrCodeNo {
		t.Errorf("GOAWAY with %v", code)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A connection in the middle of a frame does not rest, though it has no stream.
func TestRest_NotWithinAFrame(t *testing.T) {
	conn, c := resting(t, Config{HeaderTimeout: 100 * time.Millisecond})
	if _, err := c.nc.Write([]byte{0, 0, 8, framePing, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if rests, err := conn.Serve(true); rests || err == nil {
		t.Errorf("rests %v, %v", rests, err)
	}
}

// What a client asks while its connection is being given up is safe to be asked
// again: GOAWAY names the last stream that was served (RFC 9113 §6.8).
func TestRest_DismissedTheClientKnowsWhatWasServed(t *testing.T) {
	conn, c := resting(t, Config{})
	c.request(3, true) // on its way
	conn.Dismiss()
	if err := conn.nc.(*net.TCPConn).CloseRead(); err != nil {
		t.Fatal(err)
	}
	if rests, err := conn.Serve(true); rests || err != nil {
		t.Errorf("rests %v, %v", rests, err)
	}
	c.until(func(f http2.Frame) bool {
		g, ok := f.(*http2.GoAwayFrame)
		if ok && (g.LastStreamID != 1 || g.ErrCode != http2.ErrCodeNo) {
			t.Errorf("%v", g)
		}
		return ok
	})
}

// A connection at rest is small, whatever it was before.
func TestRest_HoldsNothingOfABusyTime(t *testing.T) {
	conn, c := resting(t, Config{})
	for id := uint32(3); id < 203; id += 2 {
		c.request(id, true)
	}
	if rests, err := conn.Serve(true); !rests || err != nil {
		t.Fatalf("it does not rest again: %v", err)
	}
	if conn.streams != nil || conn.queue != nil || conn.heads != nil {
		t.Error("it holds the lists of streams")
	}
}

// A client that takes the last answer slowly does not keep the connection awake
// until it is closed for being idle.
func TestRest_BehindASlowAnswer(t *testing.T) {
	ours, theirs := connected(t)
	stuck, next := make(chan struct{}), make(chan struct{})
	conn := NewServer(Config{RestAfter: 20 * time.Millisecond, Handler: func(s *Stream) {
		_ = s.WriteHead(200, nil)
		_, _ = s.Write(make([]byte, 40<<10))
		_ = s.End(nil)
	}}).NewConn(&slowConn{TCPConn: ours.(*net.TCPConn), stuck: stuck, next: next}, nil)
	t.Cleanup(conn.Close)
	rested := make(chan bool, 1)
	go func() { // ends with the rest or with Close
		rests, _ := conn.Serve(true)
		rested <- rests
	}()
	theirs.settle()
	theirs.request(1, true)
	<-stuck
	time.Sleep(100 * time.Millisecond) // longer than RestAfter, or it tests less
	close(next)
	theirs.ends(1)
	select {
	case rests := <-rested:
		if !rests {
			t.Error("it has ended")
		}
	case <-time.After(10 * time.Second):
		t.Error("it does not rest")
	}
}
