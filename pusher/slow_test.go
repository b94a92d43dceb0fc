package pusher

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// The founding loop, which sends to one client after the other, stands still
// for all of them when one stops reading.
func TestSlow_StalledClientIsCutOffAndDelaysNobody(t *testing.T) {
	for _, c := range []struct {
		name  string
		start []option
		stall func(*service) io.ReadCloser
	}{
		{"websocket", nil, stallSocket},
		{"websocket over TLS", []option{overTLS}, stallSocket},
		{"event stream", nil, stallStream},
		{"event stream over HTTP/2", []option{overH2}, stallStream},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t, Config{}, Endpoint{Channel: "board"}, c.start...)
			const readers = 5
			progress := make(chan int, readers)
			for range readers {
				conn := s.dial("/websocket")
				go func() { // ends with conn, which dial closes
					for i := 0; ; i++ {
						_, data, err := conn.ReadMessage()
						if err != nil {
							return
						}
						if !strings.HasPrefix(string(data), fmt.Sprintf("%d ", i)) {
							t.Errorf("got message %.10q, want %d", data, i)
						}
						progress <- i
					}
				}()
			}
			stalled := c.stall(s)
			defer stalled.Close()
			if n := s.Subscribers("board"); n != readers+1 {
				t.Fatalf("%d subscribers", n)
			}
			// Each message must have reached every reader before the next goes
			// out: if the stalled one could hold anything up, this would hang.
			filler := strings.Repeat("x", 16<<10)
			const more = 50
			for i, after := 0, 0; after < more; i++ {
				n := s.publishText("board", fmt.Sprintf("%d %s", i, filler))
				if n == readers {
					after++
				} else if after > 0 || n != readers+1 || i > 4000 {
					t.Fatalf("message %d reached %d clients", i, n)
				}
				for range readers {
					select {
					case got := <-progress:
						if got != i {
							t.Fatalf("message %d arrived, want %d", got, i)
						}
					case <-time.After(patience):
						t.Fatalf("message %d did not reach every reader", i)
					}
				}
			}
			s.log.await(t, EventCut, "WARN client=6 ", "queue full")
			if n := len(s.log.find(EventCut)); n != 1 {
				t.Errorf("%d clients cut", n)
			}
			// Reading again finds an end, of one kind or another.
			_, _ = io.Copy(io.Discard, stalled)
		})
	}
}

func stallSocket(s *service) io.ReadCloser {
	return s.dial("/websocket").NetConn()
}

func stallStream(s *service) io.ReadCloser {
	return s.listen("/websocket").Body
}

// listen opens an event stream.
func (s *service) listen(path string) *http.Response {
	s.t.Helper()
	request, err := http.NewRequest("GET", s.server.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	answer, err := s.server.Client().Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		s.t.Fatalf("GET %s: %s %s", path, answer.Status, bodyOf(s.t, answer))
	}
	return answer
}

func TestSlow_ReaderOfPongsOnlyIsNotSpared(t *testing.T) {
	s := newService(t, Config{QueueBytes: 16 << 10}, Endpoint{Channel: "board"})
	c := s.dial("/websocket")
	pings := []byte(strings.Repeat(string(masked(finBit|opPing, strings.Repeat("p", 125))), 1000))
	_ = c.NetConn().SetWriteDeadline(time.Now().Add(patience))
	for {
		if _, err := c.NetConn().Write(pings); err != nil {
			break // it is cut off, and not kept waiting
		}
	}
	s.log.await(t, EventCut, "queue full")
}

func TestSlow_DeadPeerDoesNotHoldTheWriter(t *testing.T) {
	s := newService(t, Config{PingInterval: 2 * time.Second, QueueBytes: 64 << 20, MaxMessage: 16 << 20}, Endpoint{Channel: "board"})
	c := s.dial("/websocket")
	// More than the kernel takes, less than the queue; and signs of life all the
	// while, so that only the write can time out: the interval is long enough for
	// them to arrive on a busy machine as well.
	s.publish("board", Message{Data: make([]byte, 16<<20)})
	eventually(t, "cut off", func() bool {
		_ = c.WriteMessage(websocket.TextMessage, []byte("alive"))
		return len(s.log.find(EventCut)) == 1
	})
	s.log.await(t, EventCut, "write timed out")
}
