package proxy

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"wsfront/proxy/http1"
)

func TestRedirectRoute_StatusAndLocation(t *testing.T) {
	f := serveFront(t,
		Route{Path: "/", Redirect: Redirect{To: "https://www.example.org"}},
		Route{Path: "/old", Redirect: Redirect{To: "/new/", Status: 301}},
		Route{Path: "/shop/", Redirect: Redirect{To: "http://shop.example.org:8080/", Status: 308}},
		Route{Path: "/q", Redirect: Redirect{To: "/found?by=us#top", Status: 303}},
		Route{Path: "/bare", Redirect: Redirect{To: "/found?", Status: 307}},
		Route{Path: "/gone", Redirect: Redirect{Status: 410}},
		Route{Path: "/no", Redirect: Redirect{Status: 403}},
		Route{Path: "/none", Redirect: Redirect{Status: 404}},
		Route{Path: "/slashes", Redirect: Redirect{To: "/s"}, EncodedSlashes: true},
	)
	for _, c := range []struct {
		request  string
		status   int
		location string
	}{
		{"GET /a/b?x=1&y=%2F", 302, "https://www.example.org/a/b?x=1&y=%2F"},
		{"GET /", 302, "https://www.example.org/"},
		{"GET /a?", 302, "https://www.example.org/a?"},
		{"POST /a", 302, "https://www.example.org/a"},
		{"HEAD /old", 301, "/new/"},
		{"GET /old/", 301, "/new/"},
		{"GET /old/a%20b?x=1", 301, "/new/a%20b?x=1"},
		{"GET /older", 302, "https://www.example.org/older"},
		{"GET /shop/cart", 308, "http://shop.example.org:8080/cart"},
		{"GET /q/x?by=them", 303, "/found/x?by=us#top"},
		{"GET /bare?x=1", 307, "/found"},
		{"GET /gone/x", 410, ""},
		{"GET /no", 403, ""},
		{"GET /none", 404, ""},
		// Nothing in a request's path becomes a host, another field or a way up.
		{"GET //evil.test/", 302, "https://www.example.org/evil.test/"},
		{"GET /old//evil.test", 301, "/new/evil.test"},
		{`GET /old/\evil.test`, 400, ""},
		{`GET /slashes/\evil.test`, 302, "/s/%5Cevil.test"},
		{"GET /old/..//evil.test", 302, "https://www.example.org/evil.test"},
		{"GET /old/%0d%0aSet-Cookie:a=b", 400, ""},
		{"GET /old/a%2Fb", 400, ""},
		{"GET /slashes/a%2fb", 302, "/s/a%2Fb"},
	} {
		res, body := f.ask(c.request + " HTTP/1.1\nHost: app.test\nContent-Length: 0")
		if got := res.Header.Get("Location"); res.StatusCode != c.status || got != c.location || c.status < 400 && body != "" {
			t.Errorf("%s: %d to %q with body %q, want %d to %q", c.request, res.StatusCode, got, body, c.status, c.location)
		}
	}
	if _, body := f.ask("GET /gone HTTP/1.1\nHost: app.test\nAccept: text/html"); !strings.Contains(body, "gone for good") {
		t.Errorf("the page for 410 does not say what it means:\n%s", body)
	}
	if got := f.access.await(t, `"uri":"/old/a%20b`); !strings.Contains(got, `"route":"*/old"`) {
		t.Errorf("access log: %s", got)
	}
}

func TestRedirectRoute_OverHTTP2(t *testing.T) {
	f := serveFront(t, Route{Path: "/old", Redirect: Redirect{To: "/new", Status: 301}})
	srv := f.secure(2)
	client := srv.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Get(srv.URL + "/old/x?y=1")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.ProtoMajor != 2 || res.StatusCode != 301 || res.Header.Get("Location") != "/new/x?y=1" {
		t.Errorf("HTTP/%d %s to %q", res.ProtoMajor, res.Status, res.Header.Get("Location"))
	}
}

// No browser follows a redirect for a WebSocket: where a tunnel stands below, it
// gets the handshake, and where none does the log says so.
func TestRedirectRoute_LeavesHandshakes(t *testing.T) {
	const handshake = "GET /live HTTP/1.1\nHost: app.test\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	backend, _ := answering(t, "HTTP/1.1 404 Not Found\r\nX-Backend: socket\r\nContent-Length: 0\r\n\r\n")
	redirect := Route{Path: "/live", Redirect: Redirect{To: "https://www.example.org"}}
	f := serveFront(t, redirect, Route{Path: "/", Tunnel: Tunnel{Backend: strings.Replace(backend, "http", "ws", 1)}})
	if res, _ := f.ask(handshake); res.Header.Get("X-Backend") != "socket" {
		t.Errorf("the handshake got %s instead of the tunnel's backend", res.Status)
	}
	f = serveFront(t, redirect)
	if res, _ := f.ask(handshake); res.StatusCode != 404 {
		t.Errorf("without a tunnel the handshake got %s", res.Status)
	}
	f.log.await(t, eventHandshakeFailed, "no route of * takes a WebSocket handshake at /live")
}

func TestParseLocation(t *testing.T) {
	for _, c := range []struct{ written, origin, path, problem string }{
		{written: "https://www.example.org", origin: "https://www.example.org"},
		{written: "https://[2001:db8::1]:8443/", origin: "https://[2001:db8::1]:8443", path: "/"},
		{written: "http://example.org/a//b/../c%7e", origin: "http://example.org", path: "/a/c~"},
		{written: "/new/", path: "/new/"},
		{written: "//evil.test/", problem: "write https://evil.test/"},
		{written: "www.example.org", problem: "write https://www.example.org, or a path"},
		{written: "new/", problem: "or a path that begins with /"},
		{written: "ftp://example.org/", problem: "write https://example.org"},
		{written: "javascript:alert(1)", problem: "no address"},
		{written: "https://", problem: "names no host"},
		{written: "https://*.example.org", problem: "names no host"},
		{written: "https://$1.example.org", problem: "names no host"},
		{written: "https://me:secret@example.org", problem: "user name"},
		{written: "https://example.org:0", problem: "no port"},
		{written: `/\evil.test`, problem: "no address"},
		{written: "/a b", problem: "percent-encoded"},
		{written: "/ü", problem: "percent-encoded"},
		{written: "/a?b=\r\n", problem: "no address"},
		{written: "/../a", problem: "climbs"},
	} {
		to, err := parseLocation(c.written)
		switch {
		case c.problem == "" && (err != nil || to.origin != c.origin || to.path != c.path):
			t.Errorf("parseLocation(%q) = %+v, %v", c.written, to, err)
		case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
			t.Errorf("parseLocation(%q): error %v, want one with %q", c.written, err, c.problem)
		}
	}
}

// FuzzRedirect: whatever is asked for, the Location leads where the route says.
func FuzzRedirect(f *testing.F) {
	for _, path := range []string{"/old/x", "/old//evil.test", "/old/%2e%2e//evil.test", `/old/\evil.test`, "/old/%5C%5Cevil.test", "/old/@evil.test", "/old/%0d%0aa:b", "/old/?a=b"} {
		f.Add("/new/", path)
		f.Add("https://www.example.org", path)
		f.Add("https://www.example.org:8443/a?b#c", path)
		f.Add("/", path)
	}
	f.Fuzz(func(t *testing.T, written, escaped string) {
		to, err := parseLocation(written)
		if err != nil {
			return
		}
		clean, err := cleanPath(escaped)
		if err != nil || !strings.HasPrefix(clean, "/old/") {
			return
		}
		d := &redirector{route: &route{prefix: "/old/"}, to: to}
		got := string(d.appendLocation(nil, &exchange{req: &http1.Request{}, path: []byte(clean)}))
		base := &url.URL{Scheme: "https", Host: "app.test", Path: "/"}
		u, err := base.Parse(got)
		if err != nil || strings.ContainsAny(got, "\r\n\\ ") || strings.HasPrefix(got, "//") {
			t.Fatalf("%q for %q became %q (%v)", written, escaped, got, err)
		}
		want := to.origin
		if want == "" {
			want = "https://app.test"
		}
		if u.Scheme+"://"+u.Host != want {
			t.Errorf("%q for %q became %q, which leads to %s", written, escaped, got, u.Host)
		}
		if to.path != "" && !strings.HasPrefix(u.EscapedPath(), strings.TrimSuffix(to.path, "/")) {
			t.Errorf("%q for %q became %q", written, escaped, got)
		}
	})
}
