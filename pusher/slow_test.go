package pusher

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
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
	s := newService(t, Config{QueueBytes: 16 << 10, InboundRate: 1e9}, Endpoint{Channel: "board"})
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
	s := newService(t, Config{PingInterval: 2 * time.Second, QueueBytes: 64 << 20, MaxMessage: 16 << 20, InboundRate: 1e9}, Endpoint{Channel: "board"})
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

// rawGet sends a request whose answer nobody reads.
func (s *service) rawGet(path, field string) net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n\r\n", path, field); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// An event stream, or a poll, that takes nothing of a message for two
// PingIntervals is cut off, and counts as a client until then.
func TestSlow_StreamThatDoesNotReadIsCutAfterAWhile(t *testing.T) {
	big := Config{PingInterval: brisk, QueueBytes: 64 << 20, MaxMessage: 32 << 20}
	s := newService(t, big, Endpoint{Channel: "board"})
	s.rawGet("/websocket", "Accept: text/event-stream")
	eventually(t, "it is there", func() bool { return s.Subscribers("board") == 1 })
	s.publish("board", Message{Text: true, Data: make([]byte, 32<<20)})
	s.log.await(t, EventCut, "write timed out")
	eventually(t, "it has left", func() bool { return s.active.Load() == 0 && s.retained.Load() == 0 })

	s = newService(t, big, Endpoint{Channel: "board"})
	s.publish("board", Message{Text: true, Data: make([]byte, 32<<20)})
	s.rawGet("/websocket?last=1", "Prefer: wait=1")
	s.log.await(t, EventClose, "answered")
	if n, kept := s.active.Load(), s.retained.Load(); n == 0 || kept < 32<<20 {
		t.Errorf("a poll that is being answered is %d clients and %d bytes", n, kept)
	}
	eventually(t, "it is given up", func() bool { return s.active.Load() == 0 && s.retained.Load() == 0 })
}

// 200 MB for a client that does not read cost what may wait for it, and no more:
// neither while it is there, nor by what it leaves behind.
func TestSlow_FloodGrowsMemoryByTheQueueAtMost(t *testing.T) {
	const flood, size = 200 << 20, 64 << 10
	for _, c := range []struct {
		name, path, fields string
		slow               Slow
	}{
		{"websocket", "/websocket", upgradeFields, SlowCut},
		{"websocket that skips", "/websocket", upgradeFields, SlowSkip},
		{"event stream", "/websocket", "Accept: text/event-stream", SlowCut},
		{"event stream that skips", "/websocket", "Accept: text/event-stream", SlowSkip},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t, Config{Slow: c.slow, History: History{Messages: 1, Bytes: 1}}, Endpoint{Channel: "board"})
			conn := s.rawGet(c.path, c.fields)
			eventually(t, "it is there", func() bool { return s.Subscribers("board") == 1 })
			data := []byte(strings.Repeat("x", size))
			for range 2 * windowBytes / size { // the window is full from here on
				s.publish("board", Message{Text: true, Data: data})
			}
			before := heapInUse()
			worst := int64(0)
			for sent := 0; sent < flood; sent += size {
				s.publish("board", Message{Text: true, Data: data})
				if sent%(4<<20) == 0 {
					worst = max(worst, heapInUse()-before)
				}
			}
			t.Logf("grew by %d KiB at most", worst>>10)
			if most := s.cfg.QueueBytes + 1<<20; worst > most {
				t.Errorf("memory grew by %d bytes, want %d at most", worst, most)
			}
			if c.slow == SlowCut {
				s.log.await(t, EventCut, "queue full")
			} else if s.Subscribers("board") != 1 {
				t.Error("it was cut off")
			}
			conn.Close()
		})
	}
}

const upgradeFields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="

// heapInUse is what is in use once what is garbage has been collected.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
