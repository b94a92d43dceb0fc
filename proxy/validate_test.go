package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// validConfig is a Config without a mistake, for tests to put one into.
func validConfig() Config {
	return Config{
		HTTPListen: Addresses{":80"},
		Sites: []Site{{
			Hosts: []string{"app.example.com"},
			Routes: []Route{
				{Path: "/websocket", Handler: http.NotFoundHandler()},
				{Path: "/chat/", Tunnel: Tunnel{Backend: "ws://127.0.0.1:9000"}},
				{Path: "/static/", Files: "/srv/static"},
				{Path: "/", App: "http://127.0.0.1:8080"},
			},
		}},
	}
}

func TestValidate_AcceptsWhatServes(t *testing.T) {
	on := true
	cases := map[string]func(*Config){
		"the usual":                 func(c *Config) {},
		"upper case and an address": func(c *Config) { c.Sites[0].Hosts = []string{"App.Example.COM"} },
		"IPv6 address, internal": func(c *Config) {
			c.Sites[0] = Site{Hosts: []string{"::1", "192.0.2.7"}, TLS: TLS{Mode: TLSInternal}, Routes: c.Sites[0].Routes}
		},
		"any port, twice": func(c *Config) {
			c.Listen, c.HTTPListen = Addresses{"127.0.0.1:0", "127.0.0.1:0"}, Addresses{"127.0.0.1:0"}
		},
		"one port of two addresses":         func(c *Config) { c.Listen = Addresses{"127.0.0.1:443", "192.0.2.7:443"} },
		"IPv4 and IPv6 apart":               func(c *Config) { c.Listen = Addresses{"0.0.0.0:443", "[::1]:443"} },
		"a local name with a CA of our own": func(c *Config) { c.Sites[0].Hosts[0], c.ACME.CA = "app.test", "https://127.0.0.1:14000/dir" },
		"every name with a guard":           func(c *Config) { c.Sites[0].Hosts[0], c.ACME.OnDemand.Ask = "*", "http://127.0.0.1:8080/ask" },
		"a wildcard with a guard": func(c *Config) {
			c.Sites[0].Hosts[0], c.ACME.OnDemand.Ask = "*.example.com", "http://127.0.0.1:8080/ask"
		},
		"a wildcard with files": func(c *Config) {
			c.Sites[0].Hosts[0], c.Sites[0].TLS = "*.example.com", TLS{Cert: "c.pem", Key: "k.pem"}
		},
		"http only, without http_listen": func(c *Config) { c.Sites[0].TLS.Mode, c.Listen, c.HTTPListen = TLSOff, Addresses{":8000"}, Addresses{} },
		"upgrade behind a proxy with TLS": func(c *Config) {
			c.Sites[0].TLS.Mode, c.Sites[0].UpgradeInsecure, c.TrustedProxies = TLSOff, &on, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		},
		"a variable beside the path above it": func(c *Config) { c.Sites[0].Routes[0].Path = "/{channel}" },
		"files beside a tunnel":               func(c *Config) { c.Sites[0].Routes[2].Path = "/chat/" },
		"the backend's port at another host":  func(c *Config) { c.HTTPListen = Addresses{"192.0.2.7:8080"} },
		"a redirect beside a tunnel": func(c *Config) {
			c.Sites[0].Routes[2] = Route{Path: "/chat/", Redirect: Redirect{To: "/rooms/", Status: 301}}
		},
		"a redirect to another port of the host": func(c *Config) {
			c.Sites[0].Routes[2] = Route{Path: "/old/", Redirect: Redirect{To: "https://app.example.com:8443"}}
		},
		"a redirect to https that another server has": func(c *Config) {
			c.Sites[0].TLS.Mode, c.Sites[0].Routes[2] = TLSOff, Route{Path: "/old/", Redirect: Redirect{To: "https://app.example.com"}}
		},
		"a socket": func(c *Config) { c.Sites[0].Routes[3].App = "unix:/run/app.sock" },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			c := validConfig()
			change(&c)
			if err := c.Validate(); err != nil {
				t.Errorf("refused:\n%v", err)
			}
		})
	}
}

func TestValidate_NamesTheFieldAndTheRemedy(t *testing.T) {
	on := true
	site := func(change func(*Site)) func(*Config) { return func(c *Config) { change(&c.Sites[0]) } }
	host := func(h ...string) func(*Config) { return func(c *Config) { c.Sites[0].Hosts = h } }
	app := func(a string) func(*Config) { return func(c *Config) { c.Sites[0].Routes[3].App = a } }
	route := func(i int, change func(*Route)) func(*Config) {
		return func(c *Config) { change(&c.Sites[0].Routes[i]) }
	}
	cases := []struct {
		name   string
		change func(*Config)
		field  string
		remedy string // part of the message
	}{
		{"no sites", func(c *Config) { c.Sites = nil }, "sites", "write what is served"},
		{"no hosts", host(), "sites[0].hosts", "hosts: [app.example.com]"},
		{"empty host", host(""), "sites[0].hosts[0]", "write a name"},
		{"port in a host", host("app.example.com:8443"), "sites[0].hosts[0]", `(as in ":8443"); write app.example.com`},
		{"URL as a host", host("https://App.example.com/x"), "sites[0].hosts[0]", "write the name only: app.example.com"},
		{"path in a host", host("app.example.com/x"), "sites[0].hosts[0]", "write app.example.com"},
		{"underscored label is fine, a space is not", host("my_app.example.com", "my app.example.com"), "sites[0].hosts[1]", `it holds " "`},
		{"not ASCII", host("bücher.example.com"), "sites[0].hosts[0]", "xn--"},
		{"no such IP address", host("192.0.2.300"), "sites[0].hosts[0]", "no IP address"},
		{"dot at the end", host("app.example.com."), "sites[0].hosts[0]", "write app.example.com"},
		{"bracketed IPv6", func(c *Config) { host("[::1]")(c); c.Sites[0].TLS.Mode = TLSOff }, "sites[0].hosts[0]", `write "::1"`},
		{"star inside", host("app.*.com"), "sites[0].hosts[0]", "*.example.com"},
		{"star not alone", func(c *Config) { host("a.example.com", "*")(c); c.Sites[0].TLS.Mode = TLSInternal }, "sites[0].hosts[1]", "must stand alone"},
		{"host twice", host("a.example.com", "A.example.com"), "sites[0].hosts[1]", "sites[0].hosts[0] already"},
		{"host in two sites", func(c *Config) { c.Sites = append(c.Sites, c.Sites[0]) }, "sites[1].hosts[0]", "sites[0].hosts[0] already"},
		{"auto for a wildcard", host("*.example.com"), "sites[0].hosts[0]", "acme.on_demand.ask"},
		{"auto for an address", host("192.0.2.7"), "sites[0].hosts[0]", "tls: internal"},
		{"auto for localhost", host("localhost"), "sites[0].hosts[0]", "tls: internal"},
		{"auto for .test with the staging CA", func(c *Config) {
			host("app.test")(c)
			c.ACME.CA = "https://acme-staging-v02.api.letsencrypt.org/directory"
		}, "sites[0].hosts[0]", "tls: internal"},
		{"auto for every name", host("*"), "sites[0].hosts[0]", "acme.on_demand.ask"},
		{"ask without scheme", func(c *Config) { c.ACME.OnDemand.Ask = "127.0.0.1:8080/ask" }, "acme.on_demand.ask", "write one such as http://"},
		{"CA by http", func(c *Config) { c.ACME.CA = "http://ca.example.com/dir" }, "acme.ca", "https://"},
		{"email with mailto", func(c *Config) { c.ACME.Email = "mailto:a@example.com" }, "acme.email", "ops@example.com"},
		{"certificate without key", site(func(s *Site) { s.TLS.Cert = "c.pem" }), "sites[0].tls.key", "{cert: c.pem, key: FILE}"},
		{"key without certificate", site(func(s *Site) { s.TLS.Key = "k.pem" }), "sites[0].tls.cert", "{cert: FILE, key: k.pem}"},
		{"files and a word", site(func(s *Site) { s.TLS = TLS{Mode: TLSInternal, Cert: "c", Key: "k"} }), "sites[0].tls", "exclude each other"},
		{"unknown TLS word", site(func(s *Site) { s.TLS.Mode = "on" }), "sites[0].tls", "auto, internal, off"},
		{"bare port", func(c *Config) { c.Listen = Addresses{"443"} }, "listen[0]", `write ":443"`},
		{"no port", func(c *Config) { c.Listen = Addresses{"127.0.0.1"} }, "listen[0]", `write "127.0.0.1:443"`},
		{"no port in brackets", func(c *Config) { c.HTTPListen = Addresses{"[::1]"} }, "http_listen[0]", `write "[::1]:80"`},
		{"IPv6 without brackets", func(c *Config) { c.Listen = Addresses{"::1:443"} }, "listen[0]", `write "[::1]:443"`},
		{"too many colons", func(c *Config) { c.Listen = Addresses{"a:b:443"} }, "listen[0]", "in brackets"},
		{"port out of range", func(c *Config) { c.Listen = Addresses{":70000"} }, "listen[0]", "1 to 65535"},
		{"service name", func(c *Config) { c.Listen = Addresses{":https"} }, "listen[0]", "1 to 65535"},
		{"off in a list", func(c *Config) { c.Listen = Addresses{":443", "off"} }, "listen[1]", "off stands alone"},
		{"star as the host", func(c *Config) { c.Listen = Addresses{"*:443"} }, "listen[0]", `write ":443"`},
		{"listen twice", func(c *Config) { c.Listen = Addresses{":443", "127.0.0.1:443"} }, "listen[1]", `":443" of listen[0]`},
		{"one address for both", func(c *Config) { c.Listen = Addresses{":80"} }, "http_listen[0]", `":80" of listen[0]`},
		{"TLS, but nowhere", func(c *Config) { c.Listen = Addresses{} }, "listen", `write an address such as ":443"`},
		{"nowhere at all", func(c *Config) { c.Sites[0].TLS.Mode, c.HTTPListen = TLSOff, Addresses{} }, "http_listen", "nobody can reach"},
		{"plain site without plain address", func(c *Config) {
			c.Sites = append(c.Sites, Site{Hosts: []string{"b.example.com"}, TLS: TLS{Mode: TLSOff}, Routes: c.Sites[0].Routes})
			c.HTTPListen = Addresses{}
		}, "sites[1].tls", "nobody can reach"},
		{"no routes", site(func(s *Site) { s.Routes = nil }), "sites[0].routes", "write where requests go"},
		{"negative hsts", site(func(s *Site) { s.HSTS = -time.Hour }), "sites[0].hsts", "negative"},
		{"hsts without TLS", site(func(s *Site) { s.TLS.Mode, s.HSTS = TLSOff, time.Hour }), "sites[0].hsts", "remove"},
		{"upgrade without TLS", site(func(s *Site) { s.TLS.Mode, s.UpgradeInsecure = TLSOff, &on }), "sites[0].upgrade_insecure", "remove"},
		{"insecure websocket without TLS", site(func(s *Site) { s.TLS.Mode, s.InsecureWebSocket = TLSOff, true }), "sites[0].insecure_websocket", "remove"},
		{"no path", route(0, func(r *Route) { r.Path = "" }), "sites[0].routes[0].path", "path: /"},
		{"relative path", route(0, func(r *Route) { r.Path = "websocket" }), "sites[0].routes[0].path", "write /websocket"},
		{"star at the end", route(0, func(r *Route) { r.Path = "/api/*" }), "sites[0].routes[0].path", "write /api/"},
		{"unclean path", route(0, func(r *Route) { r.Path = "/a/../b//c" }), "sites[0].routes[0].path", "write /b/c"},
		{"variable in the middle", route(0, func(r *Route) { r.Path = "/{a}/b" }), "sites[0].routes[0].path", "/push/{channel}"},
		{"encoded slash", route(3, func(r *Route) { r.Path = "/a%2Fb" }), "sites[0].routes[3].path", "encoded_slashes"},
		{"variable for files", route(2, func(r *Route) { r.Path = "/static/{name}" }), "sites[0].routes[2].path", "write /static/"},
		{"app twice", route(2, func(r *Route) { *r = Route{Path: "/", App: "http://127.0.0.1:8081"} }), "sites[0].routes[3]", "sites[0].routes[2] takes the plain requests"},
		{"app behind files", route(2, func(r *Route) { r.Path = "/" }), "sites[0].routes[3]", "plain requests of /"},
		{"tunnel behind push", route(1, func(r *Route) { r.Path = "/websocket" }), "sites[0].routes[1]", "WebSocket handshakes of /websocket"},
		{"leads nowhere", route(3, func(r *Route) { r.App = "" }), "sites[0].routes[3]", "write one of app"},
		{"two ways", route(3, func(r *Route) { r.Files = "/srv" }), "sites[0].routes[3]", "app and files"},
		{"relative folder", route(2, func(r *Route) { r.Files = "static" }), "sites[0].routes[2].files", "/srv/static"},
		{"backend without scheme", app("localhost"), "sites[0].routes[3].app", "write http://localhost:8080"},
		{"backend without scheme, with port", app("10.0.0.7:8000"), "sites[0].routes[3].app", "write http://10.0.0.7:8000"},
		{"backend of another kind", app("ws://10.0.0.7"), "sites[0].routes[3].app", "write http://10.0.0.7"},
		{"backend's port out of range", app("http://10.0.0.7:99999"), "sites[0].routes[3].app", "1 to 65535"},
		{"backend path for a variable", route(1, func(r *Route) { r.Path, r.Tunnel.Backend = "/chat/{room}", "ws://127.0.0.1:9000/x" }), "sites[0].routes[1].tunnel.backend", "write it without"},
		{"circle by http_listen", app("http://localhost:80"), "sites[0].routes[3].app", "circles"},
		{"circle by 0.0.0.0", func(c *Config) { c.Listen = Addresses{"127.0.0.1:8443"}; app("https://0.0.0.0:8443")(c) }, "sites[0].routes[3].app", "circles"},
		{"circle by our own address", func(c *Config) {
			c.Listen = Addresses{"192.0.2.7:9000"}
			c.Sites[0].Routes[1].Tunnel.Backend = "ws://192.0.2.7:9000"
		}, "sites[0].routes[1].tunnel.backend", "circles"},
		{"backend_tls by http", route(3, func(r *Route) { r.BackendTLS.CA = "ca.pem" }), "sites[0].routes[3].backend_tls", "https://"},
		{"CA that does not count", route(3, func(r *Route) {
			r.App, r.BackendTLS = "https://10.0.0.7", BackendTLS{CA: "ca.pem", InsecureSkipVerify: true}
		}), "sites[0].routes[3].backend_tls", "remove insecure_skip_verify"},
		{"host on files", route(2, func(r *Route) { r.Host = "x" }), "sites[0].routes[2].host", "files route"},
		{"buffering on a tunnel", route(1, func(r *Route) { r.RequestBuffering = &on }), "sites[0].routes[1].request_buffering", "tunnel route"},
		{"max_body on push", route(0, func(r *Route) { r.MaxBody = 1 }), "sites[0].routes[0].max_body", "push route"},
		{"encoded slashes on push", route(0, func(r *Route) { r.EncodedSlashes = true }), "sites[0].routes[0].encoded_slashes", "push route"},
		{"idle_timeout on files", route(2, func(r *Route) { r.IdleTimeout = time.Hour }), "sites[0].routes[2].idle_timeout", "files route"},
		{"Host field with a scheme", route(3, func(r *Route) { r.Host = "http://x" }), "sites[0].routes[3].host", "write a name"},
		{"negative size", route(3, func(r *Route) { r.MaxBody = -1 }), "sites[0].routes[3].max_body", "negative"},
		{"negative timeout", route(3, func(r *Route) { r.ResponseTimeout = -1 }), "sites[0].routes[3].response_timeout", "negative"},
		{"negative drain", func(c *Config) { c.DrainTimeout = -1 }, "drain_timeout", "negative"},
		{"unknown access log", func(c *Config) { c.AccessLog.Format = "common" }, "access_log.format", "combined, json or off"},
		{"no range", func(c *Config) { c.TrustedProxies = []netip.Prefix{{}} }, "trusted_proxies[0]", "10.0.0.0/8"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := validConfig()
			tc.change(&c)
			oneMistake(t, c, tc.field, tc.remedy)
		})
	}
}

// oneMistake asserts that c has one mistake, at the field, whose message holds
// the remedy.
func oneMistake(t *testing.T, c Config, field, remedy string) {
	t.Helper()
	var found FieldErrors
	if err := c.Validate(); !errors.As(err, &found) || len(found) != 1 {
		t.Fatalf("want one mistake, at %s; got:\n%v", field, err)
	}
	if found[0].Field != field || !strings.Contains(found[0].Message, remedy) {
		t.Errorf("want %s: ... %s ...\ngot  %v", field, remedy, found[0])
	}
}

func TestValidate_ReportsAllAtOnce(t *testing.T) {
	c := validConfig()
	c.Listen = Addresses{"443"}
	c.Sites[0].Hosts = nil
	c.Sites[0].Routes[3].App = "localhost:8080"
	var found FieldErrors
	if !errors.As(c.Validate(), &found) || len(found) != 3 {
		t.Fatalf("want three mistakes, got:\n%v", found)
	}
	var one FieldError
	if !errors.As(c.Validate(), &one) || one.Field != "listen[0]" {
		t.Errorf("errors.As finds %v first", one)
	}
}

func TestReloadable_ListsEveryChangeThatNeedsARestart(t *testing.T) {
	old := validConfig().withDefaults()
	next := validConfig()
	next.Sites[0].Routes = next.Sites[0].Routes[:1]
	next.DrainTimeout = time.Minute
	next.MaxTunnels, next.MaxTunnelsPerAddress = 10, 2
	next.Listen = Addresses{":443"} // the default, written out
	if err := old.reloadable(next.withDefaults()); err != nil {
		t.Errorf("refused a change of routes and limits: %v", err)
	}
	next.HTTPListen = Addresses{":8080"}
	next.ACME.Email = "ops@example.com"
	err := old.reloadable(next.withDefaults())
	want := "config reload not supported for http_listen: old=[:80], new=[:8080]; restart instead\n" +
		"config reload not supported for acme.email: old=, new=ops@example.com; restart instead"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestReloadable_RefusesTLSAtAnAddressBoundWithout(t *testing.T) {
	old := validConfig()
	old.Sites[0].TLS.Mode, old.Listen = TLSOff, Addresses{":8443"}
	next := validConfig()
	next.Listen = old.Listen
	if err := old.withDefaults().reloadable(next.withDefaults()); err == nil || !strings.Contains(err.Error(), "old=http, new=https") {
		t.Errorf("got %v", err)
	}
}

func FuzzCheckHost(f *testing.F) {
	for _, s := range []string{"app.example.com", "*", "*.example.com", "::1", "[::1]:80", "192.0.2.7", "a.*.b", "x:y", "https://a/b", "bücher.de", "1.2.3", "-a.b", "fe80::1%eth0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if checkHost(host) != nil || strings.HasPrefix(host, "*") {
			return
		}
		if got := hostname(host); got != strings.ToLower(host) {
			t.Errorf("accepted %q, which requests find as %q", host, got)
		}
	})
}

func FuzzCheckAddress(f *testing.F) {
	for _, s := range []string{":443", "443", "127.0.0.1:80", "[::1]:443", "::1", "localhost:0", "off", "*:80", "http://x:80/", "a:b:c", ":https", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if CheckAddress(address, "443") != nil {
			return
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			t.Errorf("accepted %q: %v", address, err)
		}
		if AddressesCollide(address, address) == strings.HasSuffix(address, ":0") {
			t.Errorf("%q and itself", address)
		}
		loops(address, address)
	})
}

// What Validate lets stand beside each other must each be reachable.
func TestRoute_VariableSegmentGoesBeforeThePathAboveIt(t *testing.T) {
	c := validConfig()
	c.Sites[0].Routes = []Route{
		{Path: "/", App: "http://127.0.0.1:8080"},
		{Path: "/{channel}", Handler: http.NotFoundHandler()},
	}
	table, err := newTable(c.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	site := table.site([]byte("app.example.com"))
	if rt := asked(t, site, "/board", "event stream"); rt == nil || rt.Handler == nil {
		t.Errorf("the stream of /board went to %+v", rt)
	}
	if rt := asked(t, site, "/board", "page"); rt == nil || rt.App == "" {
		t.Errorf("the plain request for /board went to %+v", rt)
	}
}

func TestListenAddresses_Defaults(t *testing.T) {
	secure, plain := Site{TLS: TLS{Mode: TLSInternal}}, Site{TLS: TLS{Mode: TLSOff}}
	for _, c := range []struct {
		name           string
		cfg            Config
		listen, httpat string
	}{
		{"with TLS", Config{Sites: []Site{secure, plain}}, "[:443]", "[:80]"},
		{"with TLS elsewhere", Config{Listen: Addresses{":8443"}, Sites: []Site{secure}}, "[:8443]", "[:80]"},
		{"without TLS", Config{Sites: []Site{plain}}, "[]", "[:80]"},
		{"without TLS elsewhere", Config{Listen: Addresses{":8080"}, Sites: []Site{plain}}, "[:8080]", "[]"},
	} {
		listen, httpat := c.cfg.ListenAddresses()
		if fmt.Sprint(listen) != c.listen || fmt.Sprint(httpat) != c.httpat {
			t.Errorf("%s: %v and %v, want %s and %s", c.name, listen, httpat, c.listen, c.httpat)
		}
	}
}
