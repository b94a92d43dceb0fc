package pusher

import (
	"net/http"
	"testing"

	"github.com/gorilla/websocket"
)

// retiring is a hub with two URLs, each as it stands after a reload: the clients
// of the first came before it.
func retiring(t *testing.T) (s *service, first, second *endpoint) {
	s = newService(t, Config{}, Endpoint{Channel: "board"})
	before := endpointOf(t, s.Hub, Endpoint{Channel: "board"})
	first = endpointOf(t, s.Hub, Endpoint{Channel: "board"}).(*endpoint)
	first.Succeed(before)
	second = endpointOf(t, s.Hub, Endpoint{Channel: "board"}).(*endpoint)
	mux := http.NewServeMux()
	mux.Handle("/before", before)
	mux.Handle("/first", first)
	mux.Handle("/second", second)
	s.server.Config.Handler = mux
	return s, first, second
}

func TestRetire_ClientsOfThatURLLeave(t *testing.T) {
	s, first, _ := retiring(t)
	var leave []*websocket.Conn
	for range 200 {
		leave = append(leave, s.dial("/before"))
	}
	leave = append(leave, s.dial("/first"))
	stay := s.dial("/second")
	stream := linesOf(t, s.listen("/first"))
	polled := make(chan int, 1)
	go func() { polled <- s.poll("/first", "Prefer", "wait=60").StatusCode }() // awaited below
	eventually(t, "all are there", func() bool { return s.Subscribers("board") == len(leave)+3 })
	first.Retire(patience)
	for _, c := range leave {
		_, _, err := c.ReadMessage()
		if ended, ok := err.(*websocket.CloseError); !ok || ended.Code != websocket.CloseGoingAway || ended.Text != "route removed" {
			t.Fatal(err)
		}
	}
	if line, err := stream.ReadString('\n'); err == nil {
		t.Errorf("the stream goes on: %q", line)
	}
	if status := <-polled; status != http.StatusNoContent {
		t.Errorf("the poll was answered %d", status)
	}
	eventually(t, "they are gone", func() bool { return s.Subscribers("board") == 1 })
	s.publishText("board", "still here")
	expect(t, stay, websocket.TextMessage, "still here")
}

// Who is being admitted while the URL is given up hears it as the first thing.
func TestRetire_WhoComesLaterIsToldAtOnce(t *testing.T) {
	s, first, _ := retiring(t)
	first.Retire(0)
	expectClose(t, s.dial("/before"), websocket.CloseGoingAway)
	expectClose(t, s.dial("/first"), websocket.CloseGoingAway)
}

// Two URLs that became one, as sites that are merged do.
func TestRetire_MeansAllThatWereSucceeded(t *testing.T) {
	s, first, second := retiring(t)
	a, b := s.dial("/first"), s.dial("/second")
	both := endpointOf(t, s.Hub, Endpoint{Channel: "board"}).(*endpoint)
	both.Succeed(first)
	both.Succeed(second)
	both.Succeed(http.NotFoundHandler()) // none of ours: nothing to take over
	both.Retire(patience)
	expectClose(t, a, websocket.CloseGoingAway)
	expectClose(t, b, websocket.CloseGoingAway)
}
