package doctor

import (
	"bufio"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadAnswer_TakesWhatBrowsersTake(t *testing.T) {
	for _, c := range []struct {
		text   string
		status int
		server string
	}{
		{"HTTP/1.1 200 OK\r\nServer: a\r\n\r\n", 200, "a"},
		{"HTTP/1.0 200\nserver:a\n\n", 200, "a"},
		{"HTTP/1.1  404 Not Found\r\nno field\r\nSERVER : a \r\n\r\n", 404, "a"},
		{"HTTP/1.1 103 Early Hints\r\nServer: b\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nServer: a\r\n\r\n\x81\x00", 101, "a"},
	} {
		for name, r := range map[string]*bufio.Reader{
			"at once":      bufio.NewReader(strings.NewReader(c.text)),
			"byte by byte": bufio.NewReader(iotest.OneByteReader(strings.NewReader(c.text))),
		} {
			a, err := readAnswer(r)
			if err != nil || a.status != c.status || a.get("Server") != c.server {
				t.Errorf("%q %s: %+v, %v", c.text, name, a, err)
			}
		}
	}
}

// FuzzReadAnswer: whatever a server sends, reading it ends, in bounds, and what
// is shown of it is printable.
func FuzzReadAnswer(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	f.Add("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
	f.Add("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
	f.Add("220 mail.test ESMTP\r\n")
	f.Add("HTTP/1.1 999 \x1b[31m\r\nLocation: \x07\r\n\r\n")
	f.Add("\x15\x03\x01\x00\x02\x02\x46")
	f.Fuzz(func(t *testing.T, text string) {
		r := bufio.NewReader(strings.NewReader(text))
		a, err := readAnswer(r)
		tried := &attempt{answer: a, err: err}
		if err == nil {
			a.body = readBody(r, a)
			if len(a.body) > maxAnswer {
				t.Errorf("a body of %d bytes", len(a.body))
			}
		}
		tried.judge()
		for _, shown := range []string{tried.brief(), tried.facts} {
			if strings.IndexFunc(shown, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) >= 0 {
				t.Errorf("shown as %q", shown)
			}
		}
		if tried.cause != "" && !tried.cause.Known() || !tried.switched() && tried.cause == "" {
			t.Errorf("cause %q for %q", tried.cause, text)
		}
	})
}
