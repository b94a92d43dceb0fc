package pusher

import (
	"bytes"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

func TestLimitHits_EveryLimitIsThereFromTheStart(t *testing.T) {
	hub, err := New(Config{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(hub.LimitHits()))
	// Those that a Config and an Endpoint have, by their keys, and of what is in these
	// the ones that things wait within.
	var want []string
	for _, of := range []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[Endpoint]()} {
		for i := range of.NumField() {
			f := of.Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if k := f.Type.Kind(); key != "-" && (k == reflect.Int || k == reflect.Int64 && key != "ping_interval") {
				want = append(want, key)
			}
		}
	}
	want = append(want, "webhooks.queue", "webhooks.queue_bytes")
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("limits %q, want %q", got, want)
	}
}

func TestLimitHits_OneLineInTenSecondsTellsHowMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		hits := newLimitHits(slog.New(log))
		for range 5 {
			hits.add(limitQueue)
		}
		hits.add(limitMessage)
		time.Sleep(limitInterval)
		hits.add(limitQueue)
		want := []string{"WARN limit=queue count=1", "WARN limit=max_message count=1", "WARN limit=queue count=5"}
		if got := log.find(EventLimitReached); !slices.Equal(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
	})
}

// wantHits waits until a limit was reached so often.
func (s *service) wantHits(limit string, want uint64) {
	s.t.Helper()
	eventually(s.t, "limit "+limit+" is counted", func() bool { return s.LimitHits()[limit] >= want })
	if got := s.LimitHits()[limit]; got != want {
		s.t.Errorf("limit %s was reached %d times, want %d", limit, got, want)
	}
	s.log.await(s.t, EventLimitReached, "limit="+limit+" ")
}

func TestLimitHits_ExistingLimitsAreCounted(t *testing.T) {
	for _, c := range []struct {
		limit string
		cfg   Config
		reach func(s *service)
	}{
		{limitMessage, Config{MaxMessage: 10}, func(s *service) {
			if answer := s.post("/channels/board", strings.Repeat("x", 11)); answer.StatusCode != 413 {
				s.t.Errorf("answer %d", answer.StatusCode)
			}
		}},
		{limitInbound, Config{MaxInbound: 10}, func(s *service) {
			c := s.dial("/websocket")
			_ = c.WriteMessage(websocket.TextMessage, bytes.Repeat([]byte("x"), 11))
			expectClose(s.t, c, websocket.CloseMessageTooBig)
		}},
		{limitChannels, Config{}, func(s *service) {
			if _, answer, err := s.tryDial("/push/a?channel=b&channel=c", nil); err == nil || answer.StatusCode != 400 {
				s.t.Errorf("answer %v, %v", answer, err)
			}
		}},
		{limitReplayMessages, Config{ReplayMessages: 2}, (*service).missTooMuch},
		{limitReplayBytes, Config{ReplayBytes: 2}, (*service).missTooMuch},
		{limitQueue, Config{}, func(s *service) {
			s.dial("/websocket") // does not read
			for len(s.log.find(EventCut)) == 0 {
				s.publish("board", Message{Data: make([]byte, 512<<10)})
			}
		}},
		{limitQueueTotal, Config{QueueBytes: 64 << 20, QueueTotal: 64 << 20}, func(s *service) {
			s.ceiling(1 << 20)
			s.dial("/websocket") // does not read
			for len(s.log.find(EventCut)) == 0 {
				s.publish("board", Message{Data: make([]byte, 512<<10)})
			}
		}},
	} {
		t.Run(c.limit, func(t *testing.T) {
			s := newService(t, c.cfg, Endpoint{Channel: "board", MaxChannels: 2})
			c.reach(s)
			s.wantHits(c.limit, 1)
		})
	}
}

// missTooMuch comes back for three messages that no window has any more.
func (s *service) missTooMuch() {
	from := s.publish("board", Message{Data: []byte("x")}).Position
	for range 3 {
		s.publish("board", Message{Data: []byte("x")})
	}
	c := s.dial("/websocket?from=" + from.String())
	expectClose(s.t, c, closeGap)
}
