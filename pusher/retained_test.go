package pusher

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/gorilla/websocket"
)

// ceiling lowers queue_total below what Validate admits, so that tests need not
// fill much memory.
func (s *service) ceiling(bytes int64) { s.cfg.QueueTotal = bytes }

func TestRetained_ChainsOfWhoComesBackHaveACeiling(t *testing.T) {
	s := newService(t, Config{History: History{Bytes: 64 << 20}}, Endpoint{Channel: "board"})
	from := s.publish("board", Message{Text: true, Data: []byte("seen")}).Position
	filler := make([]byte, 512<<10)
	for range 40 { // 20 MiB, which no socket takes
		s.publish("board", Message{Data: filler})
	}
	s.ceiling(50 << 20)
	var back []*websocket.Conn
	for range 10 {
		c, answer, err := s.tryDial("/websocket?from="+from.String(), nil)
		if err == nil {
			back = append(back, c)
			continue
		}
		if answer == nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
			t.Fatalf("refused by %v %v", answer, err)
		}
		break
	}
	if n := len(back); n == 0 || n == 10 {
		t.Fatalf("%d were let in", n)
	}
	if n := s.retained.Load(); n > 80<<20 {
		t.Errorf("%d MiB are kept", n>>20)
	}
	// One that reads gets everything, and makes room.
	for range 40 {
		if _, data, err := back[0].ReadMessage(); err != nil || len(data) != len(filler) {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
	}
	for _, c := range back {
		c.Close()
	}
	eventually(t, "nothing is kept", func() bool { return s.retained.Load() == 0 })
	s.dial("/websocket?from=" + from.String())
}

func TestRetained_OneAloneMayReadMoreThanAll(t *testing.T) {
	s := newService(t, Config{History: History{Bytes: 64 << 20}}, Endpoint{Channel: "board"})
	from := s.publish("board", Message{Text: true, Data: []byte("seen")}).Position
	for range 20 {
		s.publish("board", Message{Data: make([]byte, 512<<10)})
	}
	s.ceiling(4 << 20)
	c := s.dial("/websocket?from=" + from.String())
	for range 20 {
		if _, _, err := c.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "nothing is kept", func() bool { return s.retained.Load() == 0 })
}

func TestRetained_WhatALineHasNotWrittenCountsOnce(t *testing.T) {
	for _, over := range []struct {
		name  string
		dial  func(*service)
		start []option
	}{
		{"websocket", func(s *service) { s.dial("/websocket") }, nil},
		{"websocket that is not polled", func(s *service) { s.dial("/websocket") }, []option{overTLS}},
		{"event stream", func(s *service) { s.listen("/websocket") }, nil},
	} {
		t.Run(over.name, func(t *testing.T) {
			const size, each = 16 << 20, 5
			s := newService(t, Config{QueueBytes: 64 << 20, MaxMessage: size, History: History{Bytes: 1}}, Endpoint{Channel: "board"}, over.start...)
			deliverers := len(s.deliverers) // each has a block of its own
			for range each * deliverers {
				over.dial(s)
			}
			// Who still has its greeting to write gets the message in a round of its own,
			// and a block of its own with it.
			waiting := func(c *client) bool { return !c.busy && !c.held && len(c.control) == 0 }
			eventually(t, "all wait", func() bool { return count(s, waiting) == each*deliverers })
			s.publishText("board", strings.Repeat("x", size))
			eventually(t, "all are busy", func() bool { return count(s, func(c *client) bool { return c.busy }) == each*deliverers })
			// A round that begins while the message is being published may reach only
			// some of a deliverer's clients; the others share the next one's, and the
			// channel counts it for them as well. On a busy machine there may be one more.
			if n := s.retained.Load(); n < size || n > 4*int64(deliverers)*size+size/2 {
				t.Errorf("%d bytes are kept, want at most four times %d for each of %d", n, size, deliverers)
			}
			for _, c := range s.clock.all() {
				c.cut(ending{reason: "test"})
			}
			eventually(t, "nothing is kept", func() bool { return s.retained.Load() == 0 })
		})
	}
}

// The account of a channel is closed when the last one has caught up, and not
// when the next message is published.
func TestRetained_NothingIsCountedForWhoHasCaughtUp(t *testing.T) {
	s := newService(t, Config{MaxMessage: 16 << 20, QueueBytes: 64 << 20}, Endpoint{Channel: "board"})
	c := s.dial("/websocket")
	for range 3 {
		s.publish("board", Message{Data: make([]byte, 8<<20)})
	}
	eventually(t, "some of it waits", func() bool { return s.clock.all()[0].subs[0].shard.retained.Load() > 0 })
	for range 3 {
		if _, _, err := c.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "nothing is kept", func() bool { return s.retained.Load() == 0 })
}

// Who has little waiting is not cut off for what others hold.
func TestRetained_WhoHasHisShareIsSpared(t *testing.T) {
	const size = 16 << 20
	s := newService(t, Config{QueueBytes: 64 << 20, MaxMessage: size}, Endpoint{Channel: "board"})
	s.ceiling(20 << 20)
	held := int64(100 << 20)
	s.retained.Add(held)
	c := s.dial("/websocket")
	s.publish("board", Message{Data: make([]byte, size)}) // more than the socket takes
	eventually(t, "it is busy", func() bool {
		c := s.clock.all()[0]
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.busy
	})
	for i := range 10 {
		s.publishText("board", fmt.Sprint(i))
	}
	if _, data, err := c.ReadMessage(); err != nil || len(data) != size {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	for i := range 10 {
		expect(t, c, websocket.TextMessage, fmt.Sprint(i))
	}
	s.retained.Add(-held)
}

func TestRetained_PongsOfAllHaveACeiling(t *testing.T) {
	s := newService(t, Config{QueueBytes: 256 << 20, InboundRate: 1e9}, Endpoint{Channel: "board"})
	s.ceiling(1 << 20)
	c := s.dial("/websocket")
	pings := []byte(strings.Repeat(string(masked(finBit|opPing, strings.Repeat("p", 125))), 1000))
	_ = c.NetConn().SetWriteDeadline(time.Now().Add(patience))
	for sent := 0; ; sent += len(pings) {
		_, err := c.NetConn().Write(pings)
		if errors.Is(err, os.ErrDeadlineExceeded) || sent > 64<<20 {
			t.Fatal("it was not cut off")
		} else if err != nil {
			break
		}
	}
	s.log.await(t, EventCut, "queue full")
	eventually(t, "nothing is kept", func() bool { return s.retained.Load() == 0 })
}

// A client that is gone is not kept by the timer that would have ended it.
func TestClient_IsForgottenWhenItHasClosed(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	c := s.dial("/websocket")
	gone := weak.Make(s.clock.all()[0])
	_ = c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
	began := time.Now()
	expectClose(t, c, websocket.CloseNormalClosure)
	eventually(t, "it is forgotten", func() bool { runtime.GC(); return gone.Value() == nil })
	if time.Since(began) >= closeTimeout {
		t.Error("something has held on to it until closing would have taken too long")
	}
}

// wedge cuts all clients off when a handler is about to answer.
type wedge struct {
	http.ResponseWriter
	cut func()
}

func (w *wedge) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w *wedge) Header() http.Header         { w.cut(); return w.ResponseWriter.Header() }
func (w *wedge) Write(b []byte) (int, error) { return w.ResponseWriter.Write(b) }

func TestClient_CutBeforeItHasStartedEnds(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	inner := s.server.Config.Handler
	s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(&wedge{w, func() {
			for _, c := range s.clock.all() {
				c.cut(ending{reason: "test"})
			}
		}}, r)
	})
	request, _ := http.NewRequestWithContext(t.Context(), "GET", s.server.URL+"/websocket", nil)
	request.Header.Set("Accept", "text/event-stream")
	ended := make(chan error, 1)
	go func() { // ends with the answer, which the test's context ends
		answer, err := s.server.Client().Do(request)
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		ended <- err
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the stream goes on")
	}
	eventually(t, "it has left", func() bool { return s.Subscribers("board") == 0 })
}

// Between joining and the end of the handshake nothing is written, but what is
// published is kept.
func TestClient_ThatHasNotStartedIsSlowAsWell(t *testing.T) {
	s := newService(t, Config{QueueBytes: 1 << 20}, Endpoint{Channel: "board"})
	e := endpointOf(t, s.Hub, Endpoint{Channel: "board"}).(*endpoint)
	if s.enter("test") != nil {
		t.Fatal("shut down")
	}
	c := s.newClient(e, "test", formToken)
	if _, _, err := s.join(t.Context(), c, []string{"board"}, start{}); err != nil {
		t.Fatal(err)
	}
	for i := 0; len(s.log.find(EventCut)) == 0; i++ {
		if i > 100 {
			t.Fatalf("%d bytes are kept", s.retained.Load())
		}
		s.publish("board", Message{Data: make([]byte, 256<<10)})
		eventually(t, "the deliverer has seen it", func() bool { return s.retained.Load() > 0 || len(s.log.find(EventCut)) > 0 })
	}
	eventually(t, "it has left", func() bool { return s.Subscribers("board") == 0 && s.retained.Load() == 0 })
}

func TestSlow_SkipOfSeveralChannelsHasOnePosition(t *testing.T) {
	s := newService(t, Config{QueueBytes: 64 << 10, MaxMessage: 16 << 10, Slow: SlowSkip}, Endpoint{})
	l := s.resuming(t, "/push/a?channel=b")
	l.is(l.connect(), "new")
	filler := strings.Repeat("x", 15<<10)
	skipped := func() bool {
		c := s.clock.all()[0]
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.control) > 0
	}
	for i := 0; !skipped(); i++ {
		s.publishText("a", fmt.Sprint("a", i, " ", filler))
		if i%8 == 0 {
			s.publishText("b", fmt.Sprint("b", i))
		}
	}
	s.publishText("b", "the end")
	var at uint64
	for payload := ""; payload != "the end"; {
		_, data, err := l.conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		var token string
		head := string(data[:min(len(data), 40)])
		if token, payload, _ = strings.Cut(head, "\n"); strings.HasSuffix(head, " gap") {
			token = strings.TrimSuffix(head, " gap")
		}
		p, ok := ParsePosition(token)
		if !ok || p.Seq <= at {
			t.Fatalf("%.40q behind position %d", head, at)
		}
		at = p.Seq
	}
}

// count is the number of clients that are so.
func count(s *service, is func(*client) bool) (n int) {
	for _, c := range s.clock.all() {
		c.mu.Lock()
		if is(c) {
			n++
		}
		c.mu.Unlock()
	}
	return n
}
