package pusher

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

func TestMaxClients_OneMoreIsTurnedAwayInItsOwnWay(t *testing.T) {
	s := newService(t, Config{MaxClients: 2}, Endpoint{Channel: "board"})
	first := s.dial("/websocket")
	s.listen("/websocket")
	_, answer, err := s.tryDial("/websocket", nil)
	if err == nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") != "10" {
		t.Errorf("a WebSocket is answered %v, %v", answer, err)
	}
	if answer := s.poll("/websocket", "Prefer", "wait=1"); answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") != "10" {
		t.Errorf("a poll is answered %v", answer)
	}
	// A browser gives up an event stream for good upon anything but 200.
	stream := s.listen("/websocket")
	text, err := io.ReadAll(stream.Body)
	if err != nil || !strings.HasPrefix(string(text), "retry: 1") || strings.Count(string(text), "\n") != 1 {
		t.Errorf("an event stream is answered %q, %v", text, err)
	}
	s.wantHits(limitClients, 3)
	s.log.await(t, EventRefused, "status=503", "max_clients")

	first.Close()
	eventually(t, "there is room again", func() bool { return s.hasRoom("192.0.2.1:1") == nil })
	s.dial("/websocket")
}

// fromAddress is a service whose clients come from the address that they name in
// a field, as the front puts it in place.
func fromAddress(s *httptest.Server) {
	handler := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = r.Header.Get("From-Address")
		handler.ServeHTTP(w, r)
	})
	s.Start()
}

func TestMaxClientsPerAddress_CountsAnAddressOrANetwork(t *testing.T) {
	s := newService(t, Config{MaxClientsPerAddress: 1}, Endpoint{Channel: "board"}, fromAddress)
	var first *websocket.Conn
	for _, c := range []struct {
		from string
		want int
	}{
		{"192.0.2.1:1000", http.StatusSwitchingProtocols},
		{"192.0.2.1:1001", http.StatusTooManyRequests},
		{"[::ffff:192.0.2.1]:1001", http.StatusTooManyRequests},
		{"192.0.2.2:1000", http.StatusSwitchingProtocols},
		{"[2001:db8::1]:1", http.StatusSwitchingProtocols},
		{"[2001:db8::ffff:1]:1", http.StatusTooManyRequests},
		{"[2001:db8:0:1::1]:1", http.StatusSwitchingProtocols},
		{"127.0.0.1:1", http.StatusSwitchingProtocols},
		{"127.0.0.1:2", http.StatusSwitchingProtocols},
		{"[::1]:1", http.StatusSwitchingProtocols},
		{"[::1]:2", http.StatusSwitchingProtocols},
		{"@", http.StatusSwitchingProtocols}, // a unix socket's
		{"@", http.StatusSwitchingProtocols},
	} {
		conn, answer, err := s.tryDial("/websocket", http.Header{"From-Address": {c.from}})
		if answer == nil || answer.StatusCode != c.want {
			t.Fatalf("%s: %v, %v, want %d", c.from, answer, err, c.want)
		}
		if first == nil {
			first = conn
		}
		if c.want == http.StatusTooManyRequests && answer.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", c.from)
		}
	}
	s.wantHits(limitAddress, 3)
	s.log.await(t, EventRefused, "status=429", "2001:db8::/64", "max_clients_per_address")

	first.Close()
	eventually(t, "the address may come again", func() bool {
		_, _, err := s.tryDial("/websocket", http.Header{"From-Address": {"192.0.2.1:1002"}})
		return err == nil
	})
}

// roundTrips is an application that is a function.
type roundTrips func(*http.Request) (*http.Response, error)

func (f roundTrips) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestMaxClients_ApplicationIsNotAskedAboutACrowd(t *testing.T) {
	asked := 0
	app := roundTrips(func(*http.Request) (*http.Response, error) {
		asked++
		return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
	})
	s := newService(t, Config{MaxClients: 1}, Endpoint{Channel: "board", Auth: &AppAuth{Path: "/push/auth"}, App: app, AppURL: &url.URL{Scheme: "http", Host: "app"}})
	s.dial("/websocket")
	if _, _, err := s.tryDial("/websocket", nil); err == nil || asked != 1 {
		t.Errorf("%v, and the application was asked %d times", err, asked)
	}
}

func TestChannelsTotal_ClientsCannotFillMemoryWithNames(t *testing.T) {
	s := newService(t, Config{ChannelsTotal: 2}, Endpoint{Channel: "board"})
	first := s.dial("/push/a")
	s.dial("/push/b")
	s.dial("/push/a?channel=b") // no further names
	for _, path := range []string{"/push/c", "/push/a?channel=b&channel=c"} {
		_, answer, err := s.tryDial(path, nil)
		if err == nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") != "10" {
			t.Errorf("%s is answered %v, %v", path, answer, err)
		}
	}
	s.wantHits(limitChannelsTotal, 2)
	s.log.await(t, EventRefused, "status=503", "push.channels_total")
	if n := s.active.Load(); n != 3 {
		t.Errorf("%d clients are counted", n)
	}

	first.Close()
	s.dial("/push/b")
	eventually(t, "two of three are there", func() bool { return s.Subscribers("a") == 1 })
}

// Each channel remembers its last messages: together not more than all may.
func TestWindows_AllTogetherHaveACeiling(t *testing.T) {
	hub, err := New(Config{History: History{Messages: 1, Total: 1}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	const channels, size = 600, 64 << 10
	var names []string
	for i := range channels {
		names = append(names, fmt.Sprint("c", i))
	}
	hub.mu.Lock()
	for _, name := range names {
		hub.hold(name)
	}
	hub.mu.Unlock()
	before := heapInUse()
	for range 3 {
		for _, name := range names {
			if _, err := hub.Publish(t.Context(), name, Message{Data: make([]byte, size)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The newest of each channel is there in any case.
	const most = windowsTotal + channels*(size+1024)
	if grown := heapInUse() - before; hub.windows > most || grown > most+1<<20 {
		t.Errorf("windows of %d bytes, memory grew by %d, want %d at most", hub.windows, grown, most)
	}
	hub.release(names)
	if hub.windows != 0 {
		t.Errorf("%d bytes are counted for channels that are gone", hub.windows)
	}
}

func TestPublishTotal_OneMoreIsRefusedBeforeItIsRead(t *testing.T) {
	s := newService(t, Config{MaxMessage: 10 << 20, QueueBytes: 10 << 20, PublishTotal: 16 << 20}, Endpoint{Channel: "board"})
	body, write := io.Pipe()
	first, err := http.NewRequest("POST", s.server.URL+"/channels/board", body)
	if err != nil {
		t.Fatal(err)
	}
	first.ContentLength = 10 << 20
	first.Header.Set("Authorization", "Bearer "+testKey)
	status := make(chan int, 1)
	go func() { // awaited below
		answer, err := s.server.Client().Do(first)
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		answer.Body.Close()
		status <- answer.StatusCode
	}()
	eventually(t, "the first has begun", func() bool { return s.taken.Load() == 10<<20 })
	answer := s.post("/channels/board", strings.Repeat("x", 7<<20))
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || !strings.Contains(bodyOf(t, answer), "publish_total") {
		t.Errorf("the second is answered %v", answer)
	}
	if answer := s.post("/channels/board", "small"); answer.StatusCode != http.StatusOK {
		t.Errorf("what has room is answered %v", answer)
	}
	s.wantHits(limitPublishTotal, 1)
	if _, err := write.Write(make([]byte, 10<<20)); err != nil {
		t.Fatal(err)
	}
	write.Close()
	if got := <-status; got != http.StatusOK {
		t.Errorf("the first is answered %d", got)
	}
	if n := s.taken.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

func (s *service) post(path, body string) *http.Response {
	s.t.Helper()
	request, err := http.NewRequest("POST", s.server.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+testKey)
	answer, err := s.server.Client().Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { answer.Body.Close() })
	return answer
}
