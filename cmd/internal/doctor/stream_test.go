package doctor

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"wsfront/proxy/diagnosis"
)

const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"

func TestRun_Stream(t *testing.T) {
	const event = "8\r\ndata: a\n\r\n1\r\n\n\r\n"
	after := func(d time.Duration, texts ...string) func(net.Conn, *http.Request, *bufio.Reader) {
		return func(c net.Conn, _ *http.Request, _ *bufio.Reader) {
			write(c, streamHead)
			for _, text := range texts {
				time.Sleep(d) // the stream's own pace
				write(c, text)
			}
			write(c, "0\r\n\r\n")
		}
	}
	// all holds the head as well, and goes on if it is told to.
	all := func(d time.Duration, on bool) func(net.Conn, *http.Request, *bufio.Reader) {
		return func(c net.Conn, _ *http.Request, behind *bufio.Reader) {
			<-time.After(d)
			write(c, streamHead+event+event+event)
			if on {
				_, _ = io.Copy(io.Discard, behind)
			} else {
				write(c, "0\r\n\r\n")
			}
		}
	}
	for name, c := range map[string]struct {
		answer func(net.Conn, *http.Request, *bufio.Reader)
		want   diagnosis.Cause
		exit   int
	}{
		"one by one":       {after(200*time.Millisecond, event, event, event, event), "", 0},
		"replay":           {after(0, event+event+event), "", 0},
		"one in the end":   {after(600*time.Millisecond, event), "", 0},
		"in a lump":        {after(600*time.Millisecond, event+event+event), diagnosis.StreamBuffered, 5},
		"all at the end":   {all(600*time.Millisecond, false), diagnosis.StreamBuffered, 5},
		"replay after all": {all(600*time.Millisecond, true), "", 0},
		"none":             {after(0), "", 0},
		"no event stream":  {fixed(status(200, "hi")), diagnosis.PageAnswered, 4},
		"login wanted":     {fixed(status(401, "")), diagnosis.LoginRequired, 4},
		"backend is down":  {fixed(status(502, "")), diagnosis.BackendDown, 4},
		"no answer at all": {fixed(""), diagnosis.AnswerMissing, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil, c.answer)
			expect(t, examine(t, Options{URL: s.url("http", "/events")}), c.want, c.exit)
		})
	}
}
