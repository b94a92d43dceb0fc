package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestForward_TargetAsItCame(t *testing.T) {
	app, requests := answering(t, okAnswer)
	for _, c := range []struct{ path, app, asked, want string }{
		{"/", "", "/x?a;b=%zz&c=1+2", "/x?a;b=%zz&c=1+2"},
		{"/", "", "/x?", "/x?"},
		{"/", "", "/x?a#b?c", "/x?a#b?c"},
		{"/", "", "/a/../b//c/./d", "/b/c/d"},
		{"/", "", "/%7Euser/%e4?q=%e4", "/~user/%E4?q=%e4"},
		{"/shop/", "/", "/shop/cart?x=/shop/", "/cart?x=/shop/"},
		{"/shop", "/", "/shop", "/"},
		{"/shop", "/", "/shop/cart", "/cart"},
		{"/shop/", "/store", "/shop/", "/store/"},
		{"/shop", "/store/", "/shop", "/store/"},
		{"/shop", "/store/", "/shop/cart/", "/store/cart/"},
		{"/shop/", "/store/", "/shop//cart", "/store/cart"},
		{"/", "/store", "/cart", "/store/cart"},
	} {
		f := serveFront(t, Route{Path: c.path, App: app + c.app})
		f.ask("GET " + c.asked + " HTTP/1.1\nHost: app.test")
		line, _, _ := strings.Cut(receive(t, requests), "\r\n")
		if want := "GET " + c.want + " HTTP/1.1"; line != want {
			t.Errorf("%s to %s%s as %q, want %q", c.asked, c.path, c.app, line, want)
		}
	}
}

func TestForward_NothingInvented(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	res, _ := f.ask("GET / HTTP/1.1\nHost: app.test:8443\nX-Twice: 1\nX-Twice: 2")
	got := receive(t, requests)
	for name, want := range map[string]string{"Host": "app.test:8443", "User-Agent": "-", "Accept-Encoding": "-", "Content-Length": "-", "Te": "-", "Connection": "-"} {
		if v := field(got, name); v != want {
			t.Errorf("%s: %s, want %s", name, v, want)
		}
	}
	if !strings.Contains(got, "X-Twice: 1\r\nX-Twice: 2\r\n") {
		t.Errorf("two lines of one field did not stay two: %q", got)
	}
	if v, ok := res.Header["Content-Type"]; ok {
		t.Errorf("a Content-Type was guessed: %q", v)
	}
}

func TestForward_HostOption(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app, Host: "inner.test"})
	f.ask("GET / HTTP/1.1\nHost: app.test")
	got := receive(t, requests)
	if field(got, "Host") != "inner.test" || field(got, "X-Forwarded-Host") != "app.test" {
		t.Errorf("%q", got)
	}
}

func TestForward_ClientFields(t *testing.T) {
	app, requests := answering(t, okAnswer)
	for _, c := range []struct {
		name, sent string
		trusted    bool
		want       map[string]string
	}{
		{name: "none sent", want: map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "app.test",
			"Forwarded": `for=127.0.0.1;host="app.test";proto=http`}},
		{name: "forged", sent: "X-Forwarded-For: 6.6.6.6\nX-Forwarded-Proto: https\nX-Forwarded-Host: evil.test\nX-Real-IP: 6.6.6.6\nForwarded: for=6.6.6.6\nX-Forwarded-Ssl: on\nX-Forwarded-Port: 1\nX-Request-ID: mine",
			want: map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "app.test",
				"X-Real-Ip": "127.0.0.1", "Forwarded": `for=127.0.0.1;host="app.test";proto=http`, "X-Forwarded-Ssl": "-", "X-Forwarded-Port": "-"}},
		{name: "underscores", sent: "X_Forwarded_For: 6.6.6.6\nX_Real-IP: 6.6.6.6\nHTTP_HOST: evil", trusted: true,
			want: map[string]string{"X_Forwarded_For": "-", "X_Real-IP": "-", "HTTP_HOST": "-", "X-Forwarded-For": "127.0.0.1"}},
		{name: "httpoxy", sent: "Proxy: http://evil.test", trusted: true, want: map[string]string{"Proxy": "-"}},
		{name: "stripped by Connection", sent: "Connection: close, X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, Forwarded, X-Request-ID, X-Mine\nX-Mine: 1",
			want: map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Mine": "-", "Connection": "-",
				"Forwarded": `for=127.0.0.1;host="app.test";proto=http`}},
		{name: "by a trusted proxy", sent: "X-Forwarded-For: 6.6.6.6, 2001:db8::7, 127.0.0.9\nX-Forwarded-Proto: https\nX-Forwarded-Host: www.test\nX-Forwarded-Port: 443", trusted: true,
			want: map[string]string{"X-Forwarded-For": "2001:db8::7, 127.0.0.9, 127.0.0.1", "X-Real-Ip": "2001:db8::7", "X-Forwarded-Proto": "https",
				"X-Forwarded-Host": "www.test", "Host": "www.test", "X-Forwarded-Port": "443",
				"Forwarded": `for="[2001:db8::7]";host="www.test";proto=https, for=127.0.0.9, for=127.0.0.1`}},
		{name: "hop by hop", sent: "Keep-Alive: 5\nProxy-Connection: keep-alive\nProxy-Authorization: x\nTE: gzip\nTrailer: X\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: x",
			want: map[string]string{"Keep-Alive": "-", "Proxy-Connection": "-", "Proxy-Authorization": "-", "TE": "-", "Trailer": "-", "Upgrade": "-", "HTTP2-Settings": "-", "Connection": "-"}},
		{name: "TE trailers", sent: "TE: deflate, trailers\nConnection: TE", want: map[string]string{"TE": "trailers", "Connection": "TE"}},
		{name: "end to end", sent: "User-Agent: curl\nAccept-Encoding: br\nCookie: a=1; b=2\nRange: bytes=1-\nAuthorization: Basic x\nIdempotency-Key: 7",
			want: map[string]string{"User-Agent": "curl", "Accept-Encoding": "br", "Cookie": "a=1; b=2", "Range": "bytes=1-", "Authorization": "Basic x", "Idempotency-Key": "7"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Config{Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", App: app}}}}}
			if c.trusted {
				cfg.TrustedProxies = loopback()
			}
			f := serveConfig(t, cfg)
			f.ask(strings.TrimSpace("GET / HTTP/1.1\nHost: app.test\n" + c.sent))
			got := receive(t, requests)
			for name, want := range c.want {
				if v := field(got, name); v != want {
					t.Errorf("%s: %s, want %s", name, v, want)
				}
			}
			if id := field(got, "X-Request-ID"); len(id) != 16 {
				t.Errorf("X-Request-ID: %s", id)
			}
		})
	}
}

func TestForward_AnswerFields(t *testing.T) {
	app, _ := answering(t, crlf("HTTP/1.1 426 Upgrade Required\nUpgrade: websocket\nConnection: Upgrade, X-Hop\nX-Hop: 1\nKeep-Alive: timeout=5\nProxy-Authenticate: Basic\nSet-Cookie: a=1\nSet-Cookie: b=2\nContent-Length: 4")+"no\r\n")
	f := serveFront(t, Route{Path: "/", App: app})
	for _, major := range []int{1, 2} {
		srv := f.secure(major)
		res, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatalf("HTTP/%d: %v", major, err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(body) != "no\r\n" || res.StatusCode != 426 || res.ProtoMajor != major {
			t.Errorf("HTTP/%d: %s %q %v", major, res.Status, body, err)
		}
		for _, name := range []string{"Upgrade", "Connection", "X-Hop", "Keep-Alive", "Proxy-Authenticate"} {
			if v, ok := res.Header[name]; ok {
				t.Errorf("HTTP/%d: %s: %q was passed on", major, name, v)
			}
		}
		if v := res.Header["Set-Cookie"]; strings.Join(v, "|") != "a=1|b=2" {
			t.Errorf("HTTP/%d: Set-Cookie %q", major, v)
		}
	}
}

func TestForward_BodyWithoutLengthArrivesWhole(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	for _, size := range []int{0, 5, 900_000, heldInMemory, heldInMemory + 1, 3 << 20} {
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

func TestForward_StreamsAsSent(t *testing.T) {
	streams := make(chan chan string, 1) // of the next request
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		for {
			if _, err := readRequest(r); err != nil {
				return
			}
			_, _ = io.WriteString(conn, crlf("HTTP/1.1 200 OK\nContent-Type: text/event-stream\nTransfer-Encoding: chunked"))
			for s := range <-streams {
				fmt.Fprintf(conn, "%x\r\n%s\r\n", len(s), s)
			}
			_, _ = io.WriteString(conn, "0\r\n\r\n")
		}
	})
	f := serveFront(t, Route{Path: "/", App: "http://" + addr})
	for _, major := range []int{1, 2} {
		next := make(chan string)
		streams <- next
		srv := f.secure(major)
		res, err := srv.Client().Get(srv.URL) // returns before any event was sent
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"data: 1\n\n", "data: 2\n\n"} {
			next <- s
			got := make([]byte, len(s))
			if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != s {
				t.Errorf("HTTP/%d: %q, %v", major, got, err)
			}
		}
		close(next)
		if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
			t.Errorf("HTTP/%d, end: %q, %v", major, rest, err)
		}
		res.Body.Close()
	}
}

func TestForward_InterimAnswers(t *testing.T) {
	early := crlf("HTTP/1.1 103 Early Hints\nLink: </a.css>; rel=preload\nConnection: close")
	app, _ := answering(t, early+okAnswer)
	endless, _ := answering(t, strings.Repeat(early, maxInterim+1)+okAnswer)
	f := serveFront(t, Route{Path: "/", App: app}, Route{Path: "/endless", App: endless})
	for _, major := range []int{1, 2} {
		srv := f.secure(major)
		var links []string
		ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			links = append(links, fmt.Sprint(code, h.Get("Link"), h.Get("Connection")))
			return nil
		}})
		req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if len(links) != 1 || links[0] != "103</a.css>; rel=preload" || res.StatusCode != 200 || res.Header.Get("Link") != "" {
			t.Errorf("HTTP/%d: interim %q, then %s with Link %q", major, links, res.Status, res.Header.Get("Link"))
		}
	}
	if res, body := f.ask("GET / HTTP/1.0"); res.StatusCode != 200 || body != "ok" {
		t.Errorf("HTTP/1.0: %s %q", res.Status, body)
	}
	res, err := http.Get("http://" + f.addr + "/endless")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 502 {
		t.Errorf("endless: %s", res.Status)
	}
	f.log.await(t, "request.failed", "more than 10 interim answers")
}

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
	f := serveFront(t, Route{Path: "/", App: "http://" + addr})
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

func TestForward_AnswerTrailers(t *testing.T) {
	app, _ := answering(t, crlf("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nTrailer: X-Sum")+"2\r\nok\r\n0\r\nX-Sum: 7\r\nX-Late: 8\r\n\r\n")
	f := serveFront(t, Route{Path: "/", App: app})
	for _, major := range []int{1, 2} {
		srv := f.secure(major)
		res, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.Trailer.Get("X-Sum") != "7" || res.Trailer.Get("X-Late") != "8" {
			t.Errorf("HTTP/%d: trailer %v", major, res.Trailer)
		}
	}
}

func TestForward_AnswersWithoutBody(t *testing.T) {
	for _, c := range []struct {
		method, answer string
		status         int
		length         string
	}{
		{"HEAD", "HTTP/1.1 200 OK\nContent-Length: 1234", 200, "1234"},
		{"HEAD", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked", 200, ""},
		{"GET", "HTTP/1.1 204 No Content", 204, ""},
		{"GET", "HTTP/1.1 304 Not Modified\nETag: \"x\"", 304, ""},
		{"GET", "HTTP/1.1 200 OK\nContent-Length: 0", 200, "0"},
	} {
		app, _ := answering(t, crlf(c.answer))
		f := serveFront(t, Route{Path: "/", App: app})
		_, r := f.dial(strings.Repeat(crlf(c.method+" / HTTP/1.1\nHost: a"), 2)) // the second shows where the first ended
		for range 2 {
			res, body := readAnswer(t, r, c.method)
			if res.StatusCode != c.status || body != "" || res.Header.Get("Content-Length") != c.length {
				t.Errorf("%s of %q: %s, %q, %v", c.method, c.answer, res.Status, body, res.Header)
			}
		}
	}
}

func TestForward_RangePassesThrough(t *testing.T) {
	app, requests := answering(t, crlf("HTTP/1.1 206 Partial Content\nContent-Range: bytes 1-2/9\nContent-Length: 2")+"bc")
	f := serveFront(t, Route{Path: "/", App: app})
	res, body := f.ask("GET / HTTP/1.1\nHost: a\nRange: bytes=1-2\nIf-Range: \"x\"")
	if got := receive(t, requests); field(got, "Range") != "bytes=1-2" || field(got, "If-Range") != `"x"` {
		t.Errorf("asked %q", got)
	}
	if res.StatusCode != 206 || body != "bc" || res.Header.Get("Content-Range") != "bytes 1-2/9" {
		t.Errorf("%s %q %v", res.Status, body, res.Header)
	}
}

func TestForward_OldClientGetsCloseDelimitedAnswer(t *testing.T) {
	app, _ := answering(t, crlf("HTTP/1.1 200 OK\nTransfer-Encoding: chunked")+"2\r\nok\r\n0\r\n\r\n")
	f := serveFront(t, Route{Path: "/", App: app})
	res, body := f.ask("GET / HTTP/1.0\nHost: a")
	if body != "ok" || len(res.TransferEncoding) > 0 || !res.Close {
		t.Errorf("%q, %v, closed %v", body, res.TransferEncoding, res.Close)
	}
}

func TestForward_TruncationIsAnError(t *testing.T) {
	for name, answer := range map[string]string{
		"length":      crlf("HTTP/1.1 200 OK\nContent-Length: 100") + "short",
		"chunk":       crlf("HTTP/1.1 200 OK\nTransfer-Encoding: chunked") + "64\r\nshort",
		"no end":      crlf("HTTP/1.1 200 OK\nTransfer-Encoding: chunked") + "5\r\nshort\r\n",
		"broken size": crlf("HTTP/1.1 200 OK\nTransfer-Encoding: chunked") + "5\r\nshort\r\nzz\r\n",
	} {
		addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
			if _, err := readRequest(r); err == nil {
				_, _ = io.WriteString(conn, answer)
			}
		})
		f := serveFront(t, Route{Path: "/", App: "http://" + addr})
		for _, major := range []int{1, 2} {
			srv := f.secure(major)
			res, err := srv.Client().Get(srv.URL)
			if err != nil {
				continue // cut before the header went out: an error as well
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err == nil {
				t.Errorf("%s, HTTP/%d: a clean end behind %q", name, major, body)
			}
		}
		f.log.await(t, "request.failed", "broke off")
	}
}

func TestForward_ClientAbortCancelsBackend(t *testing.T) {
	started, ended := make(chan struct{}), make(chan struct{})
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := readRequest(r); err != nil {
			return
		}
		close(started)
		_, _ = r.ReadByte() // until the front closes
		close(ended)
	})
	f := serveFront(t, Route{Path: "/", App: "http://" + addr})
	conn, _ := f.dial(crlf("GET / HTTP/1.1\nHost: a"))
	receive(t, started)
	conn.Close()
	receive(t, ended)
	f.access.await(t, "499")
	if strings.Contains(f.log.String(), "request.failed") {
		t.Errorf("a client that went away was logged as a failure: %s", f.log)
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
	conn, _ := f.dial(crlf("POST / HTTP/1.1\nHost: a\nContent-Length: 100") + "some")
	receive(t, began)
	conn.Close()
	receive(t, ended)
	f.access.await(t, "499")
	if strings.Contains(f.log.String(), "request.failed") {
		t.Errorf("a client that went away was logged as a failure: %s", f.log)
	}
}

func TestForward_RetriesOnlyWhatIsSafe(t *testing.T) {
	// The first request of a connection is answered; the second is read, and
	// the connection closed without an answer.
	for _, c := range []struct {
		name, request string
		status        int
		reached       int32 // how often the second one reached the backend
	}{
		{"GET", crlf("GET /second HTTP/1.1\nHost: a"), 200, 2},
		{"POST", crlf("POST /second HTTP/1.1\nHost: a\nContent-Length: 1") + "x", 502, 1},
		{"POST without a body", crlf("POST /second HTTP/1.1\nHost: a\nContent-Length: 0"), 502, 1},
		{"POST held", crlf("POST /second HTTP/1.1\nHost: a\nTransfer-Encoding: chunked") + "1\r\nx\r\n0\r\n\r\n", 502, 1},
		{"POST with a key", crlf("POST /second HTTP/1.1\nHost: a\nIdempotency-Key: 1\nContent-Length: 0"), 502, 1},
		{"DELETE", crlf("DELETE /second HTTP/1.1\nHost: a"), 502, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var reached atomic.Int32
			addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
				for n := 0; ; n++ {
					text, err := readRequest(r)
					if err != nil {
						return
					}
					if strings.Contains(text, "/second") {
						reached.Add(1)
						if n > 0 {
							return
						}
					}
					_, _ = io.WriteString(conn, okAnswer)
				}
			})
			f := serveFront(t, Route{Path: "/", App: "http://" + addr})
			f.ask("GET /first HTTP/1.1\nHost: a")
			_, r := f.dial(c.request)
			res, _ := readAnswer(t, r, "GET")
			if res.StatusCode != c.status || reached.Load() != c.reached {
				t.Errorf("%s after %d times, want %d after %d", res.Status, reached.Load(), c.status, c.reached)
			}
		})
	}
}

func TestForward_KeptConnectionThatClosedCostsNothing(t *testing.T) {
	var conns atomic.Int32
	closed := make(chan struct{}, 10)
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		conns.Add(1)
		if _, err := readRequest(r); err == nil {
			_, _ = io.WriteString(conn, okAnswer) // says nothing of the close
		}
		conn.Close()
		closed <- struct{}{}
	})
	f := serveFront(t, Route{Path: "/", App: "http://" + addr})
	for range 10 {
		_, r := f.dial(crlf("GET / HTTP/1.1\nHost: a"))
		if res, _ := readAnswer(t, r, "GET"); res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
		receive(t, closed)
	}
	if conns.Load() < 10 {
		t.Error("the backend closed each connection, and yet one served twice")
	}
}

func TestForward_BackendFailures(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := l.Addr().String()
	l.Close()
	says := func(text string) string {
		return rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
			if _, err := readRequest(r); err == nil {
				_, _ = io.WriteString(conn, text)
			}
		})
	}
	silent := rawBackend(t, func(conn net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	plain := says(okAnswer)
	for _, c := range []struct {
		name, app string
		status    int
		reason    string
	}{
		{"refused", "http://" + refused, 502, "dial backend http://" + refused + ": connection refused; is the application running"},
		{"no socket", "unix:" + filepath.Join(t.TempDir(), "none.sock"), 502, "there is no such socket"},
		{"silent", "http://" + silent, 504, "did not begin to answer in time"},
		{"closed", "http://" + says(""), 502, "closed the connection without an answer"},
		{"not HTTP", "http://" + says("220 mail.test ESMTP\r\n"), 502, "does it speak HTTP"},
		{"TLS alert", "http://" + says("\x15\x03\x01\x00\x02\x02\x46"), 502, "answered with TLS; write https://"},
		{"no TLS", "https://" + plainTLSAnswer(t), 502, "it answered without TLS; write http://"},
		{"101 for nothing", "http://" + says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"), 502, "which nobody asked for"},
		{"status 99", "http://" + says("HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n"), 502, "which nobody asked for"},
		{"long head", "http://" + says("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", maxAnswerHead+10000)+"\r\n\r\n"), 502, "head of the answer is too long"},
		{"works", "http://" + plain, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := serveFront(t, Route{Path: "/", App: c.app, ResponseTimeout: 300 * time.Millisecond})
			res, body := f.ask("GET / HTTP/1.1\nHost: a\nAccept: text/plain")
			if res.StatusCode != c.status {
				t.Errorf("%s, want %d\n%s", res.Status, c.status, f.log)
			}
			if c.reason == "" {
				return
			}
			line := f.log.await(t, "request.failed", c.reason, fmt.Sprintf("status=%d", c.status))
			if strings.Contains(body, c.app) || !strings.Contains(body, "application") {
				t.Errorf("the visitor reads %q; the log %s", body, line)
			}
		})
	}
}

// plainTLSAnswer is a server that answers whatever it gets with plain HTTP, as
// Apache does on port 80.
func plainTLSAnswer(t *testing.T) string {
	return rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		_, _ = r.Peek(1)
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})
}

func TestForward_UnixBackend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	hosts := make(chan string, 1)
	serveRaw(t, l, func(conn net.Conn, r *bufio.Reader) {
		text, err := readRequest(r)
		if err != nil {
			return
		}
		hosts <- field(text, "Host")
		_, _ = io.WriteString(conn, okAnswer)
	})
	f := serveFront(t, Route{Path: "/", App: "unix:" + path})
	if res, _ := f.ask("GET / HTTP/1.1\nHost: app.test"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
	if got := receive(t, hosts); got != "app.test" {
		t.Errorf("Host: %s", got)
	}
}

func TestForward_TLSBackendIsVerified(t *testing.T) {
	backend := tlsBackend(t)
	ca := writeCA(t, backend)
	for _, c := range []struct {
		name   string
		tls    BackendTLS
		status int
	}{
		{"unknown CA", BackendTLS{}, 502},
		{"own CA", BackendTLS{CA: ca}, 200},
		{"own CA, other name", BackendTLS{CA: ca, ServerName: "other.test"}, 502},
		{"own CA, its name", BackendTLS{CA: ca, ServerName: "example.com"}, 200},
		{"not verified", BackendTLS{InsecureSkipVerify: true}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := serveFront(t, Route{Path: "/", App: backend.URL, BackendTLS: c.tls})
			res, body := f.ask("GET / HTTP/1.1\nHost: app.test")
			if res.StatusCode != c.status {
				t.Fatalf("%s, want %d: %s", res.Status, c.status, f.log)
			}
			if c.status == 502 {
				f.log.await(t, "request.failed", "backend_tls.ca", "server_name", "insecure_skip_verify")
			} else if body != "HTTP/1.1 app.test" {
				t.Errorf("the backend saw %q", body)
			}
		})
	}
}

func TestForward_QueryWithSpaceOverHTTP2(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	srv := f.secure(2)
	req, _ := http.NewRequest("GET", srv.URL, nil)
	req.URL.RawQuery = "a HTTP/1.1"
	res, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 400 {
		t.Error(res.Status)
	}
	select {
	case got := <-requests:
		t.Errorf("forwarded as %q", got)
	default:
	}
}

func TestBody_TempFileHasNoName(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	r := &http.Request{Body: io.NopCloser(bytes.NewReader(make([]byte, 2<<20)))}
	held, err := (&requestBody{request: r, limit: 4 << 20}).hold()
	if err != nil {
		t.Fatal(err)
	}
	defer held.close()
	if held.file == nil || held.size != 2<<20 {
		t.Errorf("file %v, size %d", held.file, held.size)
	}
	if entries, _ := os.ReadDir(folder); len(entries) > 0 {
		t.Errorf("in the folder for temporary files: %v", entries)
	}
}
