package proxy

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

func TestHasToken(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   bool
	}{
		{[]string{"Upgrade"}, true},
		{[]string{"keep-alive, Upgrade"}, true},
		{[]string{"close", "\tuPgRaDe "}, true},
		{[]string{"a,,upgrade,"}, true},
		{[]string{"upgrade-insecure"}, false},
		{[]string{"not upgrade"}, false},
		{[]string{`"upgrade"`}, false},
		{[]string{""}, false},
		{nil, false},
	} {
		if got := hasToken(c.values, "upgrade"); got != c.want {
			t.Errorf("%q: %v", c.values, got)
		}
	}
}

func TestAcceptKey(t *testing.T) {
	if got := acceptKey(exampleKey); got != exampleAccept {
		t.Error(got)
	}
}

func FuzzHasToken(f *testing.F) {
	for _, s := range []string{"keep-alive, Upgrade", "UPGRADE", "a,upgrade ,b", "upgrade;x", ",", "\tupgrade"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := hasToken([]string{value}, "upgrade")
		if got && !strings.Contains(strings.ToLower(value), "upgrade") {
			t.Errorf("found in %q", value)
		}
		// The same list over two lines means the same (RFC 9110 §5.3).
		if two := hasToken(strings.SplitN(value, ",", 2), "upgrade"); two != got {
			t.Errorf("%q: %v in one line, %v in two", value, got, two)
		}
		if !hasToken([]string{value + ",Upgrade"}, "upgrade") {
			t.Errorf("not found behind %q", value)
		}
	})
}

// A handshake that passes is one that the backend reads as the same.
func FuzzHandshake(f *testing.F) {
	f.Add(crlf(handshakeText))
	f.Add(crlf(strings.Replace(handshakeText, "Connection: Upgrade", "Connection: keep-alive, Upgrade", 1)))
	f.Add(crlf(strings.Replace(handshakeText, exampleKey, "x", 1)))
	f.Add(crlf(handshakeText + "\nSec-WebSocket-Extensions: a\nX_Y: 1\nTransfer-Encoding: chunked"))
	f.Fuzz(func(t *testing.T, text string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil || !isHandshake(r) {
			return
		}
		if status, mistake := checkHandshake(r); status != 0 {
			if mistake == "" {
				t.Errorf("%d without a word", status)
			}
			return
		}
		path, err := cleanPath(r.URL.EscapedPath())
		if err != nil || !validHost(r.Host) || strings.ContainsAny(r.URL.RawQuery, " \t") {
			return // answered before it is a handshake
		}
		x := mapped(t, "/", "http://127.0.0.1:8080", "")
		x.host, x.path = r.Host, path
		sent := x.handshake(r)
		got, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(sent))))
		if err != nil {
			t.Fatalf("%q: %v", sent, err)
		}
		if status, mistake := checkHandshake(got); status != 0 || !isHandshake(got) {
			t.Errorf("%q: %d %s", sent, status, mistake)
		}
		if got.Host != r.Host || got.URL.RawQuery != r.URL.RawQuery || got.Header.Get("Sec-Websocket-Key") != r.Header.Get("Sec-Websocket-Key") {
			t.Errorf("%q became %q", text, sent)
		}
	})
}
