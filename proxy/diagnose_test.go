package proxy

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wsfront/proxy/diagnosis"
)

// told fails unless an answer tells a cause in its field, and one of our own in
// its body as well.
func told(t *testing.T, res *http.Response, body string, want diagnosis.Cause, own bool) {
	t.Helper()
	line := string(want) + "; " + want.Sentence()
	if got := res.Header.Get(diagnosis.Field); got != line || !want.Known() {
		t.Errorf("%s: the field tells %q, want %q", res.Status, got, line)
	}
	if text := fmt.Sprintf("\ncause %s: %s\n", want, want.Sentence()); own != strings.Contains(body, text) {
		t.Errorf("%s: own %v, the body is\n%s", res.Status, own, body)
	}
}

// The words of a refusal's body tell most. They often come behind its head, and
// must reach the client all the same.
func TestDiagnose_LooksAtTheBody(t *testing.T) {
	const page = "Invalid HTTP_HOST header: 'push.internal'. You may need to add it to ALLOWED_HOSTS."
	chunked := fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", len(page[:20]), page[:20], len(page[20:]), page[20:])
	for _, c := range []struct{ name, head, body string }{
		{"length", fmt.Sprintf("Content-Length: %d", len(page)), page},
		{"until close", "X: y", page},
		{"chunked", "Transfer-Encoding: chunked", chunked},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
				if _, err := readRequest(r); err != nil {
					return
				}
				// A name long enough to be overwritten, were the head not kept.
				_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nX-Name: "+strings.Repeat("n", 100)+"\r\n"+c.head+"\r\n\r\n")
				for piece := range strings.SplitAfterSeq(c.body, ". ") {
					_, _ = io.WriteString(conn, piece)
				}
			})
			f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + addr}})
			res, body := f.ask(handshakeText)
			if res.StatusCode != 400 || body != page || res.Header.Get("X-Name") != strings.Repeat("n", 100) {
				t.Errorf("%s %v, body %q", res.Status, res.Header, body)
			}
			told(t, res, body, diagnosis.HostRefused, false)
			f.log.await(t, "handshake.failed", "cause=host-refused", diagnosis.HostRefused.Sentence(), "ws://"+addr+" answered 400", "Invalid HTTP_HOST header")
		})
	}
}

// A body that does not come holds the head up for a moment only.
func TestDiagnose_WaitsForNoBody(t *testing.T) {
	head := make(chan struct{})
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := readRequest(r); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\n")
		<-head
		_, _ = io.WriteString(conn, "late")
	})
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + addr}})
	_, r := f.dial(crlf(handshakeText))
	res, err := http.ReadResponse(r, nil)
	close(head)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != "late" {
		t.Errorf("body %q, %v", body, err)
	}
	told(t, res, string(body), diagnosis.OriginRefused, false)
}

// What a page says to its reader is nothing for the log. What a wsfront behind us
// says of the cause is said once.
func TestDiagnose_PageStaysOutOfTheLog(t *testing.T) {
	host, _ := switching(t, "HTTP/1.1 200 OK\r\nwsfront-diagnosis: session-unknown; so it is\r\nContent-Length: 6\r\n\r\nsecret", nil)
	f := serveFront(t, Route{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host}})
	res, body := f.ask(handshakeText)
	if n := len(res.Header.Values(diagnosis.Field)); n != 1 || body != "secret" {
		t.Errorf("%d fields, body %q", n, body)
	}
	told(t, res, body, diagnosis.SessionUnknown, false)
	f.log.await(t, "handshake.failed", "answered 200 OK")
	if strings.Contains(f.log.String(), "secret") {
		t.Errorf("the page is in the log:\n%s", f.log)
	}
}

// Each answer of our own to a handshake tells its cause, by field and body, and
// the log has it.
func TestDiagnose_OwnAnswers(t *testing.T) {
	silent := rawBackend(t, func(conn net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	tlsOnly := httptest.NewUnstartedServer(http.HandlerFunc(echoHandler))
	tlsOnly.Config.ErrorLog = log.New(io.Discard, "", 0) // who speaks plain HTTP to it, or refuses its certificate
	tlsOnly.StartTLS()
	t.Cleanup(tlsOnly.Close)
	tlsHost, plainHost := strings.TrimPrefix(tlsOnly.URL, "https://"), echoBackend(t)
	socket := filepath.Join(t.TempDir(), "push.sock")
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := serveConfig(t, Config{Sites: []Site{{Hosts: []string{"app.test"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{
		{Path: "/gone", Tunnel: Tunnel{Backend: "unix:" + socket + ".gone"}},
		{Path: "/no-socket", Tunnel: Tunnel{Backend: "unix:" + socket}},
		{Path: "/silent", Tunnel: Tunnel{Backend: "ws://" + silent}, ResponseTimeout: 50 * time.Millisecond},
		{Path: "/tls", Tunnel: Tunnel{Backend: "ws://" + tlsHost}},
		{Path: "/plain", Tunnel: Tunnel{Backend: "wss://" + plainHost}},
		{Path: "/untrusted", Tunnel: Tunnel{Backend: "wss://" + tlsHost}},
		{Path: "/closed", Tunnel: Tunnel{Backend: "ws://" + plainHost}, Allow: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}},
		{Path: "/full", Tunnel: Tunnel{Backend: "ws://" + plainHost}, MaxTunnels: 1},
	}}}})
	full, res := f.handshake("/full", "")
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res.Status)
	}
	defer full.conn.Close()
	for _, c := range []struct {
		name, old, new string
		status         int
		cause          diagnosis.Cause
		own            bool
	}{
		{"no site", "app.test", "other.test", 421, diagnosis.HostRefused, true},
		{"no route", "/websocket", "/none", 404, diagnosis.PathUnknown, true},
		{"encoded slash", "/websocket", "/gone/a%2Fb", 400, diagnosis.PathUnknown, true},
		{"no key", "Sec-WebSocket-Key", "X", 400, diagnosis.HandshakeWrong, true},
		{"old version", "Version: 13", "Version: 8", 426, diagnosis.HandshakeWrong, true},
		{"closed", "/websocket", "/closed", 403, diagnosis.AddressRefused, true},
		{"full", "/websocket", "/full", 503, diagnosis.TooMany, true},
		{"gone", "/websocket", "/gone", 502, diagnosis.BackendDown, true},
		{"no socket", "/websocket", "/no-socket", 502, diagnosis.BackendDown, true},
		{"silent", "/websocket", "/silent", 504, diagnosis.BackendSilent, true},
		{"plain to TLS", "/websocket", "/tls", 400, diagnosis.BackendScheme, false}, // net/http answers
		{"TLS to plain", "/websocket", "/plain", 502, diagnosis.BackendScheme, true},
		{"untrusted", "/websocket", "/untrusted", 502, diagnosis.BackendTLS, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := f.with(t)
			text := handshakeText
			if c.old != "/websocket" {
				text = strings.Replace(text, "/websocket", "/gone", 1)
			}
			res, body := f.ask(strings.Replace(text, c.old, c.new, 1))
			if res.StatusCode != c.status {
				t.Errorf("%s, want %d", res.Status, c.status)
			}
			told(t, res, body, c.cause, c.own)
			for _, inside := range []string{socket, silent, plainHost, tlsHost} {
				if strings.Contains(body, inside) {
					t.Errorf("the client is told of %s:\n%s", inside, body)
				}
			}
			f.log.await(t, "handshake.failed", "id="+res.Header.Get("X-Request-Id"), "cause="+string(c.cause))
		})
	}
}
