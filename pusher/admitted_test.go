package pusher

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/gorilla/websocket"
)

func withTokens(channel string) Endpoint {
	return Endpoint{Channel: channel, Token: &TokenAuth{Leeway: time.Millisecond, Keys: []TokenKey{{Alg: "HS256", Secret: testSecret}}}}
}

// appEndpoint is an endpoint whose application answers by answer.
func appEndpoint(t *testing.T, cfg AppAuth, channel string, answer http.HandlerFunc) Endpoint {
	t.Helper()
	app := httptest.NewServer(answer)
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); app.Close() })
	address, err := url.Parse(app.URL)
	if err != nil {
		t.Fatal(err)
	}
	return Endpoint{Channel: channel, Auth: &cfg, App: transport, AppURL: address}
}

func TestAdmitted_TokensEndClosesTheConnection(t *testing.T) {
	s := newService(t, Config{}, withTokens("board"))
	exp := time.Now().Unix() + 2
	token := hs(t, map[string]any{"sub": "ann", "exp": exp})
	socket := s.dial("/websocket?token=" + token)
	stream := s.listen("/websocket?token=" + token)
	s.publishText("board", "before")
	expect(t, socket, websocket.TextMessage, "before")
	expectClose(t, socket, closeExpired)
	if now := time.Now(); now.Before(time.Unix(exp, 0)) {
		t.Errorf("closed %s too early", time.Unix(exp, 0).Sub(now))
	}
	if body := bodyOf(t, stream); !strings.Contains(body, "data: before\n") {
		t.Errorf("the stream was %q", body)
	}
	s.log.await(t, EventClose, "code=4401", "admission expired")
}

func TestAdmitted_RefusalReachesTheClient(t *testing.T) {
	s := newService(t, Config{}, withTokens("board"))
	late := hs(t, map[string]any{"sub": "ann", "exp": 1})
	for name, c := range map[string]struct {
		path, says string
		header     http.Header
	}{
		"none":    {"/websocket", "no token came", http.Header{}},
		"garbage": {"/websocket?token=x", "no JWT", http.Header{}},
		"expired": {"/websocket?token=" + late, "", http.Header{}},
		"stream":  {"/websocket?token=" + late, "", http.Header{"Accept": {"text/event-stream"}}},
		"poll":    {"/websocket?token=" + late, "", http.Header{"Prefer": {"wait=0"}}},
	} {
		var answer *http.Response
		if len(c.header) > 0 {
			request, _ := http.NewRequest("GET", s.server.URL+c.path, nil)
			request.Header = c.header
			var err error
			if answer, err = s.server.Client().Do(request); err != nil {
				t.Fatal(err)
			}
		} else if _, answer, _ = s.tryDial(c.path, nil); answer == nil {
			t.Fatalf("%s: no answer", name)
		}
		body := bodyOf(t, answer)
		if answer.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(answer.Header.Get("WWW-Authenticate"), "Bearer") || !strings.Contains(body, c.says) {
			t.Errorf("%s: %s %v %s", name, answer.Status, answer.Header, body)
		}
	}
	if n := s.Subscribers("board"); n != 0 {
		t.Errorf("%d subscribers", n)
	}
	for _, line := range s.log.find(EventRefused) {
		if strings.Contains(line, late) || strings.Contains(line, testSecret) {
			t.Errorf("a secret in the log: %s", line)
		}
	}
}

func TestAdmitted_RecheckEndsWhoMayNoLongerListen(t *testing.T) {
	every := minRecheck
	for name, c := range map[string]struct{ before, after http.HandlerFunc }{
		"logged out": {
			func(http.ResponseWriter, *http.Request) {},
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		},
		"one channel less": {
			func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Push-Channels", "a, b") },
			func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Push-Channels", "a") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			s := newService(t, Config{}, appEndpoint(t, AppAuth{Path: "/auth", Recheck: &every}, "", func(w http.ResponseWriter, r *http.Request) {
				if n := asked.Add(1); n == 3 {
					c.after(w, r)
				} else if n == 2 {
					w.WriteHeader(http.StatusBadGateway) // nobody knows: the client stays
				} else {
					c.before(w, r)
				}
			}))
			expectClose(t, s.dial("/push/a?channel=b"), closeExpired)
			if n := asked.Load(); n != 3 {
				t.Errorf("asked %d times", n)
			}
			s.log.await(t, EventClose, "code=4401", "no longer admitted")
		})
	}
}

// What the HTTP server had for the handshake is not kept for the rechecks.
func TestAdmitted_TheRequestIsForgotten(t *testing.T) {
	s := newService(t, Config{}, appEndpoint(t, AppAuth{Path: "/auth"}, "board", func(http.ResponseWriter, *http.Request) {}))
	var request weak.Pointer[http.Request]
	inner := s.server.Config.Handler
	s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request = weak.Make(r)
		inner.ServeHTTP(w, r)
	})
	c := s.dial("/websocket")
	s.publishText("board", "one")
	expect(t, c, websocket.TextMessage, "one")
	eventually(t, "it is forgotten", func() bool { runtime.GC(); return request.Value() == nil })
}

func TestAdmitted_GreetingComesFirst(t *testing.T) {
	s := newService(t, Config{}, appEndpoint(t, AppAuth{Path: "/auth"}, "board", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Push-Greeting", "hello%20Ann")
	}))
	c := s.dial("/websocket")
	expect(t, c, websocket.TextMessage, "hello Ann")
	s.publishText("board", "one")
	expect(t, c, websocket.TextMessage, "one")
}
