package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// bodyOf is a turn that has read its request's head from a client that goes on
// by send, in a bubble of synctest.
func bodyOf(t *testing.T, length int, send func(w io.Writer)) *turn {
	t.Helper()
	ours, theirs := net.Pipe()
	c := &clientConn{server: bareServer(nil), listener: &listener{}, Conn: ours}
	c.reader.Reset(ours)
	ended := make(chan struct{})
	go func() { // ended by ours, awaited by the cleanup
		defer close(ended)
		fmt.Fprintf(theirs, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", length)
		send(theirs)
	}()
	t.Cleanup(func() {
		ours.Close()
		<-ended
		theirs.Close()
	})
	x := new(turn)
	x.begin(c)
	if err := x.readHead(); err != nil {
		t.Fatal(err)
	}
	x.beginBody()
	return x
}

// drip sends so many bytes each second, until the connection is closed.
func drip(n int) func(io.Writer) {
	return func(w io.Writer) {
		for err := error(nil); err == nil; time.Sleep(time.Second) {
			_, err = io.WriteString(w, strings.Repeat("x", n))
		}
	}
}

func TestBodyPace_CutsWhoIsSlowAndNobodyElse(t *testing.T) {
	for _, c := range []struct {
		name    string
		send    func(io.Writer)
		backend time.Duration // for each piece
		length  int
		limit   string
		from    time.Duration // at the earliest, and deadlineSlack and a second later at the latest
	}{
		{"silence", func(io.Writer) {}, 0, 100, limitBodyTimeout, DefaultBodyTimeout - deadlineSlack},
		{"a byte a second", drip(1), 0, 1 << 20, limitMinBodyRate, DefaultBodyTimeout - deadlineSlack},
		{"half the rate", drip(int(DefaultMinBodyRate) / 2), 0, 1 << 20, limitMinBodyRate, 2*DefaultBodyTimeout - 2*deadlineSlack},
		{"a modem", drip(300), 0, 300 * 600, "", 598 * time.Second},
		{"silence behind much", func(w io.Writer) { _, _ = w.Write(make([]byte, 1<<20)) }, 0, 2 << 20, limitBodyTimeout, DefaultBodyTimeout - deadlineSlack},
		{"a backend that takes its time", func(w io.Writer) { _, _ = w.Write(make([]byte, 1<<20)) }, 10 * time.Minute, 1 << 20, "", 10 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := bodyOf(t, c.length, c.send)
				begin := time.Now()
				var err error
				for err == nil {
					if _, err = x.readBody(); err == nil {
						time.Sleep(c.backend)
					}
				}
				took := time.Since(begin)
				var slow *slowBody
				if c.limit == "" && err != io.EOF || c.limit != "" && (!errors.As(err, &slow) || slow.limit != c.limit) {
					t.Errorf("%v, want the limit %q", err, c.limit)
				}
				if took < c.from || c.limit != "" && took > c.from+2*deadlineSlack+time.Second {
					t.Errorf("after %v, want %v", took, c.from)
				}
				if got := x.server.LimitHits()[c.limit]; c.limit != "" && got != 1 {
					t.Errorf("counted %d times", got)
				}
			})
		})
	}
}

func TestBodyPace_RateMayBeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := bodyOf(t, 600, drip(1))
		l := *x.limits
		l.MinBodyRate = RateOff
		x.limits = &l
		var err error
		for err == nil {
			_, err = x.readBody()
		}
		if err != io.EOF {
			t.Error(err)
		}
	})
}
