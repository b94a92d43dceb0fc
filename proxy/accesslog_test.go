package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wsfront/proxy/http1"
)

// combinedLine reads Apache's combined form as log readers do: a quoted field
// ends at the first quote that is not escaped.
var combinedLine = regexp.MustCompile(`^(\S+) - (\S+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"\n$`)

// unescape undoes appendApache.
func unescape(t testing.TB, s string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if s[i] == 'x' {
			c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				t.Fatalf("%q: %v", s, err)
			}
			b.WriteByte(byte(c))
			i += 2
			continue
		}
		b.WriteByte(map[byte]byte{'b': '\b', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '"': '"', '\\': '\\'}[s[i]])
	}
	return b.String()
}

// loggedExchange is one of each kind of field.
func loggedExchange() *exchange {
	return &exchange{
		id: testID, begin: time.Date(2026, 11, 22, 9, 8, 7, 65e6, time.FixedZone("", -5*3600)), client: netip.MustParseAddr("2001:db8::7"),
		host: []byte("app.example.com"), site: &site{name: "app.example.com"}, route: &route{name: "app.example.com/static/"}, status: 200, sent: 1234,
		proto: "HTTP/1.1", req: &http1.Request{Method: []byte("GET"), Target: []byte("/static/a.js?v=1"), Fields: fieldList(
			"Referer", "https://app.example.com/", "User-Agent", "Mozilla/5.0", "Cookie", "sessionid=topsecret", "Authorization", basicAuth("ann", "topsecret"))},
	}
}

// basicAuth is the value of an Authorization field.
func basicAuth(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// setField gives a field of the request other values than it had.
func setField(x *exchange, name string, values ...string) {
	known := http1.Lookup(name)
	x.req.Fields = slices.DeleteFunc(x.req.Fields, func(f http1.Field) bool { return f.Known == known })
	for _, value := range values {
		x.req.Fields = append(x.req.Fields, fieldList(name, value)...)
	}
}

// accessLogTo writes to out, which is no file.
func accessLogTo(out io.Writer, format AccessFormat) *accessLog {
	a, _ := newAccessLog(AccessLog{Format: format}, out, nil)
	return a
}

func TestAccessLog_Combined(t *testing.T) {
	const usual = `2001:db8::7 - ann [22/Nov/2026:09:08:07 -0500] "GET /static/a.js?v=1 HTTP/1.1" 200 1234 "https://app.example.com/" "Mozilla/5.0"` + "\n"
	for _, c := range []struct {
		name   string
		change func(x *exchange)
		want   string
	}{
		{"usual", func(x *exchange) {}, usual},
		{"empty", func(x *exchange) { x.req.Fields, x.sent, x.client = nil, 0, netip.Addr{} },
			`- - - [22/Nov/2026:09:08:07 -0500] "GET /static/a.js?v=1 HTTP/1.1" 200 - "-" "-"` + "\n"},
		{"HEAD sends nothing", func(x *exchange) { x.req.Method = []byte("HEAD") },
			strings.NewReplacer("GET", "HEAD", "1234", "-").Replace(usual)},
		{"cut before the answer", func(x *exchange) { x.status, x.sent = 0, 0 },
			strings.Replace(usual, "200 1234", "499 -", 1)},
		{"escapes", func(x *exchange) {
			setField(x, "User-Agent", "a\"b\\c\td\x01\x7fü")
			setField(x, "Referer", "one", "two")
			setField(x, "Authorization", basicAuth("a b\n", "topsecret"))
		}, `2001:db8::7 - a\x20b\n [22/Nov/2026:09:08:07 -0500] "GET /static/a.js?v=1 HTTP/1.1" 200 1234 "one, two" "a\"b\\c\td\x01\x7f\xc3\xbc"` + "\n"},
		{"zone", func(x *exchange) { x.client = netip.MustParseAddr(`fe80::1%a" b`) },
			strings.Replace(usual, "2001:db8::7", "fe80::1", 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := loggedExchange()
			c.change(x)
			var out bytes.Buffer
			accessLogTo(&out, AccessCombined).write(x)
			if got := out.String(); got != c.want {
				t.Errorf("got  %swant %s", got, c.want)
			}
		})
	}
}

func TestAccessLog_JSON(t *testing.T) {
	x := loggedExchange()
	x.tls = tls.VersionTLS13
	setField(x, "User-Agent", "a\"b\\\n\u2028\x01é")
	var out bytes.Buffer
	accessLogTo(&out, AccessJSON).write(x)
	line := regexp.MustCompile(`"duration_seconds":\d+\.\d{6},`).ReplaceAllString(out.String(), `"duration_seconds":0.5,`)
	want := `{"time":"2026-11-22T09:08:07.065-05:00","id":"testtesttesttest","client":"2001:db8::7","user":"ann","method":"GET","host":"app.example.com",` +
		`"uri":"/static/a.js?v=1","proto":"HTTP/1.1","tls":"TLS 1.3","status":200,"bytes":1234,"duration_seconds":0.5,` +
		`"site":"app.example.com","route":"app.example.com/static/","referer":"https://app.example.com/","user_agent":"a\"b\\\u000a\u2028\u0001é"}` + "\n"
	if line != want {
		t.Errorf("got  %swant %s", line, want)
	}

	x.status, x.received, x.route = http.StatusSwitchingProtocols, 77, nil
	out.Reset()
	accessLogTo(&out, AccessJSON).write(x)
	var tunnel map[string]any
	if err := json.Unmarshal(out.Bytes(), &tunnel); err != nil {
		t.Fatal(err)
	}
	if tunnel["bytes_in"] != 77.0 || tunnel["route"] != "" {
		t.Errorf("a tunnel: got %s", out.String())
	}
}

// logged is the line of an exchange.
func logged(format AccessFormat, x *exchange) string {
	var out bytes.Buffer
	accessLogTo(&out, format).write(x)
	return out.String()
}

// A tunnel's line is begun when it opens; the exchange is gone when it ends.
func TestAccessLog_KeptLineIsTheSame(t *testing.T) {
	for _, format := range []AccessFormat{AccessCombined, AccessJSON, AccessOff, "%D %h %>s%b %{in}L %r", "%B", "%h"} {
		x := loggedExchange()
		x.status, x.received = http.StatusSwitchingProtocols, 77
		var whole, kept bytes.Buffer
		a := accessLogTo(&kept, format)
		f := x.figures()
		f.duration = 90 * time.Minute
		if w := accessLogTo(&whole, format); w.form != nil {
			whole.Write(w.form.line(nil, x, f))
		}
		entry := a.keep(x)
		x.reset()
		x.req = nil
		a.finish(entry, f)
		if kept.String() != whole.String() || (format == AccessOff) != (kept.Len() == 0) {
			t.Errorf("%s: %q\nwant %q", format, kept.String(), whole.String())
		}
	}
}

func TestAccessLog_OffWritesNothing(t *testing.T) {
	x := loggedExchange()
	var out bytes.Buffer
	accessLogTo(&out, AccessOff).write(x)
	if out.Len() != 0 {
		t.Errorf("wrote %s", out.String())
	}
	accessLogTo(nil, AccessCombined).write(x) // no writer: off
}

// wholeLines counts writes that are no whole line or come two at a time.
type wholeLines struct {
	busy          atomic.Bool
	lines, broken atomic.Int64
}

func (w *wholeLines) Write(p []byte) (int, error) {
	alone := w.busy.CompareAndSwap(false, true)
	runtime.Gosched() // invites whoever does not wait
	w.lines.Add(1)
	if !alone || !combinedLine.Match(p) {
		w.broken.Add(1)
	}
	w.busy.Store(false)
	return len(p), nil
}

func TestAccessLog_LinesStayWhole(t *testing.T) {
	out := &wholeLines{}
	a := accessLogTo(out, AccessCombined)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { // ends by itself, awaited below
			x := loggedExchange()
			setField(x, "User-Agent", strings.Repeat("u", i*4000)) // some too long to be pooled
			for range 30 {
				a.write(x)
			}
		})
	}
	wg.Wait()
	if lines, broken := out.lines.Load(), out.broken.Load(); lines != 240 || broken != 0 {
		t.Errorf("%d writes, %d of them broken; want 240, 0", lines, broken)
	}
}

func TestAccessLog_OfARunningServer(t *testing.T) {
	out := newLines()
	s, err := New(Config{
		HTTPListen:     Addresses{"127.0.0.1:0"},
		Sites:          []Site{{Hosts: []string{"app.test"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", Files: writeTree(t, "a.txt", "text")}}}},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		State:          t.TempDir(),
		DrainTimeout:   5 * time.Second,
	}, slog.New(slog.DiscardHandler), out)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	_, plain := s.Addrs()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ended by stop, awaited below

	conn, err := net.Dial("tcp", plain[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for _, head := range []string{
		"GET //a.txt?q=\"x\" HTTP/1.1\r\nHost: app.test\r\nUser-Agent: say \"hi\"\r\nX-Forwarded-For: 203.0.113.9\r\nAuthorization: Basic YW5uOnRvcHNlY3JldA==\r\nCookie: topsecret\r\n\r\n",
		"GET /none HTTP/1.1\r\nHost: app.test\r\n\r\n",
		"GET /a.txt HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n",
	} {
		fmt.Fprint(conn, head)
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		m := combinedLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("no combined line: %s", line)
		}
		if at, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[3]); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("time %s: %v", m[3], err)
		}
		got = append(got, strings.Join([]string{m[1], m[2], m[4], m[5], m[8]}, "|"))
	}
	want := []string{
		`203.0.113.9|ann|GET //a.txt?q=\"x\" HTTP/1.1|200|say \"hi\"`,
		`127.0.0.1|-|GET /none HTTP/1.1|404|-`,
		`127.0.0.1|-|GET /a.txt HTTP/1.1|421|-`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if strings.Contains(out.String(), "topsecret") {
		t.Errorf("a secret was logged:\n%s", out)
	}
}

func FuzzAccessLog(f *testing.F) {
	f.Add("GET", "/a?b=c", "Mozilla/5.0 (X11)", "https://x/", "ann")
	f.Add("GET", `/" 200 5 "-" "-"`, "a\nb\r\x00", `\`, "a b] \"")
	f.Add("P\x7f", "/\xff\xfe", "\u2028\u2029\u0085", "\\x41\\\"", "ü")
	f.Fuzz(func(t *testing.T, method, uri, agent, referer, name string) {
		if strings.ContainsAny(method+uri, " ") || method == "" || uri == "" {
			return // no request line has these
		}
		x := loggedExchange()
		name, _, _ = strings.Cut(name, ":") // the colon ends it, RFC 7617 §2
		x.req = &http1.Request{Method: []byte(method), Target: []byte(uri),
			Fields: fieldList("User-Agent", agent, "Referer", referer, "Authorization", basicAuth(name, "x"))}

		line := logged(AccessCombined, x)
		m := combinedLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("no combined line: %q", line)
		}
		request := strings.Split(m[4], " ")
		if len(request) != 3 {
			t.Fatalf("no request line: %q", m[4])
		}
		for i, c := range []struct{ got, want string }{{m[2], name}, {request[0], method}, {request[1], uri}, {m[7], referer}, {m[8], agent}} {
			if got := unescape(t, c.got); got != c.want && !(c.got == "-" && c.want == "") {
				t.Errorf("field %d: %q came back as %q", i, c.want, got)
			}
		}

		line = logged(AccessJSON, x)
		if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\n\r\u0085\u2028\u2029") {
			t.Errorf("more than one line: %q", line)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		for field, want := range map[string]string{"method": method, "uri": uri, "user_agent": agent, "referer": referer, "user": name} {
			if got[field] != string([]rune(want)) { // as bytes that are no UTF-8 are replaced
				t.Errorf("%s: %q came back as %q", field, want, got[field])
			}
		}
	})
}

func BenchmarkAccessLog(b *testing.B) {
	for name, form := range map[string]AccessFormat{"combined": AccessCombined, "json": AccessJSON, "own": `%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %D %L`} {
		b.Run(name, func(b *testing.B) {
			x := loggedExchange()
			a := accessLogTo(io.Discard, form)
			b.ReportAllocs()
			for b.Loop() {
				a.write(x)
			}
		})
	}
}
