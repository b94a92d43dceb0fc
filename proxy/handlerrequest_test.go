package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestHandlerRequest_IsWhatTheClientSaid(t *testing.T) {
	seen := make(chan *http.Request, 1)
	f := handled(t, func(w http.ResponseWriter, r *http.Request) { seen <- r })
	conn, _ := f.dial("PUT /x/../a%20b/?q=%31&q HTTP/1.1\r\nhost: App.test:80\r\nACCEPT: a\r\nX-other: 1\r\nx-OTHER: 2\r\nCookie: c\r\nContent-Length: 0\r\n\r\n")
	r := receive(t, seen)
	want := http.Header{"Accept": {"a"}, "X-Other": {"1", "2"}, "Cookie": {"c"}, "Content-Length": {"0"}}
	delete(r.Header, "X-Request-Id") // ours
	delete(r.Header, "Traceparent")
	if r.Method != "PUT" || r.URL.Path != "/a b/" || r.URL.RawQuery != "q=%31&q" || r.RequestURI != "/x/../a%20b/?q=%31&q" || r.URL.Scheme != "http" ||
		r.Host != "App.test:80" || r.RemoteAddr != conn.LocalAddr().String() || r.Proto != "HTTP/1.1" || !r.ProtoAtLeast(1, 1) || r.TLS != nil ||
		fmt.Sprint(r.Header) != fmt.Sprint(want) || r.ContentLength != 0 || r.Body != http.NoBody {
		t.Errorf("%+v, %v", r, r.URL)
	}
	for _, major := range []int{1, 2} {
		s := f.secure(major)
		if _, err := s.Client().Get(s.URL); err != nil {
			t.Fatal(err)
		}
		if r := receive(t, seen); r.TLS == nil || r.TLS.Version < 0x0303 || r.URL.Scheme != "https" || r.ProtoMajor != major || r.Host != s.addr {
			t.Errorf("by TLS: %+v", r)
		}
	}
}

// reader is a handler that reads the body and tells what came of it.
func reading(results chan<- string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		results <- fmt.Sprintf("%d %q %v %v", r.ContentLength, body, err, r.Trailer)
	}
}

func TestHandlerRequest_Bodies(t *testing.T) {
	results := make(chan string, 1)
	f := handled(t, reading(results))
	for _, c := range []struct {
		body, want string
		kept       bool
	}{
		{"Content-Length: 5\r\n\r\nhello", `5 "hello" <nil> map[]`, true},
		{"\r\n", `0 "" <nil> map[]`, true},
		{"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 7\r\nX-Late: 8\r\n\r\n", `-1 "hello" <nil> map[X-Late:[8] X-Sum:[7]]`, true},
		{"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\nzz\r\n", `-1 "hel" `, false},
	} {
		_, r := f.dial("POST / HTTP/1.1\r\nHost: a\r\n" + c.body + next)
		if got := receive(t, results); !strings.HasPrefix(got, c.want) || c.kept != strings.Contains(got, "<nil>") {
			t.Errorf("%q: %s, want %s", c.body, got, c.want)
		}
		readAnswer(t, r, "POST")
		rest, err := http.ReadResponse(r, nil)
		if c.kept != (err == nil) {
			t.Errorf("behind %q: %v, %v", c.body, rest, err)
		}
	}
}

func TestHandlerRequest_BodyIsAskedForWhenItIsRead(t *testing.T) {
	results := make(chan string, 1)
	f := handled(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/read" {
			reading(results)(w, r)
		}
	})
	const expect = " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
	conn, r := f.dial("POST /read" + expect)
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 100 {
		t.Fatal(res, err)
	}
	_, _ = io.WriteString(conn, "hello"+next)
	if got := receive(t, results); !strings.HasPrefix(got, `5 "hello" <nil>`) {
		t.Error(got)
	}
	for range 2 {
		if res, _ := readAnswer(t, r, "POST"); res.StatusCode != 200 || res.Close {
			t.Error(res.Status, res.Close)
		}
	}
	_, r = f.dial("POST /" + expect)
	if res, _ := readAnswer(t, r, "POST"); res.StatusCode != 200 || !res.Close {
		t.Errorf("unread: %s, closes %v", res.Status, res.Close)
	}
}

// What nobody reads of a body is not taken for the next request.
func TestHandlerRequest_UnreadBody(t *testing.T) {
	f := handled(t, func(w http.ResponseWriter, r *http.Request) {
		one := make([]byte, 1)
		_, _ = r.Body.Read(one)
		r.Body.Close()
		if _, err := r.Body.Read(one); err != http.ErrBodyReadAfterClose {
			t.Error(err)
		}
	})
	for size, closes := range map[int]bool{6: false, 200_000: false, 400_000: true} {
		body := bytes.Repeat([]byte("x"), size)
		_, r := f.dial(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", size, body) + next)
		if res, _ := readAnswer(t, r, "POST"); res.StatusCode != 200 || res.Close != closes {
			t.Errorf("%d bytes: %s, closes %v", size, res.Status, res.Close)
		}
		if closes {
			continue
		}
		if _, body := readAnswer(t, r, "GET"); body != "ok" {
			t.Errorf("behind %d bytes: %q", size, body)
		}
	}
}

func TestHandlerContext_IsDoneWhenTheClientLeaves(t *testing.T) {
	bothProtocols(t, func(t *testing.T, major int) {
		begun, ended := make(chan bool), make(chan error, 1)
		s, _ := handlerServer(t, major, func(w *responseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			close(begun)
			derived, cancel := context.WithCancel(r.Context())
			defer cancel()
			select {
			case <-derived.Done():
			case <-time.After(patience):
			}
			ended <- derived.Err()
		})
		ctx, leave := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "POST", s.URL, strings.NewReader("body"))
		go func() { // ended by leave
			_, _ = s.Client().Do(req)
		}()
		receive(t, begun)
		leave()
		if err := receive(t, ended); err != context.Canceled {
			t.Error(err)
		}
	})
}

// Where nobody asks, the next request is not read before its time; and where
// somebody does, nothing of it is lost.
func TestHandlerContext_WatchKeepsTheNextRequest(t *testing.T) {
	asked := make(chan bool)
	contexts := make(chan context.Context, 1)
	f := handled(t, func(w http.ResponseWriter, r *http.Request) {
		contexts <- r.Context()
		if err := r.Context().Err(); err != nil {
			t.Error(err)
		}
		<-asked
	})
	for range 3 {
		conn, r := f.dial(crlf("GET / HTTP/1.1\nHost: a"))
		ctx := receive(t, contexts)
		_, _ = io.WriteString(conn, next)
		asked <- true
		readAnswer(t, r, "GET")
		if _, body := readAnswer(t, r, "GET"); body != "ok" {
			t.Error(body)
		}
		if ctx.Err() != context.Canceled {
			t.Error("the context outlives its request")
		}
	}
}

// A handler's deadlines are in force for its exchange, and no longer.
func TestHandlerDeadlines_ArePutBack(t *testing.T) {
	failed := make(chan error, 1)
	f := handled(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		switch r.URL.Path {
		case "/read":
			_ = control.SetReadDeadline(aLongTimeAgo)
			_, err := io.ReadAll(r.Body)
			failed <- err
		case "/write":
			_ = control.SetWriteDeadline(aLongTimeAgo)
			_, _ = io.WriteString(w, "x")
			failed <- control.Flush()
		case "/both":
			_, _ = io.ReadAll(r.Body)
			w.Header().Set("Content-Length", "4")
			_, _ = io.WriteString(w, "text")
			_ = control.Flush()
			_ = control.SetReadDeadline(aLongTimeAgo)
			_ = control.SetWriteDeadline(aLongTimeAgo)
		}
	})
	for _, secure := range []bool{false, true} {
		if secure {
			f.addr, f.clientTLS = f.secure(1).addr, f.secure(1).Client().Transport.(*http.Transport).TLSClientConfig
		}
		for path, text := range map[string]string{"/read": "Content-Length: 5\r\n\r\nhel", "/write": "\r\n"} {
			f.dial("POST " + path + " HTTP/1.1\r\nHost: a\r\n" + text)
			if err := receive(t, failed); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v", path, err)
			}
		}
		_, r := f.dial("POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" + next)
		for _, want := range []string{"text", "ok"} {
			if _, body := readAnswer(t, r, "GET"); body != want {
				t.Errorf("%q, want %q", body, want)
			}
		}
	}
}
