package pusher

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// replies answers every message like this.
func replies(status int, header map[string]string, body string) func(http.ResponseWriter, told) bool {
	return func(w http.ResponseWriter, r told) bool {
		if r.event != HookMessage {
			return false
		}
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

func TestHooksMessage_VerdictIsTheAppsAnswer(t *testing.T) {
	came := []byte("came")
	for _, c := range []struct {
		name    string
		status  int
		header  map[string]string
		body    string
		want    Verdict
		problem string
	}{
		{"204", 204, nil, "", Verdict{}, ""},
		{"403", 403, nil, "not you", Verdict{}, ""},
		{"202", 202, nil, "", Verdict{Publish: true, Text: true, Data: came}, ""},
		{"202 with a body", 202, nil, "accepted", Verdict{Publish: true, Text: true, Data: came}, ""},
		{"200", 200, map[string]string{"Content-Type": "text/html"}, "", Verdict{Publish: true, Text: true, Data: came}, ""},
		{"other text", 200, map[string]string{"Content-Type": "text/html; charset=utf-8"}, "other", Verdict{Publish: true, Text: true, Data: []byte("other")}, ""},
		{"JSON", 200, map[string]string{"Content-Type": "application/json"}, "{}", Verdict{Publish: true, Text: true, Data: []byte("{}")}, ""},
		{"bytes", 200, map[string]string{"Content-Type": "application/octet-stream"}, "\xff", Verdict{Publish: true, Data: []byte("\xff")}, ""},
		{"elsewhere", 202, map[string]string{"X-Push-Channel": "news"}, "", Verdict{Publish: true, Channel: "news", Text: true, Data: came}, ""},
		{"other text elsewhere", 200, map[string]string{"X-Push-Channel": "news", "Content-Type": "text/plain"}, "other",
			Verdict{Publish: true, Channel: "news", Text: true, Data: []byte("other")}, ""},
		{"no channel", 202, map[string]string{"X-Push-Channel": "the news"}, "", Verdict{}, `X-Push-Channel: "the news" is no channel name`},
		{"no text", 200, map[string]string{"Content-Type": "text/plain"}, "\xff", Verdict{}, "not UTF-8"},
		{"too long", 200, map[string]string{"Content-Type": "text/plain"}, strings.Repeat("x", 101), Verdict{}, "more than 100 bytes; raise max_answer"},
		{"201", 201, nil, "", Verdict{}, "the app answered 201 Created"},
		{"302", 302, map[string]string{"Location": "/login"}, "", Verdict{}, "which is not followed"},
		{"404", 404, nil, "", Verdict{}, "the app answered 404 Not Found"},
		{"500", 500, nil, "", Verdict{}, "the app answered 500 Internal Server Error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, log := newHookApp(t, replies(c.status, c.header, c.body)), &journal{}
			cfg := a.config()
			cfg.MaxAnswer = 100
			k := newHooks(t, cfg, nil, log)
			got, err := k.Message(t.Context(), aClient("A1"), true, came)
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if c.problem == "" {
				if lost := log.find(EventHookLost); err != nil || lost != nil {
					t.Errorf("%v, logged %q", err, lost)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("error %v, want %q", err, c.problem)
			}
			log.await(t, EventHookLost, "event=message", "cause=no verdict", "count=1")
			if n := len(a.asked()); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

func TestHooksMessage_BodyIsTheMessageAndHeadersSayWhoSentIt(t *testing.T) {
	a := newHookApp(t, nil)
	k := newHooks(t, a.config(), nil, &journal{})
	a.secret = func() string { return string(k.secret) }
	c := aClient("A1")
	c.Channels = []string{"board", "news"}
	c.User, c.Info = "jürgen\r\nX-Evil: 1 %", json.RawMessage("{\"name\":\n\"J\u00fcrgen 𝄞\"}")
	if _, err := k.Message(t.Context(), c, true, []byte("hällo")); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Message(t.Context(), aClient("A1"), false, []byte{0, 1}); err != nil {
		t.Fatal(err)
	}
	first, second := a.taken[0], a.taken[1]
	if string(first.body) != "hällo" || string(second.body) != "\x00\x01" || first.id == second.id || !strings.HasPrefix(first.id, "A1.message.") {
		t.Errorf("bodies %q, %q, ids %s, %s", first.body, second.body, first.id, second.id)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/plain; charset=utf-8", "X-Push-Event": "message", "X-Push-Client": "A1",
		"X-Push-Channels": "board news", "X-Push-User": "j%C3%BCrgen%0D%0AX-Evil:%201%20%25",
		"X-Push-Info": `{"name":"J\u00fcrgen \ud834\udd1e"}`, "X-Push-Remote": c.Remote, "X-Push-Transport": "websocket", "X-Evil": "",
	} {
		if got := first.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if kind := second.header.Get("Content-Type"); kind != "application/octet-stream" {
		t.Errorf("Content-Type %q", kind)
	}
	if _, ok := second.header["X-Push-User"]; ok {
		t.Error("X-Push-User without a user")
	}
}

func TestHooksMessage_AppThatIsStalledOrAwayDropsItInTime(t *testing.T) {
	stalled := make(chan struct{})
	a := newHookApp(t, func(_ http.ResponseWriter, r told) bool {
		if r.event == HookMessage {
			<-stalled
		}
		return false
	})
	t.Cleanup(func() { close(stalled) })
	away := httptest.NewServer(nil)
	away.Close()
	for address, want := range map[string]string{a.server.URL: "deadline exceeded", away.URL: "connection refused"} {
		log := &journal{}
		cfg := a.config()
		cfg.URL, cfg.Timeout = address, 100*time.Millisecond
		k := newHooks(t, cfg, nil, log)
		began := time.Now()
		v, err := k.Message(t.Context(), aClient("A1"), true, []byte("hi"))
		if v.Publish || err == nil || !strings.Contains(err.Error(), want) || time.Since(began) > patience/2 {
			t.Errorf("%+v, %v after %s", v, err, time.Since(began))
		}
		log.await(t, EventHookLost, "event=message", "cause=no verdict")
	}
}

func TestHooksMessage_WaitsForTheConnectOfItsClientAlone(t *testing.T) {
	a := newHookApp(t, func(w http.ResponseWriter, r told) bool {
		if r.Client != nil && r.Client.ID == "A1" {
			w.WriteHeader(503)
			return true
		}
		return false
	})
	cfg := a.config()
	cfg.Timeout = 200 * time.Millisecond
	k := newHooks(t, cfg, nil, &journal{})
	k.Connect(aClient("A1"))
	k.Connect(aClient("A2"))
	if _, err := k.Message(t.Context(), aClient("A1"), true, []byte("hi")); err == nil || !strings.Contains(err.Error(), "its turn did not come") {
		t.Errorf("A1: %v", err)
	}
	if _, err := k.Message(t.Context(), aClient("A2"), true, []byte("hi")); err != nil {
		t.Errorf("A2: %v", err)
	}
	a.await("connect A2", "message")
}

func TestHooksMessage_EndsWithItsContextAndWithRun(t *testing.T) {
	asked, stalled := make(chan struct{}, 2), make(chan struct{})
	a := newHookApp(t, func(http.ResponseWriter, told) bool { asked <- struct{}{}; <-stalled; return false })
	t.Cleanup(func() { close(stalled) })
	cfg := a.config()
	cfg.Timeout = time.Hour
	k, err := NewHooks(cfg, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	kill := runHooks(t, k)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := k.Message(ctx, aClient("A1"), true, nil); err == nil {
		t.Error("answered though its context has ended")
	}
	go func() { <-asked; kill() }()
	if _, err := k.Message(t.Context(), aClient("A2"), true, nil); err == nil {
		t.Error("answered though Run has ended")
	}
}

func FuzzAsciiJSON(f *testing.F) {
	for _, seed := range []string{`{"a": "ü"}`, `"𝄞 \u0041 \\"`, "[1,\n2]", `"` + "\x7f" + `"`, `{"\u2028":" "}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) || !utf8.Valid(text) {
			t.Skip()
		}
		line := asciiJSON(text)
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q becomes %q", text, line)
		}
		var was, is any
		if json.Unmarshal(text, &was) != nil {
			t.Skip() // numbers beyond float64
		}
		if err := json.Unmarshal([]byte(line), &is); err != nil || !reflect.DeepEqual(was, is) {
			t.Errorf("%q becomes %q: %v", text, line, err)
		}
	})
}

func FuzzVerdict(f *testing.F) {
	f.Add(200, "text/plain", "news", []byte("hi"))
	f.Add(202, "", "", []byte(nil))
	f.Add(204, "", "", []byte(nil))
	f.Add(403, "text/html", "", []byte("no"))
	f.Add(200, "application/octet-stream", "the news", []byte{0xff})
	f.Fuzz(func(t *testing.T, status int, kind, channel string, body []byte) {
		answer := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}, "X-Push-Channel": {channel}}}
		came := []byte("came")
		v, err := (&hookQuestion{text: true, data: came}).rule(answer, body)
		switch {
		case v.Publish && (err != nil || status != 200 && status != 202):
			t.Errorf("published with %v and status %d", err, status)
		case v.Publish && v.Channel != "" && !validChannel(v.Channel), v.Text && !utf8.Valid(v.Data):
			t.Errorf("published %+v", v)
		case v.Publish && !bytes.Equal(v.Data, body) && !bytes.Equal(v.Data, came):
			t.Errorf("published %q", v.Data)
		case err == nil && !v.Publish && status != 204 && status != 403:
			t.Errorf("dropped without an error with status %d", status)
		}
	})
}
