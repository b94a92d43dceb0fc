//go:build e2e

package main_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"wsfront/proxy/diagnosis"
)

// testWsfront has wsfront itself, with a site for each scenario: where app.test
// stands in a scenario it has a name of its own.
func (r *doctorRig) testWsfront(t *testing.T) {
	t.Parallel()
	const app = "{path: /, app: 'http://@gunicorn@'}"
	tunnel := func(options string) string { return "{path: /websocket, tunnel: " + options + "}, " + app }
	list := []scenario{
		{name: "tunnel", site: tunnel("'ws://@gorilla@'")},
		{name: "tunnel by TLS", url: secureURL, site: tunnel("'ws://@gorilla@'")},
		{name: "tunnel to TLS", site: tunnel("'wss://@gorilla-tls@', backend_tls: {ca: @ca@, server_name: app.test}")},
		{name: "tunnel of messages", site: tunnel("{backend: 'ws://@gorilla@', mode: message}"), args: []string{"--subprotocol", "chat"}},
		{name: "tunnel to python", url: secureURL, site: tunnel("'ws://@python@'"), args: []string{"--idle", "3s"}},
		{name: "push", url: secureURL, site: "{path: /websocket, push: {channel: board}}, " + app},
		{name: "app", site: "{path: /, app: 'http://@gorilla@'}"},
		{name: "stream of the app", url: streamURL, site: app},
		{name: "stream of push", url: "http://app.test:@port@/websocket", site: "{path: /websocket, push: {channel: board}}"},
		{name: "founding page", url: secureURL, args: wstest, site: "{path: /websocket, push: {channel: board}}, " + app},

		{name: "no route", site: "{path: /chat, tunnel: 'ws://@gorilla@'}", cause: "path-unknown", exit: 4},
		{name: "no site", url: "ws://other.test:@port@/websocket", site: app, cause: "host-refused", exit: 4},
		{name: "ws:// where wss:// is served", url: plainURL, pair: "both", site: tunnel("'ws://@gorilla@'"), cause: "tls-required", exit: 3},
		{name: "wss:// where ws:// is served", url: secureURL, pair: "none", site: tunnel("'ws://@gorilla@'"), cause: "tls-missing", exit: 3},
		{name: "backend down", site: tunnel("'ws://@nothing@'"), cause: "backend-down", exit: 4},
		{name: "backend mute", site: tunnel("'ws://@mute@', response_timeout: 2s"), cause: "backend-silent", exit: 4},
		{name: "plain to a TLS backend", site: tunnel("'ws://@gorilla-tls@'"), cause: "backend-scheme", exit: 4},
		{name: "TLS to a plain backend", site: tunnel("'wss://@gorilla@'"), cause: "backend-scheme", exit: 4},
		{name: "backend untrusted", site: tunnel("'wss://@gorilla-tls@'"), cause: "backend-tls", exit: 4},
		{name: "tunnel to the app", site: tunnel("'ws://@gunicorn@'"), cause: "app-answered", exit: 4},
		{name: "no tunnel", site: app, cause: "app-answered", exit: 4},
		{name: "other path", site: tunnel("'ws://@gorilla@/ws'"), cause: "path-unknown", exit: 4},
		{name: "slash", site: "{path: /websocket/, tunnel: 'ws://@slash@'}, " + app, cause: "path-mangled", exit: 4},
		{name: "host set", site: tunnel("'ws://@gorilla@', host: push.internal"), cause: "origin-refused", exit: 4},
		{name: "origins of push", site: "{path: /websocket, push: {channel: board, origins: ['https://other.test']}}", cause: "origin-refused", exit: 4},
		{name: "wrong accept", site: tunnel("'ws://@wrong-accept@'"), cause: "accept-wrong", exit: 4},
		{name: "101 without Upgrade", site: tunnel("'ws://@no-upgrade@'"), cause: "switch-headers", exit: 4},
		{name: "full", site: tunnel("'ws://@gorilla@', max_tunnels: 1"), cause: "too-many", exit: 4},
		{name: "idle cut", site: tunnel("'ws://@gorilla@', idle_timeout: 3s"), args: []string{"--idle", "10s"}, cause: "idle-cut", exit: 5},
	}
	f := r.newFront(t)
	names := []string{"unused.test"}
	for i := range list {
		names = append(names, fmt.Sprintf("s%d.test", i))
	}
	pem := r.pki.issue(t, f.folder, names...)
	var b strings.Builder
	for i := range list {
		s := &list[i]
		if s.url == "" {
			s.url = plainURL
		}
		s.port = f.plain
		tls := "off"
		if s.pair == "both" || strings.HasPrefix(s.url, "wss:") && s.pair == "" {
			tls = fmt.Sprintf("{cert: %s, key: %s}", pem.cert, pem.key)
		}
		if strings.HasPrefix(s.url, "wss:") && s.pair == "" {
			s.port = f.https
		}
		s.url = strings.Replace(s.url, "app.test", names[i+1], 1)
		args := make([]string, len(s.args))
		for j, arg := range s.args {
			args[j] = strings.Replace(arg, "app.test", names[i+1], 1)
		}
		s.args = args
		site := r.fill(*s, s.site)
		fmt.Fprintf(&b, "  - {hosts: [%s], tls: %s, routes: [%s]}\n", names[i+1], tls, site)
	}
	f.run(t, f.publishLines()+"sites:\n"+b.String())
	r.hold(t, list[slices.IndexFunc(list, func(s scenario) bool { return s.name == "full" })])
	r.diagnose(t, diagnosis.ForWsfront, list)
	t.Cleanup(func() { f.testCauses(t, list, names[1:]) }) // when all scenarios are over
}

// testCauses looks for the causes in the log of the front itself, which knows less
// than who can ask it again and again.
func (f *front) testCauses(t *testing.T, list []scenario, hosts []string) {
	t.Helper()
	known := map[string]string{"slash": "app-answered", "origins of push": "", "no site": ""}
	for i, s := range list {
		cause, other := known[s.name]
		if !other && s.exit == 4 {
			cause = s.cause
		}
		host := fmt.Sprintf("host=%s:%d ", hosts[i], s.port)
		found := cause == ""
		for line := range strings.Lines(f.log.String()) {
			found = found || strings.Contains(line, "handshake.failed") && strings.Contains(line, host) && strings.Contains(line, "cause="+cause+"\n")
		}
		if !found {
			t.Errorf("%s: wsfront's log names no cause %s", s.name, cause)
		}
	}
}

// testConfig has doctor on the server itself, with the file: it asks the backends
// as well, and so tells a front that has another configuration by now.
func (r *doctorRig) testConfig(t *testing.T) {
	t.Parallel()
	const (
		app    = "{path: /, app: 'http://@gunicorn@'}"
		tunnel = "{path: /websocket, tunnel: 'ws://@gorilla@'}, " + app
	)
	for _, c := range []struct {
		name, running, file string // the routes of the running wsfront, and those of the file if others
		cause               string
		exit                int
		evidence            string
	}{
		{name: "healthy", running: "{path: /push, push: {channel: board}}, " + tunnel},
		{name: "not reloaded", running: app, file: tunnel, cause: "app-answered", exit: 4, evidence: "asked at the backend itself is answered 101"},
		{name: "not running", file: tunnel, cause: "port-refused", exit: 2, evidence: "asked at the backend itself is answered 101"},
		{name: "backend down", running: "{path: /websocket, tunnel: 'ws://@nothing@'}, " + app, cause: "backend-down", exit: 4, evidence: "ws://@nothing@ asked directly"},
		{name: "other path", running: "{path: /websocket, tunnel: 'ws://@gorilla@/ws'}, " + app, cause: "path-unknown", exit: 4, evidence: "@gorilla@/ws asked directly"},
		{name: "plain to a TLS backend", running: "{path: /websocket, tunnel: 'ws://@gorilla-tls@'}, " + app, cause: "backend-scheme", exit: 4, evidence: "asked directly"},
		{name: "TLS to a plain backend", running: "{path: /websocket, tunnel: 'wss://@gorilla@'}, " + app, cause: "backend-scheme", exit: 4, evidence: "asked directly"},
		{name: "tunnel to the app", running: "{path: /websocket, tunnel: 'ws://@gunicorn@'}, " + app, cause: "app-answered", exit: 4, evidence: "asked directly"},
		{name: "app down", running: "{path: /websocket, push: {channel: board}}, {path: /, app: 'http://@nothing@'}", cause: "backend-down", exit: 4, evidence: "asked directly"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := r.newFront(t)
			text := func(routes string) string {
				return f.publishLines() + "sites: [{hosts: [app.test], tls: off, routes: [" + r.fill(scenario{}, routes) + "]}]\n"
			}
			if c.running != "" {
				f.run(t, text(c.running))
			}
			if c.file != "" {
				f.write(t, text(c.file))
			}
			found := r.examine(t, c.cause, c.exit, "doctor", "--json", "--config", f.config)
			if want := r.fill(scenario{}, c.evidence); found.Cause != nil && !strings.Contains(strings.Join(found.Cause.Evidence, "\n"), want) {
				t.Errorf("the evidence is %q, want %q in it", found.Cause.Evidence, want)
			}
		})
	}
}

// hold opens a tunnel to a scenario's site and keeps it until the test ends.
func (r *doctorRig) hold(t testing.TB, s scenario) {
	t.Helper()
	d := websocket.Dialer{NetDialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, loopback(s.port))
	}}
	c, _, err := d.Dial(r.fill(s, s.url), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
}
