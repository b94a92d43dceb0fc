package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
)

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
