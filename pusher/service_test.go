package pusher

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// service is a hub behind a real server: e at /websocket, the same without a
// fixed channel at /push/{channel}, and the publish API with key testKey.
type service struct {
	*Hub
	t      *testing.T
	server *httptest.Server
	log    *journal
}

const testKey = "test-key"

type option func(*httptest.Server)

func overTLS(s *httptest.Server) { s.EnableHTTP2 = false; s.StartTLS() }
func overH2(s *httptest.Server)  { s.EnableHTTP2 = true; s.StartTLS() }

func newService(t *testing.T, cfg Config, e Endpoint, start ...option) *service {
	t.Helper()
	return newServiceOn(t, nil, cfg, e, start...)
}

// newServiceOn is newService with a broker.
func newServiceOn(t *testing.T, broker Broker, cfg Config, e Endpoint, start ...option) *service {
	t.Helper()
	log := &journal{}
	hub, err := New(cfg, broker, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	named := e
	named.Channel = ""
	mux := http.NewServeMux()
	mux.Handle("/websocket", endpointOf(t, hub, e))
	mux.Handle("/push/{channel}", endpointOf(t, hub, named))
	for _, path := range []string{"/channels", "/channels/", "/publish", "/clients/", "/users/"} {
		mux.Handle(path, hub.PublishAPI(testKey))
	}
	s := &service{Hub: hub, t: t, server: httptest.NewUnstartedServer(mux), log: log}
	if len(start) == 0 {
		s.server.Start()
	}
	for _, f := range start {
		f(s.server)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil {
			t.Errorf("shutdown at the test's end: %v", err)
		}
		s.server.Client().CloseIdleConnections()
		s.server.Close()
		log.check(t)
	})
	return s
}

func endpointOf(t *testing.T, hub *Hub, e Endpoint) http.Handler {
	t.Helper()
	h, err := hub.Endpoint(e)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// dial opens a WebSocket that is closed at the test's end, before the service.
func (s *service) dial(path string) *websocket.Conn {
	s.t.Helper()
	c, answer, err := s.tryDial(path, nil)
	if err != nil {
		s.t.Fatalf("dial %s: %v %v", path, err, answer)
	}
	return c
}

func (s *service) tryDial(path string, header http.Header) (*websocket.Conn, *http.Response, error) {
	dialer := websocket.Dialer{HandshakeTimeout: patience}
	if s.server.TLS != nil {
		dialer.TLSClientConfig = s.server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		dialer.TLSClientConfig.NextProtos = nil
	}
	c, answer, err := dialer.Dial("ws"+strings.TrimPrefix(s.server.URL, "http")+path, header)
	if err == nil {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		s.t.Cleanup(func() { c.Close() })
	}
	return c, answer, err
}

func (s *service) publishText(channel, text string) int {
	s.t.Helper()
	return s.publish(channel, Message{Text: true, Data: []byte(text)}).Subscribers
}

func (s *service) publish(channel string, m Message) Receipt {
	s.t.Helper()
	receipt, err := s.Publish(s.t.Context(), channel, m)
	if err != nil {
		s.t.Fatal(err)
	}
	return receipt
}

// expect reads one message.
func expect(t *testing.T, c *websocket.Conn, kind int, want string) {
	t.Helper()
	got, data, err := c.ReadMessage()
	if err != nil {
		t.Fatalf("waiting for %.80q: %v", want, err)
	}
	if got != kind || string(data) != want {
		t.Fatalf("got type %d %.80q, want type %d %.80q", got, data, kind, want)
	}
}

// expectClose reads until the connection ends and wants a Close with code.
func expectClose(t *testing.T, c *websocket.Conn, code int) {
	t.Helper()
	for {
		_, _, err := c.ReadMessage()
		if err == nil {
			continue
		}
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != code {
			t.Fatalf("ended by %v, want close code %d", err, code)
		}
		return
	}
}

// brisk is a ping interval, and a time-out of the HTTP server, that tests need
// not wait long for, and that a client on a busy machine keeps all the same.
const brisk = 400 * time.Millisecond

// eventually waits for something that no event tells.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	timeout := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-timeout:
			t.Fatalf("did not happen: %s", what)
		case <-tick.C:
		}
	}
}
