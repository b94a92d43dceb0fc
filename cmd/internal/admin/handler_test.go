package admin

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// some are sources that answer.
func some() Sources {
	ok := func() error { return nil }
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "page") })
	return Sources{
		Status:   func(context.Context) Status { return Status{State: StateServing} },
		NotReady: func(context.Context) []string { return nil },
		Reload:   ok, Upgrade: ok, Page: page,
	}
}

func TestHandler_AnswersToOwnNamesAlone(t *testing.T) {
	r := serveAt(t, some(), Access{Host: "front.internal"})
	for host, status := range map[string]int{
		"localhost": 200, "localhost:7071": 200, "LOCALHOST:1": 200, "127.0.0.1:7071": 200, "[::1]:7071": 200, "10.1.2.3": 200,
		"front.internal:7071": 200, "Front.Internal": 200,
		"evil.example": 421, "evil.example:7071": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "localhost.": 421, "admin": 421, "10.1.2": 421,
	} {
		r.want(status, "GET", "/status", "Host", host)
		r.want(status, "POST", "/reload", "Host", host)
	}
}

// HTTP/1.0 has no Host, and so has what looks after a server by it. No browser does
// without.
func TestHandler_AnswersWithoutHost(t *testing.T) {
	r := serveAt(t, some(), Access{})
	conn, err := net.Dial("tcp", r.at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /healthz HTTP/1.0\r\n\r\n")
	if text, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(text), "HTTP/1.0 200 ") {
		t.Errorf("%q, %v", text, err)
	}
}

// timed is an answer that knows until when it is waited for.
type timed struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (w *timed) SetReadDeadline(t time.Time) error  { w.read = t; return nil }
func (w *timed) SetWriteDeadline(t time.Time) error { w.write = t; return nil }

// Who is turned away may neither send a body for ever nor leave the answer unread:
// each has one of few places.
func TestHandler_TimeEndsForThoseWhoAreTurnedAway(t *testing.T) {
	_, path, _, _ := tokened(t)
	token, err := OpenToken(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		access             Access
		method, host, path string
		status             int
	}{
		{Access{}, "POST", "evil.example", "/reload", 421}, {Access{}, "POST", "localhost", "/nothing", 404}, {Access{}, "POST", "localhost", "/status", 405},
		{Access{Token: token}, "POST", "localhost", "/reload", 401}, {Access{Token: token}, "GET", "localhost", "/events", 401}, {Access{Token: token}, "POST", "localhost", "/login", 401},
	} {
		w := &timed{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest(c.method, "http://"+c.host+c.path, strings.NewReader("body"))
		Handler(some(), c.access).ServeHTTP(w, r)
		latest := time.Now().Add(requestTimeout)
		if w.Code != c.status || w.read.IsZero() || w.write.IsZero() || w.read.After(latest) || w.write.After(latest) {
			t.Errorf("%s %s: %d, read until %v, written until %v", c.method, c.path, w.Code, w.read, w.write)
		}
	}
}

// ssh -L 7071:STATE/admin.sock has a browser call the socket localhost:7071.
func TestHandler_AnswersBrowsersAtTheSocket(t *testing.T) {
	l, err := Listen(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	r := serveOn(t, l, some(), Access{Host: SocketHost})
	r.want(200, "GET", "/", "Host", "localhost:7071", "Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	r.want(200, "POST", "/reload", "Host", "localhost:7071", "Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:7071")
	r.want(200, "GET", "/status", "Host", "admin") // curl --unix-socket ... http://admin/status
	r.want(421, "GET", "/status", "Host", "evil.example")
	r.want(403, "POST", "/reload", "Host", "localhost:7071", "Origin", "http://evil.example")
}

func TestHandler_TurnsAwayPagesOfOtherSites(t *testing.T) {
	r := serveAt(t, some(), Access{})
	for _, c := range []struct {
		status       int
		method, path string
		header       []string
	}{
		{200, "POST", "/reload", nil},
		{200, "POST", "/reload", []string{"Sec-Fetch-Site", "none"}},
		{200, "POST", "/reload", []string{"Sec-Fetch-Site", "same-origin"}},
		{200, "POST", "/reload", []string{"Origin", "http://localhost:7071"}},
		{403, "POST", "/reload", []string{"Sec-Fetch-Site", "cross-site"}},
		{403, "POST", "/reload", []string{"Sec-Fetch-Site", "same-site"}},
		{403, "POST", "/reload", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}},
		{403, "POST", "/upgrade", []string{"Origin", "http://localhost:8080"}},
		{403, "POST", "/upgrade", []string{"Origin", "null"}},
		{403, "POST", "/login", []string{"Origin", "http://evil.example"}},
		{403, "GET", "/status", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}},
		{403, "GET", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}},
		{200, "GET", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}},
		{200, "GET", "/status", []string{"Sec-Fetch-Site", "same-origin"}},
	} {
		r.want(c.status, c.method, c.path, c.header...)
	}
}

func TestHandler_AnswersAreForTheirReaderAlone(t *testing.T) {
	r := serveAt(t, some(), Access{})
	for _, path := range []string{"/status", "/", "/nothing"} {
		res, _ := r.ask("GET", path)
		for name, value := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Access-Control-Allow-Origin": "",
		} {
			if got := res.Header.Get(name); got != value {
				t.Errorf("%s: %s: %q", path, name, got)
			}
		}
	}
}

func TestHandler_WrongMethods(t *testing.T) {
	r := serveAt(t, some(), Access{})
	for _, c := range []struct{ method, path, allow string }{
		{"POST", "/status", "GET, HEAD"}, {"GET", "/reload", "POST"}, {"DELETE", "/upgrade", "POST"}, {"PUT", "/login", "POST"},
	} {
		res, text := r.ask(c.method, c.path)
		if res.StatusCode != 405 || res.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %s, Allow %q: %s", c.method, c.path, res.Status, res.Header.Get("Allow"), text)
		}
	}
	if res, text := r.ask("HEAD", "/status"); res.StatusCode != 200 || text != "" {
		t.Errorf("HEAD: %s %q", res.Status, text)
	}
	if text := r.want(404, "GET", "/nothing"); strings.TrimSpace(text) != unknownPath {
		t.Errorf("got %q", text)
	}
}

func TestReadyz_SaysWhy(t *testing.T) {
	var reasons []string
	s := some()
	s.NotReady = func(context.Context) []string { return reasons }
	r := serveAt(t, s, Access{})
	if text := r.want(200, "GET", "/readyz"); text != "ready\n" {
		t.Errorf("got %q", text)
	}
	if text := r.want(200, "GET", "/readyz", "Accept", "application/json"); text != `{"ready":true,"not_ready":[]}`+"\n" {
		t.Errorf("got %q", text)
	}
	reasons = []string{"no certificate for a.example.com yet", "it is draining"}
	if text := r.want(503, "GET", "/readyz"); text != strings.Join(reasons, "\n")+"\n" {
		t.Errorf("got %q", text)
	}
	if text := r.want(503, "GET", "/readyz", "Accept", "application/json"); !strings.Contains(text, `"ready":false,"not_ready":["no cert`) {
		t.Errorf("got %q", text)
	}
}

func TestPprof_OnlyWhenAskedFor(t *testing.T) {
	r := serveAt(t, some(), Access{})
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile"} {
		r.want(404, "GET", path)
	}
	s := some()
	s.Pprof = true
	r = serveAt(t, s, Access{})
	if text := r.want(200, "GET", "/debug/pprof/"); !strings.Contains(text, "\ngoroutine (") {
		t.Errorf("got %q", text)
	}
	if text := r.want(200, "GET", "/debug/pprof/goroutine?debug=2"); !strings.Contains(text, "goroutine ") {
		t.Errorf("got %q", text)
	}
	if text := r.want(200, "GET", "/debug/pprof/heap"); !strings.HasPrefix(text, "\x1f\x8b") {
		t.Error("the heap's profile is not compressed as go tool pprof has it")
	}
	if text := r.want(200, "GET", "/debug/pprof/profile?seconds=1"); !strings.HasPrefix(text, "\x1f\x8b") {
		t.Error("the CPU's profile is not compressed as go tool pprof has it")
	}
	r.want(404, "GET", "/debug/pprof/nothing")
	for _, seconds := range []string{"61", "0", "-1", "x", "300"} {
		r.want(400, "GET", "/debug/pprof/profile?seconds="+seconds)
	}
}
