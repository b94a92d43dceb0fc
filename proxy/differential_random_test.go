package proxy

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator makes scripts of requests as odd as the grammar allows, and some
// that it does not.
type generator struct{ *rand.Rand }

// randomScript is the script of a seed.
func randomScript(seed uint64) script {
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	var s script
	s.config.trusted = g.one(5)
	var text strings.Builder
	closing := false
	for range 1 + g.IntN(3) {
		if closing {
			break
		}
		method := g.pick("GET", "GET", "GET", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "FOO", "PROPFIND")
		s.methods = append(s.methods, method)
		request := g.request(method)
		text.WriteString(request)
		// What lies unread when a connection is closed turns the end into a
		// reset, or not: then the end of an answer is a matter of chance.
		closing = strings.Contains(request, "HTTP/1.0") || strings.Contains(strings.ToLower(request), "close")
		s.replies = append(s.replies, g.reply())
	}
	if !closing && g.one(8) {
		s.methods = append(s.methods, "GET")
		said := g.word()
		text.WriteString(g.handshake() + said)
		s.replies = append(s.replies, []step{{do: "send", text: switchText + g.word()}, {do: "raw", n: len(said)}, {do: "close"}})
	}
	s.client = []step{{do: "send", text: text.String()}}
	return s
}

// one is true once in n times.
func (g generator) one(n int) bool { return g.IntN(n) == 0 }

func (g generator) pick(from ...string) string { return from[g.IntN(len(from))] }

func (g generator) word() string {
	return strings.Repeat(g.pick("a", "bc", "\x00\xff", "xyz"), 1+g.IntN(20))
}

// space is optional whitespace (RFC 9110 §5.6.3).
func (g generator) space() string { return g.pick(" ", " ", " ", "", "\t", "  ", " \t ") }

// spelling is a field name in some letter case.
func (g generator) spelling(name string) string {
	switch g.IntN(4) {
	case 0:
		return strings.ToLower(name)
	case 1:
		return strings.ToUpper(name)
	}
	return name
}

func (g generator) field(name, value string) string {
	return g.spelling(name) + ":" + g.space() + value + g.pick("", "", "", " ", "\t") + "\r\n"
}

func (g generator) target() string {
	var b strings.Builder
	b.WriteString(g.pick("", "", "", "/stream", "/mapped", "/small", "/escaped", "/named", "/websocket", "/"))
	for range 1 + g.IntN(3) {
		b.WriteString("/" + g.pick("a", "b%20c", "%41", "..", ".", "", "%2e", "%2E%2e", "caf\xc3\xa9", "x;y=1", "~u", "%2Fd", "+", "%c3%a9", `q"<>`, "a:b@c", "%25"))
	}
	if g.one(3) {
		b.WriteString("?" + g.pick("", "a=1&b=2", "a=%zz", "x={|}^`", "u=/../a//b", "?", "q=caf\xc3\xa9", "a;b", "%00"))
	}
	return b.String()
}

// request is one request with its body.
func (g generator) request(method string) string {
	target, version := g.target(), "HTTP/1.1"
	if g.one(12) {
		version = "HTTP/1.0"
	}
	host := g.pick("app.test", "app.test", "app.test", "APP.test", "app.test:80", "other.test", "app.test.", "evil.test")
	if g.one(15) {
		target = g.pick("http", "https", "HTTP") + "://" + host + target
	}
	fields := []string{g.field("Host", host)}
	for range g.IntN(6) {
		fields = append(fields, g.someField())
	}
	framing, body := g.body(version)
	fields = append(fields, framing)
	g.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	head := method + " " + target + " " + version + "\r\n" + strings.Join(fields, "") + "\r\n"
	if g.one(10) {
		head = g.spoil(head)
	}
	return head + body
}

func (g generator) someField() string {
	return g.someOf(fieldKinds{
		{"X-A", "1", "", "a, b", "caf\xc3\xa9", "tab\tin", "  "}, {"X-B", "1", "2"}, {"Cookie", "a=1", "b=2; c=3"}, {"Accept", "text/html", "application/json", "*/*"},
		{"Connection", "close", "keep-alive", "X-A", "x-b, Keep-Alive", "X-Forwarded-For", "Host", "Upgrade", "TE", ",", "foo,,close"},
		{"Keep-Alive", "timeout=5"}, {"X-Forwarded-For", "6.6.6.6", "6.6.6.6, 10.0.0.1", "[::1]:80", "unknown"}, {"X-Forwarded-Proto", "https", "gopher"},
		{"X-Forwarded-Host", "evil.test", "app.test"}, {"Forwarded", "for=6.6.6.6"}, {"X-Real-IP", "6.6.6.6"}, {"X_Real_IP", "6.6.6.6"}, {"Proxy", "http://x"},
		{"TE", "trailers", "gzip", "trailers, gzip;q=0.5"}, {"Upgrade", "h2c", "websocket", "foo/1"}, {"Via", "1.0 x"}, {"User-Agent", "x/1"},
		{"Accept-Encoding", "gzip", "br;q=0"}, {"Range", "bytes=0-1"}, {"If-None-Match", `"x"`}, {"Trailer", "X-Sum", "Content-Length"},
		{"X-Request-ID", "mine"}, {"Authorization", "Basic eDp5"}, {"Proxy-Authorization", "Basic eDp5"}, {"HTTP2-Settings", "AAMA"}, {"Max-Forwards", "0"},
		{"Origin", "https://app.test"}, {"Referer", "http://app.test/"}, {"Content-Type", "text/plain", ""}, {"Idempotency-Key", "1"}, {"X.Dots!#$%", "1"},
	})
}

// fieldKinds are field names, each with values that it may have.
type fieldKinds [][]string

func (g generator) someOf(kinds fieldKinds) string {
	kind := kinds[g.IntN(len(kinds))]
	return g.field(kind[0], g.pick(kind[1:]...))
}

// body is a body in one of its framings, with the field that says so.
func (g generator) body(version string) (framing, body string) {
	content := strings.Repeat(g.pick("x", "hello ", "0\t", "\x00\xfe"), g.IntN(30))
	if g.one(20) {
		content = strings.Repeat("long ", 20000)
	}
	switch g.IntN(4) {
	case 0:
		return g.field("Content-Length", fmt.Sprint(len(content))), content
	case 1:
		if version == "HTTP/1.1" {
			return g.field("Transfer-Encoding", g.pick("chunked", "Chunked")), g.chunks(content)
		}
	}
	return "", ""
}

func (g generator) chunks(content string) string {
	var b strings.Builder
	for content != "" {
		n := 1 + g.IntN(len(content))
		fmt.Fprintf(&b, g.pick("%x", "%X", "00%x")+"%s\r\n%s\r\n", n, g.pick("", "", ";a", ";a=b", `;a="b c"`), content[:n])
		content = content[n:]
	}
	b.WriteString("0\r\n" + g.pick("", "", "X-Sum: 1\r\n", "x-other:\tz \r\nX-Sum: 2\r\n", "Content-Length: 5\r\n") + "\r\n")
	if g.one(15) { // a mistake: no size
		return "zz\r\n" + b.String()
	}
	return b.String()
}

// spoil breaks a head's grammar in one place.
func (g generator) spoil(head string) string {
	line := func(added string) string { return strings.Replace(head, "\r\n", "\r\n"+added+"\r\n", 1) }
	switch g.IntN(16) {
	case 0:
		return strings.Replace(head, "\r\n", "\n", 1)
	case 1:
		return line("X-A : 1")
	case 2:
		return line("X-A: 1\r\n folded")
	case 3:
		return line("X-A")
	case 4:
		return line(": 1")
	case 5:
		return line("X(: 1")
	case 6:
		return line("X-A: \x00")
	case 7:
		return line("X-A: a\rb")
	case 8:
		return line("Host: app.test")
	case 9:
		return line("Content-Length: 0") + "\r\n"
	case 10:
		return line("Transfer-Encoding: gzip")
	case 11:
		return strings.Replace(head, " HTTP/1.", g.pick("  HTTP/1.", " HTTP/2.", "\tHTTP/1.", " http/1.", " HTTP/1.1."), 1)
	case 12:
		return strings.Replace(head, " /", " ", 1)
	case 13:
		return strings.Replace(head, "/", "/\x7f", 1)
	case 14:
		return strings.Replace(head, " ", " /%zz#", 1)
	}
	return g.pick("\r\n", "\r\n\r\n", " ", "(") + head
}

func (g generator) handshake() string {
	return crlf(strings.Replace(handshakeText, "/websocket?room=1", "/websocket"+g.pick("", "/x", "?a", "/%2e%2e/live", "x"), 1))
}

// reply is the answer to whatever request comes. What breaks the grammar says
// that the connection ends, so that no request runs into its end.
func (g generator) reply() []step {
	if g.one(10) {
		return []step{{do: "answer", text: g.badReply()}, {do: "close"}}
	}
	var steps []step
	for g.one(6) {
		steps = append(steps, step{do: "send", text: "HTTP/1.1 103 Early Hints\r\n" + g.field("Link", "</a>") + "\r\n"})
	}
	head := "HTTP/1.1 " + g.pick("200 OK", "200 OK", "200", "404 Not Found", "500 ", "299 Odd", "302 Found", "401 Unauthorized", "503 Busy") + "\r\n"
	fields := ""
	for range g.IntN(5) {
		fields += g.answerField()
	}
	body := strings.Repeat(g.pick("y", "answer ", "\x00\xff"), g.IntN(40))
	switch g.IntN(8) {
	case 0:
		return append(steps, step{do: "answer", text: head + fields + g.field("Connection", "close") + "\r\n" + body}, step{do: "close"})
	case 1:
		return append(steps, step{do: "answer", text: "HTTP/1.0 200 OK\r\n" + fields + "\r\n" + body}, step{do: "close"})
	case 2, 3:
		return append(steps, step{do: "answer", text: head + fields + g.field("Transfer-Encoding", "chunked") + "\r\n" + g.goodChunks(body)})
	case 4:
		return append(steps, step{do: "answer", text: g.pick("HTTP/1.1 204 None\r\n", "HTTP/1.1 304 Same\r\nETag: \"x\"\r\n") + fields + "\r\n"})
	}
	return append(steps, step{do: "answer", text: head + fields + g.field("Content-Length", fmt.Sprint(len(body))) + "\r\n" + body})
}

func (g generator) answerField() string {
	return g.someOf(fieldKinds{
		{"Content-Type", "text/html", "text/plain", ""}, {"Set-Cookie", "a=1; Path=/inner/x", "b=2; Domain=app.test"}, {"X-A", "1", "caf\xc3\xa9", ""},
		{"Location", "/inner/next", "http://{app}/inner/a", "//app.test/x", "https://else.test/"}, {"Connection", "X-A", "keep-alive"}, {"Keep-Alive", "timeout=5"},
		{"Date", "Sun, 06 Nov 1994 08:49:37 GMT"}, {"Server", "old"}, {"Vary", "a", "b"}, {"Upgrade", "h2c"}, {"X_Under", "1"}, {"Refresh", "5; url=/inner/"},
		{"Cache-Control", "no-store"}, {"Strict-Transport-Security", "max-age=1"}, {"WWW-Authenticate", "Basic"}, {"Proxy-Authenticate", "Basic"},
	})
}

// goodChunks has no mistake, as a backend that makes one is another case.
func (g generator) goodChunks(body string) string {
	for {
		if text := g.chunks(body); !strings.HasPrefix(text, "zz") {
			return text
		}
	}
}

func (g generator) badReply() string {
	return g.pick(
		"", "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nX-A 1\r\nConnection: close\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "HTTP/1.1 200 OK\r\nX-A: \x00\r\n\r\n",
		"HTTP/1.1 200 OK\nConnection: close\n\nlf", "HTTP/1.1 200 OK\r\nConnection: close\r\nX-A: 1\r\n 2\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 200 OK\r\nConte",
	)
}
