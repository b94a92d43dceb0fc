package pusher

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

type presenceShown struct {
	Connections []connectionRow
	Users       []userRow
	More        bool
}

// claim says who the clients of channel are, the oldest first, as authorization
// does before they join.
func (s *service) claim(channel string, users ...string) {
	for i, c := range byAge(s.listenersOf(channel)) {
		c.info.admission = Admission{User: users[i], Info: json.RawMessage(`{"name":"` + users[i] + `"}`)}
	}
}

func TestPresence_ListsConnectionsAndUsers(t *testing.T) {
	s := newService(t, Config{}, Endpoint{})
	for range 3 {
		s.dial("/push/board")
	}
	s.dial("/push/other")
	s.claim("board", "bob", "ann", "bob")
	events, err := http.NewRequestWithContext(t.Context(), "GET", s.server.URL+"/push/board", nil)
	if err != nil {
		t.Fatal(err)
	}
	events.Header.Set("Accept", "text/event-stream")
	answer, err := s.server.Client().Do(events)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()

	got := get[presenceShown](s, "/channels/board/presence")
	if len(got.Connections) != 4 || len(got.Users) != 2 || got.More {
		t.Fatalf("got %+v", got)
	}
	first, last := got.Connections[0], got.Connections[3]
	if first.Client != byAge(s.listenersOf("board"))[0].info.key || first.User != "bob" || string(first.Info) != `{"name":"bob"}` || first.Transport != "websocket" || first.Since.IsZero() {
		t.Errorf("got %+v", first)
	}
	if last.Transport != "event-stream" || last.User != "" || last.Info != nil {
		t.Errorf("got %+v", last)
	}
	if got.Users[0] != (userRow{"ann", 1}) || got.Users[1] != (userRow{"bob", 2}) {
		t.Errorf("got %+v", got.Users)
	}
	if cut := get[presenceShown](s, "/channels/board/presence?limit=1"); len(cut.Connections) != 1 || len(cut.Users) != 1 || !cut.More {
		t.Errorf("got %+v", cut)
	}
	if none := s.call(testKey, "GET", "/channels/nobody/presence", "", 200); none != `{"connections":[],"users":[]}`+"\n" {
		t.Errorf("got %s", none)
	}
	if shown := get[channelShown](s, "/channels/board"); shown.Users != 2 || shown.Subscribers != 4 {
		t.Errorf("got %+v", shown)
	}
}

func TestDisconnect_ClosesTheConnectionsThatAreMeant(t *testing.T) {
	s := newService(t, Config{}, Endpoint{})
	first, second, third := s.dial("/push/board"), s.dial("/push/board?channel=news"), s.dial("/push/board")
	s.claim("board", "ann/1", "ann/1", "bob")
	youngest := byAge(s.listenersOf("board"))[2].info.key
	const one, none = `{"disconnected":1}` + "\n", `{"disconnected":0}` + "\n"

	for path, status := range map[string]int{
		"/users/bob?reason=" + strings.Repeat("x", maxReason+1): 400, "/users/bob?reason=%C3%A9": 400,
		"/users/bob?channel=a%20b": 400, "/clients/x": 200, "/users/nobody": 200, "/users/bob?channel=news": 200,
	} {
		if got := s.call(testKey, "DELETE", path, "", status); status == 200 && got != none {
			t.Errorf("%s: %s", path, got)
		}
	}
	narrow := s.withKeys(Keys{{Name: "news", Secret: "k", Channels: []string{"news"}, Rights: []Right{RightManage}}})
	if got := narrow.call("k", "DELETE", "/users/ann%2F1", "", 200); got != none {
		t.Errorf("a key ended connections of channels that it is not for: %s", got)
	}

	s.publishText("board", "before")
	if got := s.call(testKey, "DELETE", "/users/ann%2F1?channel=news&reason=logged+out", "", 200); got != one {
		t.Errorf("got %s", got)
	}
	if got := s.call(testKey, "DELETE", "/users/ann%2F1?channel=news", "", 200); got != none {
		t.Errorf("ended twice, before its client has answered: %s", got)
	}
	expect(t, second, websocket.TextMessage, "before")
	expectEnd(t, second, "logged out")
	if got := s.call(testKey, "DELETE", "/clients/"+youngest, "", 200); got != one {
		t.Errorf("got %s", got)
	}
	expect(t, third, websocket.TextMessage, "before")
	expectEnd(t, third, disconnectedReason)
	s.publishText("board", "after")
	expect(t, first, websocket.TextMessage, "before")
	expect(t, first, websocket.TextMessage, "after")
	s.log.await(t, EventClose, "client=2", "code=4403", `reason=logged out`)
}

func expectEnd(t *testing.T, c *websocket.Conn, reason string) {
	t.Helper()
	_, _, err := c.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != disconnectedCode || closed.Text != reason {
		t.Errorf("ended by %v, want %d %s", err, disconnectedCode, reason)
	}
}
