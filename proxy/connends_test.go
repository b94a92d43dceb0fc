package proxy

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// wantNobody wants that all places have been given back.
func (f *front) wantNobody(after string) {
	f.t.Helper()
	until(f.t, "all is as if nobody had come, after "+after, func() bool {
		f.conns.mu.Lock()
		defer f.conns.mu.Unlock()
		f.tunnels.mu.Lock()
		defer f.tunnels.mu.Unlock()
		return f.conns.count == 0 && len(f.conns.from) == 0 && f.conns.active == connList{} && f.conns.parked == connList{} &&
			f.conns.newcomers.count.Load() == 0 && f.handshakes.open.Load() == 0 &&
			f.tunnels.all == 0 && len(f.tunnels.routes) == 0 && len(f.tunnels.from) == 0
	})
}

// endingHandler ends requests in ways of its own.
func endingHandler(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/handler/panic":
		panic("boom")
	case "/handler/taken", "/handler/taken-panic":
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil { // not over HTTP/2
			conn.Close()
		}
		if r.URL.Path == "/handler/taken-panic" {
			panic("boom")
		}
	case "/handler/stream":
		_, _ = io.WriteString(w, "event")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// crampedFront has room for one connection and one tunnel at a time, so that a
// place that is not given back is missed at once.
func crampedFront(t *testing.T, tunnels string) *front {
	app, _ := answering(t, okAnswer)
	routes := []Route{{Path: "/", App: app}, {Path: "/gone", App: "http://127.0.0.1:1"}, {Path: "/handler", Whole: true, Handler: http.HandlerFunc(endingHandler)},
		{Path: "/ws", Tunnel: Tunnel{Backend: "ws://" + tunnels}}, {Path: "/message", Tunnel: Tunnel{Backend: "ws://" + tunnels, Mode: TunnelMessage}},
		{Path: "/refused", Tunnel: Tunnel{Backend: strings.Replace(app, "http", "ws", 1)}}}
	f := newFront(t, Config{Limits: Limits{MaxConnections: 1, MaxConnectionsPerAddress: 1, MaxHandshakes: 1, MaxHandshakesPerSecond: 1000},
		MaxTunnels: 1, MaxTunnelsPerAddress: 1, Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: routes}}})
	f.addressGroup = singleAddress
	f.run()
	return f
}

// finished sends a text, says that no more will come, and reads to the end.
func finished(t *testing.T, conn net.Conn, text string) {
	_, r := sendOn(t, conn, text)
	_ = conn.(interface{ CloseWrite() error }).CloseWrite() // the front may be gone by now
	_, _ = io.Copy(io.Discard, r)
	conn.Close()
}

// The ways in which clients come and go.

func (f *front) dialFinished(listener int, text string) func() {
	return func() {
		conn, err := net.Dial("tcp", f.listeners[listener].Addr().String())
		if err != nil {
			f.t.Fatal(err)
		}
		finished(f.t, conn, text)
	}
}

func (f *front) dialFinishedTLS(version uint16, protocol, text string) func() {
	return func() {
		config := &tls.Config{InsecureSkipVerify: true, MaxVersion: version}
		if protocol != "" {
			config.NextProtos = []string{protocol}
		}
		if conn, err := tls.Dial("tcp", f.listeners[1].Addr().String(), config); err == nil { // not for a protocol that is unknown
			finished(f.t, conn, text)
		}
	}
}

func (f *front) acceptPanics(listener, at int, text string) func() {
	return func() {
		near, far := pipe(f.t)
		f.conns.begin(f.Server, f.listeners[listener], &explosive{Conn: near, at: at})
		finished(f.t, far, text)
	}
}

func (f *front) dialReset(text string) func() {
	return func() {
		conn, r := sendTo(f.t, f.addr, text)
		_, _ = r.ReadByte()
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
}

// In whatever way a connection ends, it takes no place from those that follow.
func TestLimits_EveryPlaceIsGivenBack(t *testing.T) {
	host, ends := rawTunnels(t, "")
	f := crampedFront(t, host)
	plain := func(text string) func() { return f.dialFinished(0, text) }
	below := func(text string) func() { return f.dialFinished(1, text) }
	secured, panics, reset := f.dialFinishedTLS, f.acceptPanics, f.dialReset
	tunnel := func(path string) func() {
		return func() {
			client, backend := openRaw(f, path, ends)
			client.end(f, backend)
		}
	}
	get := func(path string) string { return crlf("GET " + path + " HTTP/1.1\nHost: a") }
	handshake := func(path string) string { return crlf(strings.Replace(handshakeText, "/websocket?room=1", path, 1)) }
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	for name, cycle := range map[string]func(){
		"nothing":                    plain(""),
		"a part of a head":           plain(partOfARequest),
		"no request":                 plain("nonsense\r\n\r\n"),
		"a request":                  plain(get("/")),
		"the last request":           plain(crlf("GET / HTTP/1.1\nHost: a\nConnection: close")),
		"no backend":                 plain(get("/gone")),
		"a part of a body":           plain(crlf("POST / HTTP/1.1\nHost: a\nContent-Length: 10") + "part"),
		"a panic of a handler":       plain(get("/handler/panic")),
		"taken over":                 plain(get("/handler/taken")),
		"taken over, and a panic":    plain(get("/handler/taken-panic")),
		"an event stream":            plain(get("/handler/stream")),
		"a reset":                    reset(get("/handler/stream")),
		"a reset between requests":   reset(get("/")),
		"a panic in the wait":        panics(0, 1, ""),
		"a panic in a head":          panics(0, 2, partOfARequest),
		"a tunnel":                   tunnel("/ws"),
		"a tunnel of messages":       tunnel("/message"),
		"a tunnel refused":           plain(handshake("/refused")),
		"a tunnel to nobody":         plain(handshake("/gone")),
		"a handshake with a mistake": plain(strings.Replace(handshake("/ws"), "Version: 13", "Version: 12", 1)),
		"TLS, nothing":               below(""),
		"TLS, a part of a record":    below("\x16\x03"),
		"TLS, plain HTTP":            below(simpleRequest),
		"TLS, nonsense":              below("\x16\x03\x01\x00\x04nope"),
		"TLS, a panic":               panics(1, 1, ""),
		"TLS, unknown protocol":      secured(tls.VersionTLS13, "acme-tls/1", ""),
		"TLS 1.3, no request":        secured(tls.VersionTLS13, "", ""),
		"TLS 1.3, a request":         secured(tls.VersionTLS13, "", simpleRequest),
		"TLS 1.2, a request":         secured(tls.VersionTLS12, "", simpleRequest),
		"TLS 1.3, taken over":        secured(tls.VersionTLS13, "", get("/handler/taken")),
		"TLS 1.2, taken over":        secured(tls.VersionTLS12, "", get("/handler/taken")),
		"HTTP/2, nothing":            secured(tls.VersionTLS13, "h2", ""),
		"HTTP/2, TLS 1.2":            secured(tls.VersionTLS12, "h2", preface),
		"HTTP/2, no preface":         secured(tls.VersionTLS13, "h2", strings.Repeat("x", 100)),
		"HTTP/2, no frames":          secured(tls.VersionTLS13, "h2", preface+strings.Repeat("x", 100)),
		"HTTP/2, requests": func() {
			c := dialHTTP2(t, f)
			for _, path := range []string{"/", "/gone", "/handler/panic", "/handler/taken"} {
				c.ask(":path="+path, true)
			}
			c.conn.Close()
		},
	} {
		for range 2 {
			cycle()
			f.wantNobody(name)
		}
	}
	plain(get("/"))()
	if res, _ := f.ask("GET / HTTP/1.1\nHost: a"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
}
