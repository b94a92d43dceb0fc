package proxy

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func decompress(t testing.TB, coding, body string) string {
	t.Helper()
	var r io.Reader
	var err error
	switch coding {
	case codingGzip:
		r, err = gzip.NewReader(strings.NewReader(body))
	case codingZstd:
		var d *zstd.Decoder
		if d, err = zstd.NewReader(strings.NewReader(body), zstd.WithDecoderConcurrency(1)); err == nil {
			defer d.Close()
			r = d
		}
	default:
		return body
	}
	if err != nil {
		t.Fatalf("%s: %v", coding, err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", coding, err)
	}
	return string(plain)
}

func TestFiles_SiblingIsServedWhenTheClientTakesIt(t *testing.T) {
	s := newFilesSite(t, Route{Path: "/", Files: writeTree(t,
		"app.css", "plain body", "app.css.br", "brotli", "app.css.zst", "zstandard", "app.css.gz", "gzipped", "pic.png", "pixels", "pic.png.gz", "no")})
	for _, c := range []struct{ accept, coding, body, tag string }{
		{"identity", "", "plain body", `"65e071c0-a"`},
		{"gzip", "gzip", "gzipped", `"65e071c0-7-gzip"`},
		{"gzip, deflate, br, zstd", "br", "brotli", `"65e071c0-6-br"`},
		{"gzip, zstd", "zstd", "zstandard", `"65e071c0-9-zstd"`},
		{"br;q=0.1, gzip", "gzip", "gzipped", `"65e071c0-7-gzip"`},
		{"*;q=0", "", "plain body", `"65e071c0-a"`},
		{"identity, gzip;q=0.9", "", "plain body", `"65e071c0-a"`},
	} {
		res, body := s.fetch(t, "GET", "/app.css", "Accept-Encoding", c.accept)
		h := res.Header
		if res.StatusCode != 200 || body != c.body || h.Get("Content-Encoding") != c.coding || h.Get("ETag") != c.tag ||
			h.Get("Vary") != "Accept-Encoding" || h.Get("Content-Type") != "text/css; charset=utf-8" || res.ContentLength != int64(len(body)) {
			t.Errorf("%s: got %s, %q, %v", c.accept, res.Status, body, h)
		}
	}
	res, body := s.fetch(t, "GET", "/app.css", "Accept-Encoding", "gzip", "Range", "bytes=2-3")
	if res.StatusCode != 206 || body != "ip" || res.Header.Get("Content-Encoding") != "gzip" || res.Header.Get("Content-Range") != "bytes 2-3/7" {
		t.Errorf("a range of the compressed form: got %s, %q, %v", res.Status, body, res.Header)
	}
	for _, c := range []struct {
		name, value string
		status      int
	}{{"If-None-Match", `"65e071c0-7-gzip"`, 304}, {"If-Match", `"other"`, 412}, {"Range", "bytes=99-", 416}} {
		res, _ := s.fetch(t, "GET", "/app.css", "Accept-Encoding", "gzip", c.name, c.value)
		if res.StatusCode != c.status || res.Header.Get("Content-Encoding") != "" || res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %s: got %s, %v", c.name, c.value, res.Status, res.Header)
		}
	}
	res, body = s.fetch(t, "GET", "/pic.png", "Accept-Encoding", "gzip")
	if body != "pixels" || res.Header.Get("Vary") != "" {
		t.Errorf("a picture: got %q, %v", body, res.Header)
	}
}

func TestFiles_SiblingOlderThanTheFileIsNotServed(t *testing.T) {
	dir := writeTree(t, "app.css", "new", "app.css.gz", "of the old")
	s := newFilesSite(t, Route{Path: "/", Files: dir})
	if _, body := s.fetch(t, "GET", "/app.css", "Accept-Encoding", "gzip"); body != "of the old" {
		t.Fatalf("of the same time: got %q", body)
	}
	if err := os.Chtimes(filepath.Join(dir, "app.css"), time.Time{}, oldTime.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, body := s.fetch(t, "GET", "/app.css", "Accept-Encoding", "gzip"); body != "new" {
		t.Errorf("older: got %q", body)
	}
}

func TestFiles_CompressesOnTheWay(t *testing.T) {
	long := strings.Repeat("all work and no play makes a dull page. ", 3000)
	s := newFilesSite(t, Route{Path: "/", Files: writeTree(t, "a.txt", long)})
	for accept, coding := range map[string]string{"gzip, deflate, br, zstd": "zstd", "gzip": "gzip", "br": "", "zstd;q=0.5, gzip": "gzip"} {
		for range 3 { // the encoders are used again
			res, body := s.fetch(t, "GET", "/a.txt", "Accept-Encoding", accept)
			h := res.Header
			if res.StatusCode != 200 || h.Get("Content-Encoding") != coding || h.Get("Vary") != "Accept-Encoding" || decompress(t, coding, body) != long {
				t.Fatalf("%s: got %s, %d bytes, %v", accept, res.Status, len(body), h)
			}
			if coding == "" {
				continue
			}
			tag := h.Get("ETag")
			if len(body) > len(long)/10 || tag != `W/"65e071c0-1d4c0-`+coding+`"` || h.Get("Accept-Ranges") != "none" || h.Get("Content-Length") == "120000" {
				t.Errorf("%s: %d bytes, %v", accept, len(body), h)
			}
			if res, body := s.fetch(t, "GET", "/a.txt", "Accept-Encoding", accept, "If-None-Match", tag); res.StatusCode != 304 || body != "" || res.Header.Get("ETag") != tag {
				t.Errorf("%s: If-None-Match: got %s, %v", accept, res.Status, res.Header)
			}
			if res, body := s.fetch(t, "GET", "/a.txt", "Accept-Encoding", accept, "If-Match", `"x"`); res.StatusCode != 412 || body != "" || res.Header.Get("Content-Encoding") != "" {
				t.Errorf("%s: If-Match: got %s, %v", accept, res.Status, res.Header)
			}
			head, body := s.fetch(t, "HEAD", "/a.txt", "Accept-Encoding", accept)
			for _, name := range []string{"Content-Type", "Content-Encoding", "ETag", "Vary", "Accept-Ranges", "Last-Modified"} {
				if head.Header.Get(name) != h.Get(name) {
					t.Errorf("%s: HEAD says %s: %q, GET %q", accept, name, head.Header.Get(name), h.Get(name))
				}
			}
			if body != "" {
				t.Errorf("HEAD has a body of %d bytes", len(body))
			}
		}
	}
	res, body := s.fetch(t, "GET", "/a.txt", "Accept-Encoding", "gzip", "Range", "bytes=4-7")
	if res.StatusCode != 206 || body != "work" || res.Header.Get("Content-Encoding") != "" || res.Header.Get("ETag") != `"65e071c0-1d4c0"` {
		t.Errorf("a range: got %s, %q, %v", res.Status, body, res.Header)
	}
}

func TestFiles_CompressesNeitherSmallNorHugeNorPacked(t *testing.T) {
	dir := writeTree(t, "small.txt", strings.Repeat("x", minCompress-1), "least.txt", strings.Repeat("x", minCompress), "pic.jpg", strings.Repeat("x", 5000), "huge.txt", "")
	if err := os.Truncate(filepath.Join(dir, "huge.txt"), maxCompress+1); err != nil {
		t.Fatal(err)
	}
	s := newFilesSite(t, Route{Path: "/", Files: dir})
	for path, want := range map[string]string{"/small.txt": "", "/least.txt": "gzip", "/huge.txt": "", "/pic.jpg": ""} {
		if res, _ := s.fetch(t, "GET", path, "Accept-Encoding", "gzip"); res.Header.Get("Content-Encoding") != want {
			t.Errorf("%s: Content-Encoding %q, want %q", path, res.Header.Get("Content-Encoding"), want)
		}
	}
}

func TestFiles_SendsPlainWhileEveryEncoderIsBusy(t *testing.T) {
	dir := writeTree(t, "a.txt", strings.Repeat("x", 5000))
	f := &files{&route{Route: Route{Files: dir}, prefix: "/"}, newCompressor()}
	ts, _ := handlerServer(t, 1, func(w *responseWriter, r *http.Request) { f.serveHTTP(w, r) })
	coding := func() string {
		t.Helper()
		res, body := filesSite{served: ts}.fetch(t, "GET", "/a.txt", "Accept-Encoding", "gzip")
		if got := decompress(t, res.Header.Get("Content-Encoding"), body); len(got) != 5000 {
			t.Errorf("got %d bytes", len(got))
		}
		return res.Header.Get("Content-Encoding")
	}
	for range maxEncoders {
		f.compressor.slots <- struct{}{}
	}
	if got := coding(); got != "" {
		t.Errorf("all busy: Content-Encoding %q", got)
	}
	<-f.compressor.slots
	for range 2 { // and each gives its slot back
		if got := coding(); got != "gzip" {
			t.Errorf("one free: Content-Encoding %q", got)
		}
	}
}

func TestFiles_CompressesForManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c", "d"} {
		writeDated(t, filepath.Join(dir, name+".txt"), strings.Repeat(name+" and more of it, ", 20000))
	}
	s := newFilesSite(t, Route{Path: "/", Files: dir})
	for _, name := range []string{"a", "b", "c", "d"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, coding := range []string{codingGzip, codingZstd, codingGzip, codingZstd} {
				_, body := s.fetch(t, "GET", "/"+name+".txt", "Accept-Encoding", coding)
				if decompress(t, coding, body) != strings.Repeat(name+" and more of it, ", 20000) {
					t.Errorf("%s: other content than asked for", coding)
				}
			}
		})
	}
}
