package pusher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

func TestShutdown_MayBeCalledByManyAtOnce(t *testing.T) {
	for range 50 {
		s := newService(t, Config{}, Endpoint{Channel: "board"})
		c := s.dial("/websocket")
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() {
				if err := s.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		expectClose(t, c, websocket.CloseServiceRestart)
		calls.Wait()
	}
}

// Who is still waiting for the store when Shutdown gives up is refused, and does
// not join a hub that has ended.
func TestShutdown_NobodyJoinsBehindIt(t *testing.T) {
	for _, start := range [][]option{nil, {overTLS}} {
		store := &slowStore{Memory: NewMemory(History{}), read: make(turnstile)}
		s := newServiceOn(t, store, Config{}, Endpoint{Channel: "board"}, start...)
		from := s.publish("board", Message{Text: true, Data: []byte("one")}).Position
		s.publishText("board", "two")
		status := make(chan int, 1)
		go func() { // awaited below
			_, answer, err := s.tryDial("/websocket?from="+from.String(), nil)
			if err == nil || answer == nil {
				t.Errorf("%v %v", answer, err)
				status <- 0
				return
			}
			status <- answer.StatusCode
		}()
		eventually(t, "it waits", func() bool { return s.Subscribers("board") == 1 })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
		store.read <- struct{}{}
		store.read <- struct{}{}
		if got := <-status; got != http.StatusServiceUnavailable {
			t.Errorf("answer %d", got)
		}
	}
}

// Clients in every state there is, most of which would not end by themselves.
func TestShutdown_EndsClientsInEveryState(t *testing.T) {
	for _, over := range []struct {
		name  string
		start []option
	}{{"plain", nil}, {"TLS", []option{overTLS}}} {
		t.Run(over.name, func(t *testing.T) {
			store := &slowStore{Memory: NewMemory(History{}), read: make(turnstile), append: make(turnstile)}
			cfg := Config{QueueBytes: 64 << 20, MaxMessage: 16 << 20}
			s := newServiceOn(t, store, cfg, Endpoint{Channel: "board", Inbound: InboundPublish}, over.start...)
			from, err := store.Memory.Append(t.Context(), "board", Draft{})
			if err != nil {
				t.Fatal(err)
			}
			idle := s.dial("/websocket")
			s.dial("/websocket") // stalled
			s.listen("/websocket")
			unread := s.dial("/websocket")
			filler := strings.Repeat("x", inboxBytes/4)
			for range 20 {
				if err := unread.WriteMessage(websocket.TextMessage, []byte(filler)); err != nil {
					t.Fatal(err)
				}
			}
			closing := s.dial("/websocket")
			if _, err := closing.NetConn().Write([]byte{finBit | opText, 0}); err != nil { // not masked
				t.Fatal(err)
			}
			for i := range 2 { // end with their answers, which Shutdown brings about
				go s.tryDial(fmt.Sprint("/websocket?from=", Position{s.epoch, from.Seq - 1}, "&x=", i), nil)
			}
			polled := make(chan struct{})
			go func() { // awaited below
				defer close(polled)
				s.poll("/push/other", "Prefer", "wait=60")
			}()
			eventually(t, "all are there", func() bool { return s.Subscribers("board") == 7 && s.Subscribers("other") == 1 })
			if _, err := store.Memory.Append(t.Context(), "board", Draft{Data: make([]byte, 16<<20)}); err != nil {
				t.Fatal(err)
			}
			if _, data, err := idle.ReadMessage(); err != nil || len(data) != 16<<20 {
				t.Fatalf("%d bytes, %v", len(data), err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown: %v", err)
			}
			expectClose(t, idle, websocket.CloseServiceRestart)
			<-polled
			for range 4 { // of the two that wait for the store
				select {
				case store.read <- struct{}{}:
				case <-time.After(patience):
					t.Fatal("nobody reads")
				}
			}
			eventually(t, "all have gone", func() bool { return s.active.Load() == 0 && len(s.clock.all()) == 0 })
		})
	}
}

// leaver is the line of a client that notes when it is told to go, and goes.
type leaver struct {
	opening
	*client
	told func()
}

func (l *leaver) shut() { // the deliverer holds client.mu
	l.told()
	l.end(ending{}, false)
}

// Who is sent away comes back at once: ten thousand are not to do so in the same
// moment.
func TestShutdown_GoodbyesAreSpreadAtRandom(t *testing.T) {
	for _, c := range []struct {
		name          string
		clients       int
		timeout, want time.Duration
	}{
		{"one", 1, 20 * time.Second, 0},
		{"10 ms each", 201, 20 * time.Second, 2 * time.Second},
		{"half of what is left", 1000, 4 * time.Second, 2 * time.Second},
		{"without a deadline", 1000, 0, partingSpread},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub, err := New(Config{}, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				hub.starting.Do(func() { // without the poller, upon which this clock would wait
					for _, d := range hub.deliverers {
						hub.running.Go(func() { d.run(hub.stop) }) // ended by Shutdown
					}
				})
				var mu sync.Mutex
				var told []time.Duration
				began := time.Now()
				for range c.clients {
					hub.enter("")
					client := hub.newClient(&endpoint{hub: hub}, "", 0)
					if _, _, err := hub.join(t.Context(), client, []string{"board"}, start{}); err != nil {
						t.Fatal(err)
					}
					client.mu.Lock()
					client.start(&leaver{client: client, told: func() {
						mu.Lock()
						defer mu.Unlock()
						told = append(told, time.Since(began))
					}})
					client.mu.Unlock()
				}
				ctx := context.Background()
				if c.timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.timeout)
					defer cancel()
				}
				if err := hub.Shutdown(ctx); err != nil {
					t.Error(err)
				}
				if len(told) != c.clients {
					t.Fatalf("%d of %d were told", len(told), c.clients)
				}
				var quarters [4]int
				for _, at := range told {
					// What gather waits for comes on top.
					if at > c.want+maxPause {
						t.Errorf("one was told after %s, want %s at most", at, c.want)
					}
					if c.want > 0 {
						quarters[min(3, 4*at/c.want)]++
					}
				}
				// Each is hit by 50 at least on the average.
				if c.want > 0 && slices.Min(quarters[:]) < 10 {
					t.Errorf("in each quarter of the time were told %v", quarters)
				}
			})
		})
	}
}
