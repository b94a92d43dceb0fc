package http2

import (
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// resting makes a connection, lets it answer one request and rest, and returns
// it with its client.
func resting(t *testing.T, cfg Config) (*Conn, *rawClient) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg.RestAfter, cfg.Handler = 20*time.Millisecond, hello
	c := dialBare(t, &front{addr: l.Addr().String()})
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
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
