package pusher

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// briskHooks try again after a moment.
func briskHooks(t *testing.T, cfg Webhooks, log *journal) *Hooks {
	t.Helper()
	k, err := NewHooks(cfg, NewMemory(History{}).KV(), slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	k.firstPause = 2 * time.Millisecond
	runHooks(t, k)
	return k
}

// fails answers the first n requests with status.
func fails(n int64, status int) func(http.ResponseWriter, told) bool {
	var count atomic.Int64
	return func(w http.ResponseWriter, _ told) bool {
		if count.Add(1) > n {
			return false
		}
		w.Header().Set("Location", "/elsewhere") // of interest with 301 alone
		w.WriteHeader(status)
		return true
	}
}

func TestHooks_WhatFailsIsToldAgainInOrder(t *testing.T) {
	for name, reply := range map[string]func(http.ResponseWriter, told) bool{
		"503": fails(3, 503),
		"429": fails(3, 429),
		"cut": func() func(http.ResponseWriter, told) bool {
			var count atomic.Int64
			return func(http.ResponseWriter, told) bool {
				if count.Add(1) <= 3 {
					panic(http.ErrAbortHandler)
				}
				return false
			}
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			a, log := newHookApp(t, reply), &journal{}
			k := briskHooks(t, a.config(), log)
			k.Connect(aClient("A1"))
			k.Disconnect(aClient("A1"), 1000, "")
			a.await("connect A1", "disconnect A1")
			first := a.tried[0]
			for _, r := range a.tried[:3] {
				if r.id != first.id || string(r.body) != string(first.body) {
					t.Errorf("told again as %s %s, first as %s %s", r.id, r.body, first.id, first.body)
				}
			}
			log.await(t, EventHookRetry, "event=connect", "cause=failed", "count=1")
			if lost := log.find(EventHookLost); lost != nil {
				t.Errorf("lost: %q", lost)
			}
		})
	}
}

func TestHooks_WhatIsRefusedIsLoggedAndNotToldAgain(t *testing.T) {
	for status, want := range map[int]string{
		404: "the app answered 404 Not Found",
		403: "the app answered 403 Forbidden",
		301: "another address, which is not followed; write the final one in url",
	} {
		a, log := newHookApp(t, fails(1, status)), &journal{}
		kv := NewMemory(History{}).KV()
		cfg := a.config()
		cfg.Events = []string{HookDisconnect}
		k := newHooks(t, cfg, kv, log)
		k.Connect(aClient("A1"))
		k.Disconnect(aClient("A1"), 1000, "")
		log.await(t, EventHookLost, "event=disconnect", "cause=refused", "count=1", want)
		k.Disconnect(aClient("A2"), 1000, "")
		a.await("disconnect A2")
		if err := shutHooks(t, k); err != nil {
			t.Error(err)
		}
		if left, err := kv.Keys(t.Context(), "conn/"); len(left) > 0 || err != nil {
			t.Errorf("%d: records %q, %v", status, left, err)
		}
	}
}

func TestHooks_GiveUpAfterRetryFor(t *testing.T) {
	a, log := newHookApp(t, func(w http.ResponseWriter, r told) bool {
		if r.Client.ID == "A1" {
			w.WriteHeader(500)
			return true
		}
		return false
	}), &journal{}
	cfg := a.config()
	cfg.RetryFor = 50 * time.Millisecond
	k := briskHooks(t, cfg, log)
	k.Connect(aClient("A1"))
	k.Connect(aClient("A2"))
	log.await(t, EventHookLost, "event=connect", `cause=retried for long enough`, "count=1", "the app answered 500")
	a.await("connect A2")
	if n := len(a.asked()); n < 4 {
		t.Errorf("%d requests, want several for A1 and one for A2", n)
	}
}

func TestHooks_AStalledAppIsTriedAgain(t *testing.T) {
	stalled := make(chan struct{})
	var count atomic.Int64
	a := newHookApp(t, func(http.ResponseWriter, told) bool {
		first := count.Add(1) == 1
		if first {
			<-stalled
		}
		return first
	})
	t.Cleanup(func() { close(stalled) }) // before the server's end, which waits
	log := &journal{}
	cfg := a.config()
	cfg.Timeout = 50 * time.Millisecond
	k := briskHooks(t, cfg, log)
	k.Connect(aClient("A1"))
	log.await(t, EventHookRetry, "cause=failed", "deadline exceeded")
	a.await("connect A1")
}

func TestHooks_RetryAfterIsHeeded(t *testing.T) {
	var first time.Time
	a := newHookApp(t, func(w http.ResponseWriter, _ told) bool {
		if !first.IsZero() {
			return false
		}
		first = time.Now()
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(429)
		return true
	})
	k := briskHooks(t, a.config(), &journal{})
	k.Connect(aClient("A1"))
	a.await("connect A1")
	if waited := time.Since(first); waited < time.Second {
		t.Errorf("told again after %s", waited)
	}
}

func TestHooks_AnIdleConnectionThatTheAppClosesIsNoFailure(t *testing.T) {
	a, log := newHookApp(t, nil), &journal{}
	k := briskHooks(t, a.config(), log)
	for i := range 20 {
		c := aClient(fmt.Sprint("A", i))
		k.Connect(c)
		eventually(t, "told", func() bool { return k.sent.Load() == uint64(2*i+1) }) // the answer has been read
		a.server.CloseClientConnections()
		if _, err := k.Message(t.Context(), c, true, []byte("hi")); err != nil {
			t.Fatal(err)
		}
	}
	if retried := log.find(EventHookRetry); retried != nil {
		t.Errorf("logged %q", retried)
	}
}

func TestHooks_OrderPerConnectionWithRandomFailures(t *testing.T) {
	const clients, each, changes = 100, 50, 10
	a, log := newHookApp(t, func(w http.ResponseWriter, r told) bool {
		switch n := rand.N(100); {
		case r.event == HookMessage: // is asked once
		case n < 10:
			w.WriteHeader(503)
			return true
		case n < 15:
			panic(http.ErrAbortHandler)
		case n < 20:
			w.WriteHeader(429)
			return true
		}
		return false
	}), &journal{}
	cfg := a.config()
	cfg.Timeout = patience
	k := briskHooks(t, cfg, log)
	a.secret = func() string { return string(k.secret) }
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c := aClient(fmt.Sprint("C", i))
			k.Connect(c)
			for n := range each - 2 {
				if _, err := k.Message(t.Context(), c, true, fmt.Append(nil, n)); err != nil {
					t.Error(err)
				}
			}
			k.Disconnect(c, 1000, "")
			// Channels come and go meanwhile.
			for range changes / 2 {
				k.mu.Lock()
				k.tellChannel(HookOccupy, c.ID)
				k.tellChannel(HookVacate, c.ID)
				k.mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := shutHooks(t, k); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, r := range a.taken {
		name := r.Channel
		switch {
		case r.Client != nil:
			name = "client " + r.Client.ID
		case r.event == HookMessage:
			name = "client " + r.header.Get("X-Push-Client")
		}
		got[name] = append(got[name], r.event+" "+string(r.body))
	}
	for i := range clients {
		id := fmt.Sprint("C", i)
		mine := got["client "+id]
		if len(mine) != each || !strings.HasPrefix(mine[0], "connect") || !strings.HasPrefix(mine[each-1], "disconnect") {
			t.Fatalf("%s: %d events, %q", id, len(mine), mine)
		}
		for n, line := range mine[1 : each-1] {
			if line != fmt.Sprint("message ", n) {
				t.Errorf("%s: %q at %d", id, line, n)
			}
		}
		for n, line := range got[id] {
			if want := []string{HookOccupy, HookVacate}[n%2]; !strings.HasPrefix(line, want) {
				t.Errorf("%s: %s at %d", id, line, n)
			}
		}
		if n := len(got[id]); n != changes {
			t.Errorf("%s: %d events of the channel", id, n)
		}
	}
	if lost := log.find(EventHookLost); lost != nil {
		t.Errorf("lost: %q", lost)
	}
}

func TestHooks_OneThingAtATimePerClient(t *testing.T) {
	first := make(chan struct{})
	a := newHookApp(t, func(_ http.ResponseWriter, r told) bool {
		if r.id == "A1.connect" {
			<-first
		}
		return false
	})
	cfg := a.config()
	cfg.Timeout = patience
	k := briskHooks(t, cfg, &journal{})
	k.Connect(aClient("A1"))
	eventually(t, "connect A1 is under way", func() bool { return len(a.asked()) == 1 })
	k.Disconnect(aClient("A1"), 1000, "")
	for _, id := range []string{"A2", "A3"} {
		k.Connect(aClient(id))
		eventually(t, "others are told", func() bool { return slices.Contains(a.has(), "connect "+id) })
	}
	if asked := a.asked(); len(asked) != 3 {
		t.Errorf("asked %q", asked)
	}
	close(first)
	a.await("connect A2", "connect A3", "connect A1", "disconnect A1")
}

func TestHooks_NoMoreRequestsThanConcurrency(t *testing.T) {
	var now, most atomic.Int64
	a := newHookApp(t, func(http.ResponseWriter, told) bool {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		for range 1000 {
			rand.N(10)
		}
		return false
	})
	cfg := a.config()
	cfg.Concurrency = 3
	k := briskHooks(t, cfg, &journal{})
	for i := range 200 {
		k.Connect(aClient(fmt.Sprint("C", i)))
	}
	if err := shutHooks(t, k); err != nil {
		t.Error(err)
	}
	if n := most.Load(); n > 3 || n < 1 || len(a.has()) != 200 {
		t.Errorf("%d at once, %d told", n, len(a.has()))
	}
}

func TestHooks_PauseGrowsToAMinuteAndVaries(t *testing.T) {
	k := &Hooks{firstPause: hookPause}
	for tries, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60} {
		want *= time.Second
		seen := map[time.Duration]bool{}
		for range 100 {
			p := k.pause(tries, 0)
			if p < want/2 || p >= want {
				t.Errorf("pause %d is %s, want up to %s", tries, p, want)
			}
			seen[p] = true
			if p := k.pause(tries, 100*time.Second); p < 100*time.Second || p > 125*time.Second {
				t.Errorf("pause %d is %s when asked for 100s", tries, p)
			}
		}
		if len(seen) < 50 {
			t.Errorf("pause %d has %d values in 100", tries, len(seen))
		}
	}
	if p := k.pause(1000, 0); p > hookPauseMax {
		t.Errorf("pause 1000 is %s", p)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "0": 0, "-5": 0, "soon": 0, "99999999999": time.Hour, "99999999999999999999": 0,
		"Sun, 22 Nov 2026 12:00:07 GMT": 7 * time.Second,
		"Sun, 22 Nov 2026 11:00:00 GMT": 0,
		"Sun, 22 Nov 2099 11:00:00 GMT": time.Hour,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q is %s, want %s", value, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "120", "-1", "1e3", "Wed, 21 Oct 2026 07:28:00 GMT", "Wednesday, 21-Oct-26 07:28:00 GMT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d := retryAfter(value, time.Now()); d < 0 || d > maxRetryAfter {
			t.Errorf("%q is %s", value, d)
		}
	})
}
