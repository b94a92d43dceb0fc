package proxy

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"wsfront/proxy/diagnosis"
)

// handshakeFields is a WebSocket handshake as browsers send it.
func handshakeFields() http.Header {
	return http.Header{
		"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
}

func TestRedirect_StatusAndTarget(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{
		{Hosts: []string{"app.test", "::1", "192.0.2.7"}, TLS: TLS{Mode: TLSInternal}},
	}}).serve()
	_, port, err := net.SplitHostPort(f.secure)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, host, target string
		status               int
		want                 string
	}{
		{"GET", "app.test", "/", 301, "https://app.test:" + port + "/"},
		{"HEAD", "app.test", "/a%20b?q=1&r=%2F", 301, "https://app.test:" + port + "/a%20b?q=1&r=%2F"},
		{"POST", "app.test", "/login/", 308, "https://app.test:" + port + "/login/"},
		{"PUT", "app.test", "/x", 308, "https://app.test:" + port + "/x"},
		{"GET", "APP.test:8080", "/", 301, "https://app.test:" + port + "/"},
		{"GET", "[::1]:8080", "/", 301, "https://[::1]:" + port + "/"},
		{"GET", "[::1]", "/", 301, "https://[::1]:" + port + "/"},
		{"GET", "192.0.2.7", "/", 301, "https://192.0.2.7:" + port + "/"},
		{"GET", "app.test", "//evil.test/", 301, "https://app.test:" + port + "//evil.test/"},
	} {
		response := f.plainRequest(c.method, c.host, c.target, http.Header{"Content-Length": {"0"}})
		if got := response.Header.Get("Location"); response.StatusCode != c.status || got != c.want {
			t.Errorf("%s http://%s%s: %d to %s, want %d to %s", c.method, c.host, c.target, response.StatusCode, got, c.status, c.want)
		}
	}
}

func TestRedirect_UsualPortIsNotWritten(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"app.test", "::1"}, TLS: TLS{Mode: TLSInternal}}}})
	f.securePort = "443"
	f.serve()
	for host, want := range map[string]string{"app.test": "https://app.test/", "[::1]": "https://[::1]/"} {
		if got := f.plainRequest("GET", host, "/", nil).Header.Get("Location"); got != want {
			t.Errorf("%s goes to %s, want %s", host, got, want)
		}
	}
}

func TestRedirect_UnknownHostIsNotRedirected(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"app.test"}, TLS: TLS{Mode: TLSInternal}}}}).serve()
	if response := f.plainRequest("GET", "evil.test", "/", nil); response.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("status %d, want 421", response.StatusCode)
	}
}

func TestRedirect_WithoutHostThereIsNoAddress(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSInternal}}}}).serve()
	if response := f.plainRequest("GET", "", "/", nil); response.StatusCode != http.StatusBadRequest || response.Header.Get("Location") != "" {
		t.Errorf("%d to %q, want 400", response.StatusCode, response.Header.Get("Location"))
	}
}

func TestRedirect_WebSocketIsRefusedAndLogged(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"app.test"}, TLS: TLS{Mode: TLSInternal}, Routes: streamRoutes()}}}).serve()
	response := f.plainRequest("GET", "app.test", "/websocket", handshakeFields())
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "wss://") || response.Header.Get("Location") != "" {
		t.Errorf("answered %d %q, want 403 that names wss://", response.StatusCode, body)
	}
	told(t, response, string(body), diagnosis.TLSRequired, true)
	f.events.wait(t, eventHandshakeFailed, "WARN", "host=app.test", "path=/websocket", "status=403", "must open wss://", "cause=tls-required")
}

func TestRedirect_WebSocketIsPassedOnWhereAllowed(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{
		{Hosts: []string{"app.test"}, TLS: TLS{Mode: TLSInternal}, Routes: streamRoutes(), InsecureWebSocket: true},
	}}).serve()
	response := f.plainRequest("GET", "app.test", "/websocket", handshakeFields())
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK || string(body) != "hello" {
		t.Errorf("answered %d %q, want that of the route's handler", response.StatusCode, body)
	}
	if response := f.plainRequest("GET", "app.test", "/websocket", nil); response.StatusCode != http.StatusMovedPermanently {
		t.Errorf("a plain request: status %d, want the redirect", response.StatusCode)
	}
}

func TestRedirect_SiteWithoutTLSIsServed(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{
		{Hosts: []string{"app.test"}, TLS: TLS{Mode: TLSInternal}},
		{Hosts: []string{"plain.test"}, TLS: TLS{Mode: TLSOff}, Routes: streamRoutes()},
	}}).serve()
	response := f.plainRequest("GET", "plain.test", "/", http.Header{"Accept": {"text/event-stream"}})
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK || string(body) != "hello" {
		t.Errorf("answered %d %q, want that of the route's handler", response.StatusCode, body)
	}
}
