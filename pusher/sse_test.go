package pusher

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// linesOf reads an event stream behind what it begins with.
func linesOf(t *testing.T, answer *http.Response) *bufio.Reader {
	t.Helper()
	lines := bufio.NewReader(answer.Body)
	for _, prefix := range []string{"retry: ", "id: ", "\n"} {
		if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, prefix) {
			t.Fatalf("the stream begins with %q, %v; want %q", line, err, prefix)
		}
	}
	return lines
}

// expectLines reads these lines from an event stream, ids left out.
func expectLines(t *testing.T, lines *bufio.Reader, want ...string) {
	t.Helper()
	for _, w := range want {
		got, err := lines.ReadString('\n')
		if strings.HasPrefix(got, "id: ") {
			got, err = lines.ReadString('\n')
		}
		if err != nil || got != w+"\n" {
			t.Fatalf("got line %q, %v; want %q", got, err, w)
		}
	}
}

func TestStream_CarriesTextAsEvents(t *testing.T) {
	for _, start := range []struct {
		name    string
		options []option
		major   int
	}{{"HTTP/1.1", nil, 1}, {"TLS", []option{overTLS}, 1}, {"HTTP/2", []option{overH2}, 2}} {
		t.Run(start.name, func(t *testing.T) {
			s := newService(t, Config{}, Endpoint{}, start.options...)
			answer := s.listen("/push/board")
			if answer.ProtoMajor != start.major {
				t.Fatalf("spoke %s", answer.Proto)
			}
			for key, want := range map[string]string{
				"Content-Type":                "text/event-stream",
				"Cache-Control":               "no-store",
				"X-Accel-Buffering":           "no",
				"Access-Control-Allow-Origin": "",
			} {
				if got := answer.Header.Get(key); got != want {
					t.Errorf("%s: %q, want %q", key, got, want)
				}
			}
			lines := linesOf(t, answer)
			s.publishText("board", "one")
			expectLines(t, lines, "data: one", "")
			if n := s.publish("board", Message{Data: []byte("binary")}).Subscribers; n != 1 {
				t.Errorf("a binary message went to %d subscribers", n)
			}
			s.publishText("board", "two\nthree\r\nfour\rdata: five\n")
			expectLines(t, lines, "data: two", "data: three", "data: four", "data: data: five", "data: ", "")
			s.publishText("board", "")
			expectLines(t, lines, "data: ", "")
			answer.Body.Close()
			s.log.await(t, EventClose, "transport=event-stream", "messages=3", "code=0", "client gone")
			eventually(t, "it has left", func() bool { return s.Subscribers("board") == 0 })
		})
	}
}

func TestStream_SilentOneHasHeartbeats(t *testing.T) {
	s := newService(t, Config{PingInterval: brisk}, Endpoint{Channel: "board"})
	lines := linesOf(t, s.listen("/websocket"))
	expectLines(t, lines, ":", "", ":", "", ":", "", ":", "", ":", "") // twice past a write deadline
	s.publishText("board", "still here")
	expectLines(t, lines, "data: still here", "")
}

func TestStream_OutlivesTheServersTimeouts(t *testing.T) {
	for _, start := range []struct {
		name  string
		start option
	}{{"HTTP/1.1", (*httptest.Server).Start}, {"HTTP/2", overH2}} {
		t.Run(start.name, func(t *testing.T) {
			s := newService(t, Config{PingInterval: brisk}, Endpoint{Channel: "board"}, func(server *httptest.Server) {
				server.Config.ReadTimeout = brisk
				server.Config.WriteTimeout = brisk
				start.start(server)
			})
			lines := linesOf(t, s.listen("/websocket"))
			expectLines(t, lines, ":", "", ":", "", ":", "", ":", "", ":", "")
		})
	}
}

func TestStream_EndsCleanlyAtShutdown(t *testing.T) {
	for _, start := range []struct {
		name    string
		options []option
	}{{"HTTP/1.1", nil}, {"HTTP/2", []option{overH2}}} {
		t.Run(start.name, func(t *testing.T) {
			s := newService(t, Config{}, Endpoint{Channel: "board"}, start.options...)
			answer := s.listen("/websocket")
			s.publishText("board", "last")
			if err := s.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			_, rest, _ := strings.Cut(withoutEpoch(string(body)), "\n")
			if rest != "id: E.S\n\nid: E.S\ndata: last\n\n" || err != nil {
				t.Errorf("got %q, %v", body, err)
			}
		})
	}
}

func TestWantsEvents(t *testing.T) {
	for _, c := range []struct {
		method string
		accept []string
		want   bool
	}{
		{"GET", []string{"text/event-stream"}, true},
		{"GET", []string{"text/html, Text/Event-Stream;q=0.9"}, true},
		{"GET", []string{"text/html", "text/event-stream"}, true},
		{"POST", []string{"text/event-stream"}, false},
		{"GET", []string{"*/*"}, false},
		{"GET", []string{"text/event-stream2"}, false},
		{"GET", nil, false},
	} {
		r := &http.Request{Method: c.method, Header: http.Header{"Accept": c.accept}}
		if got := wantsEvents(r); got != c.want {
			t.Errorf("%s %s: %t", c.method, strings.Join(c.accept, " | "), got)
		}
	}
}
