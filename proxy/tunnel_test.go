package proxy

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// The key and its answer of RFC 6455 §1.3.
const (
	exampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	exampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

const handshakeText = `GET /websocket?room=1 HTTP/1.1
Host: app.test
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Key: ` + exampleKey + `
Sec-WebSocket-Version: 13
Origin: https://app.test`

const switchText = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + exampleAccept + "\r\n\r\n"

// echoHandler is a push service that sends every message back.
func echoHandler(w http.ResponseWriter, r *http.Request) {
	u := websocket.Upgrader{Subprotocols: []string{"chat.v2"}, EnableCompression: true}
	conn, err := u.Upgrade(w, r, http.Header{"Set-Cookie": {"a=1", "b=2"}})
	if err != nil {
		return // Upgrade has answered
	}
	defer conn.Close()
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil || conn.WriteMessage(kind, message) != nil {
			return
		}
	}
}

func echoBackend(t testing.TB) (host string) {
	srv := httptest.NewServer(http.HandlerFunc(echoHandler))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// switching is a backend that answers each handshake with text and then lets
// the test have the connection; it records the handshakes.
func switching(t *testing.T, answer string, then func(conn net.Conn, r *bufio.Reader)) (host string, handshakes <-chan string) {
	seen := make(chan string, 100)
	return rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		text, err := readRequest(r)
		if err != nil {
			return
		}
		seen <- text
		if _, err := io.WriteString(conn, answer); err == nil && then != nil {
			then(conn, r)
		}
	}), seen
}

func dialWS(t *testing.T, f *front, d websocket.Dialer, path string) (*websocket.Conn, *http.Response) {
	t.Helper()
	d.HandshakeTimeout = patience
	scheme := "ws://"
	if d.TLSClientConfig = f.clientTLS; f.clientTLS != nil {
		scheme = "wss://"
	}
	conn, res, err := d.Dial(scheme+f.addr+path, http.Header{"Origin": {"http://" + f.addr}})
	if err != nil {
		t.Fatalf("%v\n%s", err, f.log)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	return conn, res
}

func echo(t *testing.T, conn *websocket.Conn, message []byte) {
	t.Helper()
	written := make(chan error, 1)
	go func() { written <- conn.WriteMessage(websocket.BinaryMessage, message) }() // ended by conn's Close, awaited below
	_, got, err := conn.ReadMessage()
	if err != nil || !bytes.Equal(got, message) {
		t.Fatalf("echo of %d bytes: %d bytes, %v", len(message), len(got), err)
	}
	if err := receive(t, written); err != nil {
		t.Fatal(err)
	}
}

func TestTunnel_Echo(t *testing.T) {
	host := echoBackend(t)
	socket := filepath.Join(t.TempDir(), "push.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	unix := &http.Server{Handler: http.HandlerFunc(echoHandler)}
	go func() { _ = unix.Serve(l) }() // ended by Close below
	t.Cleanup(func() { unix.Close() })
	for name, route := range map[string]Route{
		"tunnel":        {Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host}},
		"app":           {Path: "/", App: "http://" + host},
		"mapped":        {Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host + "/inner"}},
		"unix socket":   {Path: "/", Tunnel: Tunnel{Backend: "unix:" + socket}},
		"idle timeout":  {Path: "/", Tunnel: Tunnel{Backend: "ws://" + host}, IdleTimeout: time.Minute},
		"unix, as app":  {Path: "/", App: "unix:" + socket},
		"below a slash": {Path: "/websocket/", Tunnel: Tunnel{Backend: "ws://" + host}},
	} {
		t.Run(name, func(t *testing.T) {
			f := serveFront(t, route)
			conn, res := dialWS(t, f, websocket.Dialer{Subprotocols: []string{"chat.v1", "chat.v2"}, EnableCompression: true}, "/websocket/x")
			if res.Header.Get("Sec-WebSocket-Protocol") != "chat.v2" || !strings.Contains(res.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
				t.Errorf("subprotocol or extension lost: %v", res.Header)
			}
			if got := strings.Join(res.Header["Set-Cookie"], "|"); got != "a=1|b=2" {
				t.Errorf("Set-Cookie: %s", got)
			}
			echo(t, conn, []byte("hello"))
			big := make([]byte, 10<<20)
			_, _ = rand.Read(big)
			echo(t, conn, big)
			conn.Close()
			f.log.await(t, "tunnel.open", "backend=", "route=")
			line := f.log.await(t, "tunnel.close", "bytes_in=1", "bytes_out=1", "duration=", "reason=")
			if strings.Contains(line, "bytes_in=0") {
				t.Error(line)
			}
			f.access.await(t, "101")
		})
	}
}

// Old servers compare the names of RFC 6455 letter by letter.
func TestTunnel_HandshakeFieldsHaveTheSpellingOfTheRFC(t *testing.T) {
	text := crlf(strings.ReplaceAll(handshakeText, "Sec-WebSocket-", "sec-websocket-") + "\nSEC-WEBSOCKET-PROTOCOL: a")
	host, handshakes := switching(t, switchText, func(conn net.Conn, r *bufio.Reader) { _, _ = r.ReadByte() })
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host}})
	f.dial(text)
	got := receive(t, handshakes)
	for _, want := range []string{"\r\nSec-WebSocket-Key: ", "\r\nSec-WebSocket-Version: ", "\r\nSec-WebSocket-Protocol: a\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %q in %q", want, got)
		}
	}
}

func TestTunnel_HandshakeAsItCame(t *testing.T) {
	for _, c := range []struct{ name, sent, path, want string }{
		{"plain", handshakeText, "", ""},
		{"Firefox", strings.Replace(handshakeText, "Connection: Upgrade", "Connection: keep-alive, Upgrade", 1), "", ""},
		{"odd case and several lines", strings.Replace(strings.Replace(handshakeText, "Connection: Upgrade", "connection: Keep-Alive\nCONNECTION: foo ,uPgRaDe", 1), "websocket\n", "h2c, WebSocket\n", 1), "", ""},
		{"stripped by Connection", strings.Replace(handshakeText, "Connection: Upgrade", "Connection: Upgrade, Sec-WebSocket-Key, Sec-WebSocket-Version, X-Forwarded-For, X-Real-IP", 1), "", ""},
		{"mapped", handshakeText, "/inner", "GET /inner?room=1 HTTP/1.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			host, handshakes := switching(t, switchText, func(conn net.Conn, r *bufio.Reader) { _, _ = r.ReadByte() })
			f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host + c.path}})
			_, r := f.dial(crlf(c.sent + `
Sec-WebSocket-Protocol: a, b
Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits
Sec-WebSocket-Extensions: x-other
Cookie: sessionid=1; csrftoken=2
Authorization: Bearer x
User-Agent: old
Proxy: http://evil.test
X_Forwarded_For: 6.6.6.6
X-Forwarded-For: 6.6.6.6
X-Real-IP: 6.6.6.6
Te: trailers`))
			got := receive(t, handshakes)
			if c.want == "" {
				c.want = "GET /websocket?room=1 HTTP/1.1"
			}
			line, _, _ := strings.Cut(got, "\r\n")
			if line != c.want {
				t.Errorf("request line %q, want %q", line, c.want)
			}
			for _, want := range []string{
				"Host: app.test\r\n", "Upgrade: websocket\r\n", "\r\nConnection: Upgrade\r\n", "\r\nSec-WebSocket-Key: " + exampleKey + "\r\n",
				"\r\nSec-WebSocket-Version: 13\r\n", "\r\nSec-WebSocket-Protocol: a, b\r\n",
				"\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nSec-WebSocket-Extensions: x-other\r\n",
				"\r\nCookie: sessionid=1; csrftoken=2\r\n", "\r\nAuthorization: Bearer x\r\n", "\r\nOrigin: https://app.test\r\n", "\r\nUser-Agent: old\r\n",
				"\r\nX-Forwarded-For: 127.0.0.1\r\n", "\r\nX-Real-Ip: 127.0.0.1\r\n", "\r\nX-Forwarded-Proto: http\r\n", "\r\nX-Forwarded-Host: app.test\r\n",
			} {
				if !strings.Contains(got, want) {
					t.Errorf("missing %q in %q", want, got)
				}
			}
			for _, name := range []string{"Proxy", "X_Forwarded_For", "Te"} {
				if v := field(got, name); v != "-" {
					t.Errorf("%s: %s was passed on", name, v)
				}
			}
			if strings.Contains(got, "6.6.6.6") || strings.Count(got, "Connection:") != 1 || strings.Count(got, "Upgrade:") != 1 {
				t.Errorf("%q", got)
			}
			if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 101 {
				t.Errorf("%v %v", res, err)
			}
		})
	}
}

func TestTunnel_HostOption(t *testing.T) {
	host, handshakes := switching(t, switchText, nil)
	f := serveFront(t, Route{Path: "/", App: "http://" + host, Host: "inner.test"})
	f.dial(crlf(handshakeText))
	if got := receive(t, handshakes); field(got, "Host") != "inner.test" || field(got, "X-Forwarded-Host") != "app.test" {
		t.Errorf("%q", got)
	}
}

func TestTunnel_SwitchIsWrittenWithTheAnswersFields(t *testing.T) {
	host, _ := switching(t, strings.Replace(switchText, "\r\n\r\n", "\r\nSet-Cookie: a=1; Path=/inner\r\nSet-Cookie: b=2\r\nSec-WebSocket-Protocol: chat\r\nKeep-Alive: 5\r\nContent-Length: 0\r\n\r\n", 1),
		func(conn net.Conn, r *bufio.Reader) { _, _ = r.ReadByte() })
	site := Site{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, HSTS: time.Hour, Routes: []Route{{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host + "/inner"}}}}
	f := serveConfig(t, Config{Sites: []Site{site}, TrustedProxies: loopback()})
	conn, _ := f.dial(crlf(handshakeText + "\nX-Forwarded-Proto: https"))
	p := make([]byte, 4096)
	n, err := conn.Read(p) // one read is all that some clients do
	want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + exampleAccept +
		"\r\nSet-Cookie: a=1; Path=/websocket\r\nSet-Cookie: b=2\r\nSec-WebSocket-Protocol: chat\r\nStrict-Transport-Security: max-age=3600\r\n\r\n"
	if string(p[:n]) != want || err != nil {
		t.Errorf("%q %v\nwant %q", p[:n], err, want)
	}
}

func TestTunnel_BytesSentWithTheHandshakeArrive(t *testing.T) {
	got := make(chan string, 1)
	host, _ := switching(t, switchText+"from backend", func(conn net.Conn, r *bufio.Reader) {
		p := make([]byte, len("from client, and more"))
		_, _ = io.ReadFull(r, p)
		got <- string(p)
	})
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host}})
	conn, r := f.dial(crlf(handshakeText) + "from client")
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 101 {
		t.Fatalf("%v %v", res, err)
	}
	p := make([]byte, len("from backend"))
	if _, err := io.ReadFull(r, p); err != nil || string(p) != "from backend" {
		t.Errorf("the client got %q, %v", p, err)
	}
	_, _ = io.WriteString(conn, ", and more")
	if text := receive(t, got); text != "from client, and more" {
		t.Errorf("the backend got %q", text)
	}
	conn.Close()
	line := f.log.await(t, "tunnel.close")
	if !strings.Contains(line, "bytes_in=21") || !strings.Contains(line, "bytes_out=12") {
		t.Error(line)
	}
}

func TestTunnel_HalfCloseStillGetsTheReply(t *testing.T) {
	host, _ := switching(t, switchText, func(conn net.Conn, r *bufio.Reader) {
		all, _ := io.ReadAll(r)
		fmt.Fprintf(conn, "got %s", all)
	})
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host}})
	conn, r := f.dial(crlf(handshakeText))
	if _, err := http.ReadResponse(r, nil); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "question")
	_ = conn.(*net.TCPConn).CloseWrite()
	if reply, err := io.ReadAll(r); err != nil || string(reply) != "got question" {
		t.Errorf("%q %v", reply, err)
	}
}

func TestTunnel_InterimAnswersBeforeTheSwitch(t *testing.T) {
	host, _ := switching(t, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+switchText, func(conn net.Conn, r *bufio.Reader) { _, _ = r.ReadByte() })
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host}})
	_, r := f.dial(crlf(handshakeText))
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 101 || res.Header.Get("Link") != "" {
		t.Errorf("%v %v", res, err)
	}
}

func TestTunnel_TLSBackendIsVerified(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(echoHandler))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // a refused certificate
	srv.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	host := strings.TrimPrefix(srv.URL, "https://")
	ca := writeCA(t, srv)
	f := serveFront(t,
		Route{Path: "/verified", Tunnel: Tunnel{Backend: "wss://" + host}, BackendTLS: BackendTLS{CA: ca}},
		Route{Path: "/app", App: "https://" + host, BackendTLS: BackendTLS{CA: ca}},
		Route{Path: "/unknown", Tunnel: Tunnel{Backend: "wss://" + host}})
	for _, path := range []string{"/verified", "/app"} {
		conn, _ := dialWS(t, f, websocket.Dialer{}, path)
		echo(t, conn, []byte("over TLS"))
	}
	if res, _ := f.ask(strings.Replace(handshakeText, "/websocket", "/unknown", 1)); res.StatusCode != 502 {
		t.Error(res.Status)
	}
	f.log.await(t, "handshake.failed", "backend_tls.ca")
}

func TestTunnel_ReloadLeavesItOpen(t *testing.T) {
	host := echoBackend(t)
	cfg := Config{HTTPListen: Addresses{"127.0.0.1:0"}, Listen: Addresses{}, AccessLog: AccessLog{Format: AccessJSON},
		Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host}}}}}}
	f := serveConfig(t, cfg)
	conn, _ := dialWS(t, f, websocket.Dialer{}, "/websocket")
	echo(t, conn, []byte("before"))
	cfg.Sites[0].Routes = []Route{{Path: "/other", Tunnel: Tunnel{Backend: "ws://" + host}}}
	if err := f.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	echo(t, conn, []byte("after"))
	if res, _ := f.ask(handshakeText); res.StatusCode != 404 {
		t.Errorf("the old route still answers: %s", res.Status)
	}
}

func TestTunnel_ShutdownSaysGoodbyeAndEndsIt(t *testing.T) {
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + echoBackend(t)}})
	conn, _ := dialWS(t, f, websocket.Dialer{}, "/websocket")
	echo(t, conn, []byte("hello"))
	stopped := make(chan struct{})
	go func() { // ends with the tunnel, awaited below
		f.stop()
		close(stopped)
	}()
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("%v, want a Close of 1001", err)
	}
	conn.Close()
	receive(t, stopped) // only when the tunnel has ended
	if !strings.Contains(f.log.String(), "reason=drained") || !strings.Contains(f.access.String(), "101") {
		t.Errorf("the log lines of the tunnel are missing: %s%s", f.log, f.access)
	}
}

// Who does not answer the goodbye is cut when the time is over.
func TestTunnel_ShutdownCutsWhatDoesNotAnswer(t *testing.T) {
	host, _ := switching(t, switchText, func(conn net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	f := serveConfig(t, Config{DrainTimeout: 100 * time.Millisecond, Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff},
		Routes: []Route{{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host}}}}}})
	_, r := f.dial(crlf(handshakeText))
	if _, err := http.ReadResponse(r, nil); err != nil {
		t.Fatal(err)
	}
	f.log.await(t, "tunnel.open")
	f.stop() // returns only when the tunnel has ended
	if !strings.Contains(f.log.String(), "tunnel.close") || !strings.Contains(f.access.String(), "101") {
		t.Errorf("the log lines of the tunnel are missing: %s%s", f.log, f.access)
	}
}

func TestTunnel_ShutdownEndsAPendingHandshake(t *testing.T) {
	asked := make(chan struct{})
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := readRequest(r); err == nil {
			close(asked)
			_, _ = io.Copy(io.Discard, r)
		}
	})
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + addr}})
	_, r := f.dial(crlf(handshakeText))
	receive(t, asked)
	go f.stop() // awaited by Cleanup
	if res, _ := readAnswer(t, r, "GET"); res.StatusCode != 503 {
		t.Error(res.Status)
	}
	f.log.await(t, "handshake.failed", "shutting down", "cause=restarting")
}

func TestTunnel_IdleTimeoutCutsIt(t *testing.T) {
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + echoBackend(t)}, IdleTimeout: 100 * time.Millisecond})
	conn, _ := dialWS(t, f, websocket.Dialer{}, "/websocket")
	if _, _, err := conn.ReadMessage(); err == nil {
		t.Error("still open")
	}
	f.log.await(t, "tunnel.close", "idle timeout")
}
