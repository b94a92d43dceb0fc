//go:build e2e

package main_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"wsfront/proxy/diagnosis"
)

// scenarioModules are those that each of the rig's Apaches has; what differs
// between them is which modules of mod_proxy there are.
var scenarioModules = []string{"mpm_event", "authz_core", "authn_core", "authz_user", "auth_basic", "alias", "mime", "headers", "http2", "rewrite", "setenvif", "socache_shmcb", "ssl"}

// testApache has Apaches by their modules, each with a vhost for each scenario.
func (r *doctorRig) testApache(t *testing.T) {
	t.Parallel()
	t.Run("all modules", r.testApacheProxy)
	t.Run("proxy alone", func(t *testing.T) {
		r.apache(t, []string{"proxy"}, []scenario{
			{name: "ws target", site: "ProxyPass /websocket ws://@gorilla@/websocket", cause: "module-missing", exit: 4},
			{name: "http target", site: "ProxyPass /websocket http://@gorilla@/websocket upgrade=websocket", cause: "module-missing", exit: 4},
		})
	})
	t.Run("no wstunnel", func(t *testing.T) {
		// Since 2.4.47 mod_proxy_http tunnels by itself.
		r.apache(t, []string{"proxy", "proxy_http"}, []scenario{
			{name: "ws target", site: "ProxyPreserveHost On\nProxyPass /websocket ws://@gorilla@/websocket"},
		})
	})
	t.Run("threads used up", func(t *testing.T) {
		t.Parallel()
		list := []scenario{{
			name: "by tunnels", site: "ProxyPreserveHost On\nProxyPass /websocket ws://@gorilla@/websocket",
			args: []string{"--timeout", "4s"}, cause: "port-silent", exit: 2,
		}}
		r.startApache(t, []string{"proxy", "proxy_http", "proxy_wstunnel"}, "StartServers 1\nServerLimit 1\nThreadsPerChild 2\nMaxRequestWorkers 2", list)
		r.hold(t, list[0])
		r.hold(t, list[0])
		r.diagnose(t, diagnosis.ForApache, list)
	})
	t.Run("no proxy", func(t *testing.T) {
		r.apache(t, nil, []scenario{
			{name: "rewrite", site: "RewriteEngine On\nRewriteRule ^/websocket$ ws://@gorilla@/websocket [P]", cause: "rewrite-without-proxy", exit: 4},
		})
	})
}

// testApacheProxy has all modules: what is wrong is what was written.
func (r *doctorRig) testApacheProxy(t *testing.T) {
	const (
		keep   = "ProxyPreserveHost On\n"
		socket = "ProxyPass /websocket ws://@gorilla@/websocket\n"
		app    = "ProxyPass / http://@gunicorn@/\n"
		exact  = "RewriteEngine On\nRewriteCond %%{HTTP:UPGRADE} ^websocket$ [NC]\nRewriteCond %%{HTTP:CONNECTION} %s [NC]\nRewriteRule ^/websocket$ ws://@gorilla@/websocket [P]\n"
	)
	r.apache(t, []string{"proxy", "proxy_http", "proxy_wstunnel"}, []scenario{
		{name: "healthy", site: keep + socket + app},
		{name: "healthy by TLS", url: secureURL, site: keep + socket + app},
		{name: "healthy by upgrade", site: keep + "ProxyPass /websocket http://@gorilla@/websocket upgrade=websocket\n" + app},
		{name: "healthy by rewrite", site: keep + fmt.Sprintf(exact, "upgrade") + app},
		{name: "healthy to python", site: "ProxyPass /websocket ws://@python@/websocket\n" + app},
		{name: "healthy by HTTP/2", url: secureURL, site: "Protocols h2 http/1.1\n" + keep + socket + app},
		{name: "healthy by RFC 8441", url: secureURL, site: "Protocols h2 http/1.1\nH2WebSockets on\n" + keep + socket + app},
		{name: "Upgrade unset in answers", site: keep + "Header unset Upgrade\n" + socket}, // which mod_headers does to no 101
		{name: "handshakes alone", site: keep + "ProxyWebsocketFallbackToProxyHttp Off\n" + socket},
		{name: "stream", url: streamURL, site: keep + app},
		{name: "page with CSP", url: secureURL, args: wstest, site: keep + "Header always set Content-Security-Policy upgrade-insecure-requests\n" + socket + app},
		{name: "page with ws://", url: secureURL, args: wstest, site: keep + socket + app, cause: "mixed-content", exit: 6},

		{name: "no upgrade to gorilla", site: keep + "ProxyPass /websocket http://@gorilla@/websocket", cause: "upgrade-dropped", exit: 4},
		{name: "no upgrade to python", site: keep + "ProxyPass /websocket http://@python@/websocket", cause: "upgrade-dropped", exit: 4},
		{name: "catch-all first", site: keep + app + socket, cause: "app-answered", exit: 4},
		{name: "catch-all first and host not kept", site: "ProxyPass / http://@old-app-by-name@/\n" + socket, cause: "host-refused", exit: 4},
		{name: "slash", site: keep + "ProxyPass /websocket/ ws://@python@/websocket/\n" + app, cause: "path-mangled", exit: 4},
		{name: "doubled slash", url: "ws://app.test:@port@/ws/websocket", site: keep + "ProxyPass /ws ws://@gorilla@/\n", cause: "path-unknown", exit: 4},
		{name: "ws target is the app", site: keep + "ProxyPass /websocket ws://@gunicorn@/websocket", cause: "app-answered", exit: 4},
		{name: "ws target is the app and host not kept", site: "ProxyPass /websocket ws://@old-app-by-name@/websocket", cause: "host-refused", exit: 4},
		{name: "Upgrade unset", site: keep + "RequestHeader unset Upgrade early\n" + socket, cause: "upgrade-dropped", exit: 4},
		{name: "exact Connection", site: keep + fmt.Sprintf(exact, "^upgrade$") + app, cause: "connection-exact", exit: 4},
		{name: "backend down", site: keep + "ProxyPass /websocket ws://@nothing@/websocket", cause: "backend-down", exit: 4},
		{name: "backend mute", site: keep + "ProxyPass /websocket ws://@mute@/websocket timeout=2", cause: "backend-silent", exit: 4},
		{name: "no SSLProxyEngine", site: keep + "ProxyPass /websocket wss://@gorilla-tls@/websocket", cause: "module-missing", exit: 4},
		{name: "TLS to a plain backend", site: keep + "SSLProxyEngine On\nProxyPass /websocket wss://@gorilla@/websocket", cause: "backend-scheme", exit: 4},
		{name: "plain to a TLS backend", site: keep + "ProxyPass /websocket ws://@gorilla-tls@/websocket", cause: "backend-scheme", exit: 4},
		{name: "host not kept", site: socket, cause: "origin-refused", exit: 4},
		{name: "redirect to https", site: "Redirect permanent / https://app.test/", cause: "redirect", exit: 4},
		{name: "basic auth", site: keep + socket + "<Location />\nAuthType Basic\nAuthName closed\nRequire valid-user\n</Location>", cause: "login-required", exit: 4},
		{name: "idle cut", site: "Timeout 3\n" + keep + socket, args: []string{"--idle", "10s"}, cause: "idle-cut", exit: 5},
		{name: "no SSLEngine", url: secureURL, pair: "none", site: keep + socket, cause: "tls-missing", exit: 3},
		{name: "self-signed", url: secureURL, pair: "self-signed", site: keep + socket, cause: "tls-untrusted", exit: 3},
	})
}

// apache runs one Apache of Debian with a vhost for each scenario.
func (r *doctorRig) apache(t *testing.T, modules []string, list []scenario) {
	t.Parallel()
	r.startApache(t, modules, "", list)
	r.diagnose(t, diagnosis.ForApache, list)
}

// startApache starts it, with further lines for the server as a whole.
func (r *doctorRig) startApache(t *testing.T, modules []string, lines string, list []scenario) {
	t.Helper()
	r.place(t, list)
	folder := r.path(t, "apache")
	var b strings.Builder
	fmt.Fprintf(&b, "ServerRoot %s\nPidFile apache.pid\nServerName app.test\nErrorLog /dev/stderr\n", folder)
	for _, m := range append(scenarioModules, modules...) {
		fmt.Fprintf(&b, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", m, m)
	}
	fmt.Fprintf(&b, "Mutex file:%s default\nUser www-data\nGroup www-data\nTypesConfig /etc/mime.types\n%s\n", folder, lines)
	for _, s := range list {
		secure := ""
		if p, ok := r.secured(s); ok {
			secure = fmt.Sprintf("SSLEngine on\nSSLCertificateFile %s\nSSLCertificateKeyFile %s\n", p.cert, p.key)
		}
		fmt.Fprintf(&b, "Listen %s\n<VirtualHost %s>\nServerName app.test\n%s%s\n</VirtualHost>\n", loopback(s.port), loopback(s.port), secure, r.fill(s, s.site))
	}
	r.start(t, list, "apache2", "-DFOREGROUND", "-f", writeFile(t, filepath.Join(folder, "apache.conf"), b.String()))
}
