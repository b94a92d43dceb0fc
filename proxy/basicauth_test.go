package proxy

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBasicAuth_AsksEverywhereAndNothingIsReached(t *testing.T) {
	file := passwordsFile(t, annLine, eveLine)
	r := servePolicy(t, Config{}, Route{BasicAuth: &BasicAuth{File: file, Realm: `Staff "A" \ B`}})
	for name, fields := range map[string]string{
		"nothing":           "",
		"wrong password":    "Authorization: " + basicAuth("ann", "open") + "\n",
		"other's password":  "Authorization: " + basicAuth("eve", annPassword) + "\n",
		"unknown user":      "Authorization: " + basicAuth("nobody", annPassword) + "\n",
		"long password":     "Authorization: " + basicAuth("ann", strings.Repeat("a", 4000)) + "\n",
		"no base 64":        "Authorization: Basic YW5\n",
		"no colon":          "Authorization: Basic YW5u\n",
		"other scheme":      "Authorization: Bearer " + basicAuth("ann", annPassword)[6:] + "\n",
		"twice":             strings.Repeat("Authorization: "+basicAuth("ann", annPassword)+"\n", 2),
		"user of our own":   "X-Remote-User: ann\n",
		"password of Proxy": "Proxy-Authorization: " + basicAuth("ann", annPassword) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			r.eachKind(t, fields, func(t *testing.T, kind string, res *http.Response) {
				if got := res.Header.Get("WWW-Authenticate"); res.StatusCode != 401 || got != `Basic realm="Staff \"A\" \\ B", charset="UTF-8"` {
					t.Errorf("%s, WWW-Authenticate: %s", res.Status, got)
				}
				if isTunnel(kind) && !res.Close {
					t.Error("the connection is kept, though frames may follow")
				}
			})
		})
	}
	if r.reached() {
		t.Error("something was asked all the same")
	}
	r.log.await(t, "handshake.failed", "status=401", "came without the user and password", "cause=login-required")
	r.log.await(t, "request.failed", "status=401", `\"nobody\" and the password that came are not in `+file)
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, "request.failed") && !strings.Contains(line, "are not in") {
			t.Errorf("a browser's first request is logged as a failure: %s", line)
		}
	}
}

func TestBasicAuth_BackendGetsTheNameAndNoPassword(t *testing.T) {
	r := servePolicy(t, Config{TrustedProxies: loopback()}, Route{BasicAuth: &BasicAuth{File: passwordsFile(t, annLine)}})
	fields := "Authorization: " + basicAuth("ann", annPassword) + "\nX-Remote-User: root\nx-remote-USER: root\nX_Remote_User: root\n"
	r.eachKind(t, fields, func(t *testing.T, kind string, res *http.Response) {
		if res.StatusCode != success(kind) {
			t.Fatalf("%s\n%s", res.Status, r.log)
		}
		var got string
		switch kind {
		case "app", "match":
			got = receive(t, r.requests)
		case "tunnel", "message":
			got = receive(t, r.handshakes)
		case "push":
			h := r.seen.Load().Header
			if h.Get("Authorization") != "" || !slices.Equal(h["X-Remote-User"], []string{"ann"}) {
				t.Errorf("the handler got %v", h)
			}
			return
		default:
			return
		}
		if users := fieldValues(got, "X-Remote-User"); !slices.Equal(users, []string{"ann"}) || field(got, "Authorization") != "-" || strings.Contains(got, "root") {
			t.Errorf("the backend got %q", got)
		}
	})
	r.access.await(t, `"user":"ann"`, `"status":200`)
}

// An app that believes X-Remote-User believes it on every route that leads to it.
func TestBasicAuth_NobodyCanNameHimself(t *testing.T) {
	for trusted, want := range map[bool]string{false: "-", true: "root"} {
		cfg := Config{}
		if trusted {
			cfg.TrustedProxies = loopback()
		}
		r := servePolicy(t, cfg, Route{})
		for way, ask := range r.ways() {
			ask(t, "/open/", "X-Remote-User: root\nAuthorization: Basic YTpi\n")
			if got := receive(t, r.requests); field(got, "X-Remote-User") != want || field(got, "Authorization") != "Basic YTpi" {
				t.Errorf("%s, trusted %v: the backend got %q", way, trusted, got)
			}
			ask(t, "/push", "Accept: text/event-stream\nX-Remote-User: root\n")
			if got := r.seen.Load().Header.Get("X-Remote-User"); got != strings.Trim(want, "-") {
				t.Errorf("%s, trusted %v: the handler got %q", way, trusted, got)
			}
		}
	}
}

func TestBasicAuth_ChangedFileCountsWithoutRestart(t *testing.T) {
	file := passwordsFile(t, annLine)
	dir := writeTree(t, "a.txt", "ok")
	f := newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{
		{Path: "/", Files: dir, BasicAuth: &BasicAuth{File: file}},
	}}}, Listen: Addresses{}})
	f.filePoll = 10 * time.Millisecond
	f.serve()
	status := func(name, password string) int {
		req, _ := http.NewRequest("GET", "http://"+f.plain+"/a.txt", nil)
		req.SetBasicAuth(name, password)
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	want := func(ann, bob int) {
		t.Helper()
		if a, b := status("ann", annPassword), status("bob", "other"); a != ann || b != bob {
			t.Errorf("ann %d, bob %d; want %d, %d", a, b, ann, bob)
		}
	}
	want(200, 401)
	writePasswords(t, file, bobLine, eveLine) // ann was remembered until now
	f.events.wait(t, eventPasswordsReload, "file="+file, "users=2")
	want(401, 200)
	writePasswords(t, file, annLine, "bob:other")
	f.events.wait(t, eventPasswordsReloadFailed, "ERROR", file+":2: the password of bob is in plain text", "go on to count")
	want(401, 200)
	if err := f.Reload(f.cfg); err == nil || !strings.HasPrefix(err.Error(), "sites[0].routes[0].basic_auth.file: "+file+":2: ") {
		t.Errorf("reload with a broken file: %v", err)
	}
	writePasswords(t, file, annLine)
	f.events.wait(t, eventPasswordsReload, "users=1")
	want(200, 401)
	if n := f.events.count(eventPasswordsReloadFailed); n != 1 {
		t.Errorf("the broken file was reported %d times, want once", n)
	}
}

func TestBasicAuth_FileThatCannotServeIsRefusedAtTheStart(t *testing.T) {
	none := t.TempDir() + "/none"
	cfg := validConfig()
	cfg.State = t.TempDir()
	cfg.Sites[0].TLS = TLS{Mode: TLSOff}
	cfg.Sites[0].Routes = cfg.Sites[0].Routes[3:]
	cfg.Sites[0].Routes[0].BasicAuth = &BasicAuth{File: none}
	_, err := New(cfg, nil, nil)
	if want := "sites[0].routes[0].basic_auth.file: the password file " + none + " does not exist"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if err := os.WriteFile(none, make([]byte, maxPasswordFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(cfg, nil, nil); err == nil || !strings.Contains(err.Error(), "longer than any password file") {
		t.Error(err)
	}
}

// While as many passwords are checked as may be, those who were let in before go
// on, and others are told to come back, at the latest when the server stops.
func TestBasicAuth_GuessesDoNotKeepOutWhoIsKnown(t *testing.T) {
	r := servePolicy(t, Config{}, Route{BasicAuth: &BasicAuth{File: passwordsFile(t, annLine, bobLine)}})
	ask := r.ways()["HTTP/1.1"]
	ann := "Authorization: " + basicAuth("ann", annPassword) + "\n"
	ask(t, "/files/a.txt", ann)
	for range cap(r.passwordChecks) {
		r.passwordChecks <- struct{}{}
	}
	if res, _ := ask(t, "/files/a.txt", ann); res.StatusCode != 200 {
		t.Errorf("who was let in before: %s", res.Status)
	}
	r.Server.stop() // begins a shutdown, which nobody waits through
	if res, _ := ask(t, "/files/a.txt", "Authorization: "+basicAuth("bob", "other")+"\n"); res.StatusCode != 503 || res.Header.Get("Retry-After") != retryPassword {
		t.Errorf("who is not known yet: %s, Retry-After: %s", res.Status, res.Header.Get("Retry-After"))
	}
	r.log.await(t, "request.failed", "status=503", "more passwords come than can be checked")
}

func TestPasswords_RemembersAFewAndNoPassword(t *testing.T) {
	f, err := loadPasswordFile(passwordsFile(t, annLine))
	if err != nil {
		t.Fatal(err)
	}
	slots := make(chan struct{}, 1)
	for _, password := range []string{annPassword, "wrong"} {
		if _, err := f.check(slots, nil, []byte("ann"), []byte(password)); err != nil {
			t.Fatal(err)
		}
	}
	p := f.current.Load()
	if len(p.verified) != 1 {
		t.Errorf("%d credentials are remembered, want those that were right", len(p.verified))
	}
	if p.hash([]byte("a"), []byte("bc")) == p.hash([]byte("ab"), []byte("c")) {
		t.Error("other credentials have the same hash")
	}
	for i := range 2 * maxVerified {
		p.remember(p.hash([]byte("ann"), fmt.Append(nil, i)), "ann")
	}
	if len(p.verified) != maxVerified {
		t.Errorf("%d are remembered", len(p.verified))
	}
}

func BenchmarkBasicAuth(b *testing.B) {
	f, err := loadPasswordFile(passwordsFile(b, annLine))
	if err != nil {
		b.Fatal(err)
	}
	slots := make(chan struct{}, 1)
	name, password := []byte("ann"), []byte(annPassword)
	b.ReportAllocs()
	for b.Loop() {
		if user, _ := f.check(slots, nil, name, password); user != "ann" {
			b.Fatal("refused")
		}
	}
}
