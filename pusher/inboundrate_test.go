package pusher

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestInboundRate_TooManyMessagesCloseWith1008(t *testing.T) {
	for _, c := range []struct {
		name  string
		frame []byte
	}{
		{"messages", masked(finBit|opText, "hi")},
		{"pings", masked(finBit|opPing, "")},
		{"pongs", masked(finBit|opPong, "")},
	} {
		for _, start := range [][]option{nil, {overTLS}} {
			s := newService(t, Config{InboundRate: 10}, Endpoint{Channel: "board", Inbound: InboundEcho}, start...)
			conn := s.dial("/websocket")
			conn.SetCloseHandler(func(int, string) error { return nil })
			// What ten seconds give may come at once.
			if _, err := conn.NetConn().Write(append(bytes.Repeat(c.frame, 99), masked(finBit|opText, "all of it")...)); err != nil {
				t.Fatal(err)
			}
			for echo := ""; echo != "all of it"; {
				_, data, err := conn.ReadMessage()
				if err != nil {
					t.Fatal(err)
				}
				echo = string(data)
			}
			if _, err := conn.NetConn().Write(bytes.Repeat(c.frame, 1000)); err != nil {
				t.Fatal(err)
			}
			expectClose(t, conn, websocket.ClosePolicyViolation)
			conn.Close()
			s.wantHits(limitInboundRate, 1)
			s.log.await(t, EventClose, "code=1008", "too many messages")
		}
	}
}

// What came in one go because we did not read is not the client's fault.
func TestInboundRate_TimeThatWeDidNotReadIsGivenBack(t *testing.T) {
	hub, err := New(Config{InboundRate: 10}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := hub.newClient(&endpoint{hub: hub}, "", 0)
	v := &conversation{client: c}
	c.inbox = &inbox{credit: 5 * time.Second}
	count := 0
	for v.paced() {
		count++
	}
	if count < 150 || count > 160 { // a slow machine gives more in the meantime
		t.Errorf("%d messages were let through, want 150", count)
	}
	if !v.deaf || c.state != closing {
		t.Error("it is not closed")
	}
	c.info.late.Stop()
}

func TestUnfinished_StalledFramesHoldLittleAndNoGoroutine(t *testing.T) {
	s := newService(t, Config{PingInterval: time.Hour}, Endpoint{Channel: "board"})
	s.dial("/websocket") // starts what all share
	const clients = 50
	conns := make([]*websocket.Conn, clients)
	for i := range conns {
		conns[i] = s.dial("/websocket")
	}
	eventually(t, "all stand", func() bool { return s.Subscribers("board") == clients+1 })
	before := runtime.NumGoroutine()
	frame := masked(finBit|opText, strings.Repeat("x", 60<<10))
	for _, c := range conns {
		// The head announces all of it.
		if _, err := c.NetConn().Write(frame[:1000]); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all is read", func() bool { return s.retained.Load() >= clients*900 })
	if n := s.retained.Load(); n > clients*(2000+partialBytes) {
		t.Errorf("%d bytes are kept for each", n/clients)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, before %d", n, before)
	}
	conns[0].Close()
	for _, c := range conns[1:] { // dripping, and then the rest
		for i := range 10 {
			if _, err := c.NetConn().Write(frame[1000+i : 1001+i]); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.NetConn().Write(frame[1010:]); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "nothing is kept", func() bool { return s.retained.Load() == 0 })
	s.publishText("board", "one")
	for _, c := range conns[1:] {
		expect(t, c, websocket.TextMessage, "one")
	}
}

func TestUnfinished_IsBoundedByQueueTotal(t *testing.T) {
	for _, start := range [][]option{nil, {overTLS}} {
		s := newService(t, Config{}, Endpoint{Channel: "board"}, start...)
		s.ceiling(256 << 10)
		frame := masked(finBit|opText, strings.Repeat("x", 64<<10))
		honest := s.dial("/websocket")
		for range 20 {
			_, _ = s.dial("/websocket").NetConn().Write(frame[:60<<10]) // it may be cut off within
		}
		eventually(t, "some are cut off", func() bool { return s.LimitHits()[limitQueueTotal] > 0 && s.retained.Load() <= s.cfg.QueueTotal })
		s.publishText("board", "one")
		expect(t, honest, websocket.TextMessage, "one")
	}
}
