package pusher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestHub_EveryClientGetsEveryMessageInOneOrder(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	const clients, publishers, each = 20, 4, 50
	conns := make([]*websocket.Conn, clients)
	for i := range conns {
		conns[i] = s.dial("/websocket")
	}
	var publishing sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() {
			for i := range each {
				if n := s.publishText("board", fmt.Sprintf("%d/%d", p, i)); n != clients {
					t.Errorf("reached %d clients, want %d", n, clients)
				}
			}
		})
	}
	publishing.Wait()
	var first []string
	for i, c := range conns {
		var got []string
		for range publishers * each {
			_, data, err := c.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(data))
		}
		if i == 0 {
			first = got
			for p := range publishers {
				next := 0
				for _, m := range got {
					if strings.HasPrefix(m, fmt.Sprintf("%d/", p)) {
						if want := fmt.Sprintf("%d/%d", p, next); m != want {
							t.Fatalf("publisher %d: got %s, want %s", p, m, want)
						}
						next++
					}
				}
			}
		} else if !slices.Equal(got, first) {
			t.Fatalf("client %d got another order than client 0", i)
		}
	}
}

func TestHub_MessagesArriveAsTheyWerePublished(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	c := s.dial("/websocket")
	for _, size := range []int{0, 1, 125, 126, 127, 0xffff, 0x10000, blockBytes, 1 << 20} {
		data := strings.Repeat("x", size)
		for kind, text := range map[int]bool{websocket.TextMessage: true, websocket.BinaryMessage: false} {
			buf := []byte(data)
			if n := s.publish("board", Message{Text: text, Data: buf}).Subscribers; n != 1 {
				t.Fatalf("%d bytes: reached %d", size, n)
			}
			clear(buf) // the caller may use its slice again
			expect(t, c, kind, data)
		}
	}
	raw := "{\"not\":\"wrapped\"} \x00 <é€🎈>\r\n"
	s.publishText("board", raw)
	expect(t, c, websocket.TextMessage, raw)
	s.publish("board", Message{Data: []byte{0xff, 0x00}})
	expect(t, c, websocket.BinaryMessage, "\xff\x00")
}

func TestHub_PublishSaysWhatIsWrong(t *testing.T) {
	s := newService(t, Config{MaxMessage: 10}, Endpoint{Channel: "board"})
	for _, c := range []struct {
		channel string
		message Message
		want    error
	}{
		{"board", Message{Text: true, Data: []byte("0123456789")}, nil},
		{"board", Message{Text: true, Data: []byte("0123456789a")}, ErrTooLarge},
		{"board", Message{Text: true, Data: []byte("\xff")}, ErrNotUTF8},
		{"board", Message{Data: []byte("\xff")}, nil},
		{"no such channel", Message{}, ErrBadChannel},
		{"", Message{}, ErrBadChannel},
	} {
		if _, err := s.Publish(t.Context(), c.channel, c.message); !errors.Is(err, c.want) {
			t.Errorf("publish %q to %q: %v, want %v", c.message.Data, c.channel, err, c.want)
		}
	}
}

func TestHub_ChannelsAreApartAndForgottenWhenEmpty(t *testing.T) {
	s := newService(t, Config{}, Endpoint{})
	a, b := s.dial("/push/a"), s.dial("/push/b")
	if n := s.publishText("a", "for a"); n != 1 {
		t.Errorf("a reached %d", n)
	}
	s.publishText("b", "for b")
	if n := s.publishText("c", "for nobody"); n != 0 {
		t.Errorf("c reached %d", n)
	}
	expect(t, a, websocket.TextMessage, "for a")
	expect(t, b, websocket.TextMessage, "for b")
	a.Close()
	b.Close()
	eventually(t, "no channel left", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.channels) == 0
	})
}

func TestHub_ClientsComeAndGoWhileOthersPublish(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	stays := s.dial("/websocket")
	stop := make(chan struct{})
	var coming sync.WaitGroup
	for range 4 {
		coming.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, _, err := s.tryDial("/websocket", nil)
				if err != nil {
					t.Error(err)
					return
				}
				// Subscribed once connected: the next message reaches it.
				if _, _, err := c.ReadMessage(); err != nil {
					t.Error(err)
				}
				c.Close()
			}
		})
	}
	for i := range 500 {
		text := fmt.Sprint(i)
		s.publishText("board", text)
		expect(t, stays, websocket.TextMessage, text)
	}
	close(stop)
	done := make(chan struct{})
	go func() { coming.Wait(); close(done) }() // ends with the loop below
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
			s.publishText("board", "end") // for those still waiting for one
			expect(t, stays, websocket.TextMessage, "end")
		}
	}
	eventually(t, "one client left", func() bool { return s.Subscribers("board") == 1 })
}

func TestShutdown_SaysGoodbyeAfterWhatWasQueued(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	c := s.dial("/websocket")
	const waiting = 100
	for i := range waiting {
		s.publishText("board", fmt.Sprint(i))
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(context.Background()) }() // ends with the client, below
	for i := range waiting {
		expect(t, c, websocket.TextMessage, fmt.Sprint(i))
	}
	expectClose(t, c, websocket.CloseServiceRestart)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	s.log.await(t, EventClose, "code=1012", "messages=100", "reason=service restart")
	_, answer, err := s.tryDial("/websocket", nil)
	if err == nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("after shutdown: %v %v, want 503 with Retry-After", answer, err)
	}
	if n := s.publishText("board", "nobody"); n != 0 {
		t.Errorf("published to %d after shutdown", n)
	}
}

func TestShutdown_CutsWhoDoesNotAnswerWhenTheContextEnds(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	c := s.dial("/websocket") // reads nothing: the close handshake stays open
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(ctx) }() // ends by cancel
	eventually(t, "the client is closing", func() bool { return stateOf(s, 0) == closing })
	select {
	case err := <-ended:
		t.Fatalf("did not wait: %v", err)
	default:
	}
	late := errors.New("late")
	cancel(late)
	if err := <-ended; !errors.Is(err, late) || !strings.Contains(err.Error(), "1 push clients") {
		t.Fatalf("got %v", err)
	}
	_ = c.NetConn().SetReadDeadline(time.Now().Add(patience))
	for {
		if _, err := c.NetConn().Read(make([]byte, 100)); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				t.Error("the connection is still open")
			}
			break
		}
	}
}

func TestHub_FaultInOneConnectionEndsThatOneAlone(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	s.log.panicAt = func(r slog.Record) bool {
		if r.Message != EventOpen {
			return false
		}
		first := false
		r.Attrs(func(a slog.Attr) bool { first = first || a.Equal(slog.Uint64("client", 2)); return true })
		return first
	}
	stays, ends := s.dial("/websocket"), s.dial("/websocket")
	if _, _, err := ends.ReadMessage(); err == nil {
		t.Fatal("the connection with the fault lives on")
	}
	s.log.await(t, EventPanic, "client=2", "panic=test", "stack=")
	if n := s.Hub.Panics(); n != 1 {
		t.Errorf("%d panics were counted", n)
	}
	eventually(t, "it has left", func() bool { return s.Subscribers("board") == 1 })
	s.publishText("board", "still here")
	expect(t, stays, websocket.TextMessage, "still here")
}

// onlyUnwrap is what middleware puts around a ResponseWriter.
type onlyUnwrap struct{ inner http.ResponseWriter }

func (w onlyUnwrap) Header() http.Header         { return w.inner.Header() }
func (w onlyUnwrap) Write(b []byte) (int, error) { return w.inner.Write(b) }
func (w onlyUnwrap) WriteHeader(status int)      { w.inner.WriteHeader(status) }
func (w onlyUnwrap) Unwrap() http.ResponseWriter { return w.inner }

// opaque hides the connection altogether.
type opaque struct{ http.ResponseWriter }

func TestEndpoint_BehindAnotherResponseWriter(t *testing.T) {
	hub, err := New(Config{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := endpointOf(t, hub, Endpoint{Channel: "board"})
	mux := http.NewServeMux()
	mux.HandleFunc("/unwrap", func(w http.ResponseWriter, r *http.Request) { endpoint.ServeHTTP(onlyUnwrap{w}, r) })
	mux.HandleFunc("/opaque", func(w http.ResponseWriter, r *http.Request) { endpoint.ServeHTTP(opaque{w}, r) })
	server := httptest.NewServer(mux)
	defer server.Close()
	defer hub.Shutdown(context.Background())
	url := "ws" + strings.TrimPrefix(server.URL, "http")

	c, _, err := websocket.DefaultDialer.Dial(url+"/unwrap", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if done, _ := hub.Publish(t.Context(), "board", Message{Text: true, Data: []byte("through")}); done.Subscribers != 1 {
		t.Fatalf("reached %d", done.Subscribers)
	}
	expect(t, c, websocket.TextMessage, "through")

	_, answer, err := websocket.DefaultDialer.Dial(url+"/opaque", nil)
	if err == nil || answer.StatusCode != http.StatusInternalServerError {
		t.Fatalf("opaque: %v %v", answer, err)
	}
	if body := bodyOf(t, answer); !strings.Contains(body, "Unwrap") {
		t.Errorf("says %q", body)
	}
	request, _ := http.NewRequest("GET", server.URL+"/opaque", nil)
	request.Header.Set("Accept", "text/event-stream")
	if answer, err = http.DefaultClient.Do(request); err != nil {
		t.Fatal(err)
	}
	if body := bodyOf(t, answer); answer.StatusCode != http.StatusInternalServerError || !strings.Contains(body, "Unwrap") {
		t.Errorf("event stream: %d %q", answer.StatusCode, body)
	}
	http.DefaultClient.CloseIdleConnections()
}
