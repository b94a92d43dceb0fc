package proxy

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// filesSite is a Server with one files route.
type filesSite struct {
	served
	log *lines // from warnings up
}

func newFilesSite(t testing.TB, rt Route) filesSite {
	t.Helper()
	log := newLines()
	s, err := New(Config{
		Listen: Addresses{}, HTTPListen: Addresses{"127.0.0.1:0"},
		Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{rt}}},
		State: t.TempDir(),
	}, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ended by cancel, awaited by Cleanup
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	addr := s.listeners[0].Addr().String()
	return filesSite{served{"http://" + addr, addr, &http.Client{Transport: transport}}, log}
}

// fetch asks for a path as it is written, with fields given as name, value.
func (s filesSite) fetch(t testing.TB, method, path string, fields ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity") // else the client adds gzip, and hides that it did
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	res, err := s.Client().Transport.RoundTrip(req) // RoundTrip follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// oldTime is the time of every file that writeTree writes.
var oldTime = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

// writeTree makes a folder of files given as name, content.
func writeTree(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		writeDated(t, filepath.Join(dir, files[i]), files[i+1])
	}
	return dir
}

func writeDated(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, oldTime, oldTime); err != nil {
		t.Fatal(err)
	}
}

func TestFiles_ServesWithValidatorsAndType(t *testing.T) {
	dir := writeTree(t, "js/app.js", "run()", "a b/ü&.txt", "spaced")
	s := newFilesSite(t, Route{Path: "/static/", Files: dir})
	res, body := s.fetch(t, "GET", "/static/js/app.js")
	h := res.Header
	if res.StatusCode != 200 || body != "run()" || res.ContentLength != 5 {
		t.Fatalf("got %s, %q, length %d", res.Status, body, res.ContentLength)
	}
	for name, want := range map[string]string{
		"Content-Type":           "text/javascript; charset=utf-8",
		"X-Content-Type-Options": "nosniff",
		"ETag":                   `"65e071c0-5"`,
		"Last-Modified":          "Thu, 29 Feb 2024 12:00:00 GMT",
		"Accept-Ranges":          "bytes",
		"Vary":                   "Accept-Encoding",
		"Content-Encoding":       "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if res, body := s.fetch(t, "GET", "/static/a%20b/%C3%BC%26.txt"); res.StatusCode != 200 || body != "spaced" {
		t.Errorf("a name with a space and an umlaut: got %s, %q", res.Status, body)
	}
	if got := s.log.String(); got != "" {
		t.Errorf("logged %s", got)
	}
}

func TestFiles_RangesAndConditions(t *testing.T) {
	s := newFilesSite(t, Route{Path: "/", Files: writeTree(t, "a.bin", "0123456789")})
	const tag, date = `"65e071c0-a"`, "Thu, 29 Feb 2024 12:00:00 GMT"
	for _, c := range []struct {
		name   string
		fields []string
		status int
		body   string
	}{
		{"range", []string{"Range", "bytes=2-4"}, 206, "234"},
		{"suffix", []string{"Range", "bytes=-3"}, 206, "789"},
		{"range beyond the end", []string{"Range", "bytes=20-"}, 416, "invalid range: failed to overlap\n"},
		{"If-Range that matches", []string{"Range", "bytes=2-4", "If-Range", tag}, 206, "234"},
		{"If-Range that does not", []string{"Range", "bytes=2-4", "If-Range", `"other"`}, 200, "0123456789"},
		{"If-None-Match that matches", []string{"If-None-Match", `"x", ` + tag}, 304, ""},
		{"If-None-Match that does not", []string{"If-None-Match", `"x"`, "If-Modified-Since", date}, 200, "0123456789"},
		{"If-Modified-Since", []string{"If-Modified-Since", date}, 304, ""},
		{"If-Match that does not", []string{"If-Match", `"x"`}, 412, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if res, body := s.fetch(t, "GET", "/a.bin", c.fields...); res.StatusCode != c.status || body != c.body {
				t.Errorf("got %s, %q; want %d, %q", res.Status, body, c.status, c.body)
			}
		})
	}
}

func TestFiles_OnlyReads(t *testing.T) {
	s := newFilesSite(t, Route{Path: "/", Files: writeTree(t, "a.txt", "text")})
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		if res, _ := s.fetch(t, method, "/a.txt"); res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: got %s, Allow: %s", method, res.Status, res.Header.Get("Allow"))
		}
	}
	if res, body := s.fetch(t, "HEAD", "/a.txt"); res.StatusCode != 200 || body != "" || res.ContentLength != 4 {
		t.Errorf("HEAD: got %s, %q, length %d", res.Status, body, res.ContentLength)
	}
}

func TestFiles_FolderHasAnIndexOrIsNotThere(t *testing.T) {
	dir := writeTree(t, "docs/index.html", "<p>index", "docs/odd/index.html/x", "", "bare/x.txt", "x")
	s := newFilesSite(t, Route{Path: "/static", Files: dir})
	for _, c := range []struct {
		path, location string
		status         int
	}{
		{"/static/docs/", "", 200},
		{"/static/docs", "/static/docs/", 301},
		{"/static/docs?a=1&b=%22", "/static/docs/?a=1&b=%22", 301},
		{"/static/docs/index.html", "", 200},
		{"/static/docs/index.html/", "", 404},
		{"/static/docs/odd/", "", 404}, // its index.html is a folder
		{"/static/bare/", "", 404},
		{"/static/bare", "", 404},
		{"/static/bare/x.txt/", "", 404},
		{"/static/bare/x.txt/y", "", 404},
		{"/static", "", 404},
		{"/static/", "", 404},
		{"/static/missing", "", 404},
	} {
		if res, _ := s.fetch(t, "GET", c.path); res.StatusCode != c.status || res.Header.Get("Location") != c.location {
			t.Errorf("%s: got %s, Location %q; want %d, %q", c.path, res.Status, res.Header.Get("Location"), c.status, c.location)
		}
	}
	if got := s.log.String(); got != "" {
		t.Errorf("a file that is missing is for the access log alone; logged %s", got)
	}
}

func TestFiles_HiddenAndOddNamesAreNotThere(t *testing.T) {
	dir := writeTree(t, ".env", "secret", ".git/config", "secret", "a/.htaccess", "secret",
		".well-known/security.txt", "public", `a\b`, "odd", "a/b", "plain", ".well-known/.x", "secret")
	s := newFilesSite(t, Route{Path: "/", Files: dir})
	for path, want := range map[string]int{
		"/.env": 404, "/%2Eenv": 404, "/.git/config": 404, "/a/.htaccess": 404, "/.well-known/.x": 404,
		"/.well-known/security.txt": 200,
		"/a%5Cb":                    400, "/a%2Fb": 400, "/..%2f..%2fetc%2fpasswd": 400, "/a/b": 200,
		"/a%00": 400, "/../etc/passwd": 400, "/a/..%2F.env": 400, "/x/../a/b": 200,
		"/" + strings.Repeat("x", 300): 404,
	} {
		if res, body := s.fetch(t, "GET", path); res.StatusCode != want || strings.Contains(body, "secret") {
			t.Errorf("%s: got %s, want %d", path, res.Status, want)
		}
	}
}

func TestFiles_TheTextOfPHPIsNotShown(t *testing.T) {
	dir := writeTree(t, "config.php", "secret", "a/b.PHP5", "secret", "c.phtml", "secret", "d.phar", "secret",
		"php", "plain", "a.php/index.html", "plain", "notes.phpx", "plain")
	s := newFilesSite(t, Route{Path: "/", Files: dir})
	for path, want := range map[string]int{
		"/config.php": 404, "/config.php/": 404, "/config%2Ephp": 404, "/a/b.PHP5": 404, "/c.phtml": 404, "/d.phar": 404,
		"/php": 200, "/notes.phpx": 200, "/a.php/index.html": 200,
	} {
		if res, body := s.fetch(t, "GET", path); res.StatusCode != want || strings.Contains(body, "secret") {
			t.Errorf("%s: got %s, want %d", path, res.Status, want)
		}
	}
}

func TestFiles_SymlinkThatLeavesTheFolderIsRefusedByName(t *testing.T) {
	outside := writeTree(t, "secret.txt", "secret")
	dir := writeTree(t, "real/a.txt", "inside")
	for name, target := range map[string]string{
		"in.txt": "real/a.txt", "out.txt": filepath.Join(outside, "secret.txt"), "folder": outside,
		"up.txt": "../" + filepath.Base(outside) + "/secret.txt", "dangling": "real/none", "loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := newFilesSite(t, Route{Path: "/", Files: dir})
	if res, body := s.fetch(t, "GET", "/in.txt"); res.StatusCode != 200 || body != "inside" {
		t.Errorf("a link within the folder: got %s, %q", res.Status, body)
	}
	if res, _ := s.fetch(t, "GET", "/dangling"); res.StatusCode != 404 || s.log.String() != "" {
		t.Errorf("a link to nowhere: got %s; logged %s", res.Status, s.log)
	}
	for path, link := range map[string]string{
		"/out.txt": "out.txt", "/folder/secret.txt": "folder", "/folder/": "folder", "/up.txt": "up.txt", "/loop": "loop",
	} {
		res, body := s.fetch(t, "GET", path)
		if res.StatusCode != 404 || strings.Contains(body, "secret") {
			t.Errorf("%s: got %s, %q", path, res.Status, body)
		}
		s.log.await(t, filepath.Join(dir, link)+" is a symbolic link to ", "path="+path+" ")
	}
}

func TestFiles_NamedPipeHoldsNobody(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.txt"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newFilesSite(t, Route{Path: "/", Files: dir})
	if res, _ := s.fetch(t, "GET", "/pipe.txt"); res.StatusCode != 404 {
		t.Errorf("got %s, want 404", res.Status)
	}
}

func TestFiles_UnreadableFileSaysWhatToDo(t *testing.T) {
	// By its error, since root, who may run this, can read everything.
	ts, done := handlerServer(t, 1, func(w *responseWriter, r *http.Request) {
		(&files{}).refuse(w, fmt.Errorf("open a.txt: %w", fs.ErrPermission), "")
	})
	res, err := ts.Client().Get(ts.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if x := awaitExchange(t, done); res.StatusCode != 403 || x.reason != "open a.txt: permission denied; let the user that runs this program read it" {
		t.Errorf("got %s, reason %q", res.Status, x.reason)
	}
}

func TestFiles_SwappedFolderIsSeenAtOnce(t *testing.T) {
	base := writeTree(t, "v1/a.txt", "one", "v2/a.txt", "two")
	current := filepath.Join(base, "current")
	s := newFilesSite(t, Route{Path: "/", Files: current})
	if res, _ := s.fetch(t, "GET", "/a.txt"); res.StatusCode != 404 {
		t.Errorf("before the first deployment: got %s", res.Status)
	}
	s.log.await(t, "the folder "+current+" is missing; create it")
	for _, c := range []struct{ target, want string }{{"v1", "one"}, {"v2", "two"}} {
		if err := os.Symlink(c.target, current+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(current+".new", current); err != nil {
			t.Fatal(err)
		}
		if _, body := s.fetch(t, "GET", "/a.txt"); body != c.want {
			t.Errorf("after %s: got %q, want %q", c.target, body, c.want)
		}
	}
}

func TestFiles_OneFile(t *testing.T) {
	dir := writeTree(t, "favicon.ico", "icon", "favicon.ico.gz", "packed", "other.txt", "x")
	s := newFilesSite(t, Route{Path: "/favicon.ico", Files: filepath.Join(dir, "favicon.ico")})
	if res, body := s.fetch(t, "GET", "/favicon.ico"); body != "icon" || res.Header.Get("Content-Type") != "image/vnd.microsoft.icon" {
		t.Errorf("got %s, %q, %v", res.Status, body, res.Header)
	}
	if res, body := s.fetch(t, "GET", "/favicon.ico", "Accept-Encoding", "gzip"); body != "packed" || res.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("its compressed form: got %s, %q", res.Status, body)
	}
	for _, path := range []string{"/favicon.ico/", "/favicon.ico/x", "/favicon.ico/other.txt"} {
		if res, _ := s.fetch(t, "GET", path); res.StatusCode != 404 {
			t.Errorf("%s: got %s, want 404", path, res.Status)
		}
	}
}

func TestNewFiles_SaysWhatToDo(t *testing.T) {
	dir := writeTree(t, "favicon.ico", "icon")
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ prefix, folder, want string }{
		{"/static/", filepath.Join(dir, "missing"), "<nil>"},
		{"/static/", dir, "<nil>"},
		{"/favicon.ico", filepath.Join(dir, "favicon.ico"), "<nil>"},
		{"/", filepath.Join(dir, "favicon.ico"), dir + "/favicon.ico is one file, and path / takes only what is below it; name a folder, or a path such as /favicon.ico"},
		{"/static/", pipe, pipe + " is neither a folder nor a plain file; name the folder whose files are to be served"},
		{"/static/", filepath.Join(dir, "favicon.ico", "x"), "open " + dir + "/favicon.ico/x: not a directory; name the folder whose files are to be served"},
	} {
		_, err := newFiles(&route{Route: Route{Path: c.prefix, Files: c.folder}, prefix: c.prefix})
		if got := fmt.Sprint(err); got != c.want {
			t.Errorf("%s at %s: got %q, want %q", c.folder, c.prefix, got, c.want)
		}
	}
}

func TestFiles_FileThatEndsEarlyIsCut(t *testing.T) {
	bothProtocols(t, func(t *testing.T, major int) {
		// More than fits between the two ends, so that the handler is still
		// reading when the client has the header.
		name := filepath.Join(t.TempDir(), "a.bin")
		writeDated(t, name, "")
		if err := os.Truncate(name, 64<<20); err != nil {
			t.Fatal(err)
		}
		ts, done := handlerServer(t, major, func(w *responseWriter, r *http.Request) {
			w.x.path = []byte("/a.bin")
			(&files{&route{Route: Route{Files: filepath.Dir(name)}, prefix: "/"}, newCompressor()}).serveHTTP(w, r)
		})
		res, err := ts.Client().Get(ts.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := os.Truncate(name, 1000); err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, res.Body); err == nil {
			t.Errorf("the client took %d bytes for the whole", n)
		}
		if x := awaitExchange(t, done); x.reason != fileEndedEarly {
			t.Errorf("reason %q", x.reason)
		}
	})
}

func TestFiles_FileThatEndsEarlyIsCutWhenCompressed(t *testing.T) {
	bothProtocols(t, func(t *testing.T, major int) {
		dir := writeTree(t, "a.txt", strings.Repeat("x", 5000))
		ts, done := handlerServer(t, major, func(w *responseWriter, r *http.Request) {
			d, err := openFolder(dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer d.close()
			file, err := d.open("a.txt")
			if err != nil {
				t.Error(err)
				return
			}
			defer file.Close()
			file.info = longer{file.info}
			(&files{&route{}, newCompressor()}).send(w, r, d, "a.txt", file)
		})
		res, err := ts.Client().Get(ts.URL) // accepts gzip by itself
		if err == nil {
			_, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		if err == nil {
			t.Error("the client took a part for the whole")
		}
		if x := awaitExchange(t, done); x.reason != fileEndedEarly {
			t.Errorf("reason %q", x.reason)
		}
	})
}

// longer is what the system said about a file before it was truncated.
type longer struct{ fs.FileInfo }

func (l longer) Size() int64 { return l.FileInfo.Size() + 1 }

func TestContentType(t *testing.T) {
	for name, want := range map[string]string{
		"a.html": "text/html; charset=utf-8", "A.HTM": "text/html; charset=utf-8", "a.css": "text/css; charset=utf-8",
		"a.js": "text/javascript; charset=utf-8", "a.mjs": "text/javascript; charset=utf-8", "a.svg": "image/svg+xml",
		"a.woff2": "font/woff2", "a.wasm": "application/wasm", "a.json": "application/json",
		"a.webmanifest": "application/manifest+json", "a.unheard-of": "application/octet-stream", "README": "application/octet-stream",
		"a.tar.gz": "application/gzip",
	} {
		if got := contentType(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func FuzzFileName(f *testing.F) {
	for _, seed := range []string{"/js/app.js", "/%2e%2e/x", "/..%2f..%2fetc", `/a%5c..%5cb`, "/.git/config", "/.well-known/acme", "/a%00b", "//", "/a//b", "/%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, escaped string) {
		clean, err := cleanPath(escaped)
		if err != nil {
			return
		}
		name, ok := fileName(clean)
		if !ok || name == "." {
			return
		}
		if !filepath.IsLocal(name) || strings.ContainsAny(name, "\x00\\") || strings.HasPrefix(name, "/") {
			t.Errorf("%q became %q", escaped, name)
		}
		for segment := range strings.SplitSeq(name, "/") {
			if segment == "" || segment[0] == '.' && segment != ".well-known" {
				t.Errorf("%q became %q with the segment %q", escaped, name, segment)
			}
		}
	})
}
