package doctor

import (
	"bufio"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wsfront/cmd/internal/config"
	"wsfront/proxy/diagnosis"
)

// parse reads a configuration whose addresses are those of servers.
func parse(t *testing.T, text string, addrs ...string) *config.File {
	t.Helper()
	file, err := config.Parse("wsfront.yaml", []byte(strings.NewReplacer(addrs...).Replace(text)))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// free is an address where nobody listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestCompare_EachRouteAndItsBackend(t *testing.T) {
	echo := httpSite(t, http.HandlerFunc(gorillaEcho))
	app := serve(t, nil, fixed(status(200, "hi", "Server: gunicorn")))
	refusing := serve(t, nil, fixed(status(400, djangoHost, "Server: gunicorn")))
	looping := serve(t, nil, func(c net.Conn, r *http.Request, _ *bufio.Reader) {
		write(c, status(301, "", "Location: https://"+r.Host+r.RequestURI))
	})
	secure := serve(t, nil, fixed(status(400, "The plain HTTP request was sent to HTTPS port")))
	at := serve(t, nil, only("/ws", status(404, "no")))
	for name, c := range map[string]struct {
		routes string
		want   diagnosis.Cause
		exit   int
		detail string // of the failing step, or the last
	}{
		"healthy":             {`[{path: /w, push: {channel: board}}, {path: "/c/{channel}", push: {}}, {path: /t, tunnel: "ws://ECHO"}, {path: /, app: "http://APP"}]`, "", 0, "http://APP answers 200"},
		"tunnel down":         {`[{path: /t, tunnel: "ws://FREE"}]`, diagnosis.BackendDown, 4, "connection refused"},
		"app down":            {`[{path: /, app: "http://FREE"}]`, diagnosis.BackendDown, 4, "connection refused"},
		"tunnel to the app":   {`[{path: /t, tunnel: "ws://APP"}]`, diagnosis.AppAnswered, 4, "200 OK"},
		"wss to plain":        {`[{path: /t, tunnel: "wss://ECHO"}]`, diagnosis.BackendScheme, 4, "first record"},
		"ws to TLS":           {`[{path: /t, tunnel: "ws://SECURE"}]`, diagnosis.BackendScheme, 4, "400"},
		"path replaced":       {`[{path: /t, tunnel: "ws://AT/ws"}]`, "", 0, "101"},
		"path kept":           {`[{path: /t, tunnel: "ws://AT"}]`, diagnosis.PathUnknown, 4, "404"},
		"ALLOWED_HOSTS":       {`[{path: /, app: "http://REFUSING"}]`, diagnosis.HostRefused, 4, "400"},
		"a pool":              {`[{path: /t, tunnel: "pool://both"}]`, "", 0, "101"},
		"a pool that is down": {`[{path: /t, tunnel: "pool://down"}]`, diagnosis.BackendDown, 4, "connection refused"},
		"a pattern":           {`[{match: "^/t", tunnel: "ws://FREE"}]`, "", 0, "no path is known that match takes"},
		"https loop":          {`[{path: /, app: "http://LOOPING"}]`, diagnosis.RedirectLoop, 4, "301"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addrs := []string{"ECHO", echo.addr, "APP", app.addr, "FREE", free(t), "REFUSING", refusing.addr, "LOOPING", looping.addr, "SECURE", secure.addr, "AT", at.addr, "LISTEN", free(t), "STATE", t.TempDir()}
			file := parse(t, "{state: STATE, listen: LISTEN, http_listen: off, pools: [{name: both, backends: ['http://FREE', 'http://ECHO']}, {name: down, backends: ['http://FREE']}], sites: [{hosts: ['*.app.test'], tls: internal, routes: "+c.routes+"}]}", addrs...)
			serveFront(t, file)
			r := examine(t, Options{Config: file, ConfigName: "wsfront.yaml"})
			expect(t, r, c.want, c.exit)
			last := r.Steps[len(r.Steps)-1]
			for _, s := range r.Steps {
				if s.Status == Failed {
					last = s
					break
				}
			}
			if want := strings.NewReplacer(addrs...).Replace(c.detail); !strings.Contains(last.Detail, want) {
				t.Errorf("%+v", last)
			}
		})
	}
}

func TestCompare_EachBackendOfAPool(t *testing.T) {
	echo, dead := httpSite(t, http.HandlerFunc(gorillaEcho)), free(t)
	file := parse(t, "{state: STATE, listen: LISTEN, http_listen: off, pools: [{name: web, backends: ['http://DEAD', 'http://ECHO']}], sites: [{hosts: [app.test], tls: internal, routes: [{path: /t, tunnel: 'pool://web'}]}]}",
		"ECHO", echo.addr, "DEAD", dead, "LISTEN", free(t), "STATE", t.TempDir())
	serveFront(t, file)
	r := examine(t, Options{Config: file, ConfigName: "wsfront.yaml"})
	expect(t, r, "", 0)
	for _, want := range []Step{
		{"sites[0].routes[0] pool web", Warning, "http://" + dead + ": "},
		{"sites[0].routes[0] pool web", OK, "http://" + echo.addr + ": 101"},
	} {
		if !slices.ContainsFunc(r.Steps, func(s Step) bool {
			return s.Name == want.Name && s.Status == want.Status && strings.HasPrefix(s.Detail, want.Detail)
		}) {
			t.Errorf("no step %+v in %+v", want, r.Steps)
		}
	}
}

func TestCompare_UnixSocket(t *testing.T) {
	name := filepath.Join(t.TempDir(), "news.sock")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(gorillaEcho)}
	done := make(chan struct{})
	go func() { _ = srv.Serve(l); close(done) }() // ended by Close, awaited by Cleanup
	t.Cleanup(func() { srv.Close(); <-done })
	file := parse(t, "{http_listen: LISTEN, sites: [{hosts: ['*'], tls: off, routes: [{path: /t, tunnel: 'unix:NAME'}]}]}", "NAME", name, "LISTEN", free(t))
	serveFront(t, file)
	expect(t, examine(t, Options{Config: file, ConfigName: "wsfront.yaml"}), "", 0)
	srv.Close()
	expect(t, examine(t, Options{Config: file, ConfigName: "wsfront.yaml"}), diagnosis.BackendDown, 4)
}

func TestCompare_FrontIsDown(t *testing.T) {
	echo := httpSite(t, http.HandlerFunc(gorillaEcho))
	file := parse(t, "{http_listen: LISTEN, sites: [{hosts: [app.test], tls: off, routes: [{path: /t, tunnel: 'ws://ECHO'}]}]}", "ECHO", echo.addr, "LISTEN", free(t))
	r := examine(t, Options{Config: file, ConfigName: "wsfront.yaml"})
	expect(t, r, diagnosis.PortRefused, 2)
	if got := strings.Join(r.Cause.Evidence, "\n"); !strings.Contains(got, "at the backend itself is answered 101") {
		t.Errorf("%s", got)
	}
}

// TestCompare_TellsTheBackendFromTheFront: the URL is answered by another front,
// and the configuration has the backend behind it.
func TestCompare_TellsTheBackendFromTheFront(t *testing.T) {
	front := serve(t, nil, fixed(status(404, "no", "Server: nginx")))
	echo := httpSite(t, http.HandlerFunc(gorillaEcho))
	const text = "{http_listen: off, listen: LISTEN, sites: [{hosts: [app.test], tls: off, routes: [{path: /t, tunnel: 'ws://BACKEND'}, {path: /other, tunnel: 'ws://FREE'}]}]}"
	file := parse(t, text, "BACKEND", echo.addr, "LISTEN", free(t), "FREE", free(t))
	r := examine(t, Options{URL: front.url("ws", "/t"), Config: file})
	expect(t, r, diagnosis.PathUnknown, 4)
	if got := strings.Join(r.Cause.Evidence, "\n"); !strings.Contains(got, "/t asked at the backend itself is answered 101") {
		t.Errorf("%s", got)
	}
	down := parse(t, text, "BACKEND", free(t), "LISTEN", free(t), "FREE", free(t))
	expect(t, examine(t, Options{URL: front.url("ws", "/t"), Config: down}), diagnosis.BackendDown, 4)
}

// TestCompare_AsksAsTheFrontWould: with the Host and the fields that say how the
// client came.
func TestCompare_AsksAsTheFrontWould(t *testing.T) {
	asked := make(chan *http.Request, 1)
	app := serve(t, nil, func(c net.Conn, r *http.Request, _ *bufio.Reader) {
		asked <- r
		write(c, status(200, "hi"))
	})
	file := parse(t, "{listen: LISTEN, http_listen: off, sites: [{hosts: [app.test], tls: internal, routes: [{path: /app, app: 'http://APP/deep'}]}]}", "APP", app.addr, "LISTEN", free(t))
	expect(t, examine(t, Options{Config: file, ConfigName: "wsfront.yaml"}), "", 0)
	r := <-asked
	if r.Host != "app.test" || r.RequestURI != "/deep" || r.Header.Get("X-Forwarded-Proto") != "https" || r.Header.Get("X-Forwarded-Host") != "app.test" || r.Header.Get("X-Forwarded-For") == "" {
		t.Errorf("%s %s %v", r.Host, r.RequestURI, r.Header)
	}
}
