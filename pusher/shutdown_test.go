package pusher

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"

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
