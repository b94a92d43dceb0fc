package doctor

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"wsfront/cmd/internal/config"
	"wsfront/proxy"
	"wsfront/proxy/diagnosis"
	"wsfront/pusher"
)

func TestRun_HealthyServersGiveNoFinding(t *testing.T) {
	gorilla := httpSite(t, http.HandlerFunc(gorillaEcho))
	for name, c := range map[string]struct {
		url string
		o   Options
	}{
		"gorilla":                    {url: gorilla.url("ws", "/websocket")},
		"gorilla with a subprotocol": {url: gorilla.url("ws", "/websocket"), o: Options{Subprotocol: "chat"}},
		"says something":             {url: serve(t, nil, says(server(1, "hello"))).url("ws", "/websocket")},
		"pings":                      {url: serve(t, nil, says(server(opPing, "a"))).url("ws", "/websocket"), o: Options{Idle: 100 * time.Millisecond}},
		"Socket.IO": {url: serve(t, nil, func(c net.Conn, r *http.Request, behind *bufio.Reader) {
			switch {
			case isHandshake(r):
				accept(c, r, behind)
			case r.URL.Query().Get("sid") == "":
				write(c, status(200, `0{"sid":"abc","upgrades":["websocket"]}`))
			default:
				write(c, status(200, "40"))
			}
		}).url("ws", "/socket.io/?EIO=4&transport=websocket")},
		"answers no Close": {url: serve(t, nil, closesWithoutAWord).url("ws", "/websocket")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.o.URL = c.url
			expect(t, examine(t, c.o), "", 0)
		})
	}
}

// TestRun_LeavesAsBrowsersDo: each WebSocket that opened ends by a Close, so that
// the server's log has nothing to complain of.
func TestRun_LeavesAsBrowsersDo(t *testing.T) {
	ends := make(chan error, 100)
	s := httpSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		_, _, err = conn.ReadMessage()
		ends <- err
	}))
	file := parse(t, "{listen: LISTEN, http_listen: off, sites: [{hosts: [app.test], tls: off, routes: [{path: /websocket, tunnel: 'ws://SITE'}]}]}", "LISTEN", free(t), "SITE", s.addr)
	expect(t, examine(t, Options{URL: s.url("ws", "/websocket"), Idle: 100 * time.Millisecond, Config: file}), "", 0)
	const opened = 6 // ordinary, Firefox's, foreign Origin, no Origin, silent, by the configuration
	for i := range opened {
		if err := <-ends; !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func gorillaEcho(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{EnableCompression: true, Subprotocols: []string{"chat"}}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		kind, p, err := conn.ReadMessage()
		if err != nil || conn.WriteMessage(kind, p) != nil {
			return
		}
	}
}

func closesWithoutAWord(c net.Conn, r *http.Request, behind *bufio.Reader) {
	write(c, switching(r))
	for {
		f, err := readMasked(behind)
		if err != nil || f.opcode == opClose {
			return
		}
		write(c, server(opPong, string(f.payload)))
	}
}

// httpSite serves a handler of net/http's.
func httpSite(t *testing.T, h http.Handler) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	done := make(chan struct{})
	go func() { _ = srv.Serve(l); close(done) }() // ended by Close, awaited by Cleanup
	t.Cleanup(func() { srv.Close(); <-done })
	return &site{addr: l.Addr().String()}
}

// serveFront starts a front with the push service, by its configuration.
func serveFront(t *testing.T, file *config.File) (secure, plain string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	broker := pusher.NewMemory(file.Push.History.Memory())
	hub, err := pusher.New(file.Push.Config, broker, log)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := file.Proxy(hub.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	front, err := proxy.New(cfg, log, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := front.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	hubDone, frontDone := make(chan error, 1), make(chan error, 1)
	go func() { hubDone <- hub.Run(ctx) }()     // ended by stop, awaited by Cleanup
	go func() { frontDone <- front.Run(ctx) }() // likewise
	t.Cleanup(func() {
		stop()
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-frontDone
		<-hubDone
		_ = broker.Close()
	})
	tls, http := front.Addrs()
	if len(tls) > 0 {
		secure = tls[0].String()
	}
	if len(http) > 0 {
		plain = http[0].String()
	}
	return secure, plain
}

func TestRun_OurOwnFront(t *testing.T) {
	app := httpSite(t, http.NotFoundHandler())
	echo := httpSite(t, http.HandlerFunc(gorillaEcho))
	state := t.TempDir()
	file, err := config.Parse("wsfront.yaml", []byte(strings.NewReplacer("STATE", state, "ECHO", echo.addr, "APP", app.addr).Replace(`
state: STATE
listen: 127.0.0.1:0
http_listen: 127.0.0.1:0
sites:
  - hosts: [app.test]
    tls: internal
    routes:
      - {path: /websocket, push: {channel: board}}
      - {path: /tunnel, tunnel: "ws://ECHO"}
      - {path: /message, tunnel: {backend: "ws://ECHO", mode: message}}
      - {path: /, app: "http://APP"}
`)))
	if err != nil {
		t.Fatal(err)
	}
	secure, plain := serveFront(t, file)
	_, ca, err := proxy.InternalCA(state)
	if err != nil {
		t.Fatal(err)
	}
	s, open := &site{addr: secure}, &site{addr: plain}
	for name, c := range map[string]struct {
		o    Options
		want diagnosis.Cause
		exit int
	}{
		"push":                     {Options{URL: s.url("wss", "/websocket"), CA: ca}, "", 0},
		"tunnel":                   {Options{URL: s.url("wss", "/tunnel"), CA: ca}, "", 0},
		"mode message":             {Options{URL: s.url("wss", "/message"), CA: ca}, "", 0},
		"event stream":             {Options{URL: s.url("https", "/websocket"), CA: ca}, "", 0},
		"no WebSocket there":       {Options{URL: s.url("wss", "/other"), CA: ca}, diagnosis.PathUnknown, 4},
		"unknown CA":               {Options{URL: s.url("wss", "/websocket")}, diagnosis.TLSUntrusted, 3},
		"plain":                    {Options{URL: open.url("ws", "/websocket")}, diagnosis.TLSRequired, 3},
		"plain to the port of TLS": {Options{URL: s.url("ws", "/websocket")}, diagnosis.TLSRequired, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, examine(t, c.o), c.want, c.exit)
		})
	}
}
