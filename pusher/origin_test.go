package pusher

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestOrigin_WhoMayConnect(t *testing.T) {
	listed := []string{"https://app.example.com", "https://Other.example.com:443", "http://dev.test:3000"}
	for _, c := range []struct {
		name    string
		origins []string
		host    string
		origin  string
		admit   bool
	}{
		{"no origin", nil, "app.test", "", true},
		{"same host", nil, "app.test", "https://app.test", true},
		{"same host, other case", nil, "App.Test", "https://aPP.test", true},
		{"same host, http", nil, "app.test", "http://app.test", true},
		{"same host and port", nil, "app.test:8443", "https://app.test:8443", true},
		{"other port", nil, "app.test:8443", "https://app.test", false},
		{"other host", nil, "app.test", "https://evil.test", false},
		{"subdomain", nil, "app.test", "https://sub.app.test", false},
		{"host as a prefix", nil, "app.test", "https://app.test.evil.test", false},
		{"host as userinfo", nil, "app.test", "https://app.test@evil.test", false},
		{"null", nil, "app.test", "null", false},
		{"garbage", nil, "app.test", "https://[", false},
		{"IPv6", nil, "[::1]:8443", "https://[::1]:8443", true},

		{"listed", listed, "push.test", "https://app.example.com", true},
		{"listed, other case", listed, "push.test", "https://APP.example.com", true},
		{"listed with its scheme's port", listed, "push.test", "https://other.example.com", true},
		{"listed with a port", listed, "push.test", "http://dev.test:3000", true},
		{"listed, other scheme", listed, "push.test", "http://app.example.com", false},
		{"listed, other port", listed, "push.test", "http://dev.test", false},
		{"same host but a list without it", listed, "push.test", "https://push.test", false},
		{"list, no origin", listed, "push.test", "", true},

		{"all", []string{"*"}, "app.test", "https://evil.test", true},
		{"all, null", []string{"*"}, "app.test", "null", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t, Config{}, Endpoint{Channel: "board", Origins: c.origins})
			header := http.Header{"Host": {c.host}}
			if c.origin != "" {
				header.Set("Origin", c.origin)
			}
			_, answer, err := s.tryDial("/websocket", header)
			if c.admit {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if err == nil || answer == nil || answer.StatusCode != http.StatusForbidden {
				t.Fatalf("got %v %v, want 403", answer, err)
			}
			body := bodyOf(t, answer)
			for _, part := range []string{c.origin, c.host, "add the Origin to origins", "ProxyPreserveHost"} {
				if !strings.Contains(body, part) {
					t.Errorf("%q does not say %q", body, part)
				}
			}
			s.log.await(t, EventRefused, "WARN status=403", "reason=origin not admitted", "origin="+c.origin, "host="+c.host)
		})
	}
}

func TestOrigin_StreamNamesTheForeignPage(t *testing.T) {
	for _, c := range []struct {
		name                string
		origins             []string
		status              int
		origin, credentials string
	}{
		{"listed", []string{"https://app.test"}, 200, "https://app.test", "true"},
		{"all", []string{"*"}, 200, "https://app.test", ""},
		{"not listed", []string{"https://other.test"}, 403, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t, Config{}, Endpoint{Channel: "board", Origins: c.origins})
			request, err := http.NewRequest("GET", s.server.URL+"/websocket", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Accept", "text/event-stream")
			request.Header.Set("Origin", "https://app.test")
			answer, err := s.server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != c.status {
				t.Fatalf("got %s", answer.Status)
			}
			if got := answer.Header.Get("Access-Control-Allow-Origin"); got != c.origin {
				t.Errorf("allows origin %q, want %q", got, c.origin)
			}
			if got := answer.Header.Get("Access-Control-Allow-Credentials"); got != c.credentials {
				t.Errorf("allows credentials %q, want %q", got, c.credentials)
			}
		})
	}
}

// noting is the ResponseWriter of a front that remembers why handshakes failed.
type noting struct {
	http.ResponseWriter
	reason string
}

func (n *noting) NoteRefusal(reason string) { n.reason = reason }

func TestRefused_TheFrontIsToldWhy(t *testing.T) {
	s := newService(t, Config{}, Endpoint{Channel: "board"})
	r := httptest.NewRequest("GET", "http://app.test/websocket", nil)
	for name, value := range map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Sec-Websocket-Version": "13",
		"Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": "https://evil.test"} {
		r.Header.Set(name, value)
	}
	w := &noting{ResponseWriter: httptest.NewRecorder()}
	endpointOf(t, s.Hub, Endpoint{Channel: "board"}).ServeHTTP(w, r)
	if w.reason != "origin not admitted, origin https://evil.test, host app.test" {
		t.Errorf("%q", w.reason)
	}
}
