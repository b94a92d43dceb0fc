package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

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
		w := httptest.NewRecorder()
		s := &site{Site: Site{HSTS: time.Hour}, upgradeInsecure: true}
		x := &exchange{ResponseWriter: w, scheme: c.scheme, site: s}
		for name, values := range c.sent {
			w.Header()[name] = values
		}
		x.WriteHeader(c.status)
		h := w.Result().Header
		if got := strings.Join(h["Content-Security-Policy"], "|"); got != c.csp {
			t.Errorf("%s: Content-Security-Policy %q, want %q", c.name, got, c.csp)
		}
		if got := strings.Join(h["Strict-Transport-Security"], "|"); got != c.hsts {
			t.Errorf("%s: Strict-Transport-Security %q, want %q", c.name, got, c.hsts)
		}
		if got, want := h.Get("Content-Security-Policy-Report-Only"), c.sent.Get("Content-Security-Policy-Report-Only"); got != want {
			t.Errorf("%s: Report-Only %q", c.name, got)
		}
	}
}

func TestDecorate_OnlyWhereTheSiteSaysSo(t *testing.T) {
	w := httptest.NewRecorder()
	x := &exchange{ResponseWriter: w, scheme: "https", site: nowhere}
	w.Header().Set("Content-Type", "text/html")
	x.WriteHeader(200)
	if len(w.Result().Header) != 1 {
		t.Errorf("%v", w.Result().Header)
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
