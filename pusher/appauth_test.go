package pusher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// app is an application behind a real server, asked by an AppAuth.
type app struct {
	Authorizer
	t      *testing.T
	server *httptest.Server
	log    *journal

	mu    sync.Mutex
	asked []*http.Request
}

func newApp(t *testing.T, cfg AppAuth, answer http.HandlerFunc) *app {
	t.Helper()
	a := &app{t: t, log: &journal{}}
	a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.asked = append(a.asked, r.Clone(context.Background()))
		a.mu.Unlock()
		answer(w, r)
	}))
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); a.server.Close() })
	base, err := url.Parse(a.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if a.Authorizer, err = NewAppAuth(cfg, transport, base, slog.New(a.log)); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *app) questions() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

// visit is a request of a browser for the endpoint, with fields in pairs.
func visit(target string, fields ...string) *http.Request {
	r := httptest.NewRequest("GET", target, nil)
	r.Host = "app.test"
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

// socketVisit is visit by a WebSocket.
func socketVisit(target string, fields ...string) *http.Request {
	return visit(target, append(fields, "Connection", "Upgrade", "Upgrade", "websocket")...)
}

func (a *app) admits(r *http.Request, want ...string) Admission {
	a.t.Helper()
	admission, refusal := a.Authorize(r, want)
	if refusal != nil {
		a.t.Fatalf("refused: %d %s %s %v", refusal.Status, refusal.Reason, refusal.Body, refusal.Attrs)
	}
	return admission
}

func (a *app) refuses(r *http.Request, want ...string) *Refusal {
	a.t.Helper()
	admission, refusal := a.Authorize(r, want)
	if refusal == nil {
		a.t.Fatalf("admitted: %+v", admission)
	}
	return refusal
}

// attr is the value of a Refusal's attribute; "" when it is not there.
func attr(r *Refusal, key string) string {
	for _, a := range r.Attrs {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}

func TestAppAuth_AsksAsTheBrowserWithWhatTheFrontKnows(t *testing.T) {
	a := newApp(t, AppAuth{Path: "/push/auth?of=wsfront"}, func(http.ResponseWriter, *http.Request) {})
	r := socketVisit("/push/board?channel=b&from=e.7",
		"Cookie", "sessionid=s", "Cookie", "csrftoken=c", "Authorization", "Basic abc", "Origin", "https://app.test",
		"User-Agent", "Browser/1", "Accept-Language", "de", "Sec-WebSocket-Key", "k", "Accept-Encoding", "br",
		"X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "evil.test", "X-Forwarded-Proto", "gopher", "X-Real-Ip", "6.6.6.6",
		"Forwarded", "for=6.6.6.6", "X-Original-Uri", "/evil", "X-Original-Method", "EVIL", "X-Push-Channels", "evil", "X-Push-User", "root",
		"X_Forwarded_For", "6.6.6.6", "X-Request-Id", "k3v9q2mx7c5d8f1a")
	r.RemoteAddr, r.URL.Scheme = "[::ffff:192.0.2.7]:4711", "https"
	a.admits(r, "b", "a,b")
	got := a.questions()[0]
	if got.Method != "GET" || got.RequestURI != "/push/auth?of=wsfront" || got.Host != "app.test" || got.ContentLength != 0 {
		t.Errorf("asked %s %s of %s, body of %d", got.Method, got.RequestURI, got.Host, got.ContentLength)
	}
	want := http.Header{
		"Cookie": {"sessionid=s; csrftoken=c"}, "Authorization": {"Basic abc"}, "Origin": {"https://app.test"},
		"User-Agent": {"Browser/1"}, "Accept-Language": {"de"}, "Accept": {"*/*"}, "Accept-Encoding": {"identity"},
		"X-Original-Method": {"GET"}, "X-Original-Uri": {"/push/board?channel=b&from=e.7"},
		"X-Forwarded-For": {"192.0.2.7"}, "X-Real-Ip": {"192.0.2.7"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"app.test"},
		"X-Push-Channels": {"b, a%2Cb"}, "X-Request-Id": {"k3v9q2mx7c5d8f1a"},
	}
	for name, values := range want {
		if !slices.Equal(got.Header[name], values) {
			t.Errorf("%s: %q, want %q", name, got.Header[name], values)
		}
	}
	for name, values := range got.Header {
		if want[name] == nil {
			t.Errorf("%s: %q came along", name, values)
		}
	}
}

func TestAppAuth_AsksBelowTheBackendsPathAndWithoutWhatIsNotKnown(t *testing.T) {
	a := newApp(t, AppAuth{Path: "/push/auth"}, func(http.ResponseWriter, *http.Request) {})
	base, _ := url.Parse(a.server.URL + "/mounted/")
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	auth, err := NewAppAuth(AppAuth{Path: "/push/a%2Futh"}, transport, base, slog.New(a.log))
	if err != nil {
		t.Fatal(err)
	}
	r := visit("http://app.test/board?x=1")
	r.RequestURI, r.RemoteAddr = "", "@"
	if _, refusal := auth.Authorize(r, nil); refusal != nil {
		t.Fatal(refusal)
	}
	got := a.questions()[0]
	if got.RequestURI != "/mounted/push/a%2Futh" || got.Header.Get("X-Original-Uri") != "/board?x=1" || got.Header.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("asked %s %v", got.RequestURI, got.Header)
	}
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "User-Agent", "Cookie", "X-Push-Channels"} {
		if values, ok := got.Header[name]; ok {
			t.Errorf("%s: %q came", name, values)
		}
	}
}

func TestAppAuth_AdmitsAsTheAppSays(t *testing.T) {
	a := newApp(t, AppAuth{Path: "/auth"}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["X-Push-Channels"] = []string{"board, user.7 ,", "a%2Cb, board"}
		w.Header().Set("X-Push-User", "7")
		w.Header().Set("X-Push-Info", `{ "name": "J\u00fcrgen" }`)
		w.Header().Set("X-Push-Expires", "60")
		w.Header().Set("X-Push-Greeting", "Hallo%2C%20J%C3%BCrgen+%0A100%25")
		w.WriteHeader(http.StatusNoContent)
	})
	before := time.Now()
	got := a.admits(visit("/board"))
	if !slices.Equal(got.Channels, []string{"board", "user.7", "a,b"}) || got.User != "7" || string(got.Info) != `{"name":"J\u00fcrgen"}` ||
		got.Greeting != "Hallo, Jürgen+\n100%" {
		t.Errorf("got %+v", got)
	}
	if got.Expires.Before(before.Add(60*time.Second)) || got.Expires.After(time.Now().Add(60*time.Second)) {
		t.Errorf("expires %s", got.Expires)
	}
	if got := a.admits(visit("/board"), "x", "user.7", "a,b"); !slices.Equal(got.Channels, []string{"user.7", "a,b"}) {
		t.Errorf("of those asked for: %q", got.Channels)
	}
	refusal := a.refuses(visit("/board"), "x", "y")
	if refusal.Status != 403 || attr(refusal, "asked") != "x, y" || attr(refusal, "granted") != "board, user.7, a%2Cb" || !refusal.Final() {
		t.Errorf("none of those asked for: %d %v", refusal.Status, refusal.Attrs)
	}
}

func TestAppAuth_WithoutFieldsGrantsWhatWasAskedFor(t *testing.T) {
	a := newApp(t, AppAuth{Path: "/auth"}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "welcome") })
	got := a.admits(visit("/board"), "x")
	if got.Channels != nil || got.User != "" || got.Info != nil || !got.Expires.IsZero() || got.Greeting != "" {
		t.Errorf("got %+v", got)
	}
}

func TestAppAuth_AnEmptyListIsNothing(t *testing.T) {
	a := newApp(t, AppAuth{Path: "/auth"}, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Push-Channels", "") })
	if r := a.refuses(visit("/board")); r.Status != 403 {
		t.Errorf("refused with %d", r.Status)
	}
	if r := a.refuses(visit("/board"), "x"); r.Status != 403 {
		t.Errorf("refused with %d", r.Status)
	}
}

func TestAppAuth_FieldsThatMakeNoSenseAdmitNobody(t *testing.T) {
	for _, c := range []struct{ name, value, hint string }{
		{"X-Push-Channels", "board, the board", `X-Push-Channels: "the board" is no channel name; write 1 to 164 letters (a-z), digits or any of _-=@,.;:`},
		{"X-Push-Channels", "a%zz", `X-Push-Channels: "a%zz" is no channel name`},
		{"X-Push-Channels", "user.*", `X-Push-Channels: "user.*" is no channel name`},
		{"X-Push-Channels", manyNames(maxGranted + 1), `X-Push-Channels: too many channels; list at most 100`},
		{"X-Push-User", strings.Repeat("x", maxUser+1), "X-Push-User has 257 bytes; write at most 256"},
		{"X-Push-User", "J\xfcrgen", "X-Push-User is not UTF-8"},
		{"X-Push-User", "a\tb", "X-Push-User holds a control character"},
		{"X-Push-Info", "{name: Ann}", `X-Push-Info is no JSON; write such as {"name":"Ann"}`},
		{"X-Push-Info", `"` + strings.Repeat("x", maxInfo) + `"`, "X-Push-Info has 4098 bytes"},
		{"X-Push-Expires", "soon", `X-Push-Expires: "soon" is no time; write whole seconds from now, such as 3600, or an HTTP date, such as `},
		{"X-Push-Expires", "1790000000", `X-Push-Expires: "1790000000" is more than ten years; write seconds from now, not a Unix time`},
		{"X-Push-Greeting", "100% sure", "X-Push-Greeting: a % stands there that begins no escape"},
		{"X-Push-Greeting", "%FF", "X-Push-Greeting is not UTF-8"},
		{"X-Push-Greeting", strings.Repeat("x", maxGreeting+1), "X-Push-Greeting has 16385 bytes"},
	} {
		a := newApp(t, AppAuth{Path: "/auth"}, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(c.name, c.value) })
		r := a.refuses(visit("/board"))
		if r.Status != 502 || r.Final() || !strings.HasPrefix(attr(r, "hint"), c.hint) || !strings.Contains(string(r.Body), c.hint) {
			t.Errorf("%s: %.40s: %d, hint %q", c.name, c.value, r.Status, attr(r, "hint"))
		}
	}
}

func manyNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("c", i)
	}
	return strings.Join(names, ",")
}

func TestAppAuth_AnAdmissionThatIsOverAdmitsNobody(t *testing.T) {
	for _, expires := range []string{"0", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)} {
		a := newApp(t, AppAuth{Path: "/auth"}, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Push-Expires", expires) })
		if r := a.refuses(visit("/board")); r.Status != 401 || attr(r, "expires") != expires {
			t.Errorf("%s: %d %v", expires, r.Status, r.Attrs)
		}
	}
}

func TestAppAuth_PassesARefusalOn(t *testing.T) {
	long := strings.Repeat("x", maxAnswer+100)
	a := newApp(t, AppAuth{Path: "/auth"}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", "Basic")
		w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Cache-Control", "private")
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Server", "gunicorn")
		w.Header().Set("Upgrade", "h2c")
		w.Header().Set("X-Push-User", "7")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, long)
	})
	r := a.refuses(visit("/board"))
	want := http.Header{"Www-Authenticate": {"Basic"}, "Set-Cookie": {"a=1", "b=2"}, "Content-Type": {"text/html"},
		"Cache-Control": {"private"}, "Retry-After": {"7"}}
	if r.Status != http.StatusTeapot || string(r.Body) != long[:maxAnswer] || fmt.Sprint(r.Header) != fmt.Sprint(want) || !r.Final() {
		t.Errorf("got %d %v and %d bytes", r.Status, r.Header, len(r.Body))
	}
}

func TestAppAuth_ARedirectGoesToAnEventStreamAndIs401ForASocket(t *testing.T) {
	a := newApp(t, AppAuth{Path: "/auth"}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/auth" {
			t.Errorf("a redirect was followed to %s", r.URL)
		}
		http.Redirect(w, r, "/login/?next=/auth&secret=s3cr3t", http.StatusFound)
	})
	stream := a.refuses(visit("/board", "Accept", "text/event-stream"))
	if stream.Status != 302 || stream.Header.Get("Location") != "/login/?next=/auth&secret=s3cr3t" || !strings.Contains(string(stream.Body), "Found") {
		t.Errorf("event stream: %d %v", stream.Status, stream.Header)
	}
	socket := a.refuses(socketVisit("/board"))
	if socket.Status != 401 || socket.Header.Get("Location") != "/login/?next=/auth&secret=s3cr3t" ||
		string(socket.Body) != "401 Unauthorized: the application answers 302 to the question whether this client may listen: log in first\n" ||
		socket.Header.Get("Content-Type") != "text/plain; charset=utf-8" || !strings.Contains(socket.Reason, "a WebSocket follows no redirect") {
		t.Errorf("socket: %d %v %s %s", socket.Status, socket.Header, socket.Body, socket.Reason)
	}
	for _, r := range []*Refusal{stream, socket} {
		if attr(r, "app_status") != "302" || attr(r, "location") != "/login/" || strings.Contains(fmt.Sprint(r.Reason, r.Attrs), "s3cr3t") {
			t.Errorf("the log has %s %v", r.Reason, r.Attrs)
		}
	}
}

func TestAppAuth_NamesCookiesButNeverTheirValues(t *testing.T) {
	a := newApp(t, AppAuth{Path: "/auth"}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) })
	r := a.refuses(visit("/board", "Cookie", "sessionid=s3cr3t; theme=s3cr3t=x; s3cr3t; =s3cr3t;theme=s3cr3t", "Cookie", "more=s3cr3t",
		"Authorization", "Bearer s3cr3t", "Origin", "https://app.test"))
	if attr(r, "cookies") != "sessionid, theme, more" || attr(r, "origin") != "https://app.test" || attr(r, "host") != "app.test" || attr(r, "auth") != "/auth" {
		t.Errorf("got %v", r.Attrs)
	}
	if strings.Contains(fmt.Sprint(r.Reason, r.Attrs, string(r.Body)), "s3cr3t") {
		t.Errorf("a secret shows: %s %v", r.Reason, r.Attrs)
	}
	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprintf("n%d=v", i))
	}
	r = a.refuses(visit("/board", "Cookie", strings.Repeat("n", 1000)+"=v;"+strings.Join(many, ";")))
	if names := strings.Split(attr(r, "cookies"), ", "); len(names) != maxCookieNames+1 || len(names[0]) != 63 {
		t.Errorf("got %q", names)
	}
	if r := a.refuses(visit("/board")); attr(r, "cookies") != "none" {
		t.Errorf("without cookies: %v", r.Attrs)
	}
}

func TestAppAuth_ValidateSaysWhatToWrite(t *testing.T) {
	never, second, soon := time.Duration(0), time.Second, 5*time.Millisecond
	for _, c := range []struct {
		given AppAuth
		want  string
	}{
		{AppAuth{Path: "/push/auth", Recheck: &never}, ""},
		{AppAuth{Path: "/push/auth?x=1", Timeout: time.Minute, Cache: time.Second, CacheSize: 1, Recheck: &second}, ""},
		{AppAuth{}, "path: is empty; write the path of a view of the application, such as /push/auth"},
		{AppAuth{Path: "push/auth"}, `path: "push/auth" is no path; write the path of a view of the application, such as /push/auth`},
		{AppAuth{Path: "/a#b"}, `path: "/a#b" is no path; write the path of a view of the application, such as /push/auth`},
		{AppAuth{Path: "http://app:8000/push/auth"}, `path: "http://app:8000/push/auth" names a host, but the application that is asked is the one that the pages come from; write "/push/auth"`},
		{AppAuth{Path: "/a", Timeout: -1, Cache: -1, CacheSize: -1, Recheck: &soon},
			`timeout: -1ns is no time to wait for an answer; write up to 1m0s, such as 5s
cache: -1ns is negative; write how long an admission is kept, such as 10s
cache_size: -1 is negative; write how many admissions are kept, such as 4096
recheck: 5ms is too short; write at least 1s, such as 5m, or 0s for never`},
		{AppAuth{Path: "/a", CacheSize: 7}, "cache_size: nothing is kept without cache; write cache: 10s as well, or remove this key"},
	} {
		got := ""
		if err := c.given.Validate(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", c.given, got, c.want)
		}
	}
	var short AppAuth
	if err := short.UnmarshalText([]byte("/push/auth")); err != nil || short != (AppAuth{Path: "/push/auth"}) {
		t.Errorf("the short form gives %+v, %v", short, err)
	}
	var all FieldErrors
	if _, err := NewAppAuth(AppAuth{}, http.DefaultTransport, &url.URL{Host: "x"}, nil); !errors.As(err, &all) {
		t.Errorf("NewAppAuth says %v", err)
	}
	if _, err := NewAppAuth(AppAuth{Path: "/a"}, nil, nil, nil); err == nil {
		t.Error("no app to ask, and no error")
	}
}

func TestAppAuth_RecheckHasADefault(t *testing.T) {
	base := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	never := time.Duration(0)
	for _, c := range []struct {
		given *time.Duration
		want  time.Duration
	}{{nil, 5 * time.Minute}, {&never, 0}} {
		auth, err := NewAppAuth(AppAuth{Path: "/a", Recheck: c.given}, http.DefaultTransport, base, nil)
		if err != nil || auth.Recheck() != c.want {
			t.Errorf("%v: %v %v", c.given, auth.Recheck(), err)
		}
	}
}
