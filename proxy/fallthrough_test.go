package proxy

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFiles_FallbackIsThePageOfWhatIsNoFile(t *testing.T) {
	dir := writeTree(t, "index.html", "<p>board", "js/app.js", "run()", "docs/index.html", "<p>docs", "bare/x.txt", "x", ".env", "secret")
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	s := newFilesSite(t, Route{Path: "/board/", Files: dir, Fallback: "/index.html"})
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/board/js/app.js", "run()", 200},
		{"GET", "/board/docs/", "<p>docs", 200},
		{"GET", "/board/docs", "", 301},
		{"GET", "/board/", "<p>board", 200},
		{"GET", "/board/cards/7?x=1", "<p>board", 200},
		{"GET", "/board/cards/7/", "<p>board", 200},
		{"GET", "/board/bare", "<p>board", 200},
		{"GET", "/board/js/app.js/", "<p>board", 200},
		{"GET", "/board/js/app.js/x", "<p>board", 200},
		{"HEAD", "/board/cards/7", "", 200},
		{"POST", "/board/cards/7", "", 405},
		{"GET", "/board/.env", "", 404},
		{"GET", "/board/.git/config", "", 404},
		{"GET", "/board/out/x", "", 404}, // a link that leads out is a mistake, and no page
	} {
		res, body := s.fetch(t, c.method, c.path)
		if res.StatusCode != c.status || c.body != "" && body != c.body {
			t.Errorf("%s %s: %s, %q; want %d, %q", c.method, c.path, res.Status, body, c.status, c.body)
		}
	}
	res, _ := s.fetch(t, "GET", "/board/cards/7")
	if h := res.Header; h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("ETag") == "" || h.Get("Location") != "" {
		t.Errorf("the fallback's header: %v", h)
	}
	if res, _ := s.fetch(t, "GET", "/board/cards/8", "If-None-Match", res.Header.Get("ETag")); res.StatusCode != 304 {
		t.Errorf("the page that the browser has: %s", res.Status)
	}
	if err := os.Remove(filepath.Join(dir, "index.html")); err != nil {
		t.Fatal(err)
	}
	if res, _ := s.fetch(t, "GET", "/board/cards/7"); res.StatusCode != 404 {
		t.Errorf("without the page: %s", res.Status)
	}
	s.log.await(t, "the fallback "+dir+"/index.html is missing; create it, or correct fallback")
}

func TestFiles_FallthroughGoesOnToTheNextRoute(t *testing.T) {
	dir := writeTree(t, "a.txt", "a file", "docs/index.html", "<p>docs", "bare/x.txt", "x", ".env", "secret", "admin/x.css", "css", "a b", "spaced")
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	app, requests := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\napp")
	admin, _ := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nadmin")
	f := serveFront(t,
		Route{Path: "/", App: app, EncodedSlashes: true},
		Route{Path: "/", Files: dir, Fallthrough: true},
		Route{Path: "/admin/", App: admin},
	)
	for _, c := range []struct {
		request, body string
		status        int
	}{
		{"GET /a.txt", "a file", 200},
		{"HEAD /a.txt", "", 200},
		{"GET /a%20b", "spaced", 200},
		{"GET /docs/", "<p>docs", 200},
		{"GET /docs", "", 301},
		{"GET /", "app", 200},
		{"GET /none?x=1", "app", 200},
		{"GET /none/", "app", 200},
		{"GET /a.txt/", "app", 200},
		{"GET /a.txt/x", "app", 200},
		{"GET /bare/", "app", 200},
		{"GET /" + strings.Repeat("x", 300), "app", 200},
		{"POST /a.txt", "app", 200}, // only what can be read is looked up
		{"DELETE /none", "app", 200},
		{"GET /.env", "app", 200},
		{"GET /a%2Ftxt", "app", 200}, // encoded slashes are the next route's matter
		{"GET /admin/x.css", "admin", 200},
	} {
		res, body := f.ask(c.request + " HTTP/1.1\nHost: app.test\nContent-Length: 0")
		if res.StatusCode != c.status || c.body != "" && body != c.body {
			t.Errorf("%s: %s, %q; want %d, %q", c.request, res.Status, body, c.status, c.body)
		}
		if body == "app" {
			want := c.request + " HTTP/1.1\r\n"
			if got := receive(t, requests); !strings.HasPrefix(got, want) {
				t.Errorf("%s: the app got %q", c.request, got)
			}
		}
	}
	if got := f.log.String(); strings.Contains(got, "reason") {
		t.Errorf("logged %s", got)
	}
	if res, body := f.ask("GET /out/x HTTP/1.1\nHost: app.test"); res.StatusCode != 404 || body == "app" {
		t.Errorf("a link that leads out: %s, %q", res.Status, body)
	}
	f.log.await(t, "out is a symbolic link to")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, body := f.ask("GET /a.txt HTTP/1.1\nHost: app.test"); body != "app" {
		t.Errorf("without the folder: %q", body)
	}
}

// The connection belongs to net/http once a file was asked for; what follows on
// it goes the same way.
func TestFiles_FallthroughOnOneConnection(t *testing.T) {
	dir := writeTree(t, "a.txt", "a file")
	app, _ := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\napp")
	f := serveFront(t, Route{Path: "/", Files: dir, Fallthrough: true}, Route{Path: "/", App: app})
	conn, r := f.dial("")
	for i, c := range []struct{ path, want string }{{"/none", "app"}, {"/a.txt", "a file"}, {"/none", "app"}, {"/a.txt", "a file"}} {
		if _, err := conn.Write([]byte("GET " + c.path + " HTTP/1.1\r\nHost: app.test\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, body := readAnswer(t, r, http.MethodGet); body != c.want {
			t.Errorf("request %d, %s: %q, want %q", i, c.path, body, c.want)
		}
	}
}

// Folder before folder before tunnel: each takes its own, and none goes round.
func TestFiles_FallthroughOrder(t *testing.T) {
	first, second := writeTree(t, "both.txt", "first"), writeTree(t, "both.txt", "second", "own.txt", "own")
	one := filepath.Join(writeTree(t, "icon", "icon"), "icon")
	socket, _ := answering(t, "HTTP/1.1 404 Not Found\r\nX-Backend: socket\r\nContent-Length: 0\r\n\r\n")
	f := serveFront(t,
		Route{Path: "/", Redirect: Redirect{To: "https://www.example.org"}},
		Route{Path: "/", Files: first, Fallthrough: true},
		Route{Path: "/", Files: second, Fallthrough: true},
		Route{Path: "/icon", Files: one, Fallthrough: true},
		Route{Path: "/", Tunnel: Tunnel{Backend: strings.Replace(socket, "http", "ws", 1)}},
	)
	for path, want := range map[string]string{"/both.txt": "first", "/own.txt": "own", "/icon": "icon"} {
		if _, body := f.ask("GET " + path + " HTTP/1.1\nHost: app.test"); body != want {
			t.Errorf("%s: %q, want %q", path, body, want)
		}
	}
	for _, path := range []string{"/none", "/icon/x"} {
		if res, _ := f.ask("GET " + path + " HTTP/1.1\nHost: app.test"); res.Header.Get("Location") != "https://www.example.org"+path {
			t.Errorf("%s: %s to %q", path, res.Status, res.Header.Get("Location"))
		}
	}
	res, _ := f.ask("GET /both.txt HTTP/1.1\nHost: app.test\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
	if res.Header.Get("X-Backend") != "socket" {
		t.Errorf("a handshake got %s", res.Status)
	}
}
