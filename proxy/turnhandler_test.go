package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// pipedTurn is a turn that has read a request's head from a pipe, to whose other
// end the test has the client's.
func pipedTurn(t *testing.T, head string) (x *turn, client net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	go io.WriteString(theirs, crlf(head)) // ended by its reader
	c := &clientConn{server: bareServer(nil), listener: &listener{}, Conn: ours}
	c.reader.Reset(ours)
	x = new(turn)
	x.begin(c)
	if err := x.readHead(); err != nil {
		t.Fatal(err)
	}
	x.arrived(nil)
	x.beginBody()
	x.keepHead()
	return x, theirs
}

// A client that stops to take what a handler writes, or to send what it reads,
// does not hold it.
func TestHandler_ClientThatStopsIsGivenUp(t *testing.T) {
	for _, c := range []struct {
		name, head string
		limit      time.Duration
		try        func(w http.ResponseWriter, r *http.Request) error
	}{
		{"takes nothing", "GET / HTTP/1.1\nHost: a", DefaultWriteTimeout + deadlineSlack, func(w http.ResponseWriter, r *http.Request) error {
			_, err := w.Write(make([]byte, 3*answerBuffer))
			return err
		}},
		{"sends nothing", "POST / HTTP/1.1\nHost: a\nContent-Length: 5", DefaultBodyTimeout, func(w http.ResponseWriter, r *http.Request) error {
			_, err := io.ReadAll(r.Body)
			return err
		}},
		{"takes nothing, by the handler's own deadline", "GET / HTTP/1.1\nHost: a", time.Hour, func(w http.ResponseWriter, r *http.Request) error {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour))
			_, err := w.Write(make([]byte, 3*answerBuffer))
			return err
		}},
		{"sends nothing, by the handler's own deadline", "POST / HTTP/1.1\nHost: a\nContent-Length: 5", time.Hour, func(w http.ResponseWriter, r *http.Request) error {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Hour))
			_, err := io.ReadAll(r.Body)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, _ := pipedTurn(t, c.head)
				begin := time.Now()
				x.handle(func(w *responseWriter, r *http.Request) {
					err := c.try(w, r)
					if took := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || took != c.limit {
						t.Errorf("%v after %v", err, took)
					}
					w.x.abort()
				})
			})
		})
	}
}

// An event stream waits for long with next to nothing to write.
func TestHandler_WatchedTurnKeepsNoLargeBuffer(t *testing.T) {
	x, client := pipedTurn(t, "GET / HTTP/1.1\nHost: a")
	go io.Copy(io.Discard, client) // ended by its close
	x.handle(func(w *responseWriter, r *http.Request) {
		_ = r.Context().Done()
		for range 2 {
			_, _ = w.Write(make([]byte, answerBuffer))
			if _ = w.FlushError(); cap(x.out) > maxWatchedBuffer {
				t.Errorf("%d bytes", cap(x.out))
			}
		}
	})
}
