package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// bareServer is a Server that only holds what the code of one connection asks it
// for, with the limits of a file that names none.
func bareServer(access *accessLog) *Server {
	log := slog.New(slog.DiscardHandler)
	s := &Server{log: log, access: access, hits: newLimitHits(log), unrouted: newRouteAccount()}
	s.table.Store(&table{})
	s.limits.Store(newLimits(Config{}.withDefaults()))
	return s
}

// limitedFront serves with limits, and one route that is sent to app.
func limitedFront(t *testing.T, l Limits, routes ...Route) *front {
	t.Helper()
	return serveConfig(t, Config{Limits: l, Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: routes}}})
}

// wantHits wants that a limit was reached so often, and that the log tells.
func (f *front) wantHits(limit string, n uint64) {
	f.t.Helper()
	f.log.await(f.t, "limit.reached", "limit="+limit+" ", "hint=")
	for name, got := range f.LimitHits() {
		if want := map[string]uint64{limit: n}[name]; got != want {
			f.t.Errorf("%s was counted %d times, want %d", name, got, want)
		}
	}
}

// Who reaches a limit is told by a status, is counted by the limit's name, and
// holds up nobody else.
func TestLimits_WhatBecomesOfARequest(t *testing.T) {
	const post = "POST / HTTP/1.1\nHost: a\n"
	off := false
	for _, c := range []struct {
		limit  string
		limits Limits
		text   string
		status int
	}{
		{limitMaxHeader, Limits{MaxHeader: 2 << 10}, crlf("GET / HTTP/1.1\nHost: a\nX: " + strings.Repeat("x", 2<<10)), 431},
		{limitMaxHeaderFields, Limits{MaxHeaderFields: 5}, crlf("GET / HTTP/1.1\nHost: a" + strings.Repeat("\nX: y", 5)), 431},
		{limitMaxTarget, Limits{MaxTarget: 100}, crlf("GET /" + strings.Repeat("x", 100) + " HTTP/1.1\nHost: a"), 414},
		{limitHeaderTimeout, Limits{HeaderTimeout: shortestTimeout}, "GET / HTTP/1.1\r\nHost: a\r\n", 408},
		{limitBodyTimeout, Limits{BodyTimeout: shortestTimeout}, crlf(post+"Content-Length: 5") + "some", 408},
		{limitBodyTimeout, Limits{BodyTimeout: shortestTimeout}, crlf(post+"Transfer-Encoding: chunked") + "5\r\nsome", 408},
		{limitBodyTimeout, Limits{BodyTimeout: shortestTimeout, UploadBuffer: 10}, crlf(post+"Content-Length: 11") + "some", 408},
		{limitBodyTimeout, Limits{BodyTimeout: shortestTimeout}, crlf("POST /stream HTTP/1.1\nHost: a\nTransfer-Encoding: chunked") + "5\r\nsome", 408},
		{limitMaxBody, Limits{}, crlf(post + "Content-Length: 1001"), 413},
		{limitResponseTimeout, Limits{}, crlf("GET /silent HTTP/1.1\nHost: a"), 504},
	} {
		t.Run(c.limit, func(t *testing.T) {
			app, _ := answering(t, okAnswer)
			silent := rawBackend(t, func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
			f := limitedFront(t, c.limits, Route{Path: "/", App: app, MaxBody: 1000},
				Route{Path: "/stream", App: app, RequestBuffering: &off},
				Route{Path: "/silent", App: "http://" + silent, ResponseTimeout: shortestTimeout})
			_, r := f.dial(c.text)
			if res, _ := f.ask("GET / HTTP/1.1\nHost: a"); res.StatusCode != 200 {
				t.Errorf("somebody else got %s", res.Status)
			}
			res, _ := readAnswer(t, r, "POST")
			if res.StatusCode != c.status || c.status != 504 && !res.Close {
				t.Errorf("%s, closes %v; want %d", res.Status, res.Close, c.status)
			}
			f.wantHits(c.limit, 1)
			f.log.await(t, "limit.reached", "client=127.0.0.1", "hits=1")
		})
	}
}

// A client that takes nothing of an answer holds neither its own connection nor
// the backend's for good.
func TestLimits_WriteTimeout(t *testing.T) {
	for name, version := range map[string]uint16{"http": 0, "TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			endless := rawBackend(t, func(conn net.Conn, r *bufio.Reader) {
				defer close(ended)
				_, err := readRequest(r)
				if err == nil {
					_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
				}
				for err == nil {
					_, err = conn.Write(make([]byte, 64<<10))
				}
			})
			f := crowdedFront(t, Config{Limits: Limits{WriteTimeout: shortestTimeout}}, version != 0, Route{Path: "/", App: "http://" + endless})
			if version != 0 {
				f.clientTLS.MaxVersion = version
			}
			f.dial(simpleRequest)
			receive(t, ended)
			f.wantHits(limitWriteTimeout, 1)
		})
	}
}

func TestLimits_HandshakeTimeout(t *testing.T) {
	f := serveConfig(t, Config{Limits: Limits{HandshakeTimeout: shortestTimeout},
		Sites: []Site{{Hosts: []string{"app.test"}, TLS: freshPair(t, "app.test"), Routes: []Route{{Path: "/", App: "http://127.0.0.1:1"}}}}})
	_, r := sendTo(t, f.addr, "\x16\x03\x01") // the beginning of a record
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("%v, want the end", err)
	}
	f.wantHits(limitHandshakeTimeout, 1)
}

// To be quiet between two requests is nothing to be told of.
func TestLimits_IdleTimeout(t *testing.T) {
	app, _ := answering(t, okAnswer)
	f := limitedFront(t, Limits{IdleTimeout: shortestTimeout}, Route{Path: "/", App: app})
	for _, text := range []string{"", crlf("GET / HTTP/1.1\nHost: a")} {
		_, r := f.dial(text)
		if text != "" {
			readAnswer(t, r, "GET")
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("%v, want the end", err)
		}
	}
	if strings.Contains(f.log.String(), "limit.reached") {
		t.Error(f.log)
	}
}

func TestLimits_ReloadTakesThem(t *testing.T) {
	app, _ := answering(t, okAnswer)
	f := limitedFront(t, Limits{}, Route{Path: "/", App: app})
	long := "GET /" + strings.Repeat("x", 100) + " HTTP/1.1\nHost: a"
	if res, _ := f.ask(long); res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	cfg := f.cfg
	cfg.Limits.MaxTarget = 100
	if err := f.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if res, _ := f.ask(long); res.StatusCode != 414 {
		t.Error(res.Status)
	}
}

// The log tells of a limit at most once in ten seconds, and then how often it
// was reached.
func TestLimitHits_AreToldNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLines()
		h := newLimitHits(slog.New(slog.NewTextHandler(log, nil)))
		client := netip.MustParseAddr("203.0.113.7")
		for range 100 {
			h.add(limitMaxBody, client)
		}
		h.add(limitMaxHeader, client)
		time.Sleep(limitLogPause)
		h.add(limitMaxBody, client)
		var told []string
		for line := range strings.Lines(log.String()) {
			_, attributes, _ := strings.Cut(line, "msg=")
			told = append(told, attributes[:strings.Index(attributes, " hint=")])
		}
		want := []string{
			"limit.reached limit=max_body client=203.0.113.7 hits=1",
			"limit.reached limit=max_header client=203.0.113.7 hits=1",
			"limit.reached limit=max_body client=203.0.113.7 hits=100",
		}
		if !slices.Equal(told, want) {
			t.Errorf("%q", told)
		}
		if n := h.each[limitMaxBody].count.Load(); n != 101 {
			t.Errorf("counted %d", n)
		}
	})
}
