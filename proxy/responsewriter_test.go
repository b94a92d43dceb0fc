package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

// handled is a front whose every request one handler answers, under /app a
// backend does as well.
func handled(t *testing.T, serve func(w http.ResponseWriter, r *http.Request)) *front {
	t.Helper()
	app, _ := answering(t, okAnswer)
	return serveFront(t, Route{Path: "/", Whole: true, Handler: http.HandlerFunc(serve)}, Route{Path: "/app", App: app})
}

// next is the request that shows that a connection goes on.
const next = "GET /app HTTP/1.1\r\nHost: a\r\n\r\n"

func TestResponseWriter_FramesTheBody(t *testing.T) {
	long := strings.Repeat("x", 3*answerBuffer)
	f := handled(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/nothing":
		case "/small":
			_, _ = io.WriteString(w, "<p>some ")
			_, _ = io.WriteString(w, "text")
		case "/long":
			_, _ = io.WriteString(w, long)
		case "/known":
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			_, _ = io.WriteString(w, long)
		case "/flushed":
			_, _ = io.WriteString(w, "some")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, " text")
		case "/none", "/same":
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(map[string]int{"/none": 204, "/same": 304}[r.URL.Path])
			if _, err := io.WriteString(w, "x"); err != http.ErrBodyNotAllowed {
				t.Errorf("%s: %v", r.URL.Path, err)
			}
		}
	})
	for _, c := range []struct {
		path   string
		status int
		length int64
		body   string
	}{
		{"/nothing", 200, 0, ""},
		{"/small", 200, 12, "<p>some text"},
		{"/long", 200, -1, long},
		{"/known", 200, int64(len(long)), long},
		{"/flushed", 200, -1, "some text"},
		{"/none", 204, 0, ""},
		{"/same", 304, 0, ""},
	} {
		for _, ask := range []string{"GET", "HEAD"} {
			_, r := f.dial(ask + " " + c.path + " HTTP/1.1\r\nHost: a\r\n\r\n" + next)
			res, body := readAnswer(t, r, ask)
			if want := map[string]string{"GET": c.body}[ask]; res.StatusCode != c.status || body != want || res.Header.Get("Date") == "" {
				t.Errorf("%s %s: %s, %d bytes, %v", ask, c.path, res.Status, len(body), res.Header)
			}
			if ask == "GET" && (res.ContentLength != c.length || (len(res.TransferEncoding) > 0) != (c.length < 0)) {
				t.Errorf("%s: length %d, %v", c.path, res.ContentLength, res.TransferEncoding)
			}
			if _, has := res.Header["Content-Length"]; has && (c.status == 204 || c.status == 304) {
				t.Errorf("%s %s has a length", ask, c.path)
			}
			if c.path == "/small" && ask == "GET" && res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("type %q", res.Header.Get("Content-Type"))
			}
			if _, body := readAnswer(t, r, "GET"); body != "ok" {
				t.Errorf("behind %s %s came %q", ask, c.path, body)
			}
		}
	}
	if res, body := f.ask("GET /flushed HTTP/1.0\nConnection: keep-alive"); body != "some text" || len(res.TransferEncoding) > 0 || !res.Close {
		t.Errorf("HTTP/1.0: %q, %v, closes %v", body, res.TransferEncoding, res.Close)
	}
}

// Headers end where their line does, whatever a handler puts there.
func TestResponseWriter_HeaderStaysOnItsLine(t *testing.T) {
	f := handled(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Name", "a\r\nX-Forged: 1\x00\nb")
		w.Header()["X-Bad\r\nX-Forged"] = []string{"1"}
		w.Header()["Transfer-Encoding"] = []string{"gzip, chunked"}
	})
	_, r := f.dial("GET / HTTP/1.1\r\nHost: a\r\n\r\n" + next)
	res, _ := readAnswer(t, r, "GET")
	if res.Header.Get("X-Name") != "a  X-Forged: 1  b" || res.Header.Get("X-Forged") != "" || len(res.TransferEncoding) > 0 || len(res.Header) != 3 {
		t.Errorf("%v, %v", res.Header, res.TransferEncoding)
	}
	if _, body := readAnswer(t, r, "GET"); body != "ok" {
		t.Error(body)
	}
}

func TestResponseWriter_MoreThanItsLengthIsRefused(t *testing.T) {
	f := handled(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "4")
		_, _ = io.WriteString(w, "abc")
		if n, err := io.WriteString(w, "de"); n != 0 || err != http.ErrContentLength {
			t.Errorf("wrote %d, %v", n, err)
		}
		_, _ = io.WriteString(w, "d")
		if n, err := io.Copy(w, struct{ io.Reader }{strings.NewReader("more")}); n != 0 || err != http.ErrContentLength {
			t.Errorf("copied %d, %v", n, err)
		}
	})
	_, r := f.dial("GET / HTTP/1.1\r\nHost: a\r\n\r\n" + next)
	for _, want := range []string{"abcd", "ok"} {
		if _, body := readAnswer(t, r, "GET"); body != want {
			t.Errorf("%q, want %q", body, want)
		}
	}
}

// Cut, so that it does not look whole, and neither is what follows taken for its
// end.
func TestResponseWriter_LessThanItsLengthIsCut(t *testing.T) {
	bothProtocols(t, func(t *testing.T, major int) {
		s, _ := handlerServer(t, major, func(w *responseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "half")
		})
		res, err := s.Client().Get(s.URL)
		if err == nil {
			_, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		if err == nil {
			t.Error("the client took a part for the whole")
		}
	})
}

func TestResponseWriter_Trailers(t *testing.T) {
	bothProtocols(t, func(t *testing.T, major int) {
		s, _ := handlerServer(t, major, func(w *responseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "text")
			w.Header().Set("X-Sum", "7")
			w.Header().Set("Content-Length", "9")
			w.Header().Set(http.TrailerPrefix+"X-Late", "8")
		})
		res, err := s.Client().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if string(body) != "text" || res.Trailer.Get("X-Sum") != "7" || res.Trailer.Get("X-Late") != "8" || res.Trailer.Get("Content-Length") != "" {
			t.Errorf("%q, %v", body, res.Trailer)
		}
	})
}

func TestResponseWriter_PanicCutsTheAnswer(t *testing.T) {
	f := handled(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begun" {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
		}
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		panic("test " + r.URL.Path)
	})
	for _, path := range []string{"/", "/begun", "/abort"} {
		_, r := f.dial("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" + next)
		res, err := http.ReadResponse(r, nil)
		if err == nil {
			_, err = io.ReadAll(res.Body)
		}
		if err == nil {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	f.log.await(t, "msg=request.panic", `panic="test /"`, "responsewriter_test.go")
	f.log.await(t, "msg=request.panic", `panic="test /begun"`)
	f.access.await(t, "/abort")
	if strings.Contains(f.log.String(), "abort") {
		t.Errorf("an answer that was cut on purpose is logged: %s", f.log)
	}
}

func TestResponseWriter_HijackGivesWhatCameEarly(t *testing.T) {
	f := handled(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Unused", "1")
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if _, err := w.Write([]byte("x")); err != http.ErrHijacked {
			t.Errorf("Write: %v", err)
		}
		early := make([]byte, rw.Reader.Buffered())
		_, _ = io.ReadFull(rw, early)
		fmt.Fprintf(rw, "%s|", early)
		rw.Flush()
		line, _ := rw.ReadString('\n')
		fmt.Fprint(conn, line)
	})
	for _, early := range []string{"", "early", strings.Repeat("e", 3000)} {
		conn, r := f.dial("GET /taken HTTP/1.1\r\nHost: a\r\n\r\n" + early)
		if got, _ := r.ReadString('|'); got != early+"|" {
			t.Errorf("%q came as %q", early, got)
		}
		_, _ = io.WriteString(conn, "late\n")
		if got, _ := io.ReadAll(r); string(got) != "late\n" {
			t.Errorf("then %q", got)
		}
	}
	f.access.await(t, "/taken", "101")
}

func TestResponseWriter_IsOfNoUseBehindItsHandler(t *testing.T) {
	var kept http.ResponseWriter
	f := handled(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/first" {
			kept = w
			return
		}
		control := http.NewResponseController(kept)
		for what, err := range map[string]error{"SetWriteDeadline": control.SetWriteDeadline(aLongTimeAgo), "SetReadDeadline": control.SetReadDeadline(aLongTimeAgo), "Flush": control.Flush()} {
			if !errors.Is(err, errHandlerOver) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, _, err := control.Hijack(); err == nil {
			t.Error("hijacked")
		}
		if _, err := kept.Write([]byte("forged")); err == nil {
			t.Error("wrote")
		}
		_, _ = io.WriteString(w, "second")
	})
	_, r := f.dial("GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n")
	for _, want := range []string{"", "second"} {
		if _, body := readAnswer(t, r, "GET"); body != want {
			t.Errorf("%q, want %q", body, want)
		}
	}
}

// writeFile makes a file of so many bytes, which are not all the same.
func writeFile(t testing.TB, size int) string {
	t.Helper()
	name := t.TempDir() + "/file"
	if err := os.WriteFile(name, []byte(strings.Repeat("0123456789abcdef", size/16)), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// A client that takes a file slowly has progress, which is what counts; the time
// that it has for a piece is over here because the test says so.
func TestResponseWriter_FileGoesOnAsLongAsThereIsProgress(t *testing.T) {
	const size = 16 << 20
	name := writeFile(t, size)
	conns := make(chan net.Conn, 1)
	f := handled(t, func(w http.ResponseWriter, r *http.Request) {
		conns <- w.(*responseWriter).x.down.(*turn).c.Conn
		http.ServeFile(w, r, name)
	})
	for range 5 { // a deadline that meets a piece of which nothing was sent yet is obeyed
		_, r := f.dial(crlf("GET / HTTP/1.1\nHost: a"))
		conn := receive(t, conns)
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetWriteDeadline(aLongTimeAgo) // far more is to come than has room
		whole, err := io.ReadAll(res.Body)
		if err != nil {
			continue
		}
		if len(whole) != size || string(whole[size-16:]) != "0123456789abcdef" {
			t.Errorf("%d bytes", len(whole))
		}
		return
	}
	t.Error("it was cut each time")
}

func TestResponseWriter_FileByEveryWay(t *testing.T) {
	for _, size := range []int{0, 16, answerBuffer, 100_000, 5 << 20} {
		name := writeFile(t, size)
		f := handled(t, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) })
		for _, s := range []served{f.plain(), f.secure(1), f.secure(2)} {
			for range 2 { // on one connection
				res, err := s.Client().Get(s.URL)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || len(body) != size || res.ContentLength != int64(size) || size > 0 && string(body[size-16:]) != "0123456789abcdef" {
					t.Errorf("%s by %s: %d bytes, %v", s.URL, res.Proto, len(body), err)
				}
			}
		}
	}
}
