package pusher

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// fill queues what cannot be told, as the Hooks do not run yet.
func fill(t *testing.T, cfg Webhooks, log *journal, events ...string) *Hooks {
	t.Helper()
	k, err := NewHooks(cfg, nil, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events {
		kind, id, _ := strings.Cut(event, " ")
		switch kind {
		case HookConnect:
			k.Connect(aClient(id))
		case HookDisconnect:
			k.Disconnect(aClient(id), 1000, "")
		case HookOccupy:
			k.Occupied(id)
		}
	}
	return k
}

func TestHookQueue_FullQueueDropsTheOldestAndDisconnectsLast(t *testing.T) {
	for _, c := range []struct {
		queue, told []string
		lost        map[string]int
	}{
		{[]string{"connect A", "connect B", "connect C", "connect D"}, []string{"connect B", "connect C", "connect D"}, map[string]int{"connect": 1}},
		{[]string{"disconnect A", "connect B", "occupy C", "disconnect D"}, []string{"disconnect A", "occupy C", "disconnect D"}, map[string]int{"connect": 1}},
		{[]string{"disconnect A", "occupy B", "disconnect C", "disconnect D", "disconnect E"},
			[]string{"disconnect C", "disconnect D", "disconnect E"}, map[string]int{"occupy": 1, "disconnect": 1}},
		{[]string{"disconnect A", "disconnect B", "disconnect C", "connect D"},
			[]string{"disconnect A", "disconnect B", "disconnect C"}, map[string]int{"connect": 1}},
	} {
		a, log := newHookApp(t, nil), &journal{}
		cfg := a.config()
		cfg.Queue = 3
		k := fill(t, cfg, log, c.queue...)
		runHooks(t, k)
		want := slices.Sorted(slices.Values(c.told))
		eventually(t, fmt.Sprintf("of %q are told %q", c.queue, want), func() bool {
			return slices.Equal(slices.Sorted(slices.Values(a.has())), want)
		})
		lost := log.find(EventHookLost)
		for kind, n := range c.lost {
			if !slices.ContainsFunc(lost, func(line string) bool {
				return strings.Contains(line, fmt.Sprintf("event=%s cause=queue full count=%d", kind, n))
			}) {
				t.Errorf("of %q logged %q, want %d of %s", c.queue, lost, n, kind)
			}
		}
	}
}

func TestHookQueue_BytesAreALimitToo(t *testing.T) {
	a, log := newHookApp(t, nil), &journal{}
	cfg := a.config()
	cfg.QueueBytes = 100 << 10
	k := fill(t, cfg, log)
	long := aClient("long")
	long.User = strings.Repeat("x", 60<<10)
	k.Connect(long)
	for i := range 1000 {
		k.Connect(aClient(fmt.Sprint("C", i)))
		if k.queue.bytes > cfg.QueueBytes {
			t.Fatalf("%d bytes in the queue", k.queue.bytes)
		}
	}
	k.Connect(long)
	n := k.queue.left()
	long.User += long.User
	k.Disconnect(long, 1000, "") // fits no more than a connect of that length
	if k.queue.left() != 0 || n < 20 {
		t.Errorf("%d events, then %d", n, k.queue.left())
	}
	if lost := log.find(EventHookLost); len(lost) != 2 || !strings.Contains(lost[0], "event=connect cause=queue full count=1") {
		t.Errorf("logged %q, want one line of each kind for now", lost)
	}
	k.tally.flush(true)
	if lost := log.find(EventHookLost); len(lost) != 3 {
		t.Errorf("logged %q in the end", lost)
	}
}

func TestHookQueue_ClientsDoNotWaitForAnAppThatStalls(t *testing.T) {
	stalled := make(chan struct{})
	a := newHookApp(t, func(http.ResponseWriter, told) bool { <-stalled; return false })
	cfg := a.config()
	cfg.Queue, cfg.Timeout = 100, patience
	log := &journal{}
	k := newHooks(t, cfg, NewMemory(History{}).KV(), log)
	for i := range 10_000 { // would take hours
		c := aClient(fmt.Sprint("C", i))
		k.Connect(c)
		k.Disconnect(c, 1000, "")
	}
	if n := k.queue.left(); n > cfg.Queue {
		t.Errorf("%d events in the queue", n)
	}
	close(stalled)
	if err := shutHooks(t, k); err != nil {
		t.Error(err)
	}
	k.queue.mu.Lock()
	defer k.queue.mu.Unlock()
	if q := k.queue; q.count != 0 || q.bytes != 0 || len(q.lanes) != 0 || q.minor.Len() != 0 || q.major.Len() != 0 || q.active != 0 {
		t.Errorf("left in the queue: %d events, %d bytes, %d lanes, %d and %d places, %d workers",
			q.count, q.bytes, len(q.lanes), q.minor.Len(), q.major.Len(), q.active)
	}
}

func TestHookQueue_QuestionsPassALongQueueOfEvents(t *testing.T) {
	const events = 500
	first := make(chan struct{})
	a := newHookApp(t, func(http.ResponseWriter, told) bool { <-first; return false })
	cfg := a.config()
	cfg.Concurrency, cfg.Timeout = 1, patience
	k := newHooks(t, cfg, nil, &journal{})
	for i := range events {
		k.Connect(aClient(fmt.Sprint("C", i)))
	}
	eventually(t, "one event is being told", func() bool {
		k.queue.mu.Lock()
		defer k.queue.mu.Unlock()
		return len(k.queue.ready[0]) == events-1
	})
	answered := make(chan error, 1)
	go func() {
		_, err := k.Message(t.Context(), aClient("A1"), true, []byte("hi"))
		answered <- err
	}()
	eventually(t, "the question is queued", func() bool {
		k.queue.mu.Lock()
		defer k.queue.mu.Unlock()
		return len(k.queue.ready[1]) == 1
	})
	close(first)
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if before := slices.Index(a.asked(), "message"); before > 3 {
		t.Errorf("%d events were told before", before)
	}
}

func TestHookQueue_WhatGivesWayIsALimitReached(t *testing.T) {
	for limit, c := range map[string]struct{ count, bytes int64 }{
		limitHookQueue: {2, 1 << 20},
		limitHookBytes: {100, 2 << 10},
	} {
		cfg := newHookApp(t, nil).config()
		cfg.Queue, cfg.QueueBytes = int(c.count), c.bytes
		hub, err := New(Config{Webhooks: cfg}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			hub.hooks.Connect(aClient(fmt.Sprint(i))) // waits: nobody runs the hub
		}
		for name, n := range hub.LimitHits() {
			if (n > 0) != (name == limit) {
				t.Errorf("%s: %s was reached %d times", limit, name, n)
			}
		}
		if lost := hub.Counts(t.Context()).WebhooksLost; lost != hub.LimitHits()[limit] {
			t.Errorf("%s: %d lost, %d hits", limit, lost, hub.LimitHits()[limit])
		}
	}
}
