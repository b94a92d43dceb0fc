package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"wsfront/proxy/http1"
)

func TestSticky_KeepsAClientWithItsBackend(t *testing.T) {
	a, b := startNamed(t, "a"), startNamed(t, "b")
	f := servePool(t, Pool{Backends: members(a, b), Sticky: "ROUTE"})
	f.get("")
	name, set := f.get("")
	if want := "ROUTE=" + memberKey(b.url) + "; Path=/; HttpOnly; SameSite=Lax"; name != "b" || set != want {
		t.Fatalf("%s set %q, want b and %q", name, set, want)
	}
	cookie := pair(set)
	for range 3 {
		if name, set := f.get("x=1; " + cookie + ";y=2"); name != "b" || set != "" {
			t.Errorf("went to %s, which set %q", name, set)
		}
		for _, path := range []string{"/ws", "/messages", "/by-app"} {
			if _, name, set := f.openNamed(path, cookie); name != "b" || set != "" {
				t.Errorf("%s went to %s, which set %q", path, name, set)
			}
		}
	}
	if _, name, set := f.openNamed("/ws", ""); name != "a" || pair(set) != "ROUTE="+memberKey(a.url) {
		t.Errorf("a handshake without a cookie went to %s, which set %q", name, set)
	}
}

func TestSticky_OverHTTP2(t *testing.T) {
	a, b := startNamed(t, "a"), startNamed(t, "b")
	f := servePool(t, Pool{Backends: members(a, b), Sticky: "ROUTE"})
	srv := f.secure(2)
	get := func(cookie string) (name, set string) {
		r, _ := http.NewRequest("GET", srv.URL, nil)
		r.Header.Set("Cookie", cookie)
		res, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		if res.ProtoMajor != 2 {
			t.Fatal(res.Proto)
		}
		return string(body), res.Header.Get("Set-Cookie")
	}
	name, set := get("x=1")
	if want := "ROUTE=" + memberKey(a.url) + "; Path=/; HttpOnly; SameSite=Lax; Secure"; name != "a" || set != want {
		t.Fatalf("%s set %q, want a and %q", name, set, want)
	}
	for range 3 {
		if name, set := get("x=1; " + pair(set)); name != "a" || set != "" {
			t.Errorf("went to %s, which set %q", name, set)
		}
	}
}

// The backend that the cookie names is down: another one answers, and keeps the
// client from then on.
func TestSticky_MovesAwayFromABackendThatIsDown(t *testing.T) {
	a, b := startNamed(t, "a"), startNamed(t, "b")
	f := servePool(t, Pool{Backends: members(a, b), Sticky: "ROUTE"})
	cookie := "ROUTE=" + memberKey(a.url)
	a.down()
	for range 2 { // found out now, and known
		name, set := f.get(cookie)
		if name != "b" || pair(set) != "ROUTE="+memberKey(b.url) {
			t.Errorf("went to %s, which set %q", name, set)
		}
	}
	if _, name, set := f.openNamed("/ws", cookie); name != "b" || pair(set) != "ROUTE="+memberKey(b.url) {
		t.Errorf("a handshake went to %s, which set %q", name, set)
	}
	a.up()
	f.pool().longAgo()
	if name, set := f.get(cookie); name != "a" || set != "" {
		t.Errorf("went to %s, which set %q", name, set)
	}
}

func TestSticky_CookiesThatNameNobody(t *testing.T) {
	a, b := startNamed(t, "a"), startNamed(t, "b")
	f := servePool(t, Pool{Backends: members(a, b), Sticky: "ROUTE"})
	for _, cookie := range []string{
		"ROUTE=", "ROUTE", "ROUTE=" + strings.Repeat("a", 16), "ROUTE=" + strings.ToUpper(memberKey(a.url)), "route=" + memberKey(a.url),
		"XROUTE=" + memberKey(a.url), "ROUTE=" + memberKey(a.url) + "x", "ROUTE=\"" + memberKey(a.url) + "\"", "ROUTE=.." + a.url,
	} {
		first, set := f.get(cookie)
		second, again := f.get(cookie)
		if first == second || set == "" || again == "" {
			t.Errorf("%q: went to %s and %s, which set %q and %q", cookie, first, second, set, again)
		}
	}
}

// Of several cookies of that name, as of other paths, the first that names a
// backend counts; and a cookie reaches the backend like any other.
func TestSticky_AmongOtherCookies(t *testing.T) {
	p, err := newPool(Pool{Name: "web", Sticky: "R", Backends: []PoolBackend{{URL: "http://10.0.0.1"}, {URL: "http://10.0.0.2"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	one, two := "R="+p.members[0].key, "R="+p.members[1].key
	for _, c := range []struct {
		cookies []string
		want    *member
	}{
		{nil, nil},
		{[]string{"a=1; b=2"}, nil},
		{[]string{"R=old; " + two}, p.members[1]},
		{[]string{"a=1", one + ";" + two}, p.members[0]},
		{[]string{"  " + one + "  "}, p.members[0]},
		{[]string{";;=;" + two + ";"}, p.members[1]},
	} {
		var fields []http1.Field
		for _, value := range c.cookies {
			fields = append(fields, fieldList("Cookie", value)...)
		}
		if got := p.named(append(fields, fieldList("X-Cookie", one)...)); got != c.want {
			t.Errorf("%q names %v, want %v", c.cookies, got, c.want)
		}
	}
	app, requests := answering(t, okAnswer)
	f := servePool(t, Pool{Sticky: "R", Backends: []PoolBackend{{URL: app}}})
	f.ask("GET / HTTP/1.1\nHost: a\nCookie: a=1; R=x")
	if got := field(receive(t, requests), "Cookie"); got != "a=1; R=x" {
		t.Errorf("the backend got %q", got)
	}
}

// A cookie names a backend exactly when its value stands there as that name's.
func FuzzSticky(f *testing.F) {
	p, err := newPool(Pool{Name: "web", Sticky: "ROUTE", Backends: []PoolBackend{{URL: "http://10.0.0.1"}, {URL: "http://10.0.0.2"}}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "ROUTE=" + p.members[1].key, "a=1; ROUTE=" + p.members[0].key + "; b=2", "ROUTE=; ROUTE=" + p.members[1].key, "ROUTE==;;ROUTE", "csrftoken=Zk3v; sessionid=\"0c9z\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := p.named(fieldList("Cookie", text))
		if m != nil && !strings.Contains(text, m.key) {
			t.Errorf("%q names %s", text, m.key)
		}
		// What comes before a true cookie does not hide it, unless it is one itself.
		if got := p.named(fieldList("Cookie", text+"; ROUTE="+p.members[0].key)); got == nil || m != nil && got != m {
			t.Errorf("%q hides a cookie", text)
		}
	})
}
