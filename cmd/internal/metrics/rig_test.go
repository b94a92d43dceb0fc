package metrics

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"wsfront/proxy"
	"wsfront/pusher"
)

// served is a front with a push service, whose metrics can be asked for.
type served struct {
	t       testing.TB
	front   *proxy.Server
	hub     *pusher.Hub
	handler http.Handler
	trust   *tls.Config
}

// serve runs a front for app.test with an app, tunnels, push and a route that leads
// nowhere, and for plain.test without TLS; more are further routes of app.test.
func serve(t testing.TB, more ...proxy.Route) *served {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	app := testApp(t)
	hub, err := pusher.New(pusher.Config{}, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	push, err := hub.Endpoint(pusher.Endpoint{Channel: "board"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key, trust := testCertificate(t, dir)
	front, err := proxy.New(proxy.Config{
		Listen: proxy.Addresses{"127.0.0.1:0"}, HTTPListen: proxy.Addresses{"127.0.0.1:0"}, State: dir,
		AccessLog: proxy.AccessLog{Format: proxy.AccessOff}, MaxTunnels: 100_000,
		Pools: []proxy.Pool{{Name: "app", Backends: []proxy.PoolBackend{{URL: app}}}},
		Sites: []proxy.Site{
			{Hosts: []string{"app.test"}, TLS: proxy.TLS{Mode: proxy.TLSFiles, Cert: cert, Key: key}, Routes: append([]proxy.Route{
				{Path: "/push", Handler: push},
				{Path: "/ws", Tunnel: proxy.Tunnel{Backend: "ws" + strings.TrimPrefix(app, "http")}},
				{Path: "/nowhere", Tunnel: proxy.Tunnel{Backend: "ws://" + closedAddress(t)}},
				{Path: "/", App: "pool://app"},
			}, more...)},
			{Hosts: []string{"plain.test"}, TLS: proxy.TLS{Mode: proxy.TLSOff}, Routes: []proxy.Route{{Path: "/", App: app}}},
		},
	}, log, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := front.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- front.Run(ctx) }() // ended and awaited by the cleanup
	t.Cleanup(func() {
		stop()
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	s := &served{t: t, front: front, hub: hub, trust: trust}
	s.handler = Handler(s.sources())
	return s
}

// sources are those of the command.
func (s *served) sources() Sources {
	return Sources{
		Version: "v1.2.3",
		Config:  func() Config { return Config{Version: "0123456789ab", Loaded: time.Now()} },
		Front:   s.front.Counts, Certificates: s.front.Certificates,
		Push:     func(ctx context.Context) (pusher.Counts, bool) { return s.hub.Counts(ctx), true },
		Ready:    func(ctx context.Context) bool { return len(s.front.NotReady(ctx, proxy.ReadyAnyBackend)) == 0 },
		Draining: s.front.Draining,
		Limits:   map[string]func() map[string]uint64{"front": s.front.LimitHits, "push": s.hub.LimitHits},
		Capacity: map[string]func() map[string]int64{"front": s.front.Capacity, "push": s.hub.Capacity},
		Panics:   map[string]func() uint64{"front": s.front.Panics, "push": s.hub.Panics},
	}
}

// dialer connects to the front, whatever the name.
func (s *served) dialer() *websocket.Dialer {
	secure, _ := s.front.Addrs()
	return &websocket.Dialer{
		TLSClientConfig: s.trust,
		NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", secure[0].String())
		},
	}
}

// open opens a WebSocket on a path, which ends with the test.
func (s *served) open(path string) *websocket.Conn {
	s.t.Helper()
	conn, _, err := s.dialer().Dial("wss://app.test"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// get asks for a page of app.test, and gives its status.
func (s *served) get(path string) int {
	s.t.Helper()
	transport := &http.Transport{TLSClientConfig: s.trust, DialContext: s.dialer().NetDialContext}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Post("https://app.test"+path, "text/plain", strings.NewReader("a body"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode
}

// await waits until it is so.
func (s *served) await(what string, is func() bool) {
	s.t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	late := time.After(10 * time.Second)
	for !is() {
		select {
		case <-again.C:
		case <-late:
			s.t.Fatalf("not so after 10 s: %s", what)
		}
	}
}

// testApp answers pages, and WebSockets with what they send.
func testApp(t testing.TB) (address string) {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !websocket.IsWebSocketUpgrade(r) {
			if status, err := strconv.Atoi(r.URL.Query().Get("status")); err == nil {
				w.WriteHeader(status)
			}
			io.WriteString(w, "a page")
			return
		}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			kind, data, err := conn.ReadMessage()
			if err != nil || conn.WriteMessage(kind, data) != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// closedAddress is one where nothing listens.
func closedAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// testCertificate writes one for app.test, and trusts it.
func testCertificate(t testing.TB, dir string) (cert, key string, trust *tls.Config) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"app.test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		var text bytes.Buffer
		if err := pem.Encode(&text, &pem.Block{Type: kind, Bytes: der}); err != nil {
			t.Fatal(err)
		}
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	pool := x509.NewCertPool()
	issued, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(issued)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", pkcs8), &tls.Config{RootCAs: pool}
}
