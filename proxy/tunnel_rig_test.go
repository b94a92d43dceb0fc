package proxy

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// scheme is how clients reach the tunnels of a front. TLS 1.2 is one of its
// own, as no event loop carries it.
type scheme struct {
	name   string
	site   Site
	client *tls.Config
}

func schemes(t *testing.T) []scheme {
	t.Helper()
	client := func(version uint16) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, ServerName: "app.test", MinVersion: version, MaxVersion: version}
	}
	plain := Site{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}}
	secure := Site{Hosts: []string{"*"}, TLS: freshPair(t, "app.test")}
	return []scheme{{"ws", plain, nil}, {"wss", secure, client(tls.VersionTLS13)}, {"wss 1.2", secure, client(tls.VersionTLS12)}}
}

// eachScheme runs test for every scheme, all at once, and beside other tests.
func eachScheme(t *testing.T, test func(t *testing.T, s scheme)) {
	runSchemes(t, schemes(t), test)
}

func runSchemes(t *testing.T, list []scheme, test func(t *testing.T, s scheme)) {
	t.Parallel()
	for _, s := range list {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// serve starts a front with the routes.
func (s scheme) serve(t *testing.T, cfg Config, routes ...Route) *front {
	t.Helper()
	site := s.site
	site.Routes = routes
	cfg.Sites = []Site{site}
	f := serveConfig(t, cfg)
	f.clientTLS = s.client
	return f
}

// with is the same front for a subtest.
func (f *front) with(t *testing.T) *front {
	g := *f
	g.t = t
	return &g
}

// handshake asks for a tunnel, with more fields, and returns the connection and
// the answer's head.
func (f *front) handshake(path, fields string) (*wsEnd, *http.Response) {
	f.t.Helper()
	conn, r := f.dial(crlf(strings.Replace(handshakeText, "/websocket?room=1", path, 1) + fields))
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		f.t.Fatalf("%v\n%s", err, f.log)
	}
	return &wsEnd{t: f.t, name: "client", conn: conn, r: r, masks: true}, res
}

// wsEnd is an end of a WebSocket that is spoken frame by frame, so that it can
// make mistakes.
type wsEnd struct {
	t     *testing.T
	name  string
	conn  net.Conn
	r     *bufio.Reader
	masks bool
}

// rawTunnels is a backend that hands out its ends of the tunnels. fields are
// added to its 101.
func rawTunnels(t *testing.T, fields string) (host string, ends <-chan *wsEnd) {
	t.Helper()
	handed, release := make(chan *wsEnd, 100), make(chan struct{})
	answer := strings.TrimSuffix(switchText, "\r\n") + fields + "\r\n"
	host, _ = switching(t, answer, func(conn net.Conn, r *bufio.Reader) {
		handed <- &wsEnd{t: t, name: "backend", conn: conn, r: r}
		<-release // the connection is closed when this returns
	})
	t.Cleanup(func() { close(release) }) // before those of switching wait for it
	return host, handed
}

// openRaw opens a tunnel to a backend of rawTunnels.
func openRaw(f *front, path string, ends <-chan *wsEnd) (client, backend *wsEnd) {
	f.t.Helper()
	client, res := f.handshake(path, "")
	if res.StatusCode != http.StatusSwitchingProtocols {
		f.t.Fatalf("%s\n%s", res.Status, f.log)
	}
	return client, f.backendOf(ends)
}

// backendOf is the backend's end of a tunnel that was just opened. It is closed
// before the front is, which would wait for its answer to a Close.
func (f *front) backendOf(ends <-chan *wsEnd) *wsEnd {
	f.t.Helper()
	e := receive(f.t, ends)
	e.t = f.t
	f.t.Cleanup(func() { e.conn.Close() })
	return e
}

// Opcodes with FIN set (RFC 6455 §5.2).
const (
	finText  = 0x81
	finClose = 0x88
	finPing  = 0x89
	finPong  = 0x8a
)

// wsFrame builds a frame whose length is written in the shortest form.
func wsFrame(first byte, masked bool, payload string) string {
	var b []byte
	switch n := len(payload); {
	case n < 126:
		b = []byte{first, byte(n)}
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16([]byte{first, 126}, uint16(n))
	default:
		b = binary.BigEndian.AppendUint64([]byte{first, 127}, uint64(n))
	}
	if !masked {
		return string(b) + payload
	}
	key := [4]byte{1, 2, 3, 4}
	b[1] |= 0x80
	b = append(b, key[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return string(b)
}

// frame builds a frame as this end sends it.
func (e *wsEnd) frame(first byte, payload string) string { return wsFrame(first, e.masks, payload) }

func (e *wsEnd) write(text string) {
	e.t.Helper()
	if _, err := io.WriteString(e.conn, text); err != nil {
		e.t.Fatalf("the %s: %v", e.name, err)
	}
}

// read reads the next frame.
func (e *wsEnd) read() (first byte, payload string, err error) {
	var head [2]byte
	if _, err := io.ReadFull(e.r, head[:]); err != nil {
		return 0, "", err
	}
	size := uint64(head[1] & 0x7f)
	extra := 0
	switch size {
	case 126:
		extra = 2
	case 127:
		extra = 8
	}
	if head[1]&0x80 != 0 {
		extra += 4
	}
	rest := make([]byte, extra)
	if _, err := io.ReadFull(e.r, rest); err != nil {
		return 0, "", err
	}
	switch size {
	case 126:
		size = uint64(binary.BigEndian.Uint16(rest))
	case 127:
		size = binary.BigEndian.Uint64(rest)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(e.r, body); err != nil {
		return 0, "", err
	}
	if head[1]&0x80 != 0 {
		key := rest[extra-4:]
		for i := range body {
			body[i] ^= key[i%4]
		}
	}
	return head[0], string(body), nil
}

func (e *wsEnd) wantFrame(first byte, payload string) {
	e.t.Helper()
	gotFirst, got, err := e.read()
	if err != nil || gotFirst != first || got != payload {
		e.t.Fatalf("the %s read %#x %.40q of %d bytes, %v; want %#x of %d bytes", e.name, gotFirst, got, len(got), err, first, len(payload))
	}
}

// wantClose reads on until a Close, answers it, says that nothing more will come
// and waits for the end.
func (e *wsEnd) wantClose(code uint16) {
	e.t.Helper()
	for {
		first, payload, err := e.read()
		if err != nil {
			e.t.Errorf("the %s got no Close but %v", e.name, err)
			return
		}
		if first != finClose {
			continue
		}
		if len(payload) < 2 || binary.BigEndian.Uint16([]byte(payload)) != code {
			e.t.Errorf("the %s got a Close with %q, want %d", e.name, payload, code)
		}
		// The front may have gone already.
		_, _ = io.WriteString(e.conn, e.frame(finClose, payload))
		_ = e.conn.(interface{ CloseWrite() error }).CloseWrite()
		_, _ = io.Copy(io.Discard, e.r)
		return
	}
}

// closing is a Close frame's payload.
func closing(code uint16, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, code)) + reason
}

// closed is what the log says of a tunnel's end.
func (f *front) closed(parts ...string) string {
	f.t.Helper()
	return f.log.await(f.t, append([]string{"msg=tunnel.close"}, parts...)...)
}

// hookedBackend is an echo service. hook gets each of its sockets before it is
// read; ended tells by what each one ended.
func hookedBackend(t *testing.T, hook func(*websocket.Conn)) (host string, ended <-chan error) {
	t.Helper()
	ends := make(chan error, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u := websocket.Upgrader{EnableCompression: true, CheckOrigin: func(*http.Request) bool { return true }}
		conn, err := u.Upgrade(w, r, nil)
		if err != nil {
			return // Upgrade has answered
		}
		defer conn.Close()
		if hook != nil {
			hook(conn)
		}
		for {
			kind, message, err := conn.ReadMessage()
			if err == nil {
				err = conn.WriteMessage(kind, message)
			}
			if err != nil {
				ends <- err
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://"), ends
}

// endOf reads until the socket ends, and returns by what.
func endOf(conn *websocket.Conn) error {
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return err
		}
	}
}

func wantCloseError(t *testing.T, who string, err error, code int) {
	t.Helper()
	if !websocket.IsCloseError(err, code) {
		t.Errorf("the %s ended by %v, want a Close of %d", who, err, code)
	}
}

// tunnelOrApp are a route to the same backend as a tunnel and as an app.
func tunnelOrApp(r Route, host string) map[string]Route {
	tunnel, app := r, r
	tunnel.Path, tunnel.Tunnel = "/tunnel"+r.Path, Tunnel{Backend: "ws://" + host}
	app.Path, app.App = "/app"+r.Path, "http://"+host
	return map[string]Route{"tunnel": tunnel, "app": app}
}
