package pusher

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// What a client has sent is published although it has closed behind it, and the
// store takes its time.
func TestInbox_WhatWasSentBeforeTheCloseIsDealtWith(t *testing.T) {
	store := &slowStore{Memory: NewMemory(History{}), append: make(turnstile)}
	s := newServiceOn(t, store, Config{}, Endpoint{Channel: "board", Inbound: InboundPublish})
	for _, leave := range []func(*websocket.Conn){
		func(c *websocket.Conn) {
			_ = c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
			expectClose(t, c, websocket.CloseNormalClosure)
		},
		func(c *websocket.Conn) { c.Close() },
	} {
		sender := s.dial("/websocket")
		for i := range 3 {
			if err := sender.WriteMessage(websocket.TextMessage, fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
		leave(sender)
		eventually(t, "it has left", func() bool {
			clients := s.clock.all()
			if len(clients) != 1 {
				return false
			}
			clients[0].mu.Lock()
			defer clients[0].mu.Unlock()
			return clients[0].state == gone
		})
		for range 3 {
			store.append <- struct{}{}
		}
		s.log.await(t, EventClose)
		eventually(t, "its end", func() bool { return len(s.clock.all()) == 0 })
	}
	head, err := store.Memory.Head(t.Context(), "board")
	if err != nil || head.Count != 6 {
		t.Errorf("%d messages were published, %v", head.Count, err)
	}
	if n := s.retained.Load(); n != 0 {
		t.Errorf("%d bytes are kept", n)
	}
}

func TestInbox_ClientThatIsNotReadIsNotTakenForSilent(t *testing.T) {
	store := &slowStore{Memory: NewMemory(History{}), append: make(turnstile)}
	s := newServiceOn(t, store, Config{PingInterval: brisk}, Endpoint{Channel: "board", Inbound: InboundPublish})
	c := s.dial("/websocket")
	const sent = 20
	filler := strings.Repeat("x", inboxBytes/8)
	for i := range sent {
		if err := c.WriteMessage(websocket.TextMessage, fmt.Append(nil, i, " ", filler)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it is not read", func() bool { return isFull(s.clock.all()[0]) })
	began := s.ticks.Load()
	eventually(t, "the silence is over", func() bool { return s.ticks.Load() > began+2*silence })
	go func() { // ends with the messages, which are awaited
		for range sent {
			store.append <- struct{}{}
		}
	}()
	for i := range sent {
		expect(t, c, websocket.TextMessage, fmt.Sprint(i, " ", filler))
	}
}

func isFull(c *client) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inbox.full()
}

func TestInbox_WhatWaitsIsCountedAndBounded(t *testing.T) {
	store := &slowStore{Memory: NewMemory(History{}), append: make(turnstile)}
	s := newServiceOn(t, store, Config{}, Endpoint{Channel: "board", Inbound: InboundPublish})
	c := s.dial("/websocket")
	// As small as they can be: what they cost is not what they say.
	flood := []byte(strings.Repeat(string(masked(finBit|opBinary, "")), 10_000))
	go func() { _, _ = c.NetConn().Write(flood) }() // ends with c
	eventually(t, "it is not read", func() bool { return len(s.clock.all()) == 1 && isFull(s.clock.all()[0]) })
	if n := s.retained.Load(); n <= inboxBytes || n > 16*int64(len(flood)) {
		t.Errorf("%d bytes are counted", n)
	}
	s.clock.all()[0].cut(ending{reason: "test"})
	eventually(t, "nothing is kept", func() bool { return s.retained.Load() == 0 })
}

func TestInbox_FaultEndsThatClientAlone(t *testing.T) {
	store := &slowStore{Memory: NewMemory(History{}), fault: func(channel string) {
		if channel == "bad" {
			panic("test")
		}
	}}
	s := newServiceOn(t, store, Config{}, Endpoint{Inbound: InboundPublish})
	bad, good := s.dial("/push/bad"), s.dial("/push/good")
	for _, c := range []*websocket.Conn{bad, good} {
		if err := c.WriteMessage(websocket.TextMessage, []byte("hi")); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, good, websocket.TextMessage, "hi")
	if _, _, err := bad.ReadMessage(); err == nil {
		t.Error("the other one got a message")
	}
	s.log.await(t, EventPanic, "channel=bad", "panic=test")
	s.log.await(t, EventClose, "channel=bad", "fault in this program")
}

// A client that stops sending right behind its Close, as some libraries do, gets
// its answer all the same.
func TestSocket_CloseIsAnsweredToWhoStopsSendingBehindIt(t *testing.T) {
	for _, start := range [][]option{nil, {overTLS}} {
		s := newService(t, Config{}, Endpoint{Channel: "board"}, start...)
		for range 50 {
			c := s.dial("/websocket")
			c.SetCloseHandler(func(int, string) error { return nil })
			if _, err := c.NetConn().Write(masked(finBit|opClose, "\x03\xe8")); err != nil {
				t.Fatal(err)
			}
			if err := c.NetConn().(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(patience))
			expectClose(t, c, websocket.CloseNormalClosure)
		}
	}
}

// A store that stands still does not keep clients that have left.
func TestInbox_WhatTakesTooLongIsForgottenWithItsClient(t *testing.T) {
	t.Parallel()
	store := &slowStore{Memory: NewMemory(History{}), append: make(turnstile)}
	s := newServiceOn(t, store, Config{}, Endpoint{Channel: "board", Inbound: InboundPublish})
	c := s.dial("/websocket")
	for range 3 {
		if err := c.WriteMessage(websocket.TextMessage, []byte("hi")); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	s.log.await(t, EventClose, "code=1006")
	eventually(t, "nothing is left", func() bool { return s.active.Load() == 0 && s.retained.Load() == 0 })
	if lost := s.log.find(EventInboundLost); len(lost) != 0 {
		t.Errorf("what was given up is reported as refused: %s", lost)
	}
}
