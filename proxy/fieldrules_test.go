package proxy

import (
	"bufio"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"wsfront/proxy/http1"
)

// headersRig has rules at the site, and others at its routes.
func headersRig(t *testing.T) *policyRig {
	t.Helper()
	return servePolicy(t, Config{Sites: []Site{{Headers: Headers{
		Set:    map[string]string{"x-frame-options": "DENY", "X-Of-Site": "site", "Content-Security-Policy": "default-src 'self'"},
		Add:    map[string]string{"Link": "</a.css>", "X-Gone": "site"},
		Remove: []string{"X-Powered-By", "server"},
	}}}}, Route{Headers: Headers{
		Set:    map[string]string{"X-Of-Site": "route", "Cache-Control": "public, max-age=31536000"},
		Add:    map[string]string{"Link": "</b.css>", "Vary": "X-Country"},
		Remove: []string{"X-Gone", "Content-Type"},
	}})
}

func TestHeaders_SiteThenRouteOnAnswersOfEveryKind(t *testing.T) {
	r := headersRig(t)
	r.eachKind(t, "", func(t *testing.T, kind string, res *http.Response) {
		if isTunnel(kind) {
			for _, name := range []string{"X-Frame-Options", "X-Of-Site", "Link", "Cache-Control"} {
				if res.Header.Get(name) != "" {
					t.Errorf("a 101 with %s", name)
				}
			}
			return
		}
		for name, want := range map[string]string{
			"X-Frame-Options": "DENY", "X-Of-Site": "route", "Cache-Control": "public, max-age=31536000", "Link": "</a.css>|</b.css>",
			"X-Powered-By": "", "Server": "", "X-Gone": "", "Content-Type": "",
		} {
			if got := strings.Join(res.Header[name], "|"); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if !slices.Contains(res.Header["Vary"], "X-Country") || res.StatusCode != success(kind) {
			t.Errorf("%s, %v", res.Status, res.Header)
		}
	})
}

// Our own errors have what is said of all answers, but never lie in a cache.
func TestHeaders_OnErrorsOfOurOwn(t *testing.T) {
	r := headersRig(t)
	for way, ask := range r.ways() {
		for path, c := range map[string]struct {
			status int
			of     string
		}{
			"/down/":      {502, "route"},
			"/files/none": {404, "route"},
			"/nowhere":    {404, "site"},
			"/app/%2f":    {400, "route"},
		} {
			res, _ := ask(t, path, "Accept: application/json\n")
			h := res.Header
			if res.StatusCode != c.status || h.Get("X-Frame-Options") != "DENY" || h.Get("X-Of-Site") != c.of || len(h["X-Of-Site"]) != 1 {
				t.Errorf("%s %s: %s, %v", way, path, res.Status, h)
			}
			if !slices.Equal(h["Cache-Control"], []string{"no-store"}) || !strings.HasPrefix(h.Get("Content-Type"), "application/json") {
				t.Errorf("%s %s: Cache-Control %q, Content-Type %q", way, path, h["Cache-Control"], h["Content-Type"])
			}
		}
	}
}

// What a handler has prepared before it gives up is changed as well.
func TestHeaders_OnAnErrorBehindAPreparedAnswer(t *testing.T) {
	f := serveFront(t, Route{Path: "/", Files: writeTree(t, "a.txt", "ok"), Headers: Headers{Set: map[string]string{"Allow": "GET"}}})
	res, _ := f.ask("POST /a.txt HTTP/1.1\nHost: a\nContent-Length: 0")
	if res.StatusCode != 405 || !slices.Equal(res.Header["Allow"], []string{"GET"}) {
		t.Errorf("%s, %v", res.Status, res.Header)
	}
}

func TestHeaders_BesideWhatTheSiteAddsByItself(t *testing.T) {
	on := true
	app, _ := answering(t, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Security-Policy: default-src *\r\nContent-Length: 2\r\n\r\nok")
	f := serveConfig(t, Config{TrustedProxies: loopback(), Sites: []Site{{
		Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, HSTS: 3600e9, UpgradeInsecure: &on,
		Headers: Headers{Set: map[string]string{"Content-Security-Policy": "default-src 'self'"}},
		Routes:  []Route{{Path: "/", App: app}},
	}}})
	res, _ := f.ask("GET / HTTP/1.1\nHost: a\nX-Forwarded-Proto: https")
	if got := strings.Join(res.Header["Content-Security-Policy"], "|"); got != "default-src 'self'|upgrade-insecure-requests" {
		t.Errorf("Content-Security-Policy %q", got)
	}
	if got := res.Header.Get("Strict-Transport-Security"); got != "max-age=3600" {
		t.Errorf("Strict-Transport-Security %q", got)
	}
}

func TestRequestHeaders_BackendGetsWhatTheRouteSays(t *testing.T) {
	r := servePolicy(t, Config{}, Route{RequestHeaders: RequestHeaders{
		Set:    map[string]string{"X-Forwarded-Ssl": "on", "authorization": "Basic c2VydmljZTpwdw==", "X-Tenant": "blue"},
		Remove: []string{"Cookie", "x-debug"},
	}})
	fields := "Cookie: a=b\nX-Debug: 1\nx-tenant: red\nX-Tenant: green\nX-Kept: yes\nAuthorization: Basic YTpi\nX-Forwarded-Ssl: off\n"
	r.eachKind(t, fields, func(t *testing.T, kind string, res *http.Response) {
		var got string
		switch kind {
		case "app", "match":
			got = receive(t, r.requests)
		case "tunnel", "message":
			got = receive(t, r.handshakes)
		default:
			return
		}
		for name, want := range map[string][]string{
			"Cookie": nil, "X-Debug": nil, "X-Tenant": {"blue"}, "X-Forwarded-Ssl": {"on"}, "Authorization": {"Basic c2VydmljZTpwdw=="}, "X-Kept": {"yes"},
		} {
			if values := fieldValues(got, name); !slices.Equal(values, want) {
				t.Errorf("%s: %q, want %q", name, values, want)
			}
		}
	})
}

// What may not stand in the head may not come behind the body.
func TestRequestHeaders_InTheTrailer(t *testing.T) {
	off := false
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/", App: app, RequestBuffering: &off, RequestHeaders: RequestHeaders{Remove: []string{"X-Debug"}}})
	_, answers := f.dial(crlf("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nTrailer: X-Debug, X-Sum") + "1\r\na\r\n0\r\nX-Debug: 1\r\nX-Sum: 2\r\n\r\n")
	if res, _ := readAnswer(t, answers, "POST"); res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	if got := receive(t, requests); strings.Contains(got, "X-Debug: 1") || !strings.Contains(got, "X-Sum: 2") {
		t.Errorf("the backend got %q", got)
	}
}

func TestFieldRules_ChangeAllocatesNothing(t *testing.T) {
	r := newFieldRules(Headers{Set: map[string]string{"X-Frame-Options": "DENY"}, Remove: []string{"Server", "X-Powered-By"}})
	sent := fieldList("Server", "app", "Content-Type", "text/html", "X-Powered-By", "app")
	fields := make([]http1.Field, 0, 8)
	if n := testing.AllocsPerRun(100, func() { fields = r.change(append(fields[:0], sent...), false) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(fields) != 2 || string(fields[1].Value) != "DENY" {
		t.Errorf("%s", fields)
	}
}

// What Validate lets pass is one field in the head, whatever it holds.
func FuzzHeaders(f *testing.F) {
	f.Add("X-Frame-Options", "DENY")
	f.Add("X-A", "a\r\nSet-Cookie: b=c")
	f.Add("X A", "é \xff")
	f.Add("Content-Length", "5")
	f.Add("sec-websocket-Protocol", "chat")
	f.Add("X-A:", " a\t")
	f.Fuzz(func(t *testing.T, name, value string) {
		c := validConfig()
		c.Sites[0].Routes = c.Sites[0].Routes[3:]
		c.Sites[0].Headers.Set = map[string]string{name: value}
		c.Sites[0].Routes[0].RequestHeaders.Set = map[string]string{name: value}
		if c.Validate() != nil {
			return
		}
		put := newFieldRules(c.Sites[0].Headers).puts[0]
		head := "HTTP/1.1 204 No Content\r\n" + string(appendFieldLine(nil, put.Name, put.Value)) + "\r\nrest"
		var answer http1.Response
		n, err := answer.Parse([]byte(head), answerLimits)
		if err != nil || head[n:] != "rest" || len(answer.Fields) != 1 {
			t.Fatalf("%q: %d bytes, %d fields, %v", head, n, len(answer.Fields), err)
		}
		if got := answer.Fields[0]; string(got.Name) != name || string(got.Value) != value || got.Known != put.Known {
			t.Errorf("%q: %q came back as %s: %s", name, value, got.Name, got.Value)
		}
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head)), nil)
		if err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		if _, err := io.ReadAll(res.Body); err != nil || len(res.Header) != 1 {
			t.Errorf("%q is %v, %v", head, res.Header, err)
		}
	})
}
