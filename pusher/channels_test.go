package pusher

import (
	"context"
	"net/http"
	"testing"

	"github.com/gorilla/websocket"
)

type channelList struct {
	Channels []channelRow
	More     bool
}

func TestChannels_ListThoseWithSubscribersOrMessages(t *testing.T) {
	s := newService(t, Config{}, Endpoint{})
	s.dial("/push/b.heard")
	s.dial("/push/a.both")
	s.publishText("a.both", "x")
	s.publishText("a.both", "y")
	s.publishText("c.stored", "x")
	both, heard, stored := channelRow{Name: "a.both", Subscribers: 1, Messages: 2}, channelRow{Name: "b.heard", Subscribers: 1}, channelRow{Name: "c.stored", Messages: 1}
	for _, c := range []struct {
		query string
		want  []channelRow
		more  bool
	}{
		{"", []channelRow{both, heard, stored}, false},
		{"?limit=3", []channelRow{both, heard, stored}, false},
		{"?limit=2", []channelRow{both, heard}, true},
		{"?prefix=c.", []channelRow{stored}, false},
		{"?prefix=c.&limit=1", []channelRow{stored}, false},
		{"?prefix=none", []channelRow{}, false},
	} {
		got := get[channelList](s, "/channels"+c.query)
		if len(got.Channels) != len(c.want) || got.More != c.more {
			t.Errorf("%s: got %+v, want %+v", c.query, got, c.want)
			continue
		}
		for i, row := range got.Channels {
			if row != c.want[i] {
				t.Errorf("%s: got %+v, want %+v", c.query, got, c.want)
			}
		}
	}
	s.call(testKey, "GET", "/channels?limit=all", "", 400)
}

type channelShown struct {
	Name        string
	Subscribers int
	Users       int
	Position    string
	Messages    int
	History     []storedMessage
}

func TestChannel_TellsItsLastMessagesAndWhereToGoOn(t *testing.T) {
	s := newService(t, Config{}, Endpoint{})
	s.publishText("board", "one")
	s.publish("board", Message{Data: []byte{0xff, 0}})
	s.publishText("board", "two <&>")
	got := get[channelShown](s, "/channels/board?last=2")
	if got.Name != "board" || got.Messages != 3 || len(got.History) != 2 || *got.History[0].Base64 != "/wA=" || got.History[0].Data != nil ||
		*got.History[1].Data != "two <&>" || got.History[1].Base64 != nil || got.History[1].ID != got.Position || got.History[0].Time.IsZero() {
		t.Fatalf("got %+v", got)
	}
	if plain := get[channelShown](s, "/channels/board"); len(plain.History) != 0 || plain.Position != got.Position {
		t.Errorf("got %+v", plain)
	}
	// A page that was rendered from this misses nothing and gets nothing twice.
	s.publishText("board", "three")
	c := s.dial("/push/board?from=" + got.Position)
	s.publishText("board", "four")
	expect(t, c, websocket.TextMessage, "three")
	expect(t, c, websocket.TextMessage, "four")
	if now := get[channelShown](s, "/channels/board"); now.Subscribers != 1 {
		t.Errorf("got %+v", now)
	}
	s.call(testKey, "GET", "/channels/board?last=-1", "", 400)
	s.call(testKey, "GET", "/channels/the%20board", "", 400)
}

// busyStore has something happen whenever a channel's head is looked at.
type busyStore struct {
	Broker
	meanwhile func()
}

func (b *busyStore) Head(ctx context.Context, channel string) (Head, error) {
	b.meanwhile()
	return b.Broker.Head(ctx, channel)
}

func TestChannel_WhatComesMeanwhileIsBehindThePosition(t *testing.T) {
	store := &busyStore{Broker: NewMemory(History{})}
	hub, err := New(Config{}, store, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := (&service{Hub: hub, t: t}).withKeys(Keys{{Name: "all", Secret: testKey, Channels: []string{"*"}, Rights: []Right{RightRead}}})
	store.meanwhile = func() { s.publishText("board", "meanwhile") }
	s.publishText("board", "before")
	if got := get[channelShown](s, "/channels/board?last=5"); len(got.History) != 1 || *got.History[0].Data != "before" || got.History[0].ID != got.Position {
		t.Errorf("got %+v", got)
	}
}

func TestChannel_PurgedMessagesComeBackToNobody(t *testing.T) {
	s := newService(t, Config{}, Endpoint{})
	here := s.dial("/push/board") // so that the hub itself has the messages, too
	before := s.publish("board", Message{Text: true, Data: []byte("seen")}).Position
	s.publishText("board", "regretted")
	if text := s.call(testKey, "DELETE", "/channels/board/history", "", http.StatusNoContent); text != "" {
		t.Errorf("answer %q", text)
	}
	after := s.publish("board", Message{Text: true, Data: []byte("after")}).Position
	if got := get[channelShown](s, "/channels/board?last=10"); got.Messages != 1 || len(got.History) != 1 || *got.History[0].Data != "after" {
		t.Errorf("got %+v", got)
	}
	missed := s.dialResume("/push/board?from=" + before.String())
	expect(t, missed, websocket.TextMessage, after.String()+" gap")
	last := s.dial("/push/board?last=5")
	expect(t, last, websocket.TextMessage, "after")
	s.publishText("board", "end")
	for _, text := range []string{"seen", "regretted", "after", "end"} {
		expect(t, here, websocket.TextMessage, text)
	}
	expect(t, last, websocket.TextMessage, "end")
}

// dialResume opens a WebSocket that is told positions.
func (s *service) dialResume(path string) *websocket.Conn {
	s.t.Helper()
	c, answer, err := s.tryDial(path, http.Header{"Sec-Websocket-Protocol": {protocolResume}})
	if err != nil {
		s.t.Fatalf("dial %s: %v %v", path, err, answer)
	}
	return c
}
