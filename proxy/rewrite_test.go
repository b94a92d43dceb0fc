package proxy

import (
	"crypto/tls"
	"strings"
	"testing"

	"wsfront/proxy/http1"
)

// mapped is an exchange on a route, asked for by https://app.test.
func mapped(t testing.TB, path, app, host string) *exchange {
	t.Helper()
	b, err := parseBackend(app, "http", "https")
	if err != nil {
		t.Fatal(err)
	}
	rt := &route{Route: Route{Path: path, Host: host}, prefix: path, path: b.path, pool: onlyBackend(b, &tls.Config{})}
	return &exchange{req: &http1.Request{}, id: testID, scheme: "https", host: []byte("app.test"), route: rt, site: nowhere}
}

func TestRewrite_Location(t *testing.T) {
	const app = "http://127.0.0.1:8080"
	for _, c := range []struct{ path, app, host, written, want string }{
		// No prefix mapped: only what names the backend, or http, is touched.
		{"/", app, "", "/login/?next=/a", "/login/?next=/a"},
		{"/", app, "", "next", "next"},
		{"/", app, "", "", ""},
		{"/", app, "", "?page=2", "?page=2"},
		{"/", app, "", "http://127.0.0.1:8080/login/", "https://app.test/login/"},
		{"/", app, "", "HTTP://127.0.0.1:8080", "https://app.test"},
		{"/", app, "", "//127.0.0.1:8080/x", "https://app.test/x"},
		{"/", app, "", "http://app.test/login/?a#b", "https://app.test/login/?a#b"},
		{"/", app, "", "http://APP.test:80/", "https://app.test/"},
		{"/", app, "", "http://app.test:8080/", "https://app.test/"},
		{"/", app, "", "http://app.test:9090/", "http://app.test:9090/"},
		{"/", app, "", "https://App.test/x", "https://App.test/x"},
		{"/", app, "", "https://127.0.0.1:8080/", "https://127.0.0.1:8080/"},
		{"/", app, "", "http://127.0.0.1:8081/", "http://127.0.0.1:8081/"},
		{"/", app, "", "http://127.0.0.1:8080@evil.test/", "http://127.0.0.1:8080@evil.test/"},
		{"/", app, "", "http://127.0.0.1:8080.evil.test/", "http://127.0.0.1:8080.evil.test/"},
		{"/", app, "", "https://login.example/auth?back=http://app.test/", "https://login.example/auth?back=http://app.test/"},
		{"/", app, "", "mailto:a@b", "mailto:a@b"},
		{"/", app, "inner.test", "http://inner.test/x", "https://app.test/x"},
		{"/", "https://inner.test", "", "https://inner.test:443/x", "https://app.test/x"},
		{"/", "unix:/run/app.sock", "", "http://localhost/x", "https://app.test/x"},
		// A prefix mapped.
		{"/shop/", app + "/", "", "/cart?x=/y", "/shop/cart?x=/y"},
		{"/shop/", app + "/", "", "/", "/shop/"},
		{"/shop", app + "/store", "", "/store/cart", "/shop/cart"},
		{"/shop", app + "/store", "", "/store", "/shop"},
		{"/shop", app + "/store", "", "/storey/cart", "/storey/cart"},
		{"/shop", app + "/store", "", "/other", "/other"},
		{"/", app + "/store", "", "/store", "/"},
		{"/", app + "/store/", "", "/store/cart", "/cart"},
		{"/shop", app + "/store", "", "http://127.0.0.1:8080/store/cart#x", "https://app.test/shop/cart#x"},
		{"/shop", app + "/store", "", "http://app.test/store/cart", "https://app.test/shop/cart"},
		{"/shop", app + "/store", "", "https://app.test/store/cart", "https://app.test/shop/cart"},
		{"/shop", app + "/store", "", "cart", "cart"},
		{"/shop", app + "/store", "", "https://other.test/store/cart", "https://other.test/store/cart"},
	} {
		if got := mapped(t, c.path, c.app, c.host).rewriteURL(c.written); got != c.want {
			t.Errorf("%s to %s: %q became %q, want %q", c.path, c.app, c.written, got, c.want)
		}
	}
}

func TestRewrite_WithoutHostLeavesTheBackendsURL(t *testing.T) {
	x := mapped(t, "/", "http://127.0.0.1:8080", "")
	x.host = nil // HTTP/1.0
	if got := x.rewriteURL("http://127.0.0.1:8080/x"); got != "http://127.0.0.1:8080/x" {
		t.Error(got)
	}
}

func TestRewrite_Cookie(t *testing.T) {
	const app = "http://backend.test:8080"
	for _, c := range []struct{ path, app, host, written, want string }{
		{"/", app, "", "a=1", "a=1"},
		{"/", app, "", "a=1; Path=/; HttpOnly;Secure ;  SameSite=Lax", "a=1; Path=/; HttpOnly;Secure ;  SameSite=Lax"},
		{"/", app, "", `a="x; y"; Domain=backend.test; Path=/x`, `a="x; y"; Path=/x`},
		{"/", app, "", "a=1; domain=.Backend.test", "a=1"},
		{"/", app, "", "a=1; Domain=app.test; Path=/", "a=1; Domain=app.test; Path=/"},
		{"/", app, "", "a=1; Domain=other.test", "a=1; Domain=other.test"},
		{"/", app, "inner.test", "a=1; Domain=inner.test; Path=/", "a=1; Path=/"},
		{"/", app, "app.test", "a=1; Domain=app.test", "a=1; Domain=app.test"},
		{"/shop/", app + "/", "", "a=1; Path=/", "a=1; Path=/shop/"},
		{"/shop", app + "/", "", "a=1; Path=/", "a=1; Path=/shop"},
		{"/shop", app + "/", "", "a=1; path = /cart ;Secure", "a=1; path =/shop/cart;Secure"},
		{"/shop", app + "/store", "", "a=1; Path=/store/", "a=1; Path=/shop"},
		{"/shop", app + "/store", "", "a=1; Path=/store/cart; Expires=Thu, 01 Jan 2026 00:00:00 GMT", "a=1; Path=/shop/cart; Expires=Thu, 01 Jan 2026 00:00:00 GMT"},
		{"/shop", app + "/store", "", "a=1; Path=/storey", "a=1; Path=/storey"},
		{"/shop", app + "/store", "", "a=1; Path=", "a=1; Path="},
		{"/shop", app + "/store", "", "Path=/store; Secure", "Path=/store; Secure"},
		{"/shop", app + "/store", "", "", ""},
	} {
		if got := mapped(t, c.path, c.app, c.host).rewriteCookie(c.written); got != c.want {
			t.Errorf("%s to %s: %q became %q, want %q", c.path, c.app, c.written, got, c.want)
		}
	}
}

func TestRewrite_AllFieldsInTheirOrder(t *testing.T) {
	x := mapped(t, "/shop", "http://127.0.0.1:8080/store", "")
	x.answerFields(&http1.Response{Fields: fieldList(
		"Location", "/store/a",
		"Content-Location", "/store/b",
		"Set-Cookie", "a=1; Path=/store/x",
		"refresh", "5; URL=/store/c",
		"Set-Cookie", "b=2",
		"Set-Cookie", "c=3; Path=/store/y",
		"Link", "</store/d>",
	)})
	got := ""
	for _, f := range x.fields {
		got += string(f.Name) + ": " + string(f.Value) + "\n"
	}
	const want = `Location: /shop/a
Content-Location: /shop/b
Set-Cookie: a=1; Path=/shop/x
refresh: 5; URL=/shop/c
Set-Cookie: b=2
Set-Cookie: c=3; Path=/shop/y
Link: </store/d>
`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// A path that the client may ask for comes back as itself when the backend
// names it.
func FuzzBackendPath(f *testing.F) {
	for _, p := range []string{"/shop/", "/shop/cart", "/shop", "/shop/a/b/", "/shop/%2F"} {
		f.Add("/shop/", "/store", p)
		f.Add("/shop", "/", p)
		f.Add("/", "/store/", p)
	}
	f.Fuzz(func(t *testing.T, prefix, app, path string) {
		for _, p := range []string{prefix, app, path} {
			if clean, err := cleanPath(p); err != nil || clean != p {
				return
			}
		}
		rt := &route{prefix: prefix, path: app}
		if !rt.takes([]byte(path), false, false) {
			return
		}
		asked := string(rt.appendBackendPath(nil, []byte(path)))
		if clean, err := cleanPath(asked); err != nil || clean != asked {
			t.Fatalf("%s to %s: %s is asked for as %q", prefix, app, path, asked)
		}
		if back := rt.clientPath(asked); strings.TrimSuffix(back, "/") != strings.TrimSuffix(path, "/") {
			t.Fatalf("%s to %s: %s is asked for as %s, and comes back as %s", prefix, app, path, asked, back)
		}
	})
}

// What is rewritten ends as it ended, and what names another host stays.
func FuzzRewriteLocation(f *testing.F) {
	for _, s := range []string{"/store/a", "http://127.0.0.1:8080/store?x", "//evil.test/store", "https://app.test/store#a", "http://app.test", "mailto:x", "http:///", "/\\evil.test", "http://127.0.0.1:8080\\@evil.test/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, written string) {
		x := mapped(t, "/shop", "http://127.0.0.1:8080/store", "")
		got := x.rewriteURL(written)
		_, after, _ := strings.Cut(written, "//")
		authority, _, _ := strings.Cut(after, "/")
		if strings.Contains(authority, "evil.test") && got != written {
			t.Errorf("%q names another host, and became %q", written, got)
		}
		if i := strings.IndexAny(written, "?#"); i >= 0 && !strings.HasSuffix(got, written[i:]) {
			t.Errorf("%q lost its query: %q", written, got)
		}
		if strings.ContainsAny(got, "\r\n") && !strings.ContainsAny(written, "\r\n") {
			t.Errorf("%q became %q", written, got)
		}
	})
}

// A cookie's name and value, and every attribute but Path and Domain, stay
// byte for byte.
func FuzzRewriteCookie(f *testing.F) {
	for _, s := range []string{"a=1; Path=/store/x; Secure", "a=1;;; path", "a; Domain=127.0.0.1; HttpOnly", "=;=;Path=/store=;", "a=\"1; Path=/store\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, written string) {
		got := mapped(t, "/shop", "http://127.0.0.1:8080/store", "").rewriteCookie(written)
		if rest(got) != rest(written) {
			t.Errorf("%q became %q", written, got)
		}
	})
}

// rest is a cookie line without its Path and Domain attributes.
func rest(line string) string {
	var kept []string
	for i, part := range strings.Split(line, ";") {
		name, _, _ := strings.Cut(part, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if i == 0 || name != "path" && name != "domain" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ";")
}
