//go:build e2e

package main_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// testHAProxy has one HAProxy with a proxy for each scenario.
func (r *doctorRig) testHAProxy(t *testing.T) {
	t.Parallel()
	const both = "use-server push if { path /websocket }\nserver push @gorilla@\nuse-server app if TRUE\nserver app @gunicorn@\n"
	list := []scenario{
		{name: "healthy", site: both},
		{name: "healthy by TLS and HTTP/2", url: secureURL, site: both},
		{name: "stream", url: streamURL, site: both},
		{name: "page with CSP", url: secureURL, args: wstest, site: both + "http-response set-header Content-Security-Policy upgrade-insecure-requests"},
		{name: "page with ws://", url: secureURL, args: wstest, site: both, cause: "mixed-content", exit: 6},
		{name: "timeout tunnel", site: "timeout client 3s\ntimeout server 3s\ntimeout tunnel 1h\n" + both, args: []string{"--idle", "6s"}},

		{name: "no acl", site: "server app @gunicorn@", cause: "app-answered", exit: 4},
		{name: "backend down", site: "server push @nothing@", cause: "backend-down", exit: 4},
		{name: "no server", site: "", cause: "backend-down", exit: 4},
		{name: "backend mute", site: "timeout server 2s\nserver push @mute@", cause: "backend-silent", exit: 4},
		{name: "plain to a TLS backend", site: "server push @gorilla-tls@", cause: "backend-scheme", exit: 4},
		{name: "Upgrade dropped", site: "http-request del-header Upgrade\nserver push @gorilla@", cause: "upgrade-dropped", exit: 4},
		{name: "Upgrade deleted in the answer", site: "http-response del-header Upgrade\nserver push @gorilla@", cause: "switch-headers", exit: 4},
		{name: "TLS backend unverified", site: "server push @gorilla-tls@ ssl verify required ca-file /etc/ssl/certs/ca-certificates.crt", cause: "backend-down", exit: 4},
		{name: "path prefix lost", site: "http-request replace-path /websocket(.*) /\\1\nserver push @gorilla@", cause: "path-unknown", exit: 4},
		{name: "host set", site: "http-request set-header Host push.internal\nserver push @gorilla@", cause: "origin-refused", exit: 4},
		{name: "redirect to https", site: "http-request redirect scheme https\n" + both, cause: "redirect", exit: 4},
		{name: "basic auth", site: "http-request auth unless FALSE\n" + both, cause: "login-required", exit: 4},
		{name: "denied", site: "http-request deny\n" + both, cause: "login-required", exit: 4},
		{name: "only by HTTP/1.1", url: secureURL, site: "http-request deny deny_status 502 if HTTP_2.0 { path /websocket }\n" + both, cause: "http2-tunnel", exit: 4},
		{name: "idle cut", site: "timeout client 3s\n" + both, args: []string{"--idle", "10s"}, cause: "idle-cut", exit: 5},
		{name: "no ssl", url: secureURL, pair: "none", site: both, cause: "tls-missing", exit: 3},
		{name: "wrong name", url: secureURL, pair: "wrong name", site: both, cause: "tls-name", exit: 3},
	}
	r.place(t, list)
	var b strings.Builder
	b.WriteString("global\nlog stderr format raw daemon\ndefaults\nmode http\nretries 0\ntimeout connect 5s\ntimeout client 50s\ntimeout server 50s\n")
	for i, s := range list {
		secure := ""
		if p, ok := r.secured(s); ok {
			secure = fmt.Sprintf(" ssl crt %s alpn h2,http/1.1", filepath.Join(filepath.Dir(p.cert), "both.pem"))
		}
		fmt.Fprintf(&b, "listen s%d\nbind %s%s\n%s\n", i, loopback(s.port), secure, r.fill(s, s.site))
	}
	r.start(t, list, "haproxy", "-db", "-f", writeFile(t, filepath.Join(r.path(t, "haproxy"), "haproxy.cfg"), b.String()))
	r.diagnose(t, "", list)
}
