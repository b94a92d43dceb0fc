package proxy

import (
	"bufio"
	"bytes"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"wsfront/proxy/http1"
)

// FuzzBackendFields holds what must be so whatever fields a client sends: the
// backend gets each of ours once and as we say it, none of the names by which a
// client could pose as us, and none that the client's Connection ends.
func FuzzBackendFields(f *testing.F) {
	for _, fields := range []string{
		"Connection: close, X-Forwarded-For\r\nX-Forwarded-For: 203.0.113.7\r\n",
		"X_Forwarded_For: 203.0.113.7\r\nx-real-ip: 1\r\nFORWARDED: for=1\r\n",
		"Proxy: http://evil.test\r\nX-Forwarded: 1\r\nX-Original-URL: /admin\r\n",
		"Connection: host, cookie\r\nCookie: a\r\nTE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n",
		"X-Request-ID: 1\r\nX-Forwarded-Port: 1\r\nTrue-Client-IP: 1\r\nFront-End-Https: on\r\nSec-WebSocket-Key: x\r\nConnection: Sec-WebSocket-Key\r\n",
	} {
		f.Add(fields, false)
		f.Add(fields, true)
	}
	client := netip.MustParseAddr("192.0.2.1")
	f.Fuzz(func(t *testing.T, fields string, trusted bool) {
		var req http1.Request
		if _, err := req.Parse([]byte("GET / HTTP/1.1\r\nHost: app.test\r\n"+fields+"\r\n"), http1.Limits{}); err != nil {
			return
		}
		id := "0123456789abcdef"
		if given, n := http1.Get(req.Fields, http1.XRequestID); trusted && n == 1 && len(given) > 0 && len(given) <= 64 && !bytes.ContainsFunc(given, func(r rune) bool { return r <= ' ' || r > '~' }) {
			id = string(given)
		}
		x := &exchange{req: &req, trusted: trusted, client: client, hops: []netip.Addr{client}, scheme: "https", host: []byte("app.test"), route: &route{}}
		copy(x.id[:], "0123456789abcdef")
		x.noteConnection()
		block := string(x.appendFields(nil, false))
		res, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: app.test\r\n" + block + "\r\n")))
		if err != nil {
			t.Fatalf("%q became %q: %v", fields, block, err)
		}
		for name, want := range map[string]string{
			"X-Forwarded-For": "192.0.2.1", "X-Real-Ip": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.test",
			"X-Request-Id": id, "Forwarded": `for=192.0.2.1;host="app.test";proto=https`,
		} {
			if got := res.Header[name]; !slices.Equal(got, []string{want}) {
				t.Errorf("%q: %s: %q, want %q", fields, name, got, want)
			}
		}
		ours := []string{"X-Forwarded-For", "X-Real-Ip", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id", "Forwarded"}
		for name := range res.Header {
			lower := strings.ToLower(name)
			forges := strings.HasPrefix(lower, "x-forwarded-") || lower == "x-forwarded" || lower == "x-original-url" || lower == "true-client-ip" || lower == "x-client-ip"
			switch {
			case slices.Contains(ours, name):
			case strings.Contains(name, "_"), lower == "proxy", lower == "upgrade", lower == "connection", lower == "transfer-encoding", lower == "te":
				t.Errorf("%q: %s reaches the backend", fields, name)
			case forges && !trusted:
				t.Errorf("%q: a client says %s", fields, name)
			case isListed(x.ends, []byte(name)):
				t.Errorf("%q: %s, which Connection ends, reaches the backend", fields, name)
			}
		}
	})
}
