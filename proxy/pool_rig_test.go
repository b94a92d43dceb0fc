package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gorilla/websocket"
)

// namedBackend is a backend at a socket of its own, so that it can go and come
// back. It answers with its name and the body that it got, and a tunnel begins
// with its name.
type namedBackend struct {
	t         *testing.T
	name, url string
	socket    string
	asked     atomic.Int32
	server    *httptest.Server
}

func startNamed(t *testing.T, name string) *namedBackend {
	t.Helper()
	dir, err := os.MkdirTemp("", "pool") // the name of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &namedBackend{t: t, name: name, socket: filepath.Join(dir, name+".sock")}
	b.url = "unix:" + b.socket
	b.up()
	t.Cleanup(b.down)
	return b
}

func (b *namedBackend) up() {
	b.t.Helper()
	l, err := net.Listen("unix", b.socket)
	if err != nil {
		b.t.Fatal(err)
	}
	b.server = httptest.NewUnstartedServer(b)
	b.server.Listener.Close()
	b.server.Listener = l
	b.server.Start()
}

func (b *namedBackend) down() {
	b.server.CloseClientConnections()
	b.server.Close()
}

func (b *namedBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.asked.Add(1)
	if r.Header.Get("Upgrade") != "" {
		u := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		conn, err := u.Upgrade(w, r, nil)
		if err != nil {
			return // Upgrade has answered
		}
		defer conn.Close()
		if conn.WriteMessage(websocket.TextMessage, []byte(b.name)) == nil {
			_ = endOf(conn)
		}
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if r.URL.Path == "/500" {
		w.WriteHeader(http.StatusInternalServerError)
	}
	fmt.Fprintf(w, "%s%s", b.name, body)
}

// servePool serves one pool by the name web at /, and its tunnels at /ws and, in
// mode message, at /messages.
func servePool(t *testing.T, p Pool) *front {
	t.Helper()
	p.Name = "web"
	return serveConfig(t, Config{Pools: []Pool{p}, Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{
		{Path: "/", App: "pool://web"},
		{Path: "/ws", Tunnel: Tunnel{Backend: "pool://web"}},
		{Path: "/messages", Tunnel: Tunnel{Backend: "pool://web", Mode: TunnelMessage}},
	}}}})
}

// members are backends without options.
func members(list ...*namedBackend) (backends []PoolBackend) {
	for _, b := range list {
		backends = append(backends, PoolBackend{URL: b.url})
	}
	return backends
}

// pool is the one of servePool.
func (f *front) pool() *pool { return f.table.Load().sites[0].routes[0].pool }

// get asks for / and returns who answered, and the cookie that the answer sets.
func (f *front) get(cookie string) (name, set string) {
	f.t.Helper()
	res, body := f.ask("GET / HTTP/1.1\nHost: app.test" + cookieLine(cookie))
	if res.StatusCode != http.StatusOK {
		f.t.Fatalf("%s\n%s", res.Status, f.log)
	}
	return body, res.Header.Get("Set-Cookie")
}

func cookieLine(cookie string) string {
	if cookie == "" {
		return ""
	}
	return "\nCookie: " + cookie
}

// openNamed opens a tunnel, and returns who is at its other end.
func (f *front) openNamed(path, cookie string) (client *wsEnd, name, set string) {
	f.t.Helper()
	client, res := f.handshake(path, cookieLine(cookie))
	if res.StatusCode != http.StatusSwitchingProtocols {
		f.t.Fatalf("%s\n%s", res.Status, f.log)
	}
	_, name, err := client.read()
	if err != nil {
		f.t.Fatal(err)
	}
	return client, name, res.Header.Get("Set-Cookie")
}

// pair is a Set-Cookie field's name and value.
func pair(set string) string {
	cookie, _, _ := strings.Cut(set, ";")
	return cookie
}

// longAgo has every failure so far be long ago.
func (p *pool) longAgo() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		m.failed = m.failed.Add(-2 * p.failTimeout)
	}
}
