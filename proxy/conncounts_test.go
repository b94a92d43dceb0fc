package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

func TestCounts_OpenConnectionsByWhatTheyCarry(t *testing.T) {
	host, ends := rawTunnels(t, "")
	release := make(chan struct{})
	f := serveFront(t, Route{Path: "/ws", Tunnel: Tunnel{Backend: "ws://" + host}}, Route{Path: "/files", Files: t.TempDir()},
		Route{Path: "/push", Whole: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				<-release
				conn.Close()
			}
		})})
	finish := sync.OnceFunc(func() { close(release) })
	t.Cleanup(finish)
	want := func(what string, tlsOpen, http1, h2, websocket, push int) {
		t.Helper()
		connections := map[string]int{"tls": tlsOpen, "http/1.1": http1, "h2": h2, "websocket": websocket, "push": push}
		until(t, what, func() bool { return maps.Equal(f.Counts().Connections, connections) })
	}
	want("none", 0, 0, 0, 0, 0)
	bare, _ := sendTo(t, f.listeners[1].Addr().String(), "")
	want("a handshake under way", 1, 0, 0, 0, 0)
	plain, _ := f.dial("")
	want("a plain connection", 1, 1, 0, 0, 0)
	h2 := dialHTTP2(t, f)
	want("one of HTTP/2", 1, 1, 1, 0, 0)
	client, _ := f.handshake("/ws", "")
	end := receive(t, ends)
	exchangeFrames(client, end)
	_, _ = f.dial(crlf("GET /push HTTP/1.1\nHost: a"))
	until(t, "the handler has the connection", func() bool { return f.Counts().Connections["push"] == 1 })
	if n := f.Counts().Connections["http/1.1"]; n != 1 {
		t.Errorf("%d connections of HTTP/1.1 beside the handler's", n)
	}
	finish()
	for _, conn := range []net.Conn{bare, plain, h2.conn, client.conn, end.conn} {
		conn.Close()
	}
	until(t, "all but the tunnel are gone", func() bool {
		open := f.Counts().Connections
		return open["tls"]+open["http/1.1"]+open["h2"]+open["push"] == 0
	})
	c := f.Counts()
	if !maps.Equal(c.Accepted, map[string]uint64{"plain": 3, "tls": 2}) || !maps.Equal(c.TLSHandshakes, map[string]uint64{"1.2": 0, "1.3": 1}) {
		t.Errorf("accepted %v, handshakes %v", c.Accepted, c.TLSHandshakes)
	}
}

// A client of a push route is one, whatever it speaks, and no longer than it is:
// behind an answer the connection carries the next request.
func TestCounts_StreamsOfPushRoutesArePush(t *testing.T) {
	release := make(chan struct{})
	f := serveFront(t, Route{Path: "/push", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, ": hello\n\n")
		_ = http.NewResponseController(w).Flush()
		<-release
	})})
	over := sync.OnceFunc(func() { close(release) })
	t.Cleanup(over) // before the front ends, which waits for the stream
	want := func(what string, http1, push int) {
		t.Helper()
		until(t, what, func() bool {
			open := f.Counts().Connections
			return open["http/1.1"] == http1 && open["push"] == push
		})
	}
	conn, r := f.dial(crlf("GET /push HTTP/1.1\nHost: a\nAccept: text/event-stream"))
	want("the stream is push", 0, 1)
	over()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	want("it is over, and the connection is not", 1, 0)
	conn.Close()
	want("all are gone", 0, 0)
}

// Each way for a handshake to come to nothing is counted once, by its reason.
func TestCounts_TLSHandshakes(t *testing.T) {
	config := func(change func(*tls.Config)) func(*tlsFront) {
		return func(f *tlsFront) {
			c := &tls.Config{ServerName: "a.test", InsecureSkipVerify: true}
			change(c)
			_, _ = f.shake(c)
		}
	}
	sending := func(text string, wait bool) func(*tlsFront) {
		return func(f *tlsFront) {
			conn, _ := sendTo(f.t, f.secure, text)
			if wait {
				_, _ = io.Copy(io.Discard, conn)
			}
			conn.Close()
		}
	}
	const hello = "\x16\x03\x01\x00\xff\x01" // the beginning of one
	for _, c := range []struct {
		name, reason string
		do           func(*tlsFront)
	}{
		{"unknown name", tlsNoCertificate, config(func(c *tls.Config) { c.ServerName = "other.test" })},
		{"name without TLS", tlsNoCertificate, config(func(c *tls.Config) { c.ServerName = "plain.test" })},
		{"old version", tlsVersion, config(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })},
		{"no cipher in common", tlsCipher, config(func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
		})},
		{"untrusted", tlsRejected, config(func(c *tls.Config) { c.InsecureSkipVerify = false })},
		{"untrusted, by TLS 1.2", tlsRejected, config(func(c *tls.Config) { c.InsecureSkipVerify, c.MaxVersion = false, tls.VersionTLS12 })},
		{"alert of another kind", tlsProtocol, config(func(c *tls.Config) { c.NextProtos = []string{"other"} })},
		{"plain HTTP", tlsNotTLS, sending(simpleRequest, true)},
		{"gone at once", tlsClientGone, sending("", false)},
		{"gone in the middle", tlsClientGone, sending(hello, false)},
		{"silent", tlsTimeout, sending("", true)},
		{"silent in the middle", tlsTimeout, sending(hello, true)},
		{"nonsense within TLS", tlsProtocol, sending("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", true)},
	} {
		t.Run(c.name, func(t *testing.T) {
			limits := Limits{}
			if c.reason == tlsTimeout {
				limits.HandshakeTimeout = 100 * time.Millisecond
			}
			f := newTLSFront(t, Config{Limits: limits,
				Sites: []Site{{Hosts: []string{"a.test"}, TLS: freshPair(t, "a.test")}, {Hosts: []string{"plain.test"}, TLS: TLS{Mode: TLSOff}}}}).serve()
			c.do(f)
			until(t, "the failure is counted", func() bool { return len(only(f.Counts().TLSFailures)) > 0 })
			counts := f.Counts()
			if got := only(counts.TLSFailures); !maps.Equal(got, map[string]uint64{c.reason: 1}) || counts.TLSHandshakes["1.2"]+counts.TLSHandshakes["1.3"] != 0 {
				t.Errorf("failures %v, want %s; handshakes %v", got, c.reason, counts.TLSHandshakes)
			}
		})
	}
}

func TestCounts_TLSHandshakeThatFindsNoPlace(t *testing.T) {
	f := newTLSFront(t, Config{Limits: Limits{MaxHandshakes: 1}, Sites: []Site{{Hosts: []string{"a.test"}, TLS: freshPair(t, "a.test")}}}).serve()
	first, _ := sendTo(t, f.secure, "")
	until(t, "the first handshake is under way", func() bool { return f.Counts().Connections["tls"] == 1 })
	second, _ := sendTo(t, f.secure, "")
	_, _ = io.Copy(io.Discard, second)
	if got := only(f.Counts().TLSFailures); !maps.Equal(got, map[string]uint64{tlsOverload: 1}) {
		t.Error(got)
	}
	first.Close()
}

func TestHandshakeFailure_OfAlerts(t *testing.T) {
	for code, want := range map[tls.AlertError]string{0: tlsClientGone, 40: tlsCipher, 42: tlsRejected, 46: tlsRejected, 48: tlsRejected, 70: tlsVersion, 90: tlsClientGone, 50: tlsProtocol} {
		if got := handshakeFailure(&tlsAsked{}, &net.OpError{Op: "remote error", Err: errors.New(code.Error())}); got != want {
			t.Errorf("alert %d: %s, want %s", code, got, want)
		}
	}
}
