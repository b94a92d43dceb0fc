package proxy

import (
	"net/http"
	"strings"
	"testing"
	"unsafe"

	"wsfront/proxy/http1"
)

const (
	exampleTrace  = "0af7651916cd43dd8448eb211c80319c"
	exampleParent = "00-" + exampleTrace + "-b7ad6b7169203331-01"
)

func TestRequestID_OfATrustedProxyIsKept(t *testing.T) {
	app, requests := answering(t, okAnswer)
	for _, c := range []struct {
		name, sent string
		trusted    bool
		want       string // "" for one of ours
	}{
		{"of anybody", "X-Request-ID: mine", false, ""},
		{"none", "X: y", true, ""},
		{"trusted", "X-Request-ID: 7d4a/abc-DEF_1", true, "7d4a/abc-DEF_1"},
		{"longest", "X-Request-ID: " + strings.Repeat("a", 64), true, strings.Repeat("a", 64)},
		{"too long", "X-Request-ID: " + strings.Repeat("a", 65), true, ""},
		{"empty", "X-Request-ID:", true, ""},
		{"space", "X-Request-ID: a b", true, ""},
		{"not ASCII", "X-Request-ID: \xc3\xbc", true, ""},
		{"twice", "X-Request-ID: a\nX-Request-ID: b", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Config{Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", App: app}, {Path: "/none", Redirect: Redirect{Status: 410}}}}}}
			if c.trusted {
				cfg.TrustedProxies = loopback()
			}
			f := serveConfig(t, cfg)
			f.ask("GET / HTTP/1.1\nHost: app.test\n" + c.sent)
			got := field(receive(t, requests), "X-Request-ID")
			if c.want == "" && len(got) != 16 || c.want != "" && got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if c.want == "" {
				f.access.await(t, `"id":"`+got+`","`)
			} else {
				f.access.await(t, `"request_id":"`+c.want+`"`)
			}
		})
	}
}

func TestRequestID_IsInEveryLineAndAnswerOfAFailure(t *testing.T) {
	f := serveConfig(t, Config{TrustedProxies: loopback(), Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff},
		Routes: []Route{{Path: "/app", App: "http://" + refusingAddr(t)}}}}})
	res, body := f.ask("GET /app HTTP/1.1\nHost: a\nX-Request-ID: outer\ntraceparent: " + exampleParent)
	if res.Header.Get("X-Request-Id") != "outer" || !strings.Contains(body, "outer") {
		t.Errorf("%v %s", res.Header, body)
	}
	f.log.await(t, "request.failed", "request_id=outer", "trace="+exampleTrace)
	f.ask(strings.Replace(handshakeText, "/websocket?room=1", "/other", 1) + "\nX-Request-ID: inner\ntraceparent: " + exampleParent)
	f.log.await(t, "handshake.failed", "request_id=inner", "trace="+exampleTrace, "cause=")
	f.access.await(t, `"request_id":"inner","trace":"`+exampleTrace+`"`)
}

func TestTraceparent_PassesOrBegins(t *testing.T) {
	app, requests := answering(t, okAnswer)
	const state = "\ntracestate: a=1"
	for _, c := range []struct {
		name, sent string
		want       string // "" for a new one
		state      string
	}{
		{"none", "X: y", "", "-"},
		{"state alone", "X: y" + state, "", "-"},
		{"valid", "Traceparent: " + exampleParent + state, exampleParent, "a=1"},
		{"of a version to come", "traceparent: 01" + exampleParent[2:] + "-what", "01" + exampleParent[2:] + "-what", "-"},
		{"invalid", "traceparent: " + strings.ToUpper(exampleParent) + state, "", "-"},
		{"twice", "traceparent: " + exampleParent + "\ntraceparent: " + exampleParent, "", "-"},
		{"ended by Connection", "Connection: close, Traceparent\ntraceparent: " + exampleParent, "", "-"},
	} {
		for _, pass := range []bool{false, true} {
			cfg := Config{Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", App: app}}}}}
			if pass {
				cfg.Traceparent = TraceparentPass
			}
			f := serveConfig(t, cfg)
			f.ask("GET / HTTP/1.1\nHost: app.test\n" + c.sent)
			head := receive(t, requests)
			got := field(head, "traceparent")
			switch {
			case c.want != "":
				if got != c.want {
					t.Errorf("%s: %s, want %s", c.name, got, c.want)
				}
			case pass:
				if got != "-" {
					t.Errorf("%s: %s although it is only to be passed", c.name, got)
				}
			case !validTraceparent([]byte(got)) || !strings.HasPrefix(got, "00-") || !strings.HasSuffix(got, "-00") || strings.Contains(got, exampleTrace):
				t.Errorf("%s: %s is no new one", c.name, got)
			}
			if s := field(head, "tracestate"); s != c.state {
				t.Errorf("%s: tracestate: %s, want %s", c.name, s, c.state)
			}
			if got != "-" {
				f.access.await(t, `"trace":"`+got[3:35]+`"`)
			}
		}
	}
}

// Each rule of §3.2.2 and §3.2.4 of W3C Trace Context.
func TestTraceparent_Validity(t *testing.T) {
	for v, want := range map[string]bool{
		exampleParent: true, "cc" + exampleParent[2:]: true, "cc" + exampleParent[2:] + "-": true,
		exampleParent[:54]: false, exampleParent + "-": false, "cc" + exampleParent[2:] + "x": false, "ff" + exampleParent[2:]: false, "0g" + exampleParent[2:]: false,
		"00-" + strings.Repeat("0", 32) + exampleParent[35:]: false,
		exampleParent[:36] + strings.Repeat("0", 16) + "-01": false,
		strings.Replace(exampleParent, "-b7", "_b7", 1):      false,
		strings.Replace(exampleParent, "0af7", "0AF7", 1):    false,
		strings.Replace(exampleParent, "-b7", "-B7", 1):      false,
		exampleParent[:53] + "0x":                            false,
		strings.Replace(exampleParent, "00-", "00_", 1):      false,
		strings.Replace(exampleParent, "-01", "_01", 1):      false,
		"": false,
	} {
		if got := validTraceparent([]byte(v)); got != want {
			t.Errorf("%q: %v", v, got)
		}
	}
}

func TestTraceparent_ARuleOfTheRouteHasTheLastWord(t *testing.T) {
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/none", App: app, RequestHeaders: RequestHeaders{Remove: []string{"Traceparent"}}},
		Route{Path: "/set", App: app, RequestHeaders: RequestHeaders{Set: map[string]string{"traceparent": exampleParent}}})
	for path, want := range map[string]string{"/none": "-", "/set": exampleParent} {
		f.ask("GET " + path + " HTTP/1.1\nHost: app.test")
		if got := field(receive(t, requests), "traceparent"); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// A handler is told what a backend would be, and so is the backend of a tunnel.
func TestRequestID_AndTraceReachHandlersAndTunnels(t *testing.T) {
	seen := make(chan http.Header, 1)
	app, requests := answering(t, okAnswer)
	f := serveFront(t, Route{Path: "/push", Whole: true, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })},
		Route{Path: "/websocket", Tunnel: Tunnel{Backend: strings.Replace(app, "http", "ws", 1)}})
	f.ask("GET /push HTTP/1.1\nHost: app.test\nX-Request-ID: mine\ntraceparent: no\ntracestate: a=1")
	h := receive(t, seen)
	if len(h.Values("X-Request-Id")) != 1 || len(h.Get("X-Request-Id")) != 16 || !validTraceparent([]byte(h.Get("Traceparent"))) || h.Get("Tracestate") != "" {
		t.Errorf("%v", h)
	}
	f.access.await(t, `"id":"`+h.Get("X-Request-Id")+`"`, `"trace":"`+h.Get("Traceparent")[3:35])
	f.ask("GET /push HTTP/1.1\nHost: app.test\ntraceparent: " + exampleParent + "\ntracestate: a=1")
	if h := receive(t, seen); h.Get("Traceparent") != exampleParent || h.Get("Tracestate") != "a=1" {
		t.Errorf("%v", h)
	}
	f.ask(handshakeText)
	head := receive(t, requests)
	if id, trace := field(head, "X-Request-ID"), field(head, "traceparent"); !validTraceparent([]byte(trace)) {
		t.Errorf("the tunnel's backend is told %s %s", id, trace)
	} else {
		f.log.await(t, "handshake.failed", "id="+id, "trace="+trace[3:35])
	}
}

// What outlasts its request has its names too, and what ends by a fault.
func TestRequestID_AndTraceAreInTheLinesOfTunnelsAndPanics(t *testing.T) {
	host, ends := rawTunnels(t, "")
	for _, mode := range []TunnelMode{"", TunnelMessage} {
		f := serveConfig(t, Config{TrustedProxies: loopback(), Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{
			{Path: "/websocket", Tunnel: Tunnel{Backend: "ws://" + host, Mode: mode}},
			{Path: "/panic", Whole: true, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })},
		}}}})
		names := []string{"request_id=outer", "trace=" + exampleTrace}
		client, _ := f.handshake("/websocket", "\nX-Request-ID: outer\ntraceparent: "+exampleParent)
		backend := f.backendOf(ends)
		f.log.await(t, append(names, "msg=tunnel.open")...)
		client.conn.Close()
		backend.conn.Close()
		f.log.await(t, append(names, "msg=tunnel.close")...)
		client, _ = f.handshake("/websocket", "") // of nobody's, in a trace that begins here
		backend = f.backendOf(ends)
		client.conn.Close()
		backend.conn.Close()
		until(t, "it is over", func() bool { return strings.Count(f.log.String(), "msg=tunnel.close") == 2 })
		lines := strings.Split(f.log.String(), "msg=tunnel.close")
		if last := lines[2]; strings.Contains(last, "request_id=") || !strings.Contains(last, " trace=") || strings.Contains(last, exampleTrace) {
			t.Error(last)
		}
		_, _ = f.dial(crlf("GET /panic HTTP/1.1\nHost: a\nX-Request-ID: outer\ntraceparent: " + exampleParent))
		f.log.await(t, append(names, "msg=request.panic")...)
	}
}

// A tunnel is there for days, and there are many: what is kept of each has grown
// by nothing that is not told of.
func TestTunnelEntry_Size(t *testing.T) {
	if n := unsafe.Sizeof(tunnelEntry{}); n > 192 { // the next size of the allocator is 208
		t.Errorf("%d bytes", n)
	}
}

func FuzzTraceparent(f *testing.F) {
	for _, v := range []string{exampleParent, "01" + exampleParent[2:] + "-x", "", "00--", strings.ToUpper(exampleParent)} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		x := &exchange{req: &http1.Request{Fields: []http1.Field{{Known: http1.Traceparent, Value: []byte(v)}}}, route: &route{traces: true}}
		valid := validTraceparent([]byte(v))
		begun := x.beginTrace(x.clientTrace() != nil)
		if valid != (begun == nil) || begun != nil && !validTraceparent(begun) {
			t.Fatalf("%q: valid %v, begun %q", v, valid, begun)
		}
		if id := x.traceID(); len(id) != 32 || valid && string(id) != v[3:35] {
			t.Fatalf("%q: %q", v, id)
		}
	})
}
