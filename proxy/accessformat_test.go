package proxy

import (
	"crypto/tls"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wsfront/proxy/http1"
)

func TestAccessFormat_Directives(t *testing.T) {
	x := loggedExchange()
	x.tls, x.peer, x.port, x.host, x.scheme = tls.VersionTLS12, netip.MustParseAddr("192.0.2.9"), 4711, []byte("app.example.com:8443"), "https"
	x.req.Fields = append(x.req.Fields, fieldList("X-Mine", "1", "x-mine", `"2`, "traceparent", exampleParent)...)
	x.noted = [][]byte{[]byte("text/css")}
	f := figures{status: 200, received: 7, sent: 1234, duration: 2*time.Second + 345678*time.Microsecond}
	for format, want := range map[string]string{
		"%a %h %{c}a %{remote}p":                      "2001:db8::7 2001:db8::7 192.0.2.9 4711",
		"%l %u %t":                                    "- ann [22/Nov/2026:09:08:07 -0500]",
		`"%r" %m %U%q %H`:                             `"GET /static/a.js?v=1 HTTP/1.1" GET /static/a.js?v=1 HTTP/1.1`,
		"%>s %<s %s %b %B %O":                         "200 200 200 1234 1234 1234",
		"%D %T %{s}T %{ms}T %{us}T %{in}L":            "2345678 2 2 2345 2345678 7",
		"%v:%p %V":                                    "app.example.com:8443 app.example.com",
		"%{Referer}i %{X-MINE}i %{X-None}i":           `https://app.example.com/ 1, \"2 -`,
		"%{Content-Type}o":                            "text/css",
		"%L %{UNIQUE_ID}e %{request}L":                string(testID[:]) + " " + string(testID[:]) + " " + string(testID[:]),
		"%{trace}L %{route}L %{site}L":                exampleTrace + " app.example.com/static/ app.example.com",
		"%{SSL_PROTOCOL}x":                            "TLSv1.2",
		"100%% %%h":                                   "100% %h",
		`%h\t%l`:                                      "2001:db8::7\t-",
		"%{sec}t %{msec}t %{usec}t %{begin:msec}t":    "1795356487 1795356487065 1795356487065000 1795356487065",
		"%{%Y-%m-%dT%T}t.%{msec_frac}t %{usec_frac}t": "2026-11-22T09:08:07.065 065000",
		"%{%a %A %b %B %e %j %y %H %I %p %M %S %z %R %F %D 2006 %%}t": "Sun Sunday Nov November 22 326 26 09 09 AM 08 07 -0500 09:08 2026-11-22 11/22/26 2006 %",
		`{"client":"%a","status":%>s}`:                                `{"client":"2001:db8::7","status":200}`,
	} {
		form, err := AccessFormat(format).form()
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		if got := string(form.line(nil, x, f)); got != want+"\n" {
			t.Errorf("%s:\ngot  %swant %s", format, got, want)
		}
	}
}

// The directives of Apache's combined form make the same line as its name does.
func TestAccessFormat_CombinedByDirectives(t *testing.T) {
	for _, change := range []func(x *exchange){
		func(*exchange) {},
		func(x *exchange) { x.req.Fields, x.sent, x.client = nil, 0, netip.Addr{} },
		func(x *exchange) {
			setField(x, "User-Agent", "a\"b\\c\td\x01\x7fü")
			setField(x, "Referer", "one", "two")
		},
	} {
		x := loggedExchange()
		change(x)
		want, got := logged(AccessCombined, x), logged(`%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"`, x)
		if got != want {
			t.Errorf("got  %swant %s", got, want)
		}
	}
}

func TestAccessFormat_Empty(t *testing.T) {
	x := &exchange{req: &http1.Request{}, site: nowhere, begin: time.Unix(0, 0)}
	got := logged("%h %{c}a %u %m %U%q %H %v %V %p %{SSL_PROTOCOL}x %{trace}L %{route}L %{Location}o %>s %b %B", x)
	if want := "- - - - - - - - 80 - - - - 499 - 0\n"; got != want {
		t.Errorf("got %swant %s", got, want)
	}
}

func TestAccessFormat_MistakesSayWhatToWrite(t *testing.T) {
	for format, want := range map[string]string{
		"common":                "%q is no form",
		"%":                     "write %% for a %",
		"%h %":                  "write %% for a %",
		"%{Referer":             "has no end; write a }",
		"%{Referer}":            "is no directive",
		"%Z":                    "%Z is unknown; remove it, or write one of %a",
		"%{x}a":                 "%{x}a is unknown",
		"%i":                    "%i is unknown; write a field's name, as in %{Referer}i",
		"%{a b}i":               `"a b" is no field name`,
		"%{a b}o":               `"a b" is no field name`,
		"%{Authorization}i":     "passwords",
		"%{session}C":           "%{Cookie}i",
		"%{PATH}e":              "write %L",
		"%I":                    "%{in}L",
		"%P":                    "%{route}L",
		"%400,501{User-Agent}i": "a condition on the status",
		"%!200{Referer}i":       "a condition on the status",
		"%{min}T":               "write %{ms}T",
		"%{end:sec}t":           "write %t",
		"%{%Q}t":                "%Q, which is unknown; write %Y-%m",
		"%{x%}t":                "ends in a %",
		"%h\n":                  "remove the line's end",
		`%h\n`:                  "remove the line's end",
		"%h\x01":                "control character",
	} {
		if _, err := AccessFormat(format).form(); err == nil || !strings.Contains(err.Error(), strings.Replace(want, "%q", `"`+format+`"`, 1)) {
			t.Errorf("%q: %v, want %s", format, err, want)
		}
	}
}

func TestAccessFormat_AllocatesNothing(t *testing.T) {
	form, err := AccessFormat(`%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %{X-Mine}i %{Location}o %D %{%F %T}t.%{msec_frac}t %L %p %q`).form()
	if err != nil {
		t.Fatal(err)
	}
	x := loggedExchange()
	setField(x, "Authorization")
	line := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { line = form.line(line[:0], x, figures{}) }); n != 0 {
		t.Errorf("%v allocations: %s", n, line)
	}
}

// What an answer says is in its line, although its memory is used again.
func TestAccessFormat_FieldsOfAnswers(t *testing.T) {
	app, _ := answering(t, "HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 2\r\n\r\nok")
	host, ends := rawTunnels(t, "Sec-WebSocket-Protocol: chat\r\n")
	f := serveConfig(t, Config{
		AccessLog: AccessLog{Format: "%U %{Content-Type}o %{X-Two}o %{Sec-WebSocket-Protocol}o %>s"},
		Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{
			{Path: "/", App: app}, {Path: "/gone", Redirect: Redirect{Status: 410}}, {Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host}}}}},
	})
	f.ask("GET /css HTTP/1.1\nHost: app.test")
	f.access.await(t, "/css text/css 1, 2 - 200\n")
	f.ask("GET /gone HTTP/1.1\nHost: app.test")
	f.access.await(t, "/gone text/plain; charset=utf-8 - - 410\n")
	s := f.secure(2)
	if _, err := s.Client().Get(s.URL + "/by2"); err != nil {
		t.Fatal(err)
	}
	f.access.await(t, "/by2 text/css 1, 2 - 200\n")
	client, _ := f.handshake("/websocket", "Sec-WebSocket-Protocol: chat\r\n")
	backend := f.backendOf(ends)
	client.conn.Close()
	backend.conn.Close()
	f.access.await(t, "/websocket - - chat 101\n")
}

func FuzzAccessFormat(f *testing.F) {
	for _, format := range []string{`%h %l %u %t "%r" %>s %b "%{Referer}i" %D %L`, "%{%F %T}t.%{msec_frac}t", "%%%{X}o%q", "%400{a}i", "%{", "%>"} {
		f.Add(format, "Mozilla/5.0 \"\n\x00")
	}
	f.Fuzz(func(t *testing.T, format, agent string) {
		form, err := AccessFormat(format).form()
		if err != nil || form == nil {
			return
		}
		x := loggedExchange()
		x.req.Fields = fieldList("User-Agent", agent)
		line := string(form.line(nil, x, figures{status: 200, sent: 5}))
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") || strings.ContainsRune(line, 0) {
			t.Fatalf("%q makes %q", format, line)
		}
		a := accessLogTo(io.Discard, AccessFormat(format))
		var kept strings.Builder
		a.out = &kept
		a.finish(a.keep(x), figures{status: 200, sent: 5})
		if kept.String() != line {
			t.Fatalf("%q kept is %q, want %q", format, kept.String(), line)
		}
	})
}
