package pusher

import (
	"context"
	"strings"
	"testing"
)

// stateOf is the state of a client, in the order of arrival.
func stateOf(s *service, i int) state {
	clients := s.clock.all()
	if i >= len(clients) {
		return gone
	}
	clients[i].mu.Lock()
	defer clients[i].mu.Unlock()
	return clients[i].state
}

func TestShutdown_ReachesWhoJoinsMeanwhile(t *testing.T) {
	hub, err := New(Config{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if hub.enter("") != nil {
		t.Fatal("not admitted")
	}
	ended := make(chan error, 1)
	go func() { ended <- hub.Shutdown(context.Background()) }() // ends with the client
	eventually(t, "shutdown has begun", hub.leaving)
	c := hub.newClient(&endpoint{hub: hub}, "", 0)
	if _, _, err := hub.join(t.Context(), c, []string{"board"}, start{}); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.start(opening{})
	if c.state != closing {
		t.Error("shutdown overlooks a client that joined after it began")
	}
	c.end(ending{}, false)
	c.mu.Unlock()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if hub.enter("") == nil {
		t.Error("a client is admitted after shutdown")
	}
}

func TestCloseFrame_ReasonIsCutToAControlFrame(t *testing.T) {
	frame := closeFrame(1000, strings.Repeat("x", 200))
	if len(frame) != 127 || frame[1] != 125 {
		t.Errorf("%d bytes, length %d", len(frame), frame[1])
	}
}
