package pusher

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// poll asks s once; header is in pairs.
func (s *service) poll(path string, header ...string) *http.Response {
	s.t.Helper()
	request, err := http.NewRequest("GET", s.server.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	answer, err := s.server.Client().Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// A poll waits for up to a minute, which is more than two of the default
// PingInterval, the time that a write may take.
func TestPoll_WaitsLongerThanAWriteMayTake(t *testing.T) {
	for _, start := range [][]option{nil, {overH2}} {
		s := newService(t, Config{PingInterval: minPingInterval}, Endpoint{Channel: "board"}, start...)
		if answer := s.poll("/websocket", "Prefer", "wait=1"); answer.StatusCode != http.StatusNoContent {
			t.Errorf("%s", answer.Status)
		}
	}
}

// Else it would be told of a gap as soon as the first of them is trimmed.
func TestPoll_GoesOnBehindWhatItIsNotSent(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	next := s.poll("/websocket", "Prefer", "wait=0").Header.Get("Next")
	at := s.publish("board", Message{Data: []byte("binary")}).Position
	answer := s.poll("/websocket?from="+next, "Prefer", "wait=0")
	if got := answer.Header.Get("Next"); answer.StatusCode != http.StatusNoContent || got != at.String() {
		t.Errorf("%s, next %s, want %s", answer.Status, got, at)
	}
}

func TestPoll_SaysHowItGoesOnAndThatNobodyMayKeepIt(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	s.publishText("board", "one")
	answer := s.poll("/websocket?last=1", "Prefer", "respond-async, wait=0; x=1")
	for field, want := range map[string]string{"Resume": "new", "Cache-Control": "no-store", "Preference-Applied": "wait=0", "Vary": "Prefer, Accept"} {
		if got := answer.Header.Get(field); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
	if body := bodyOf(t, answer); body != "one\n" {
		t.Errorf("body %q", body)
	}
	if answer, err := s.server.Client().Head(s.server.URL + "/websocket"); err != nil || answer.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("HEAD: %v %v", answer, err)
	}
}

func TestPoll_PagesOfOtherHostsMayIfTheyAreListed(t *testing.T) {
	const page = "https://app.example.com"
	s := newService(t, Config{}, Endpoint{Channel: "board", Origins: []string{page}})
	ask := func(origin string) *http.Response {
		request, _ := http.NewRequest("OPTIONS", s.server.URL+"/websocket", nil)
		request.Header.Set("Origin", origin)
		request.Header.Set("Access-Control-Request-Method", "GET")
		request.Header.Set("Access-Control-Request-Headers", "prefer")
		answer, err := s.server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer
	}
	answer := ask(page)
	if answer.StatusCode != http.StatusNoContent || answer.Header.Get("Access-Control-Allow-Origin") != page ||
		!strings.Contains(answer.Header.Get("Access-Control-Allow-Headers"), "Prefer") || answer.Header.Get("Access-Control-Allow-Methods") != "GET" {
		t.Errorf("before the poll: %s %v", answer.Status, answer.Header)
	}
	answer = s.poll("/websocket", "Prefer", "wait=0", "Origin", page)
	if answer.Header.Get("Access-Control-Allow-Origin") != page || !strings.Contains(answer.Header.Get("Access-Control-Expose-Headers"), "Next") {
		t.Errorf("the poll: %s %v", answer.Status, answer.Header)
	}
	if answer = ask("https://evil.example.com"); answer.StatusCode != http.StatusForbidden || answer.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another page: %s %v", answer.Status, answer.Header)
	}
}

func TestPoll_EndsWithTheService(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	status := make(chan int)
	go func() { status <- s.poll("/websocket", "Prefer", "wait=60").StatusCode }() // awaited below
	eventually(t, "it waits", func() bool { return s.Subscribers("board") == 1 })
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := <-status; got != http.StatusNoContent {
		t.Errorf("answer %d", got)
	}
}

func FuzzWaitOf(f *testing.F) {
	for _, seed := range []string{"wait=25", "wait", "wait=", `wait="10"`, "Wait = 5", "respond-async, wait=3", "wait=-1", "wait=99999999999", "wait=0;x", ",,", "awaits=1", "wait=60", "wait=61"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, prefer string) {
		r := &http.Request{Method: "GET", Header: http.Header{"Prefer": {prefer}}}
		wait, polls := waitOf(r)
		if wait < 0 || wait > maxWait || wait%time.Second != 0 || !polls && wait != 0 {
			t.Errorf("%q: %s, %t", prefer, wait, polls)
		}
		if polls && !strings.Contains(strings.ToLower(prefer), "wait") {
			t.Errorf("%q is no poll", prefer)
		}
		r.Method = "POST"
		if _, polls := waitOf(r); polls {
			t.Error("a POST is no poll")
		}
	})
}

func TestWaitOf_ReadsThePreference(t *testing.T) {
	for prefer, want := range map[string]time.Duration{
		"wait=25": 25 * time.Second, `wait="7"`: 7 * time.Second, "WAIT = 5": 5 * time.Second, "respond-async, wait=3; a=b": 3 * time.Second,
		"wait": defaultWait, "wait=soon": defaultWait, "wait=-1": defaultWait, "wait=3600": maxWait, "wait=0": 0,
	} {
		if got, polls := waitOf(&http.Request{Method: "GET", Header: http.Header{"Prefer": {prefer}}}); got != want || !polls {
			t.Errorf("%s: %s %t, want %s", prefer, got, polls, want)
		}
	}
}
