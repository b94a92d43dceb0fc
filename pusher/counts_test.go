package pusher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// awaitCounts waits until what was counted is as it should be, and gives it.
func (s *service) awaitCounts(what string, is func(Counts) bool) Counts {
	s.t.Helper()
	eventually(s.t, what, func() bool { return is(s.Counts(s.t.Context())) })
	return s.Counts(s.t.Context())
}

// wantEnded waits until so many have ended by a cause, and nobody by another one.
func (s *service) wantEnded(want map[string]uint64) {
	s.t.Helper()
	got := s.awaitCounts("all have gone", func(c Counts) bool { return len(s.clock.all()) == 0 && c.Clients["websocket"] == 0 }).Ended
	maps.DeleteFunc(got, func(_ string, n uint64) bool { return n == 0 })
	if !maps.Equal(got, want) {
		s.t.Errorf("ended by %v, want %v", got, want)
	}
}

func TestCounts_AreZeroAtTheStart(t *testing.T) {
	got := newService(t, Config{}, Endpoint{}).Counts(t.Context())
	for name, c := range map[string]struct {
		got  map[string]uint64
		want []string
	}{
		"ended":     {got.Ended, []string{"answered", "closed", "dismissed", "expired", "other", "shutdown", "silent", "slow", "violation"}},
		"joins":     {got.Joins, []string{"gap", "new", "resumed"}},
		"questions": {got.AppQuestions, []string{"allowed", "failed", "refused"}},
	} {
		if names := slices.Sorted(maps.Keys(c.got)); !slices.Equal(names, c.want) {
			t.Errorf("%s: %q, want %q", name, names, c.want)
		}
		for what, n := range c.got {
			if n != 0 {
				t.Errorf("%s: %d of %s", name, n, what)
			}
		}
	}
	if want := map[string]int{"websocket": 0, "event-stream": 0, "poll": 0}; !maps.Equal(got.Clients, want) || len(got.Refused) > 0 || got.HistoryMessages != 0 {
		t.Errorf("%+v", got)
	}
}

func TestCounts_ClientsByTransportAndChannelsThatTheyHave(t *testing.T) {
	s := newService(t, Config{}, Endpoint{})
	c := s.dial("/push/a?channel=b")
	s.dial("/push/a")
	stream := s.listen("/push/c")
	ctx, leave := context.WithCancel(t.Context())
	poll, _ := http.NewRequestWithContext(ctx, "GET", s.server.URL+"/push/d", nil)
	poll.Header.Set("Prefer", "wait=60")
	go func() { // ends with leave, before the service
		if answer, err := s.server.Client().Do(poll); err == nil {
			answer.Body.Close()
		}
	}()
	t.Cleanup(leave)
	want := map[string]int{"websocket": 2, "event-stream": 1, "poll": 1}
	s.awaitCounts("all are there", func(c Counts) bool { return c.Channels == 4 && maps.Equal(c.Clients, want) })
	c.Close()
	stream.Body.Close()
	leave()
	want = map[string]int{"websocket": 1, "event-stream": 0, "poll": 0}
	s.awaitCounts("all but one have left", func(c Counts) bool { return c.Channels == 1 && maps.Equal(c.Clients, want) })
}

func TestCounts_PublishesAndWhatBecameOfThem(t *testing.T) {
	s := newService(t, Config{MaxMessage: 100}, Endpoint{})
	s.publishText("board", "12345")
	s.call(testKey, "POST", "/channels/board", "67", 200)
	s.call(testKey, "POST", "/publish", `{"channels":["a","b"],"data":"89","id":"once"}`+"\n"+`{"channel":"a","data":"89","id":"once"}`, 200)
	s.call(testKey, "POST", "/channels/board", strings.Repeat("x", 101), 413) // never came to the store
	got := s.Counts(t.Context())
	if got.Publishes != 4 || got.PublishedBytes != 11 || got.Duplicates != 1 || got.PublishFailures != 0 || got.HistoryMessages != 4 {
		t.Errorf("%+v", got)
	}
	if size := got.HistoryBytes; size < 11 || size > 2000 {
		t.Errorf("history of %d bytes", size)
	}
}

func TestCounts_WhatTheStoreDidNotTake(t *testing.T) {
	memory := NewMemory(History{})
	s := newServiceOn(t, memory, Config{}, Endpoint{})
	_ = memory.Close()
	if _, err := s.Publish(t.Context(), "board", Message{Data: []byte("x")}); !errors.Is(err, ErrBrokerClosed) {
		t.Fatal(err)
	}
	if got := s.Counts(t.Context()); got.PublishFailures != 1 || got.Publishes != 0 || got.HistoryMessages != -1 || got.HistoryBytes != -1 {
		t.Errorf("%+v", got)
	}
}

// What is counted is what clients have read, to the byte.
func TestCounts_DeliveriesAreWhatArrives(t *testing.T) {
	s := newService(t, Config{}, Endpoint{})
	const clients, each, size = 5, 20, 100
	var conns []*websocket.Conn
	for i := range clients {
		conns = append(conns, s.dial("/push/board"+strings.Repeat("?channel=other", i%2))) // some have several channels
	}
	text := strings.Repeat("x", size)
	for range each {
		s.publishText("board", text)
	}
	for _, c := range conns {
		for range each {
			expect(t, c, websocket.TextMessage, text)
		}
	}
	stream := s.listen("/push/stream")
	s.publishText("stream", "1")
	lines := linesOf(t, stream)
	id, _ := lines.ReadString('\n')
	event := fmt.Sprintf("%sdata: 1\n\n", id)
	const messages = clients*each + 1
	bytes := uint64(clients*each*(size+2) + len(event))
	got := s.awaitCounts("all are counted", func(c Counts) bool { return c.Deliveries == messages })
	if got.DeliveredBytes != bytes {
		t.Errorf("%d bytes, want %d", got.DeliveredBytes, bytes)
	}
}

func TestCounts_InboundWhateverBecomesOfIt(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	c := s.dial("/websocket")
	for range 3 {
		if err := c.WriteMessage(websocket.TextMessage, []byte("dropped")); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.WriteMessage(websocket.PingMessage, nil) // is no message
	s.awaitCounts("three came", func(c Counts) bool { return c.Inbound == 3 })
}

func TestCounts_QueueBytesOfWhoIsBehind(t *testing.T) {
	s := newService(t, Config{QueueBytes: 64 << 20}, Endpoint{Channel: "board"})
	stalled := s.dial("/websocket")
	for range 40 { // 20 MiB, which no socket takes
		s.publish("board", Message{Data: make([]byte, 512<<10)})
	}
	s.awaitCounts("much is kept", func(c Counts) bool { return c.QueueBytes > 4<<20 })
	stalled.Close()
	s.awaitCounts("nothing is kept", func(c Counts) bool { return c.QueueBytes == 0 })
}

func TestCounts_EndedByCause(t *testing.T) {
	recheck := time.Duration(0)
	for cause, c := range map[string]struct {
		cfg Config
		end func(s *service)
	}{
		causeClosed: {Config{}, func(s *service) {
			c := s.dial("/websocket")
			_ = c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
			expectClose(t, c, 1000)
		}},
		causeAnswered: {Config{}, func(s *service) { s.poll("/websocket", "Prefer", "wait=0") }},
		causeSlow: {Config{}, func(s *service) {
			s.dial("/websocket") // does not read
			for len(s.log.find(EventCut)) == 0 {
				s.publish("board", Message{Data: make([]byte, 512<<10)})
			}
		}},
		causeSilent: {Config{PingInterval: brisk}, func(s *service) {
			c := s.dial("/websocket")
			c.SetPingHandler(func(string) error { return nil }) // no pong
			_, _, _ = c.ReadMessage()
		}},
		causeExpired: {Config{}, func(s *service) { expectClose(t, s.dial("/websocket?expires=1"), closeExpired) }},
		causeDismissed: {Config{}, func(s *service) {
			c := s.dial("/websocket")
			s.call(testKey, "DELETE", "/users/ann", "", 200)
			expectClose(t, c, disconnectedCode)
		}},
		causeViolation: {Config{MaxInbound: 10}, func(s *service) {
			c := s.dial("/websocket")
			_ = c.WriteMessage(websocket.TextMessage, make([]byte, 11))
			expectClose(t, c, websocket.CloseMessageTooBig)
			c.Close()
		}},
		causeShutdown: {Config{}, func(s *service) {
			c := s.dial("/websocket")
			go func() { _ = s.Shutdown(context.Background()) }() // ends with c; the service's end waits for it
			expectClose(t, c, websocket.CloseServiceRestart)
		}},
		causeOther: {Config{}, func(s *service) { expectClose(t, s.dial("/websocket?from=elsewhere.7"), closeGap) }},
	} {
		t.Run(cause, func(t *testing.T) {
			t.Parallel()
			s := newService(t, c.cfg, appEndpoint(t, AppAuth{Path: "/auth", Recheck: &recheck}, "board", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Push-User", "ann")
				if strings.Contains(r.Header.Get("X-Original-Uri"), "expires") {
					w.Header().Set("X-Push-Expires", "1")
				}
			}))
			c.end(s)
			s.wantEnded(map[string]uint64{cause: 1})
		})
	}
}

func TestCounts_RefusedByStatus(t *testing.T) {
	s := newService(t, Config{MaxMessage: 10, MaxClients: 1}, Endpoint{Channel: "board"})
	s.call("wrong", "GET", "/channels", "", 401)
	s.call(testKey, "POST", "/channels/board", "longer than ten", 413)
	s.call(testKey, "PUT", "/publish", "", 405)
	s.call(testKey, "POST", "/publish", "", 200)
	if answer := s.poll("/websocket"); answer.StatusCode != 426 {
		t.Error(answer.Status)
	}
	s.dial("/websocket")
	s.poll("/websocket", "Prefer", "wait=0") // there is no room
	s.listen("/websocket")                   // answered by a stream that ends
	want := map[int]uint64{401: 1, 413: 1, 405: 1, 426: 1, 503: 2}
	if got := s.Counts(t.Context()).Refused; !maps.Equal(got, want) {
		t.Errorf("refused %v, want %v", got, want)
	}
}

func TestCounts_JoinsByHowTheyGoOn(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	at := s.publish("board", Message{Data: []byte("x")}).Position.String()
	s.dial("/websocket")
	s.dial("/websocket?from=" + at)
	s.listen("/websocket?from=" + at)
	s.poll("/websocket?from=elsewhere.7", "Prefer", "wait=0")
	want := map[string]uint64{"new": 1, "resumed": 2, "gap": 1}
	if got := s.Counts(t.Context()).Joins; !maps.Equal(got, want) {
		t.Errorf("joins %v, want %v", got, want)
	}
}

func TestCounts_WhatTheAppSaysOfClients(t *testing.T) {
	s := newService(t, Config{}, appEndpoint(t, AppAuth{Path: "/auth", Cache: time.Hour}, "board", func(w http.ResponseWriter, r *http.Request) {
		switch uri := r.Header.Get("X-Original-Uri"); {
		case strings.Contains(uri, "stranger"):
			w.WriteHeader(http.StatusForbidden)
		case strings.Contains(uri, "broken"):
			w.WriteHeader(http.StatusBadGateway)
		case strings.Contains(uri, "senseless"):
			w.Header().Set("X-Push-Expires", "soon")
		}
	}))
	for range 2 {
		s.dial("/websocket") // the second is not asked about
	}
	for path, status := range map[string]int{"stranger": 403, "broken": 502, "senseless": 502} {
		if _, answer, err := s.tryDial("/websocket?"+path, nil); err == nil || answer.StatusCode != status {
			t.Errorf("%s: %v, %v", path, answer, err)
		}
	}
	got := s.Counts(t.Context())
	if want := map[string]uint64{"allowed": 1, "refused": 1, "failed": 2}; !maps.Equal(got.AppQuestions, want) {
		t.Errorf("asked %v, want %v", got.AppQuestions, want)
	}
	if want := map[int]uint64{403: 1, 502: 2}; !maps.Equal(got.Refused, want) {
		t.Errorf("refused %v, want %v", got.Refused, want)
	}
}

func TestCounts_Webhooks(t *testing.T) {
	a := newHookApp(t, func(w http.ResponseWriter, r told) bool {
		switch {
		case r.event == HookMessage && bytes.Equal(r.body, []byte("bad")):
			w.WriteHeader(http.StatusTeapot)
		case r.event == HookOccupy:
			w.WriteHeader(http.StatusNotFound)
		default:
			return false
		}
		return true
	})
	cfg := a.config()
	cfg.Events = []string{HookConnect, HookMessage, HookOccupy}
	s := newService(t, Config{Webhooks: cfg}, Endpoint{})
	endpoint := endpointOf(t, s.Hub, Endpoint{Channel: "board", Inbound: InboundApp})
	s.server.Config.Handler = endpoint
	runHooks(t, s.hooks)
	c := s.dial("/")
	for _, text := range []string{"good", "bad", "good"} {
		if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	got := s.awaitCounts("all are told", func(c Counts) bool { return c.WebhooksSent+c.WebhooksLost == 5 })
	if got.WebhooksSent != 3 || got.WebhooksLost != 2 || got.WebhooksRetried != 0 {
		t.Errorf("%d sent, %d lost, %d retried", got.WebhooksSent, got.WebhooksLost, got.WebhooksRetried)
	}
}

func TestCounts_WebhooksThatAreSentAgain(t *testing.T) {
	a, log := newHookApp(t, fails(2, 500)), &journal{}
	k := briskHooks(t, a.config(), log)
	k.Connect(aClient("A1"))
	a.await("connect A1")
	eventually(t, "it is counted", func() bool { return k.sent.Load() == 1 })
	if retried, lost := k.retried.Load(), k.lost.Load(); retried != 2 || lost != 0 {
		t.Errorf("%d retried, %d lost", retried, lost)
	}
}

func TestChannelStates_MostClientsFirst(t *testing.T) {
	s := newService(t, Config{}, Endpoint{})
	s.publishText("stored", "x")
	for _, path := range []string{"/push/two", "/push/two", "/push/b.one", "/push/a.one"} {
		s.dial(path)
	}
	at := s.publish("two", Message{Data: []byte("x")}).Position.String()
	all := []ChannelState{
		{Name: "two", Subscribers: 2, Messages: 1, Position: at},
		{Name: "a.one", Subscribers: 1}, {Name: "b.one", Subscribers: 1}, {Name: "stored", Messages: 1},
	}
	for limit, want := range map[int]struct {
		states []ChannelState
		more   bool
	}{-1: {nil, true}, 0: {nil, true}, 3: {all[:3], true}, 4: {all, false}, 1000: {all, false}} {
		got, more, err := s.ChannelStates(t.Context(), limit)
		if err != nil || more != want.more || !slices.Equal(got, want.states) {
			t.Errorf("limit %d: %+v, more %v, %v", limit, got, more, err)
		}
	}
}

func TestChannelStates_FailWithTheStore(t *testing.T) {
	memory := NewMemory(History{})
	s := newServiceOn(t, memory, Config{}, Endpoint{})
	_ = memory.Close()
	if _, _, err := s.ChannelStates(t.Context(), 10); !errors.Is(err, ErrBrokerClosed) {
		t.Errorf("got %v", err)
	}
}
