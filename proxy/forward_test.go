package proxy

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestForward_TargetAsItCame(t *testing.T) {
	app, requests := answering(t, okAnswer)
	for _, c := range []struct{ path, app, asked, want string }{
		{"/", "", "/x?a;b=%zz&c=1+2", "/x?a;b=%zz&c=1+2"},
		{"/", "", "/x?", "/x?"},
		{"/", "", "/a/../b//c/./d", "/b/c/d"},
		{"/", "", "/%7Euser/%e4?q=%e4", "/~user/%E4?q=%e4"},
		{"/shop/", "/", "/shop/cart?x=/shop/", "/cart?x=/shop/"},
		{"/shop", "/", "/shop", "/"},
		{"/shop", "/", "/shop/cart", "/cart"},
		{"/shop/", "/store", "/shop/", "/store/"},
		{"/shop", "/store/", "/shop", "/store/"},
		{"/shop", "/store/", "/shop/cart/", "/store/cart/"},
		{"/shop/", "/store/", "/shop//cart", "/store/cart"},
		{"/", "/store", "/cart", "/store/cart"},
	} {
		f := serveFront(t, Route{Path: c.path, App: app + c.app})
		f.ask("GET " + c.asked + " HTTP/1.1\nHost: app.test")
		line, _, _ := strings.Cut(receive(t, requests), "\r\n")
		if want := "GET " + c.want + " HTTP/1.1"; line != want {
			t.Errorf("%s to %s%s as %q, want %q", c.asked, c.path, c.app, line, want)
		}
	}
}

// No client may send a fragment (RFC 9112 §3.2.1): who does is up to something.
func TestForward_FragmentInTheTargetIsRefused(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	res, body := f.ask("GET /x?a#b?c HTTP/1.1\nHost: app.test")
	if res.StatusCode != 400 || !res.Close || !strings.Contains(body, unreadableHint) {
		t.Errorf("%s, closed %v, %q", res.Status, res.Close, body)
	}
	f.log.await(t, "request.failed", "status=400", "reason=")
	f.access.await(t, `"status":400`)
	select {
	case got := <-requests:
		t.Errorf("forwarded as %q", got)
	default:
	}
}

func TestForward_NothingInvented(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	res, _ := f.ask("GET / HTTP/1.1\nHost: app.test:8443\nX-Twice: 1\nX-Twice: 2")
	got := receive(t, requests)
	for name, want := range map[string]string{"Host": "app.test:8443", "User-Agent": "-", "Accept-Encoding": "-", "Content-Length": "-", "Te": "-", "Connection": "-"} {
		if v := field(got, name); v != want {
			t.Errorf("%s: %s, want %s", name, v, want)
		}
	}
	if !strings.Contains(got, "X-Twice: 1\r\nX-Twice: 2\r\n") {
		t.Errorf("two lines of one field did not stay two: %q", got)
	}
	if v, ok := res.Header["Content-Type"]; ok {
		t.Errorf("a Content-Type was guessed: %q", v)
	}
}

func TestForward_HostOption(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app, Host: "inner.test"})
	f.ask("GET / HTTP/1.1\nHost: app.test")
	got := receive(t, requests)
	if field(got, "Host") != "inner.test" || field(got, "X-Forwarded-Host") != "app.test" {
		t.Errorf("%q", got)
	}
}

func TestForward_ClientFields(t *testing.T) {
	app, requests := answering(t, okAnswer)
	for _, c := range []struct {
		name, sent string
		trusted    bool
		want       map[string]string
	}{
		{name: "none sent", want: map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "app.test",
			"Forwarded": `for=127.0.0.1;host="app.test";proto=http`}},
		{name: "forged", sent: "X-Forwarded-For: 6.6.6.6\nX-Forwarded-Proto: https\nX-Forwarded-Host: evil.test\nX-Real-IP: 6.6.6.6\nForwarded: for=6.6.6.6\nX-Forwarded-Ssl: on\nX-Forwarded-Port: 1\nX-Request-ID: mine",
			want: map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "app.test",
				"X-Real-Ip": "127.0.0.1", "Forwarded": `for=127.0.0.1;host="app.test";proto=http`, "X-Forwarded-Ssl": "-", "X-Forwarded-Port": "-"}},
		{name: "underscores", sent: "X_Forwarded_For: 6.6.6.6\nX_Real-IP: 6.6.6.6\nHTTP_HOST: evil", trusted: true,
			want: map[string]string{"X_Forwarded_For": "-", "X_Real-IP": "-", "HTTP_HOST": "-", "X-Forwarded-For": "127.0.0.1"}},
		{name: "httpoxy", sent: "Proxy: http://evil.test", trusted: true, want: map[string]string{"Proxy": "-"}},
		{name: "stripped by Connection", sent: "Connection: close, X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, Forwarded, X-Request-ID, X-Mine\nX-Mine: 1",
			want: map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Mine": "-", "Connection": "-",
				"Forwarded": `for=127.0.0.1;host="app.test";proto=http`}},
		{name: "by a trusted proxy", sent: "X-Forwarded-For: 6.6.6.6, 2001:db8::7, 127.0.0.9\nX-Forwarded-Proto: https\nX-Forwarded-Host: www.test\nX-Forwarded-Port: 443", trusted: true,
			want: map[string]string{"X-Forwarded-For": "2001:db8::7, 127.0.0.9, 127.0.0.1", "X-Real-Ip": "2001:db8::7", "X-Forwarded-Proto": "https",
				"X-Forwarded-Host": "www.test", "Host": "www.test", "X-Forwarded-Port": "443",
				"Forwarded": `for="[2001:db8::7]";host="www.test";proto=https, for=127.0.0.9, for=127.0.0.1`}},
		{name: "hop by hop", sent: "Keep-Alive: 5\nProxy-Connection: keep-alive\nProxy-Authorization: x\nTE: gzip\nTrailer: X\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: x",
			want: map[string]string{"Keep-Alive": "-", "Proxy-Connection": "-", "Proxy-Authorization": "-", "TE": "-", "Trailer": "-", "Upgrade": "-", "HTTP2-Settings": "-", "Connection": "-"}},
		{name: "TE trailers", sent: "TE: deflate, trailers\nConnection: TE", want: map[string]string{"TE": "trailers", "Connection": "TE"}},
		{name: "end to end", sent: "User-Agent: curl\nAccept-Encoding: br\nCookie: a=1; b=2\nRange: bytes=1-\nAuthorization: Basic x\nIdempotency-Key: 7",
			want: map[string]string{"User-Agent": "curl", "Accept-Encoding": "br", "Cookie": "a=1; b=2", "Range": "bytes=1-", "Authorization": "Basic x", "Idempotency-Key": "7"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Config{Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", App: app}}}}}
			if c.trusted {
				cfg.TrustedProxies = loopback()
			}
			f := serveConfig(t, cfg)
			f.ask(strings.TrimSpace("GET / HTTP/1.1\nHost: app.test\n" + c.sent))
			got := receive(t, requests)
			for name, want := range c.want {
				if v := field(got, name); v != want {
					t.Errorf("%s: %s, want %s", name, v, want)
				}
			}
			if id := field(got, "X-Request-ID"); len(id) != 16 {
				t.Errorf("X-Request-ID: %s", id)
			}
		})
	}
}

func TestForward_ClientAbortCancelsBackend(t *testing.T) {
	started, ended := make(chan struct{}), make(chan struct{})
	addr := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := readRequest(r); err != nil {
			return
		}
		close(started)
		_, _ = r.ReadByte() // until the front closes
		close(ended)
	})
	f := serveFront(t, Route{Path: "/", App: "http://" + addr})
	conn, _ := f.dial(crlf("GET / HTTP/1.1\nHost: a"))
	receive(t, started)
	conn.Close()
	receive(t, ended)
	f.access.await(t, "499")
	if strings.Contains(f.log.String(), "request.failed") {
		t.Errorf("a client that went away was logged as a failure: %s", f.log)
	}
}

func TestForward_QueryWithSpaceOverHTTP2(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	srv := f.secure(2)
	req, _ := http.NewRequest("GET", srv.URL, nil)
	req.URL.RawQuery = "a HTTP/1.1"
	res, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 400 {
		t.Error(res.Status)
	}
	select {
	case got := <-requests:
		t.Errorf("forwarded as %q", got)
	default:
	}
}

// In HTTP/2 method, target and host are fields like others.
func TestForward_RequestThatHTTP1CannotSay(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app})
	c := dialHTTP2(t, f)
	for name, want := range map[string]struct{ status, fields string }{
		"space in the target": {"400", ":path=/a b"},
		"fragment":            {"400", ":path=/#a"},
		"host":                {"400", ":authority=a b"},
		"another host":        {"400", "host=b.test"},
		"more hosts":          {"400", "host=a.test;host=a.test"},
		"no host":             {"400", ":authority="},
		"long target":         {"414", ":path=/" + strings.Repeat("a", 9000)},
		"CONNECT":             {"501", ":method=CONNECT;-:path=;-:scheme="},
		"long head":           {"431", "a=" + strings.Repeat("a", 40000)},
		"many fields":         {"431", strings.Repeat("a=b;", 101) + "a=b"},
		"expectation":         {"417", "expect=tea"},
	} {
		if got := c.ask(want.fields, true); got.status != want.status {
			t.Errorf("%s: %s", name, got.status)
		}
	}
	select {
	case got := <-requests:
		t.Errorf("forwarded as %q", got)
	default:
	}
	if got := c.ask("host=A.test", true); got.status != "200" { // RFC 9113 §8.3.1 allows it if it is the same
		t.Errorf("the same host twice: %s", got.status)
	}
}

// Nobody waits for a body that is long and of no use, or that may never come, so
// the client must not send another request behind it.
func TestForward_AnswerBeforeTheBodySaysThatTheConnectionEnds(t *testing.T) {
	app, _ := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/app/", App: app})
	for body, closes := range map[string]bool{"Content-Length: 300000\r\n\r\n": true, "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n": true,
		"Content-Length: 4\r\n\r\nbody": false, "Transfer-Encoding: chunked\r\n\r\n2\r\nxx\r\n0\r\n\r\n": false} {
		conn, r := f.dial("POST /none HTTP/1.1\r\nHost: a\r\n" + body)
		if res, _ := readAnswer(t, r, "POST"); res.StatusCode != 404 || res.Close != closes {
			t.Errorf("%q: %s, closes %v", body, res.Status, res.Close)
		}
		if !closes {
			sendOn(t, conn, crlf("GET /app/ HTTP/1.1\nHost: a"))
			if res, _ := readAnswer(t, r, "GET"); res.StatusCode != 200 {
				t.Errorf("%q: %s for the next", body, res.Status)
			}
		}
	}
}
