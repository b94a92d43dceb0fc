package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestMatch_ComesFirstInTheOrderOfTheFile(t *testing.T) {
	const app, socket = "http://127.0.0.1:8001", "ws://127.0.0.1:8002"
	routes := []Route{
		{Path: "/sockjs/info", App: app},
		{Match: "^/sockjs/.*/websocket$", Tunnel: Tunnel{Backend: socket}},
		{Match: `\.php$`, Redirect: Redirect{Status: 410}},
		{Match: "^/(a|b)/", App: app},
		{Match: "^/a/deep/", App: app},
		{Match: "(?i)^/CaSe$", App: app},
		{Path: "/", App: app},
		{Path: "/a/deep/er", App: app},
	}
	site := mustTable(t, Site{Hosts: []string{"app.test"}, Routes: routes}).sites[0]
	for _, c := range []struct{ kind, path, want string }{
		{"websocket", "/sockjs/1/x/websocket", "^/sockjs/.*/websocket$"},
		{"page", "/sockjs/1/x/websocket", "/"}, // a tunnel takes no pages
		{"page", "/sockjs/info", "/sockjs/info"},
		{"page", "/old/index.php", `\.php$`}, // searched, not from the beginning
		{"websocket", "/old/index.php", "/"}, // nor does a redirect take handshakes
		{"page", "/a/x.php", `\.php$`},       // the first one, though the next one takes it too
		{"page", "/a/deep/er", "^/(a|b)/"},
		{"websocket", "/b/x", "^/(a|b)/"},
		{"page", "/case", "(?i)^/CaSe$"},
		{"page", "/c", "/"},
	} {
		got := asked(t, site, c.path, c.kind)
		if got == nil || got.Path+got.Match != c.want {
			t.Errorf("%s at %s: %v, want %s", c.kind, c.path, got, c.want)
		}
	}
}

func TestMatch_BackendGetsWhatTheGroupsTook(t *testing.T) {
	backend, requests := answering(t, okAnswer)
	f := serveFront(t,
		Route{Match: "^/kept/", App: backend},
		Route{Match: "^/item/([0-9]+)(/edit)?$", App: backend + "/shop/${1}0$2"},
		Route{Match: "^/all/.*$", App: backend + "/in$0"},
		Route{Match: "^/one/?$", App: backend + "/"},
		Route{Match: "^/up(.*)$", App: backend + "/api/$1"},
		Route{Match: "^/join/(.*)F(.*)$", App: backend + "/j/$1E$2"},
		Route{Match: "^/slash/(.*)$", App: backend + "/s/$1", EncodedSlashes: true},
		Route{Match: "^/cost(.*)$", App: backend + "/a%24b$1$x$"},
	)
	for _, c := range []struct{ path, want string }{
		{"/kept/a%20b?x=1", "/kept/a%20b?x=1"},
		{"/item/7?x=$1", "/shop/70?x=$1"},
		{"/item/7/edit", "/shop/70/edit"},
		{"/all/x", "/in/all/x"},
		{"/one/", "/"},
		{"/one", "/"},
		{"/up/x/y", "/api/x/y"}, // two slashes become one
		{"/up", "/api/"},
		{"/up../x", "400"}, // the group is ../x
		{"/up./x", "/api/x"},
		{"/up.git", "/api/.git"},
		{"/join/%20F%2541", "/j/%20E%2541"},
		{"/join/%4%46x", "400"},
		{"/slash/a%2fb", "/s/a%2Fb"},
		{"/up/a%2fb", "400"},
		{"/cost/x", "/a%24b/x$x$"},
	} {
		res, _ := f.ask("GET " + c.path + " HTTP/1.1\nHost: app.test")
		if c.want == "400" {
			if res.StatusCode != 400 {
				t.Errorf("%s: %s, want 400", c.path, res.Status)
			}
			continue
		}
		if line, _, _ := strings.Cut(receive(t, requests), "\r\n"); line != "GET "+c.want+" HTTP/1.1" {
			t.Errorf("%s: the backend got %q, want %s", c.path, line, c.want)
		}
	}
	f.log.await(t, "climbs out of what is written before its groups", "route=\"* ^/up(.*)$\"")
}

// Pieces of two escapes put together are no way around encoded_slashes.
func TestMatch_GroupsMakeNoEncodedSlash(t *testing.T) {
	backend, _ := answering(t, okAnswer)
	f := serveFront(t, Route{Match: "^/x/(.*)0(.*)$", App: backend + "/$1F$2"})
	if res, _ := f.ask("GET /x/a%20b HTTP/1.1\nHost: app.test"); res.StatusCode != 400 {
		t.Errorf("/aE%%2Fb went to the backend: %s", res.Status)
	}
	f.log.await(t, "an encoded slash in the path that match makes of it")
}

func TestMatch_TunnelAndRedirect(t *testing.T) {
	backend, requests := answering(t, okAnswer)
	f := serveFront(t,
		Route{Match: "^/(sockjs/.*/websocket)$", Tunnel: Tunnel{Backend: strings.Replace(backend, "http", "ws", 1) + "/inner/$1"}},
		Route{Match: "^/blog/([0-9]{4})/(.*)$", Redirect: Redirect{To: "https://blog.example.org/$1-$2", Status: 301}},
		Route{Match: "^/wiki(.*)$", Redirect: Redirect{To: "/docs$1?from=wiki"}},
		Route{Match: "^/open(.*)$", Redirect: Redirect{To: "/$1"}},
		Route{Match: `\.old$`, Redirect: Redirect{To: "https://old.example.org"}},
		Route{Path: "/", App: backend},
	)
	f.ask("GET /sockjs/1/x/websocket?t=1 HTTP/1.1\nHost: app.test\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
	if line, _, _ := strings.Cut(receive(t, requests), "\r\n"); line != "GET /inner/sockjs/1/x/websocket?t=1 HTTP/1.1" {
		t.Errorf("the tunnel's backend got %q", line)
	}
	for path, want := range map[string]string{
		"/blog/2026/a%20b?x=1": "https://blog.example.org/2026-a%20b?x=1",
		"/wiki/x?y=1":          "/docs/x?from=wiki",
		"/open//evil.test/":    "/evil.test/",
		"/open/evil.test":      "/evil.test",
		"/x.old?y=1":           "https://old.example.org/x.old?y=1",
	} {
		if res, _ := f.ask("GET " + path + " HTTP/1.1\nHost: app.test"); res.Header.Get("Location") != want {
			t.Errorf("%s: %s to %q, want %q", path, res.Status, res.Header.Get("Location"), want)
		}
	}
}

// A pattern has no one prefix that could be put back: the host is the client's,
// the rest stays as the backend wrote it.
func TestMatch_AnswersPathsStay(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://"+r.Host+"/store/next")
		w.Header().Set("Set-Cookie", "a=1; Path=/store/")
		w.WriteHeader(302)
	}))
	defer app.Close()
	f := serveFront(t, Route{Match: "^/shop/(.*)$", App: app.URL + "/store/$1"})
	res, _ := f.ask("GET /shop/cart HTTP/1.1\nHost: app.test")
	if got, cookie := res.Header.Get("Location"), res.Header.Get("Set-Cookie"); got != "http://app.test/store/next" || cookie != "a=1; Path=/store/" {
		t.Errorf("Location %q, Set-Cookie %q", got, cookie)
	}
}

func TestMatch_RequestWithABody(t *testing.T) {
	// The head is copied when its buffer moves on: the target must stay.
	backend, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Match: "^/in/(.*)$", App: backend + "/out/$1"})
	conn, r := f.dial("POST /in/x HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100000\r\n\r\n")
	if _, err := io.WriteString(conn, strings.Repeat("b", 100000)); err != nil {
		t.Fatal(err)
	}
	readAnswer(t, r, "POST")
	if line, _, _ := strings.Cut(receive(t, requests), "\r\n"); line != "POST /out/x HTTP/1.1" {
		t.Errorf("the backend got %q", line)
	}
}

func TestCompileMatch_SaysWhatToWrite(t *testing.T) {
	for pattern, want := range map[string]string{
		"^/(?!static/)":    "has no lookahead or lookbehind (?!",
		"^/x(?<=y)":        "has no lookahead or lookbehind (?<=",
		`^/(a)\1$`:         `cannot ask for the same text again (\1)`,
		"^/(?>a)":          "never goes back",
		"^/a++":            "never goes back",
		"^/(":              `missing closing ): "^/("; write one such as`,
		"^/[z-a]":          "invalid character class range",
		"^ws/?$":           "can never match, as paths begin with /; write ^/ws/?$",
		"^/a{1,2000}":      "invalid repeat count",
		"^s?/a":            "",
		"^x|^/y":           "",
		"^/(?i:A)(?P<n>b)": "",
		"":                 "",
	} {
		_, err := compileMatch(pattern)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", pattern, err, want)
		}
	}
}

// FuzzMatch: whatever a pattern takes out of a path, what is asked for is a clean
// path below the written beginning.
func FuzzMatch(f *testing.F) {
	for _, path := range []string{"/a../b", "/x/..%2fy", "/a%2/b", "/a%0d0ab", "/a//evil.test", `/a\evil.test`, "/a./.", "/%25%32%65", "/a%E0b"} {
		f.Add("^/a(.*)$", "/api/$1", path)
		f.Add("(.)(.*)", "/$2$1", path)
		f.Add("/(.*)", "/v$1/${0}/x", path)
		f.Add("(%.)(.*)", "/j$1$2e$2", path)
	}
	f.Fuzz(func(t *testing.T, pattern, target, escaped string) {
		if len(pattern) > 100 { // slow to compile, and no other than short ones
			return
		}
		rt := &route{Route: Route{Match: pattern, App: "http://127.0.0.1:8080" + target}}
		if pattern == "" || rt.parsePlace() != nil {
			return
		}
		var err error
		if _, rt.template, err = rt.parseBackend(rt.App, "http", "https"); err != nil || rt.template == nil {
			return
		}
		clean, err := cleanPath(escaped)
		if err != nil || !rt.takes([]byte(clean), false, false) {
			return
		}
		made, err := rt.appendTarget([]byte("before "), []byte(clean))
		if err != nil {
			return
		}
		got, ok := strings.CutPrefix(string(made), "before ")
		if again, err := cleanPath(got); !ok || err != nil || again != got || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\r\n\\ ?#") {
			t.Fatalf("%s to %s: %q became %q", pattern, target, escaped, got)
		}
		if begin := rt.template[0].text; !strings.HasPrefix(got, begin) {
			t.Fatalf("%s to %s: %q became %q, which does not begin with %s", pattern, target, escaped, got, begin)
		}
	})
}
