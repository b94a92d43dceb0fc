package doctor

import (
	"bufio"
	"net"
	"net/http"
	"testing"
	"time"

	"wsfront/proxy/diagnosis"
)

// What holds an event stream back holds its head as well, or not, and until the
// stream's end, or not.
func TestRun_EventStream(t *testing.T) {
	const (
		head    = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
		chunked = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
		events  = "data: 1\n\ndata: 2\n\ndata: 3\n\n"
	)
	held := 600 * time.Millisecond
	for name, c := range map[string]struct {
		pieces []any // text to write, and how long to wait before what is next
		want   diagnosis.Cause
		exit   int
	}{
		"events behind the head": {[]any{head, held, events, held}, diagnosis.StreamBuffered, 5},
		"all at the end":         {[]any{held, head + events}, diagnosis.StreamBuffered, 5},
		"one by one":             {[]any{head, held, "data: 1\n\n", held, "data: 2\n\n"}, "", 0},
		"replay":                 {[]any{head + events, held, "data: 4\n\n"}, "", 0},
		"slow head and a replay": {[]any{held, head + events, held, "data: 4\n\n"}, "", 0},
		"short":                  {[]any{head + events}, "", 0},
		"no event":               {[]any{head}, "", 0},
		"chunked":                {[]any{chunked, held, "1\r\nd\r\n8\r\nata: 1\n\n\r\n8\r\ndata: 2\n\r\n1\r\n\n\r\n", held}, diagnosis.StreamBuffered, 5},
		"login wanted":           {[]any{status(401, "")}, diagnosis.LoginRequired, 4},
		"backend is down":        {[]any{status(502, "")}, diagnosis.BackendDown, 4},
		"no answer":              {nil, diagnosis.AnswerMissing, 4},
		"page":                   {[]any{status(200, "<title>Board</title>", "Content-Type: text/html")}, diagnosis.PageAnswered, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil, func(conn net.Conn, _ *http.Request, _ *bufio.Reader) {
				for _, p := range c.pieces {
					switch p := p.(type) {
					case string:
						write(conn, p)
					case time.Duration:
						<-time.After(p)
					}
				}
			})
			expect(t, examine(t, Options{URL: s.url("http", "/events")}), c.want, c.exit)
		})
	}
}
