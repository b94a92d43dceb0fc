package proxy

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"wsfront/proxy/http1"
)

// connectionFields are Connection fields with these values, among others.
func connectionFields(values ...string) []http1.Field {
	list := fieldList("Upgrade", "upgrade", "X-Connection", "upgrade")
	for _, value := range values {
		list = append(list, fieldList("connection", value)...)
	}
	return list
}

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
		if got := hasToken(connectionFields(c.values...), http1.Connection, "upgrade"); got != c.want {
			t.Errorf("%q: %v", c.values, got)
		}
	}
}

func TestAcceptKey(t *testing.T) {
	if got := acceptKey([]byte(exampleKey)); got != exampleAccept {
		t.Error(got)
	}
}

func FuzzHasToken(f *testing.F) {
	for _, s := range []string{"keep-alive, Upgrade", "UPGRADE", "a,upgrade ,b", "upgrade;x", ",", "\tupgrade"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := hasToken(connectionFields(value), http1.Connection, "upgrade")
		if got && !strings.Contains(strings.ToLower(value), "upgrade") {
			t.Errorf("found in %q", value)
		}
		// The same list over two lines means the same (RFC 9110 §5.3).
		if two := hasToken(connectionFields(strings.SplitN(value, ",", 2)...), http1.Connection, "upgrade"); two != got {
			t.Errorf("%q: %v in one line, %v in two", value, got, two)
		}
		if !hasToken(connectionFields(value+",Upgrade"), http1.Connection, "upgrade") {
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
		r := &http1.Request{}
		if n, err := r.Parse([]byte(text), http1.Limits{}); n == 0 || err != nil || !isHandshake(r) {
			return
		}
		if status, mistake := checkHandshake(r); status != 0 {
			if mistake == "" {
				t.Errorf("%d without a word", status)
			}
			return
		}
		path, err := cleanPath(string(r.Path))
		if err != nil || !validHost(r.HostValue) {
			return // answered before it is a handshake
		}
		x := mapped(t, "/", "http://127.0.0.1:8080", "")
		x.req, x.host, x.path = r, r.HostValue, []byte(path)
		x.noteConnection()
		sent := x.appendHandshake(nil)
		again := &http1.Request{}
		if n, err := again.Parse(sent, http1.Limits{}); n != len(sent) || err != nil {
			t.Fatalf("%q: read %d of %d bytes, %v", sent, n, len(sent), err)
		}
		if status, mistake := checkHandshake(again); status != 0 || !isHandshake(again) {
			t.Errorf("%q: %d %s", sent, status, mistake)
		}
		// Another reader than ours, as the backend's is one.
		got, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(sent)))
		if err != nil {
			t.Fatalf("%q: %v", sent, err)
		}
		key, _ := http1.Get(r.Fields, http1.SecWebSocketKey)
		if got.Host != string(r.HostValue) || got.URL.RawQuery != string(r.Query) || got.Header.Get("Sec-Websocket-Key") != string(key) {
			t.Errorf("%q became %q", text, sent)
		}
	})
}
