package config

import (
	"errors"
	"flag"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"wsfront/proxy"
	"wsfront/pusher"
	"wsfront/pusher/schedule"
	"wsfront/pusher/syslog"
)

var update = flag.Bool("update", false, "write the expected texts of testdata/config/bad and deploy/wsfront.schema.json anew")

const testdata = "../../../testdata/config/"

func TestParse_GoodFiles(t *testing.T) {
	shipped, err := filepath.Glob("../../../deploy/*/wsfront.yaml")
	if err != nil || len(shipped) == 0 {
		t.Fatalf("no files in deploy: %v", err)
	}
	for _, path := range append(yamlFiles(t, "good"), shipped...) {
		t.Run(filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path), func(t *testing.T) {
			f, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.proxy(placeholder); err != nil {
				t.Error(err)
			}
		})
	}
}

// Each bad file has its exact text beside it, which is what operators get to
// read: look at the difference before you accept it with -update.
func TestParse_BadFiles(t *testing.T) {
	files := yamlFiles(t, "bad")
	if len(files) < 40 {
		t.Errorf("only %d bad files", len(files))
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse("wsfront.yaml", data)
			if err == nil {
				t.Fatal("accepted")
			}
			got, expected := err.Error()+"\n", strings.TrimSuffix(path, ".yaml")+".txt"
			if *update {
				if err := os.WriteFile(expected, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(expected)
			if err != nil {
				t.Fatalf("%v; write it with -update", err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	texts, _ := filepath.Glob(testdata + "bad/*.txt")
	for _, text := range texts {
		if _, err := os.Stat(strings.TrimSuffix(text, ".txt") + ".yaml"); err != nil {
			t.Errorf("%s has no file: %v", text, err)
		}
	}
}

func yamlFiles(t testing.TB, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(testdata + dir + "/*.yaml")
	if err != nil || len(list) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	return list
}

func TestParse_FoundingApp(t *testing.T) {
	f, err := Load(testdata + "good/founding-app.yaml")
	if err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(testdata + "good/founding-app.yaml")
	if n := strings.Count(string(data), "\n"); n > 10 {
		t.Errorf("the founding app takes %d lines, more than 10", n)
	}
	var endpoints []pusher.Endpoint
	cfg, err := f.Proxy(func(e pusher.Endpoint) (http.Handler, error) {
		endpoints = append(endpoints, e)
		return http.NotFoundHandler(), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []pusher.Endpoint{{Channel: "board", Inbound: pusher.InboundEcho}}; !reflect.DeepEqual(endpoints, want) {
		t.Errorf("endpoints %+v, want %+v", endpoints, want)
	}
	routes := cfg.Sites[0].Routes
	if routes[0].Handler == nil || routes[1].App != "http://127.0.0.1:8080" || routes[1].Handler != nil {
		t.Errorf("routes %+v", routes)
	}
	if !f.HasPush() || f.PublishAPI().Listen != DefaultPublishListen {
		t.Errorf("push %v at %q", f.HasPush(), f.PublishAPI().Listen)
	}
}

// Every option of the full file differs from its default, so that one which
// is not read shows.
func TestParse_FullFileSetsEveryOption(t *testing.T) {
	f, err := Load(testdata + "good/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range leaves(reflect.TypeFor[File](), "") {
		found := path == "push.history.url" // in place of dir: see nats.yaml
		for place := range f.source.places {
			found = found || indexes.ReplaceAllString(place, "[]") == path
		}
		if !found {
			t.Errorf("full.yaml does not show %s", path)
		}
	}
	on, off := true, false
	s := f.Sites[0]
	for _, check := range []struct {
		name      string
		got, want any
	}{
		{"listen", f.Listen, proxy.Addresses{":443", "[2001:db8::1]:8443"}},
		{"http_listen", f.HTTPListen, proxy.Addresses{"192.0.2.7:80"}},
		{"trusted_proxies", f.TrustedProxies[1].String(), "192.0.2.9/32"},
		{"max_tunnels", f.MaxTunnels, 20000},
		{"max_tunnels_per_address", f.MaxTunnelsPerAddress, 200},
		{"limits", f.Limits, proxy.Limits{
			HandshakeTimeout: 5 * time.Second, HeaderTimeout: 10 * time.Second, BodyTimeout: 20 * time.Second, IdleTimeout: 65 * time.Second, WriteTimeout: 45 * time.Second,
			MaxHeader: 16 << 10, MaxHeaderFields: 80, MaxTarget: 4 << 10, MinBodyRate: 500, UploadBuffer: 128 << 10,
			MaxConnections: 10000, MaxConnectionsPerAddress: 500, MaxHandshakes: 1000, MaxHandshakesPerSecond: 50,
			MaxStreams: 50, MaxResets: 60, MaxContinuations: 4,
		}},
		{"drain_timeout", f.DrainTimeout, 20 * time.Second},
		{"upgrade_drain", f.UpgradeDrain, 2 * time.Hour},
		{"access_log", f.AccessLog, proxy.AccessLog{Format: proxy.AccessJSON, File: "/var/log/wsfront/access.log", Skip: []string{"/healthz", "/poll/"}}},
		{"headers", s.Headers, proxy.Headers{Set: map[string]string{"X-Frame-Options": "DENY", "Referrer-Policy": "same-origin"},
			Add: map[string]string{"Link": "</style.css>; rel=preload"}, Remove: []string{"X-Powered-By"}}},
		{"allow", s.Routes[3].Allow, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")}},
		{"basic_auth", s.Routes[3].BasicAuth, &proxy.BasicAuth{File: "/etc/wsfront/htpasswd", Realm: "Staff"}},
		{"basic_auth in its short form", s.Routes[5].BasicAuth, &proxy.BasicAuth{File: "/etc/wsfront/htpasswd"}},
		{"headers of a route", s.Routes[3].Headers, proxy.Headers{Set: map[string]string{"Cache-Control": "no-store"}, Add: map[string]string{"Vary": "Authorization"}, Remove: []string{"Server"}}},
		{"request_headers", s.Routes[3].RequestHeaders, proxy.RequestHeaders{Set: map[string]string{"X-Forwarded-Ssl": "on"}, Remove: []string{"Accept-Encoding"}}},
		{"tls", s.TLS, proxy.TLS{Cert: "/etc/ssl/review.pem", Key: "/etc/ssl/private/review.key"}},
		{"hsts", s.HSTS, 365 * 24 * time.Hour},
		{"upgrade_insecure", s.UpgradeInsecure, &on},
		{"tunnel", s.Routes[2].Tunnel, proxy.Tunnel{Backend: "wss://10.0.0.7:9000/socket/"}},
		{"tunnel in its long form", s.Routes[4].Tunnel, proxy.Tunnel{Backend: "ws://127.0.0.1:9001", Mode: proxy.TunnelMessage}},
		{"ping", s.Routes[2].Ping, 30 * time.Second},
		{"idle_timeout", s.Routes[2].IdleTimeout, 24 * time.Hour},
		{"max_lifetime", s.Routes[2].MaxLifetime, 7 * 24 * time.Hour},
		{"max_message", s.Routes[2].MaxMessage, int64(64 << 10)},
		{"max_fragments", s.Routes[2].MaxFragments, 16},
		{"message_rate", s.Routes[2].MessageRate, 50},
		{"validate", s.Routes[2].Validate, true},
		{"max_tunnels of a route", s.Routes[2].MaxTunnels, 5000},
		{"request_buffering", s.Routes[3].RequestBuffering, &off},
		{"max_body", s.Routes[3].MaxBody, int64(2 << 30)},
		{"queue", f.Push.QueueBytes, int64(4 << 20)},
		{"tls of the second site", f.Sites[1].TLS.Mode, proxy.TLSInternal},
		{"syslog by udp", f.Push.Syslog[0], syslog.Config{Listen: "udp://:5514", Channel: "board", Format: "json",
			Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, MaxMessage: 2 << 10, Queue: 5000}},
		{"syslog by tcp", f.Push.Syslog[1], syslog.Config{Listen: "tcp://127.0.0.1:5514", Channel: "board",
			Format: "{{.Hostname}} {{.AppName}}: {{.Msg}}", MaxConnections: 10, IdleTimeout: time.Hour}},
		{"schedule by interval", f.Push.Schedules[0], schedule.Config{Channel: "board", Every: 1500 * time.Millisecond,
			Message: `It is {{.Time.Format "15:04:05"}}`}},
		{"schedule by cron", f.Push.Schedules[1], schedule.Config{Channel: "board", Cron: "0 8-17 * * mon-fri", Zone: "Europe/Berlin",
			Message: "{{.Count}} hours of work"}},
		{"publish", f.PublishAPI(), Publish{Listen: "unix:/run/wsfront/publish.sock", KeyFile: "/etc/wsfront/publish.key", MaxConnections: 50, Keys: pusher.Keys{{
			Name: "django", KeyFile: "/etc/wsfront/django.key", Channels: []string{"board", "user.*"}, Rights: []pusher.Right{pusher.RightPublish, pusher.RightRead},
		}}}},
		{"log", f.Log, Log{Level: "debug", Format: "json", Sampling: Sampling{Burst: 5, Per: time.Minute}}},
	} {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("%s: got %v, want %v", check.name, check.got, check.want)
		}
	}
}

var indexes = regexp.MustCompile(`\[\d+\]`)

// leaves lists the paths of all options that hold a value.
func leaves(t reflect.Type, path string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Slice && !isScalar(t.Elem()):
		return leaves(t.Elem(), path+"[]")
	case t.Kind() != reflect.Struct || isScalar(t):
		return []string{path}
	}
	var list []string
	for _, f := range fieldsOf(t) {
		list = append(list, leaves(f.typ, join(path, f.name))...)
	}
	return list
}

func TestParse_OffOpensNoListener(t *testing.T) {
	f, err := Parse("x.yaml", []byte("http_listen: off\nsites: [{hosts: [a.example.com], routes: [{path: /, app: 'http://127.0.0.1:8080'}]}]"))
	if err != nil {
		t.Fatal(err)
	}
	if f.HTTPListen == nil || len(f.HTTPListen) != 0 {
		t.Errorf("http_listen %#v, want an empty list that is no default", f.HTTPListen)
	}
}

func TestParse_OffWrittenAnewByYAML11(t *testing.T) {
	f, err := Parse("x.yaml", []byte("http_listen: false\naccess_log: false\nlisten: ':8443'\nsites: [{hosts: [a.example.com], tls: False, routes: [{path: /, app: 'http://127.0.0.1:8080'}]}]"))
	if err != nil {
		t.Fatal(err)
	}
	if f.HTTPListen == nil || len(f.HTTPListen) != 0 || f.AccessLog.Format != proxy.AccessOff || f.Sites[0].TLS.Mode != proxy.TLSOff {
		t.Errorf("http_listen %#v, access_log %v, tls %v, want off", f.HTTPListen, f.AccessLog, f.Sites[0].TLS)
	}
}

func TestParse_PositionsCountCharactersAndSurviveBOMAndCRLF(t *testing.T) {
	_, err := Parse("x.yaml", []byte("\ufeffsites:\r\n  - {hosts: [\"ä\"], routs: 1}\r\n"))
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	if p := problems[0]; p.Position != (Position{"x.yaml", 2, 14}) || p.Source != "  - {hosts: [\"ä\"], routs: 1}" {
		t.Errorf("got %v, %q", p.Position, p.Source)
	}
	if p := problems[1]; p.Column != 20 || !strings.Contains(p.Message, "did you mean routes?") {
		t.Errorf("got %v", p)
	}
}

func TestValidate_OfAFileMadeByAProgram(t *testing.T) {
	f := &File{Sites: []Site{{
		Site:   proxy.Site{Hosts: []string{"a.example.com"}},
		Routes: []Route{{Route: proxy.Route{Path: "/ws"}, Push: &pusher.Endpoint{}}},
	}}}
	var found proxy.FieldErrors
	if err := f.Validate(); !errors.As(err, &found) || len(found) != 1 || found[0].Field != "sites[0].routes[0].push.channel" {
		t.Errorf("got %v", err)
	}
	f.Sites[0].Routes[0].Push.Channel = "board"
	if err := f.Validate(); err != nil {
		t.Error(err)
	}
}

// The script of a push route is as open as the route itself.
func TestProxy_ScriptHasThePoliciesOfItsRoute(t *testing.T) {
	f, err := Parse("x.yaml", []byte(`sites:
  - hosts: [a.example.com]
    routes:
      - path: /websocket
        push: {channel: board}
        allow: [10.0.0.0/8]
        basic_auth: /etc/wsfront/htpasswd
        headers: {set: {X-A: b}}
`))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := f.proxy(placeholder)
	if err != nil {
		t.Fatal(err)
	}
	own, script := cfg.Sites[0].Routes[0], cfg.Sites[0].Routes[1]
	if script.Path != "/websocket/push.js" || len(script.Allow) != 1 ||
		!reflect.DeepEqual([]any{script.Allow, script.BasicAuth, script.Headers}, []any{own.Allow, own.BasicAuth, own.Headers}) {
		t.Errorf("%+v", script)
	}
}

func TestProxy_NamesTheRouteWhoseEndpointFailed(t *testing.T) {
	f, err := Load(testdata + "good/founding-app.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Proxy(func(pusher.Endpoint) (http.Handler, error) { return nil, errors.New("no memory") })
	if err == nil || err.Error() != "sites[0].routes[0].push: no memory" {
		t.Errorf("got %v", err)
	}
}

// The app that says who may listen may be a pool's.
func TestProxy_AuthAsksAPool(t *testing.T) {
	f, err := Parse("wsfront.yaml", []byte(`pools:
  - {name: web, backends: ["http://10.0.0.1:3000", "http://10.0.0.2:3000"]}
sites:
  - hosts: [app.test]
    tls: off
    routes:
      - {path: /live, push: {auth: /push/auth}}
      - {path: /, app: "pool://web"}
`))
	if err != nil {
		t.Fatal(err)
	}
	var app http.RoundTripper
	cfg, err := f.Proxy(func(e pusher.Endpoint) (http.Handler, error) {
		app = e.App
		return http.NotFoundHandler(), nil
	})
	if err != nil || app == nil || len(cfg.Pools) != 1 {
		t.Errorf("%v, app %v, pools %v", err, app, cfg.Pools)
	}
}

func TestFind_WorkingDirectoryFirst(t *testing.T) {
	t.Chdir(t.TempDir())
	if name, err := Find(); err == nil && name != "/etc/wsfront/wsfront.yaml" {
		t.Errorf("found %q in an empty folder", name)
	}
	if err := os.WriteFile("wsfront.yaml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if name, err := Find(); name != "wsfront.yaml" || err != nil {
		t.Errorf("found %q, %v", name, err)
	}
}

func TestLoad_SaysWhyAFileCannotBeRead(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "read the configuration: ") {
		t.Errorf("got %v", err)
	}
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, make([]byte, maxFileSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large); err == nil || !strings.Contains(err.Error(), "larger than 1MiB") {
		t.Errorf("got %v", err)
	}
}

// The app is asked by the route that a browser's own request for that path
// would take.
func TestSite_AppForAPath(t *testing.T) {
	f, err := Parse("wsfront.yaml", []byte(`
sites:
  - hosts: [app.example.com]
    routes:
      - {path: /, app: "http://127.0.0.1:1"}
      - {path: /push, app: "http://127.0.0.1:2"}
      - {path: /push/auth/, app: "http://127.0.0.1:3"}
      - {match: "^/old/", redirect: /new/}
      - {match: "^/inner/(.*)$", app: "http://127.0.0.1:4/$1"}
`))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/push/auth": "http://127.0.0.1:2", "/push/auth/x?y": "http://127.0.0.1:3", "/pushed": "http://127.0.0.1:1",
		"/inner/auth": "http://127.0.0.1:4/$1", "/old/auth": "http://127.0.0.1:1",
	} {
		if got, ok := f.Sites[0].appFor(path); !ok || got.App != want {
			t.Errorf("%s: %q, want %s", path, got.App, want)
		}
	}
}

// What is shown of a line goes to logs, and to the admin listener.
func TestProblem_ShowsNoSecret(t *testing.T) {
	for line, want := range map[string]string{
		`- {id: k2, alg: HS256, secret: "Hush, hush", x: 1}`: `- {id: k2, alg: HS256, secret: ************, x: 1}`,
		`secret: Hush`:                  `secret: ****`,
		`{secret: 'Hush', id: k}`:       `{secret: ******, id: k}`,
		`secret: "Hush`:                 `secret: *****`,
		`secret_file: /etc/key`:         `secret_file: /etc/key`,
		`webhooks: {secret_file: /a b}`: `webhooks: {secret_file: /a b}`,
	} {
		if got := newSource("wsfront.yaml", []byte(line)).problem(1, 1, "", "wrong").Source; got != want {
			t.Errorf("%s: %s", line, got)
		}
	}
}
