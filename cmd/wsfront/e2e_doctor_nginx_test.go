//go:build e2e

package main_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"wsfront/proxy/diagnosis"
)

// nginxPass is a site that hands everything to a backend; the options are those
// that manuals have for a WebSocket, and more of the scenario's.
func nginxPass(backend, options string) string {
	return "location / { proxy_pass " + backend + "; " + options + " }\n"
}

const (
	nginxUpgrade = `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; `
	nginxHost    = `proxy_set_header Host $http_host; `
	nginxGood    = nginxUpgrade + nginxHost
	nginxBoth    = "location / { proxy_pass http://@gunicorn@; " + nginxHost + "}\nlocation = /websocket { proxy_pass http://@gorilla@; " + nginxGood + "}\n"
)

// testNginx has one nginx with a server for each scenario.
func (r *doctorRig) testNginx(t *testing.T) {
	t.Parallel()
	list := []scenario{
		{name: "healthy", site: nginxBoth},
		{name: "healthy by TLS", url: secureURL, site: nginxBoth},
		{name: "healthy for a while", site: nginxBoth, args: []string{"--idle", "5s"}},
		{name: "subprotocol", site: nginxPass("http://@gorilla@", nginxGood), args: []string{"--subprotocol", "chat"}},
		{name: "stream", url: streamURL, site: nginxPass("http://@gunicorn@", nginxHost+"proxy_buffering off;")},
		{name: "page with CSP", url: secureURL, args: wstest, site: nginxBoth + "add_header Content-Security-Policy upgrade-insecure-requests;"},
		{name: "page with ws://", url: secureURL, args: wstest, site: nginxBoth, cause: "mixed-content", exit: 6},

		{name: "no headers to gorilla", site: nginxPass("http://@gorilla@", nginxHost), cause: "upgrade-dropped", exit: 4},
		{name: "no headers to python", site: nginxPass("http://@python@", nginxHost), cause: "upgrade-dropped", exit: 4},
		{name: "no Connection", site: nginxPass("http://@gorilla@", "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"), cause: "upgrade-dropped", exit: 4},
		{name: "no location", site: nginxPass("http://@gunicorn@", nginxHost), cause: "app-answered", exit: 4},
		{name: "single page app", site: "location / { default_type text/html; return 200 '<!DOCTYPE html><title>single page</title>'; }", cause: "page-answered", exit: 4},
		{name: "no such path", site: "location /chat { return 204; }", cause: "path-unknown", exit: 4},
		{name: "doubled slash", url: "ws://app.test:@port@/ws/websocket", site: "location /ws/ { proxy_pass http://@gorilla@//; " + nginxGood + "}", cause: "path-unknown", exit: 4},
		{name: "slash wanted", site: nginxPass("http://@slash@", nginxGood), cause: "path-mangled", exit: 4},
		{name: "slash too many", url: "ws://app.test:@port@/websocket/", site: nginxPass("http://@gorilla@", nginxGood), cause: "path-mangled", exit: 4},
		{name: "slash by redirect", site: "location /websocket/ { proxy_pass http://@slash@; " + nginxGood + "}", cause: "redirect", exit: 4},

		{name: "backend down", site: nginxPass("http://@nothing@", nginxGood), cause: "backend-down", exit: 4},
		{name: "backend mute", site: nginxPass("http://@mute@", nginxGood+"proxy_read_timeout 2s;"), cause: "backend-silent", exit: 4},
		{name: "plain to a TLS backend", site: nginxPass("http://@gorilla-tls@", nginxGood), cause: "backend-scheme", exit: 4},
		{name: "host not allowed", site: nginxPass("http://@old-app@", "proxy_set_header Host internal.example;"), cause: "host-refused", exit: 4},
		{name: "host not kept", site: nginxPass("http://@gorilla@", nginxUpgrade), cause: "origin-refused", exit: 4},
		{name: "redirect to https", site: "return 301 https://app.test$request_uri;", cause: "redirect", exit: 4},
		{name: "redirect loop", url: secureURL, site: nginxPass("http://@only-https@", nginxHost), cause: "redirect-loop", exit: 4},
		{name: "basic auth", site: "auth_basic closed; auth_basic_user_file /dev/null; " + nginxBoth, cause: "login-required", exit: 4},
		{name: "forbidden", site: "location / { deny all; }", cause: "login-required", exit: 4},
		{name: "session unknown", url: "ws://app.test:@port@/socket.io/?EIO=4&transport=websocket&sid=x",
			site: nginxPass("http://@socketio@", nginxGood), cause: "session-unknown", exit: 4},
		{name: "subprotocol dropped", site: nginxPass("http://@gorilla@", nginxGood+`proxy_set_header Sec-WebSocket-Protocol "";`),
			args: []string{"--subprotocol", "chat"}, cause: "subprotocol-lost", exit: 4},
		{name: "too many", site: "limit_req zone=one;\n" + nginxBoth, cause: "too-many", exit: 4},
		{name: "Upgrade hidden", site: nginxPass("http://@gorilla@", nginxGood+"proxy_hide_header Upgrade;"), cause: "switch-headers", exit: 4},
		{name: "TLS backend unverified", site: nginxPass("https://@gorilla-tls@", nginxGood+"proxy_ssl_verify on; proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;"), cause: "backend-down", exit: 4},
		{name: "extension hidden", site: nginxPass("http://@python@", nginxGood+"proxy_hide_header Sec-WebSocket-Extensions;"), cause: "frames-broken", exit: 5},
		{name: "idle cut", site: nginxPass("http://@gorilla@", nginxGood+"proxy_read_timeout 3s;"), args: []string{"--idle", "10s"}, cause: "idle-cut", exit: 5},
		{name: "stream buffered", url: streamURL, site: nginxPass("http://@gunicorn@", nginxHost), cause: "stream-buffered", exit: 5},

		{name: "expired", url: secureURL, pair: "expired", site: nginxBoth, cause: "tls-expired", exit: 3},
		{name: "self-signed", url: secureURL, pair: "self-signed", site: nginxBoth, cause: "tls-untrusted", exit: 3},
		{name: "unknown CA", url: secureURL, pair: "unknown CA", site: nginxBoth, cause: "tls-untrusted", exit: 3},
		{name: "wrong name", url: secureURL, pair: "wrong name", site: nginxBoth, cause: "tls-name", exit: 3},
		{name: "no chain", url: secureURL, pair: "no chain", site: nginxBoth, cause: "tls-chain", exit: 3},
		{name: "TLS 1.0", url: secureURL, site: "ssl_protocols TLSv1; ssl_ciphers DEFAULT@SECLEVEL=0;\n" + nginxBoth, cause: "tls-old", exit: 3},
		{name: "no ssl", url: secureURL, pair: "none", site: nginxBoth, cause: "tls-missing", exit: 3},
	}
	r.place(t, list)
	folder := r.path(t, "nginx")
	var b strings.Builder
	fmt.Fprintf(&b, "daemon off;\npid %s;\nerror_log stderr warn;\nworker_processes 1;\nevents { worker_connections 512; }\nhttp {\naccess_log off;\nlimit_req_zone $server_name zone=one:1m rate=1r/m;\n", filepath.Join(folder, "pid"))
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, "%s_temp_path %s;\n", kind, filepath.Join(folder, kind))
	}
	for _, s := range list {
		secure := ""
		if p, ok := r.secured(s); ok {
			secure = fmt.Sprintf(" ssl http2;\nssl_certificate %s;\nssl_certificate_key %s", p.cert, p.key)
		}
		fmt.Fprintf(&b, "server {\nlisten %s%s;\nserver_name app.test;\n%s\n}\n", loopback(s.port), secure, r.fill(s, s.site))
	}
	r.start(t, list, "nginx", "-p", folder, "-c", writeFile(t, filepath.Join(folder, "nginx.conf"), b.String()+"}\n"))
	r.diagnose(t, diagnosis.ForNginx, list)
}
