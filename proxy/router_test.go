package proxy

import (
	"net/http"
	"strings"
	"testing"
)

// asked is the route that gets the request of one kind that routes tell apart.
func asked(t *testing.T, s *site, path, kind string) *route {
	t.Helper()
	head := "GET / HTTP/1.1\nHost: app.test"
	switch kind {
	case "websocket":
		head += "\nConnection: keep-alive, Upgrade\nUpgrade: WebSocket"
	case "event stream":
		head += "\nAccept: text/event-stream"
	}
	r := parsed(t, head)
	return s.route(&exchange{req: r, path: []byte(path), upgrade: isHandshake(r)})
}

func mustTable(t *testing.T, sites ...Site) *table {
	t.Helper()
	table, err := newTable(Config{Sites: sites})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.close)
	return table
}

func TestRoute_MostSpecificPathThatTakesTheKindWins(t *testing.T) {
	push := http.NotFoundHandler()
	folder := t.TempDir()
	routes := []Route{ // the least specific first: the file's order does not count
		{Path: "/", App: "http://127.0.0.1:8001"},
		{Path: "/websocket", Handler: push},
		{Path: "/static/", Files: folder},
		{Path: "/chat", Tunnel: Tunnel{Backend: "ws://127.0.0.1:8002"}},
		{Path: "/chat/admin", App: "http://127.0.0.1:8003"},
		{Path: "/push/{channel}", Handler: push},
		{Path: "/push/fixed", Tunnel: Tunnel{Backend: "ws://127.0.0.1:8004"}},
	}
	site := mustTable(t, Site{Hosts: []string{"app.test"}, Routes: routes}).sites[0]
	for _, c := range []struct{ kind, path, want string }{
		{"page", "/", "/"},
		{"page", "/websocket", "/"},
		{"websocket", "/websocket", "/websocket"},
		{"event stream", "/websocket", "/websocket"},
		{"websocket", "/websocket/x", "/websocket"},
		{"websocket", "/websocketx", "/"},
		{"page", "/static/a.js", "/static/"},
		{"page", "/static", "/"},
		{"page", "/staticx/", "/"},
		{"websocket", "/static/a.js", "/"},
		{"page", "/chat", "/"},
		{"websocket", "/chat", "/chat"},
		{"websocket", "/chat/room", "/chat"},
		{"event stream", "/chat", "/"},
		{"page", "/chat/admin/x", "/chat/admin"},
		{"websocket", "/chat/admin/x", "/chat/admin"},
		{"websocket", "/push/news", "/push/{channel}"},
		{"websocket", "/push/fixed", "/push/fixed"},
		{"event stream", "/push/fixed", "/push/{channel}"},
		{"websocket", "/push/", "/"},
		{"websocket", "/push/a/b", "/"},
		{"websocket", "/Chat", "/"},
	} {
		got := asked(t, site, c.path, c.kind)
		if got == nil || got.Path != c.want {
			t.Errorf("%s at %s: %v, want %s", c.kind, c.path, got, c.want)
		}
	}
}

func TestRoute_NoneTakesIt(t *testing.T) {
	site := mustTable(t, Site{Hosts: []string{"app.test"}, Routes: []Route{{Path: "/app/", App: "http://127.0.0.1:8001"}}}).sites[0]
	if rt := asked(t, site, "/", "page"); rt != nil {
		t.Fatalf("got %s", rt.Path)
	}
}

func TestSite_ByHost(t *testing.T) {
	app := []Route{{Path: "/", App: "http://127.0.0.1:8001"}}
	table := mustTable(t,
		Site{Hosts: []string{"App.test", "2001:db8::1", "192.0.2.1"}, Routes: app},
		Site{Hosts: []string{"*.wild.test"}, Routes: app},
		Site{Hosts: []string{"deep.wild.test"}, Routes: app},
	)
	for host, want := range map[string]string{
		"app.test":           "App.test",
		"APP.test:8443":      "App.test",
		"app.test.":          "App.test",
		"[2001:db8::1]:8443": "App.test",
		"[2001:db8::1]":      "App.test",
		"192.0.2.1:80":       "App.test",
		"x.wild.test":        "*.wild.test",
		"deep.wild.test":     "deep.wild.test",
		"a.b.wild.test":      "",
		"wild.test":          "",
		"other.test":         "",
		"":                   "",
	} {
		got := ""
		if s := table.site([]byte(host)); s != nil {
			got = s.name
		}
		if got != want {
			t.Errorf("host %q: site %q, want %q", host, got, want)
		}
	}
	every := mustTable(t, Site{Hosts: []string{"*"}, Routes: app})
	if every.site([]byte("anything.test")) == nil {
		t.Error(`hosts ["*"] does not serve every name`)
	}
}

func TestParsePath(t *testing.T) {
	for _, c := range []struct{ in, prefix, variable, problem string }{
		{in: "/", prefix: "/"},
		{in: "/chat/", prefix: "/chat/"},
		{in: "/push/{channel}", prefix: "/push/", variable: "channel"},
		{in: "/{channel}", prefix: "/", variable: "channel"},
		{in: "chat", problem: "begins with /"},
		{in: "", problem: "begins with /"},
		{in: "/a//b", problem: "write /a/b"},
		{in: "/a/../b", problem: "write /b"},
		{in: "/{a}/b", problem: "whole last segment"},
		{in: "/x{a}", problem: "whole last segment"},
		{in: "/{}", problem: "no name"},
		{in: "/a*", problem: "whole last segment"},
	} {
		prefix, variable, err := parsePath(c.in)
		switch {
		case c.problem == "" && (err != nil || prefix != c.prefix || variable != c.variable):
			t.Errorf("parsePath(%q) = %q, %q, %v", c.in, prefix, variable, err)
		case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
			t.Errorf("parsePath(%q): error %v, want one with %q", c.in, err, c.problem)
		}
	}
}
