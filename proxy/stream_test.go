package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

func TestStream_ForwardedLikeAnyOther(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	c := dialHTTP2(t, f)
	got := c.ask(":path=/a?b=c;cookie=one=1;user-agent=me;cookie=two=2;x-forwarded-for=6.6.6.6;proxy=evil;x_real_ip=evil;te=trailers;cookie=three=3", true)
	if got.status != "200" || got.body != "ok" {
		t.Fatalf("%+v", got)
	}
	dated := false
	for _, f := range got.fields {
		dated = dated || f.Name == "date"
		if f.Name == "connection" {
			t.Error("a field of the connection came over HTTP/2")
		}
	}
	if !dated {
		t.Error("no date")
	}
	request := strings.ToLower(receive(t, requests))
	for _, want := range []string{"get /a?b=c http/1.1\r\nhost: a.test\r\n", "\r\ncookie: one=1; two=2; three=3\r\n", "\r\nuser-agent: me\r\n",
		"\r\nx-forwarded-for: 127.0.0.1\r\n", "\r\nx-forwarded-proto: https\r\n", "\r\nte: trailers\r\n"} {
		if !strings.Contains(request, want) {
			t.Errorf("%q is missing in %q", want, request)
		}
	}
	if strings.Contains(request, "evil") || strings.Count(request, "cookie:") != 1 {
		t.Errorf("the backend got %q", request)
	}
	f.access.await(t, `"HTTP/2.0"`)
}

func TestStream_ACutAnswerIsReset(t *testing.T) {
	for name, answer := range map[string]string{
		"chunked":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"with a length":    "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf",
		"malformed chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
	} {
		addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
			if _, err := readRequest(r); err == nil {
				_, _ = io.WriteString(conn, answer)
			}
		})
		f := serveFront(t, Route{Path: "/", App: "http://" + addr})
		got := dialHTTP2(t, f).ask("", true)
		if got.status != "200" || got.body != "half" || got.ended || got.reset != http2.ErrCodeInternal {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestStream_TrailersBothWays(t *testing.T) {
	app, requests := answering(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 17\r\n\r\n")
	off := false
	f := serveFront(t, Route{Path: "/", App: app, RequestBuffering: &off})
	c := dialHTTP2(t, f)
	stream := c.begin(":method=POST;te=trailers;trailer=x-count", false)
	c.check(c.WriteData(stream, false, []byte("body")))
	c.check(c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte("\x00\x07x-count\x012"), EndStream: true, EndHeaders: true}))
	got := c.answer(stream)
	if got.status != "200" || got.body != "ok" || len(got.fields) == 0 || got.fields[len(got.fields)-1].Name != "x-sum" {
		t.Errorf("%+v", got)
	}
	if request := strings.ToLower(receive(t, requests)); !strings.Contains(request, "x-count: 2\r\n") || !strings.Contains(request, "body") {
		t.Errorf("the backend got %q", request)
	}
}

func TestStream_ClientThatWaitsIsAskedForTheBody(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	c := dialHTTP2(t, f)
	stream := c.begin(":method=POST;expect=100-continue", false)
	for asked := false; !asked; {
		fr, err := c.ReadFrame()
		c.check(err)
		h, ok := fr.(*http2.MetaHeadersFrame)
		asked = ok && h.PseudoValue("status") == "100" && !h.StreamEnded()
	}
	c.check(c.WriteData(stream, true, []byte("body")))
	if got := c.answer(stream); got.status != "200" {
		t.Errorf("%+v", got)
	}
	if request := receive(t, requests); !strings.HasSuffix(request, "body") {
		t.Errorf("the backend got %q", request)
	}
}

// What a client has taken back is not worked on any longer.
func TestStream_ResetEndsTheBackendsWork(t *testing.T) {
	asked, ended := make(chan struct{}), make(chan error, 1)
	addr := rawBackend(t, func(_ net.Conn, r *bufio.Reader) {
		if _, err := readRequest(r); err == nil {
			close(asked)
			_, err := r.ReadByte()
			ended <- err
		}
	})
	f := serveFront(t, Route{Path: "/", App: "http://" + addr})
	c := dialHTTP2(t, f)
	stream := c.begin("", true)
	receive(t, asked)
	c.check(c.WriteRSTStream(stream, http2.ErrCodeCancel))
	if err := receive(t, ended); err == nil {
		t.Error("the backend's connection goes on")
	}
	f.access.await(t, "499")
}

func TestStream_DrainLetsRequestsFinish(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := readRequest(r); err == nil {
			close(asked)
			<-release
			_, _ = io.WriteString(conn, okAnswer)
		}
	})
	f := serveFront(t, Route{Path: "/", App: "http://" + addr})
	idle, c := dialHTTP2(t, f), dialHTTP2(t, f)
	stream := c.begin("", true)
	receive(t, asked)
	stopped := make(chan struct{})
	go func() { // ends with Run, awaited below
		defer close(stopped)
		f.stop()
	}()
	for _, conn := range []*http2Client{idle, c} {
		for gone := false; !gone; {
			fr, err := conn.ReadFrame()
			conn.check(err)
			g, ok := fr.(*http2.GoAwayFrame)
			if gone = ok; ok && g.ErrCode != http2.ErrCodeNo {
				t.Errorf("GOAWAY %v", g.ErrCode)
			}
		}
	}
	close(release)
	for ended := false; !ended; {
		fr, err := c.ReadFrame()
		c.check(err)
		d, ok := fr.(*http2.DataFrame)
		ended = ok && d.StreamID == stream && d.StreamEnded()
	}
	receive(t, stopped)
}

// Events go out as they come, and a handler's own deadline for a write is obeyed.
func TestStream_EventsOfAHandler(t *testing.T) {
	next, failed := make(chan string), make(chan error, 1)
	f := serveFront(t, Route{Path: "/", Whole: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		w.Header().Set("Content-Type", "text/event-stream")
		for event := range next {
			_, _ = io.WriteString(w, event)
			_ = control.Flush()
		}
		_ = control.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		for {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				failed <- err
				return
			}
		}
	})})
	c := dialHTTP2(t, f)
	stream := c.begin("accept=text/event-stream", true)
	for _, event := range []string{"data: 1\n\n", "data: 2\n\n"} {
		next <- event
		for came := false; !came; {
			fr, err := c.ReadFrame()
			c.check(err)
			d, ok := fr.(*http2.DataFrame)
			came = ok && d.StreamID == stream && string(d.Data()) == event
		}
	}
	close(next)
	receive(t, failed) // once the client's window is full
}

func TestStream_BodyBeyondMaxBody(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app, MaxBody: 10})
	c := dialHTTP2(t, f)
	if got := c.ask(":method=POST;content-length=11", false); got.status != "413" {
		t.Errorf("a length beyond: %+v", got)
	}
	stream := c.begin(":method=POST", false)
	c.check(c.WriteData(stream, false, []byte("hello world")))
	if got := c.answer(stream); got.status != "413" {
		t.Errorf("a body beyond: %+v", got)
	}
	select {
	case got := <-requests:
		t.Errorf("forwarded as %q", got)
	default:
	}
}

func TestStream_LimitsAreCounted(t *testing.T) {
	app, _ := answering(t, okAnswer)
	cfg := Config{Limits: Limits{MaxResets: 5}, Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", App: app}}}}}
	f := serveConfig(t, cfg)
	for _, send := range []func(c *http2Client) error{
		func(c *http2Client) error {
			_ = c.begin("te=gzip", true)
			return nil
		},
		func(c *http2Client) error { return c.WritePing(false, [8]byte{}) },
	} {
		c := dialHTTP2(t, f)
		before := f.LimitHits()[limitMaxResets]
		for range 60 {
			if send(c) != nil {
				break // it is closed by now
			}
		}
		for gone := false; !gone; {
			fr, err := c.ReadFrame()
			c.check(err)
			g, ok := fr.(*http2.GoAwayFrame)
			if gone = ok; ok && g.ErrCode != http2.ErrCodeEnhanceYourCalm {
				t.Errorf("GOAWAY %v", g.ErrCode)
			}
		}
		if after := f.LimitHits()[limitMaxResets]; after != before+1 {
			t.Errorf("max_resets was reached %d times, then %d", before, after)
		}
	}
	f.log.await(t, "limit.reached", "max_resets")
}

// A client whose body has to wait for the bodies of its other requests is not the
// one that is slow.
func TestStream_ABodyThatMayNotComeIsNotLate(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	answer := sync.OnceFunc(func() { close(release) })
	held := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-release
	})
	reads := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
		}
		_, _ = w.Write(body)
	})
	const patience = 5 * shortestTimeout
	cfg := Config{Limits: Limits{BodyTimeout: patience}, Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{
		{Path: "/held", Whole: true, Handler: held}, {Path: "/", Whole: true, Handler: reads}}}}}
	f := serveConfig(t, cfg)
	t.Cleanup(answer) // before the front's
	c := dialHTTP2(t, f)
	for range 4 { // each has a quarter of the connection's window
		stream := c.begin(":method=POST;:path=/held", false)
		receive(t, begun)
		for range 16 {
			c.check(c.WriteData(stream, false, make([]byte, 16<<10)))
		}
	}
	stream := c.begin(":method=POST", false)
	time.Sleep(patience * 3 / 2) // or it tests nothing
	answer()
	for room := false; !room; {
		fr, err := c.ReadFrame()
		c.check(err)
		w, ok := fr.(*http2.WindowUpdateFrame)
		room = ok && w.StreamID == 0 && w.Increment < 1<<19 // the first one is of the beginning
	}
	c.check(c.WriteData(stream, true, []byte("hello")))
	if got := c.answer(stream); got.status != "200" || got.body != "hello" {
		t.Errorf("%s %q", got.status, got.body)
	}
}
