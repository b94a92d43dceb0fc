package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// policyRig is a front that has each kind of route under the same policy, and
// counts what reaches what is behind them.
type policyRig struct {
	*front
	requests   <-chan string // to the app
	handshakes <-chan string // to the tunnel
	handled    atomic.Int32
	seen       atomic.Pointer[http.Request] // by the handler
}

// appAnswer is what the app says.
const appAnswer = "HTTP/1.1 200 OK\r\nX-Powered-By: app\r\nX-Frame-Options: ALLOWALL\r\nServer: app\r\nCache-Control: private\r\nContent-Length: 2\r\n\r\nok"

func servePolicy(t *testing.T, cfg Config, policy Route) *policyRig {
	t.Helper()
	rig := &policyRig{}
	var app string
	app, rig.requests = answering(t, appAnswer)
	host, handshakes := switching(t, switchText, func(_ net.Conn, r *bufio.Reader) { _, _ = r.ReadByte() }) // until the Close, or the end
	rig.handshakes = handshakes
	route := func(r Route) Route {
		r.Allow, r.BasicAuth, r.Headers = policy.Allow, policy.BasicAuth, policy.Headers
		if r.App != "" || r.Tunnel.Backend != "" {
			r.RequestHeaders = policy.RequestHeaders
		}
		return r
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rig.handled.Add(1)
		rig.seen.Store(r)
		w.Header().Set("X-Powered-By", "handler")
		_, _ = io.WriteString(w, "ok")
	})
	site := Site{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{
		route(Route{Path: "/app/", App: app}),
		route(Route{Path: "/down/", App: "http://127.0.0.1:9"}),
		route(Route{Path: "/files/", Files: writeTree(t, "a.txt", "ok")}),
		route(Route{Path: "/push", Handler: handler}),
		route(Route{Path: "/ws", Tunnel: Tunnel{Backend: "ws://" + host}}),
		route(Route{Path: "/message", Tunnel: Tunnel{Backend: "ws://" + host, Mode: TunnelMessage}}),
		route(Route{Path: "/moved/", Redirect: Redirect{To: "/x"}}),
		route(Route{Match: "^/matched/(.*)", App: app + "/$1"}),
		{Path: "/open/", App: app},
	}}
	if len(cfg.Sites) > 0 {
		site.Headers = cfg.Sites[0].Headers
	}
	cfg.Sites = []Site{site}
	rig.front = serveConfig(t, cfg)
	return rig
}

// reached reports whether anything came to what is behind the routes.
func (r *policyRig) reached() bool {
	return len(r.requests) > 0 || len(r.handshakes) > 0 || r.handled.Load() > 0
}

// asking sends a GET with more fields, each with its line's end.
type asking func(t *testing.T, path, fields string) (*http.Response, string)

// ways are how requests come to a front: to our own reader, and by net/http.
func (r *policyRig) ways() map[string]asking {
	srv := r.secure(2)
	return map[string]asking{
		"HTTP/1.1": func(t *testing.T, path, fields string) (*http.Response, string) {
			t.Helper()
			return r.with(t).ask("GET " + path + " HTTP/1.1\nHost: app.test\n" + fields)
		},
		"HTTP/2": func(t *testing.T, path, fields string) (*http.Response, string) {
			t.Helper()
			req, err := http.NewRequest("GET", srv.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(fields) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
				req.Header.Add(name, value)
			}
			res, err := srv.Client().Transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil || res.ProtoMajor != 2 {
				t.Fatalf("%s: %v", res.Proto, err)
			}
			return res, string(body)
		},
	}
}

// eachKind asks every kind of route in every way. Handshakes come by HTTP/1.1
// alone.
func (r *policyRig) eachKind(t *testing.T, fields string, check func(t *testing.T, kind string, res *http.Response)) {
	t.Helper()
	paths := map[string]string{"app": "/app/x", "files": "/files/a.txt", "push": "/push", "tunnel": "/ws", "message": "/message",
		"redirect": "/moved/", "match": "/matched/a"}
	ways := r.ways()
	for _, way := range []string{"HTTP/1.1", "HTTP/2"} {
		for _, kind := range []string{"app", "match", "files", "redirect", "push", "tunnel", "message"} {
			if isTunnel(kind) && way == "HTTP/2" {
				continue
			}
			t.Run(way+" "+kind, func(t *testing.T) {
				switch kind {
				case "tunnel", "message":
					end, res := r.with(t).handshake(paths[kind], "\n"+strings.TrimSuffix(fields, "\n"))
					check(t, kind, res)
					end.conn.Close()
				case "push":
					res, _ := ways[way](t, paths[kind], "Accept: text/event-stream\n"+fields)
					check(t, kind, res)
				default:
					res, _ := ways[way](t, paths[kind], fields)
					check(t, kind, res)
				}
			})
		}
	}
}

func isTunnel(kind string) bool { return kind == "tunnel" || kind == "message" }

func success(kind string) int {
	switch {
	case isTunnel(kind):
		return http.StatusSwitchingProtocols
	case kind == "redirect":
		return http.StatusFound
	}
	return http.StatusOK
}

// passwordsFile writes a password file.
func passwordsFile(t testing.TB, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "htpasswd")
	writePasswords(t, path, lines...)
	return path
}

func writePasswords(t testing.TB, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fieldValues are all values of a field in a head as readRequest records it.
func fieldValues(request, name string) (list []string) {
	for line := range strings.SplitSeq(request, "\r\n") {
		if n, v, ok := strings.Cut(line, ": "); ok && strings.EqualFold(n, name) {
			list = append(list, v)
		}
	}
	slices.Sort(list)
	return list
}
