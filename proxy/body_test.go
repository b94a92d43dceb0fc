package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestForward_BodyWithoutLengthArrivesWhole(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	for _, size := range []int{0, 5, 900_000, DefaultUploadBuffer, DefaultUploadBuffer + 1, 3 << 20} {
		for _, major := range []int{1, 2} {
			srv := f.secure(major)
			sent := bytes.Repeat([]byte("x"), size)
			res, err := srv.Client().Post(srv.URL, "text/plain", struct{ io.Reader }{bytes.NewReader(sent)})
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			got := receive(t, requests)
			_, body, _ := strings.Cut(got, "\r\n\r\n")
			if field(got, "Content-Length") != fmt.Sprint(size) || field(got, "Transfer-Encoding") != "-" || body != string(sent) {
				t.Errorf("HTTP/%d, %d bytes: Content-Length %s, Transfer-Encoding %s, body of %d", major, size, field(got, "Content-Length"), field(got, "Transfer-Encoding"), len(body))
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestForward_ExplicitLengthZeroStays(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	for _, c := range []struct{ head, want string }{
		{"DELETE / HTTP/1.1\nHost: a\nContent-Length: 0", "0"},
		{"DELETE / HTTP/1.1\nHost: a", "-"},
		{"POST / HTTP/1.1\nHost: a\nContent-Length: 0\nExpect: 100-continue", "0"},
	} {
		f.ask(c.head)
		if got := receive(t, requests); field(got, "Content-Length") != c.want || field(got, "Transfer-Encoding") != "-" || field(got, "Expect") != "-" {
			t.Errorf("%q came as %q", c.head, got)
		}
	}
}

func TestForward_RequestBufferingOffStreams(t *testing.T) {
	parts := make(chan string, 10)
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		parts <- strings.Join(req.TransferEncoding, ",")
		p := make([]byte, 100)
		n, _ := io.ReadFull(req.Body, p[:5])
		parts <- string(p[:n])
		rest, _ := io.ReadAll(req.Body)
		parts <- string(rest) + "|" + req.Trailer.Get("X-Sum") + req.Trailer.Get("X_Forwarded_For") + req.Trailer.Get("X-Real-Ip")
		_, _ = io.WriteString(conn, okAnswer)
	})
	off := false
	f := serveFront(t, Route{Path: "/", App: "http://" + addr, RequestBuffering: &off})
	conn, r := f.dial(crlf("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nTrailer: X-Sum, X_Forwarded_For, X-Real-IP") + "5\r\nfirst\r\n")
	if got := receive(t, parts); got != "chunked" {
		t.Fatalf("Transfer-Encoding %q", got)
	}
	if got := receive(t, parts); got != "first" { // while the rest is still to come
		t.Fatalf("first part %q", got)
	}
	_, _ = io.WriteString(conn, "4\r\nrest\r\n0\r\nX-Sum: 9\r\nX_Forwarded_For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n\r\n")
	if got := receive(t, parts); got != "rest|9" {
		t.Errorf("the rest: %q", got)
	}
	if res, _ := readAnswer(t, r, "POST"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
}

func TestForward_BodyTooLong(t *testing.T) {
	app, requests := answering(t, okAnswer)
	off := false
	f := serveFront(t, Route{Path: "/", App: app, MaxBody: 10}, Route{Path: "/stream", App: app, MaxBody: 10, RequestBuffering: &off})
	for _, c := range []struct{ name, text string }{
		{"known length", crlf("POST / HTTP/1.1\nHost: a\nContent-Length: 11")},
		{"known length, expecting", crlf("POST / HTTP/1.1\nHost: a\nContent-Length: 11\nExpect: 100-continue")},
		{"chunked", crlf("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked") + "b\r\nhello world\r\n0\r\n\r\n"},
		{"streamed", crlf("POST /stream HTTP/1.1\nHost: a\nTransfer-Encoding: chunked") + "b\r\nhello world\r\n0\r\n\r\n"},
	} {
		_, r := f.dial(c.text)
		res, _ := readAnswer(t, r, "POST")
		if res.StatusCode != 413 || !res.Close {
			t.Errorf("%s: %s, closed %v", c.name, res.Status, res.Close)
		}
	}
	f.log.await(t, "request.failed", "raise max_body")
	select {
	case got := <-requests:
		t.Errorf("a backend was asked: %q", got)
	default:
	}
	if res, _ := f.ask("POST / HTTP/1.1\nHost: a\nContent-Length: 10\n\n1234567890"); res.StatusCode != 200 {
		t.Errorf("the longest allowed: %s", res.Status)
	}
}

func TestForward_MalformedChunk(t *testing.T) {
	app, _ := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	_, r := f.dial(crlf("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked") + "zz\r\nhello\r\n")
	if res, _ := readAnswer(t, r, "POST"); res.StatusCode != 400 || !res.Close {
		t.Errorf("%s, closed %v", res.Status, res.Close)
	}
}

func TestForward_BodyStorageFull(t *testing.T) {
	app, _ := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	res, err := http.Post("http://"+f.addr, "", struct{ io.Reader }{bytes.NewReader(make([]byte, 2<<20))})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 503 {
		t.Error(res.Status)
	}
	f.log.await(t, "store the request body", "TMPDIR")
}

// Whether a body that streams is wanted, the backend says.
func TestForward_ExpectContinue(t *testing.T) {
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if req.URL.Path == "/no" {
				_, _ = io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
			body, _ := io.ReadAll(req.Body)
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
	})
	f := limitedFront(t, Limits{UploadBuffer: 3}, Route{Path: "/", App: "http://" + addr})
	conn, r := f.dial(crlf("POST / HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 4"))
	if line, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q %v", line, err)
	}
	_, _ = r.ReadString('\n')
	_, _ = io.WriteString(conn, "body")
	if res, body := readAnswer(t, r, "POST"); res.StatusCode != 200 || body != "body" {
		t.Errorf("%s %q", res.Status, body)
	}
	_, r = f.dial(crlf("POST /no HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 4"))
	if res, _ := readAnswer(t, r, "POST"); res.StatusCode != 403 {
		t.Errorf("refused without a 100: %s", res.Status)
	}
}

// A small body is asked for, and there whole, before a backend knows of it: who
// then sends it slowly, or never, holds none of the backend's workers.
func TestForward_SmallBodyIsAskedForAtOnce(t *testing.T) {
	const head = "POST / HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 4"
	asked, requests := make(chan bool, 1), make(chan string, 1)
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := r.Peek(1); err != nil {
			return
		}
		asked <- true
		request, _ := readRequest(r)
		requests <- request
		_, _ = io.WriteString(conn, okAnswer)
	})
	f := limitedFront(t, Limits{UploadBuffer: 4}, Route{Path: "/", App: "http://" + addr})
	conn, r := f.dial(crlf(head))
	if line, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q %v", line, err)
	}
	_, _ = r.ReadString('\n')
	select {
	case <-asked:
		t.Error("the backend was asked before the body was there")
	default:
	}
	_, _ = io.WriteString(conn, "body")
	if got := receive(t, requests); !strings.HasSuffix(got, "\r\n\r\nbody") || field(got, "Expect") != "-" {
		t.Errorf("the backend got %q", got)
	}
	if res, body := readAnswer(t, r, "POST"); res.StatusCode != 200 || res.Close || body != "ok" {
		t.Errorf("%s, closes %v, %q", res.Status, res.Close, body)
	}
}

func TestForward_AnswerBeginsBeforeBodyEnds(t *testing.T) {
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nstop")
			_, _ = io.Copy(io.Discard, r)
		}
	})
	f := serveFront(t, Route{Path: "/", App: "http://" + addr})
	_, r := f.dial(crlf("POST / HTTP/1.1\nHost: a\nContent-Length: 1000000") + "only the beginning")
	if res, body := readAnswer(t, r, "POST"); res.StatusCode != 401 || body != "stop" {
		t.Errorf("%s %q", res.Status, body)
	}
}

func TestForward_ClientAbortsUpload(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		if req, err := http.ReadRequest(r); err == nil {
			close(began)
			if _, err := io.Copy(io.Discard, req.Body); err == nil {
				t.Error("the backend saw a whole body")
			}
			close(ended)
		}
	})
	f := serveFront(t, Route{Path: "/", App: "http://" + addr})
	conn, _ := f.dial(crlf(fmt.Sprintf("POST / HTTP/1.1\nHost: a\nContent-Length: %d", DefaultUploadBuffer+1)) + "some")
	receive(t, began)
	conn.Close()
	receive(t, ended)
	f.access.await(t, "499")
	if strings.Contains(f.log.String(), "request.failed") {
		t.Errorf("a client that went away was logged as a failure: %s", f.log)
	}
}

// A backend's worker is not held by a client that sends little, and slowly.
func TestForward_SmallBodyIsAwaitedBeforeTheBackendIsAsked(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	conn, _ := f.dial(crlf(fmt.Sprintf("POST / HTTP/1.1\nHost: a\nContent-Length: %d", DefaultUploadBuffer)) + "some")
	conn.Close()
	f.access.await(t, "499")
	if strings.Contains(f.log.String(), "request.failed") {
		t.Errorf("a client that went away was logged as a failure: %s", f.log)
	}
	select {
	case got := <-requests:
		t.Errorf("the backend was asked: %q", got)
	default:
	}
}

func TestBody_TempFileHasNoName(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	x := &referenceExchange{exchange: exchange{server: bareServer(nil), route: &route{Route: Route{MaxBody: 4 << 20}}}}
	x.r = &http.Request{Body: io.NopCloser(bytes.NewReader(make([]byte, 2<<20)))}
	x.down = x
	b := requestBody{x: &x.exchange}
	defer b.release()
	if err := b.hold(); err != nil {
		t.Fatal(err)
	}
	if b.file == nil || b.length != 2<<20 {
		t.Errorf("file %v, length %d", b.file, b.length)
	}
	if entries, _ := os.ReadDir(folder); len(entries) > 0 {
		t.Errorf("in the folder for temporary files: %v", entries)
	}
}

// Bodies that handlers leave unread do not get into each other's way, nor into
// that of a body which streams.
func TestForward_BodyBehindThoseThatNobodyRead(t *testing.T) {
	app, requests := answering(t, okAnswer)
	off := false
	f := serveFront(t, Route{Path: "/app", App: app, RequestBuffering: &off}, Route{Path: "/files/", Files: t.TempDir()})
	const unread = "GET /none HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
	for range 20 {
		_, r := f.dial(crlf("GET /files/none HTTP/1.1\nHost: a") + unread + unread +
			crlf("POST /app HTTP/1.1\nHost: a\nContent-Length: 5") + "hello")
		for _, want := range []int{404, 404, 404, 200} {
			if res, _ := readAnswer(t, r, "GET"); res.StatusCode != want {
				t.Fatalf("%s, want %d", res.Status, want)
			}
		}
		if got := receive(t, requests); !strings.HasSuffix(got, "\r\n\r\nhello") {
			t.Fatalf("%q", got)
		}
	}
}
