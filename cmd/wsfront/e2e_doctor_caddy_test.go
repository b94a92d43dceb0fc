//go:build e2e

package main_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"wsfront/proxy/diagnosis"
)

// testCaddy has one Caddy with a site for each scenario.
func (r *doctorRig) testCaddy(t *testing.T) {
	t.Parallel()
	const both = "reverse_proxy /websocket @gorilla@\nreverse_proxy @gunicorn@"
	list := []scenario{
		{name: "healthy", site: both},
		{name: "healthy by TLS and HTTP/2", url: secureURL, site: both},
		{name: "stream", url: streamURL, site: both},
		{name: "page with CSP", url: secureURL, args: wstest, site: "header Content-Security-Policy upgrade-insecure-requests\n" + both},
		{name: "page with ws://", url: secureURL, args: wstest, site: both, cause: "mixed-content", exit: 6},

		{name: "no matcher", site: "reverse_proxy @gunicorn@", cause: "app-answered", exit: 4},
		{name: "single page app", site: "header Content-Type text/html\nrespond `<!DOCTYPE html><title>single page</title>`", cause: "page-answered", exit: 4},
		{name: "backend down", site: "reverse_proxy @nothing@", cause: "backend-down", exit: 4},
		{name: "plain to a TLS backend", site: "reverse_proxy @gorilla-tls@", cause: "backend-scheme", exit: 4},
		{name: "TLS to a plain backend", site: "reverse_proxy https://@gorilla@", cause: "backend-down", exit: 4},
		{name: "prefix stripped", site: "handle_path /websocket* {\nreverse_proxy @gorilla@\n}", cause: "path-unknown", exit: 4},
		{name: "matcher with a slash", site: "reverse_proxy /websocket/* @slash@\nreverse_proxy @gunicorn@", cause: "path-mangled", exit: 4},
		{name: "Upgrade dropped", site: "reverse_proxy @gorilla@ {\nheader_up -Upgrade\nheader_up -Connection\n}", cause: "upgrade-dropped", exit: 4},
		{name: "TLS backend unverified", site: "reverse_proxy https://@gorilla-tls@", cause: "backend-down", exit: 4},
		{name: "host set", site: "reverse_proxy @gorilla@ {\nheader_up Host {upstream_hostport}\n}", cause: "origin-refused", exit: 4},
		{name: "redirect to https", site: "redir https://app.test{uri}", cause: "redirect", exit: 4},
		{name: "basic auth", site: "basicauth {\nlegacy JDJhJDEwJEVCNmdaNEg2Ti5iejRMYkF3MFZhZ3VtV3E1SzBWZEZ5Q3VWc0tzOEJwZE9TaFlZdEVkZDhX\n}\n" + both, cause: "login-required", exit: 4},
		{name: "subprotocol dropped", site: "reverse_proxy @gorilla@ {\nheader_up -Sec-WebSocket-Protocol\n}", args: []string{"--subprotocol", "chat"}, cause: "subprotocol-lost", exit: 4},
		{name: "expired", url: secureURL, pair: "expired", site: both, cause: "tls-expired", exit: 3},
	}
	r.place(t, list)
	folder := r.path(t, "caddy")
	var b strings.Builder
	fmt.Fprintf(&b, "{\nadmin off\nauto_https off\ndefault_bind 127.0.0.1\nstorage file_system %s\n}\n", folder)
	for _, s := range list {
		scheme, secure := "http", ""
		if p, ok := r.secured(s); ok {
			scheme, secure = "https", fmt.Sprintf("tls %s %s\n", p.cert, p.key)
		}
		fmt.Fprintf(&b, "%s://app.test:%d {\n%s%s\n}\n", scheme, s.port, secure, r.fill(s, s.site))
	}
	r.start(t, list, "caddy", "run", "--adapter", "caddyfile", "--config", writeFile(t, filepath.Join(folder, "Caddyfile"), b.String()))
	r.diagnose(t, diagnosis.ForCaddy, list)
}
