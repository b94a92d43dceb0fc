package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wsfront/proxy/http1"
)

// decorated is the header of an answer, of a backend's and of a handler's, with
// what the site adds to it.
func decorated(scheme string, s *site, status int, sent http.Header) map[string]http.Header {
	w := httptest.NewRecorder()
	x := &referenceExchange{exchange: exchange{scheme: scheme, site: s}, w: w}
	for name, values := range sent {
		for _, value := range values {
			x.fields = append(x.fields, fieldList(name, value)...)
		}
	}
	x.decorate()
	backends := http.Header{}
	for _, f := range x.fields {
		backends.Add(string(f.Name), string(f.Value))
	}
	x.down, x.req, x.fields = x, &http1.Request{}, nil
	h := &responseWriter{x: &x.exchange, header: sent.Clone(), request: &http.Request{ProtoMajor: 1}, length: lengthUnknown}
	h.WriteHeader(status)
	h.end()
	handlers := w.Result().Header
	handlers.Del("Content-Length")
	return map[string]http.Header{"of a backend": backends, "of a handler": handlers}
}

func TestDecorate(t *testing.T) {
	for _, c := range []struct {
		name, scheme string
		status       int
		sent         http.Header
		csp, hsts    string
	}{
		{"page over https", "https", 200, http.Header{"Content-Type": {"text/html; charset=utf-8"}}, "upgrade-insecure-requests", "max-age=3600"},
		{"odd case", "https", 200, http.Header{"Content-Type": {"Text/HTML"}}, "upgrade-insecure-requests", "max-age=3600"},
		{"XHTML", "https", 200, http.Header{"Content-Type": {"application/xhtml+xml"}}, "upgrade-insecure-requests", "max-age=3600"},
		{"error page", "https", 404, http.Header{"Content-Type": {"text/html"}}, "upgrade-insecure-requests", "max-age=3600"},
		{"own policy stays", "https", 200, http.Header{"Content-Type": {"text/html"}, "Content-Security-Policy": {"default-src *"}, "Content-Security-Policy-Report-Only": {"img-src *"}},
			"default-src *|upgrade-insecure-requests", "max-age=3600"},
		{"own HSTS stays", "https", 200, http.Header{"Strict-Transport-Security": {"max-age=1; preload"}}, "", "max-age=1; preload"},
		{"JSON", "https", 200, http.Header{"Content-Type": {"application/json"}}, "", "max-age=3600"},
		{"not modified", "https", 304, http.Header{}, "", "max-age=3600"},
		{"page over http", "http", 200, http.Header{"Content-Type": {"text/html"}}, "", ""},
	} {
		s := &site{Site: Site{HSTS: time.Hour}, upgradeInsecure: true}
		for way, h := range decorated(c.scheme, s, c.status, c.sent) {
			name := c.name + ", " + way
			if got := strings.Join(h["Content-Security-Policy"], "|"); got != c.csp {
				t.Errorf("%s: Content-Security-Policy %q, want %q", name, got, c.csp)
			}
			if got := strings.Join(h["Strict-Transport-Security"], "|"); got != c.hsts {
				t.Errorf("%s: Strict-Transport-Security %q, want %q", name, got, c.hsts)
			}
			if got, want := h.Get("Content-Security-Policy-Report-Only"), c.sent.Get("Content-Security-Policy-Report-Only"); got != want {
				t.Errorf("%s: Report-Only %q", name, got)
			}
		}
	}
}

func TestDecorate_OnlyWhereTheSiteSaysSo(t *testing.T) {
	for way, h := range decorated("https", nowhere, 200, http.Header{"Content-Type": {"text/html"}}) {
		if len(h) != 1 {
			t.Errorf("%s: %v", way, h)
		}
	}
}

// The founding page's case, whole: a second field beside the app's own, on
// HTML over https only.
func TestForward_UpgradeInsecureReachesThePage(t *testing.T) {
	app, _ := answering(t, crlf("HTTP/1.1 200 OK\nContent-Type: text/html\nContent-Security-Policy: connect-src ws:\nContent-Length: 2")+"hi")
	on := true
	f := serveConfig(t, Config{Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, UpgradeInsecure: &on, Routes: []Route{{Path: "/", App: app}}}}, TrustedProxies: loopback()})
	for scheme, want := range map[string]string{"https": "connect-src ws:|upgrade-insecure-requests", "http": "connect-src ws:"} {
		res, _ := f.ask("GET / HTTP/1.1\nHost: app.test\nX-Forwarded-Proto: " + scheme)
		if got := strings.Join(res.Header["Content-Security-Policy"], "|"); got != want {
			t.Errorf("%s: %q, want %q", scheme, got, want)
		}
	}
}
