package pusher

import (
	"testing"
	"time"
)

// What the hub has at hand for those who come back is kept no longer than its
// publisher allowed.
func TestResume_ExpiredMessagesAreNotReplayed(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	s.dial("/websocket") // so that the channel has a window
	at := s.publish("board", Message{Text: true, Data: []byte("one")}).Position
	short := s.publish("board", Message{Text: true, Data: []byte("short"), TTL: time.Second}).Position
	s.publishText("board", "two")
	l := s.resuming(t, "/websocket?")
	l.token = at.String()
	l.is(l.connect(), "resumed")
	l.expect("short", "two")
	l.conn.Close()
	eventually(t, "it has expired", func() bool {
		l.token = at.String()
		defer func() { l.conn.Close() }()
		return l.connect() == "gap"
	})
	// Whoever has seen it misses nothing.
	l.token = short.String()
	l.is(l.connect(), "resumed")
	l.expect("two")
	s.publishText("board", "three")
	l.expect("three")
}
