package pusher

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

func TestRequestID_IsInAllLinesOfItsClient(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	c, _, err := s.tryDial("/websocket", http.Header{"X-Request-Id": {"k3v9q2mx7c5d8f1a"}})
	if err != nil {
		t.Fatal(err)
	}
	s.log.await(t, EventOpen, "transport=websocket", " id=k3v9q2mx7c5d8f1a")
	c.Close()
	s.log.await(t, EventClose, " id=k3v9q2mx7c5d8f1a", "reason=")
	s.poll("/websocket", "X-Request-ID", "of-a-refusal")
	s.log.await(t, EventRefused, "status=426", " id=of-a-refusal")
	s.callWith(http.Header{"X-Request-Id": {"of-a-publish"}}, "POST", "/channels/board", "x", 401)
	s.log.await(t, EventRefused, "status=401", " id=of-a-publish")
}

func TestRequestID_OfAClientThatFailsInside(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	s.log.panicAt = func(r slog.Record) bool { return r.Message == EventOpen }
	c, _, err := s.tryDial("/websocket", http.Header{"X-Request-Id": {"k3v9q2mx7c5d8f1a"}})
	if err != nil {
		t.Fatal(err)
	}
	_, _, _ = c.ReadMessage()
	s.log.await(t, EventPanic, " id=k3v9q2mx7c5d8f1a", "stack=")
}

func TestRequestID_OnlyWhatIsFitForALog(t *testing.T) {
	for _, ids := range [][]string{nil, {""}, {"a b"}, {"a\x7f"}, {"ü"}, {"a\nb"}, {strings.Repeat("x", maxRequestID+1)}, {"two", "of them"}} {
		if got := requestID(&http.Request{Header: http.Header{"X-Request-Id": ids}}); got != "" {
			t.Errorf("%q is taken as %q", ids, got)
		}
	}
	for _, id := range []string{"k3v9q2mx7c5d8f1a", "4bf92f35-77b3", "!~", strings.Repeat("x", maxRequestID)} {
		if got := requestID(&http.Request{Header: http.Header{"X-Request-Id": {id}}}); got != id {
			t.Errorf("%q is taken as %q", id, got)
		}
	}
}

func FuzzRequestID(f *testing.F) {
	for _, seed := range []string{"", "k3v9q2mx7c5d8f1a", "a\r\nb", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		got := requestID(&http.Request{Header: http.Header{"X-Request-Id": {id}}})
		if got != "" && got != id || len(got) > maxRequestID || strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q is taken as %q", id, got)
		}
	})
}
