//go:build e2e

package main_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// foundingConfig is all that an operator writes for the founding app: the
// push, the folder of its static files, and the app.
const foundingConfig = `sites:
  - hosts: [app.test]
    tls: auto
    routes:
      - {path: /websocket, push: {channel: board}}
      - {path: /static/, files: %s}
      - {path: /, app: "%s"}
`

// timedMessage is the founding document's message.
var timedMessage = regexp.MustCompile(`^websocket test: received msg \[[0-9a-f-]{36}\] from server at <\d{4}-\d\d-\d\d \d\d:\d\d:\d\d>$`)

func (l *lab) testFoundingModWSGI(t *testing.T) {
	// mod_wsgi by itself believes no proxy: see testBehindProxySettings.
	l.testFounding(t, l.modwsgi, false)
}

func (l *lab) testFoundingGunicorn(t *testing.T) {
	l.testFounding(t, l.gunicorn, true)
}

// testFounding is the main job on real input: wsfront with a certificate that
// it obtained by ACME in front of the unmodified app, with at most ten lines
// of configuration. secure says whether this server tells the app of https.
func (l *lab) testFounding(t *testing.T, app *legacy, secure bool) {
	if n := strings.Count(foundingConfig, "\n"); n > 10 {
		t.Errorf("the founding app takes %d lines of configuration, want at most 10", n)
	}
	f := l.newFront(t)
	ca := l.newCA(t, f)
	f.run(t, fmt.Sprintf(foundingConfig, app.static, app.url)+f.publishLines()+ca.lines)
	f.obtains(t, "app.test")

	t.Run("board", func(t *testing.T) { f.testBoard(t, l.newBrowser(t, ca.root)) })
	t.Run("plain_get_on_the_sockets_url", f.testPlainGet)
	t.Run("login", func(t *testing.T) { testLogin(t, f, "app.test") })
	t.Run("upload", f.testUpload)
	t.Run("body_without_a_length", f.testBodyWithoutLength)
	t.Run("download", f.testDownload)
	t.Run("as_sent", f.testAsSent)
	t.Run("whoami", func(t *testing.T) { f.testWhoami(t, secure) })
	t.Run("cookies", f.testCookies)
	t.Run("redirects", func(t *testing.T) { testRedirects(t, f, "app.test") })
}

// obtains waits until a certificate for name is served.
func (f *front) obtains(t testing.TB, name string) {
	t.Helper()
	c := f.client(t, false)
	f.until(t, "serves a certificate for "+name, func() bool {
		res, err := c.Get("https://" + f.site(name) + "/websocket?message=ready")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return true
	})
}

// testBoard is what a person sees: the page as it stands, its socket that is
// written ws://, and the board that fills.
func (f *front) testBoard(t *testing.T, b *browser) {
	every := start(t, "wsfront publish --every", f.command("publish", "--config", f.config, "board", "--every", "1.5s"))
	p := b.open(t, "https://"+f.site("app.test")+"/wstest")
	p.says(t, "WebSockets connection created.")
	p.waits(t, "document.querySelectorAll('#board p').length >= 3")
	if got := p.text(t, "document.querySelector('#board p').textContent"); !timedMessage.MatchString(got) {
		t.Errorf("the board has %q, want the founding document's message", got)
	}
	if got, want := p.text(t, "socket.url"), "wss://"+f.site("app.test")+"/websocket"; got != want {
		t.Errorf("the socket is open at %s, want %s", got, want)
	}
	every.stop()

	if status, out, errs := finish(t, f.command("publish", "--config", f.config, "board", "from the shell")); status != 0 {
		t.Errorf("wsfront publish ended with %d: %s%s", status, out, errs)
	}
	lines := f.command("publish", "--config", f.config, "board")
	lines.Stdin = strings.NewReader("first line\nsecond line\n")
	if status, out, errs := finish(t, lines); status != 0 {
		t.Errorf("wsfront publish from standard input ended with %d: %s%s", status, out, errs)
	}
	// The page puts each message on top.
	p.waits(t, "[...document.querySelectorAll('#board p')].slice(0, 3).map(p => p.textContent).join() == 'second line,first line,from the shell'")

	// The same URL is an event stream for who asks for one.
	p.text(t, "window.events = new EventSource('/websocket'); events.onmessage = e => window.streamed = e.data; 0")
	p.waits(t, "events.readyState == EventSource.OPEN")
	if status, out, errs := finish(t, f.command("publish", "--config", f.config, "board", "by both ways")); status != 0 {
		t.Errorf("wsfront publish ended with %d: %s%s", status, out, errs)
	}
	p.waits(t, "window.streamed == 'by both ways' && document.querySelector('#board p').textContent == 'by both ways'")

	for _, complaint := range []string{"Mixed Content", "SecurityError", "exception:", "error:"} {
		if line := p.console.line(complaint); line != "" && !strings.Contains(line, "favicon.ico") {
			t.Errorf("the browser complains: %s", line)
		}
	}
}

func (f *front) testPlainGet(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		got := get(t, f.client(t, http2), "https://"+f.site("app.test")+"/websocket?message=hello")
		if got.StatusCode != http.StatusOK || got.body != "hello" {
			t.Errorf("a plain GET on the socket's URL by %s: %s %q, want the app's hello", got.Proto, got.Status, got.body)
		}
	}
}

// testAsSent reads the first part of a streamed answer and looks at the clock
// by which the app stamps the last: it must not have been sent yet.
func (f *front) testAsSent(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for _, path := range []string{"/events?n=3&gap=1", "/stream?n=3&gap=1"} {
			t.Run(fmt.Sprintf("http2=%v%s", http2, path), func(t *testing.T) {
				t.Parallel() // the app sleeps most of the time
				f.readsAsSent(t, f.client(t, http2), path)
			})
		}
	}
}

func (f *front) readsAsSent(t *testing.T, c *http.Client, path string) {
	res, err := c.Do(request(t, http.MethodGet, "https://"+f.site("app.test")+path, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	part := make([]byte, 4096)
	n, err := res.Body.Read(part)
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	read := unixNow()
	rest, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	stamps := stampsIn(t, string(part[:n])+string(rest))
	if len(stamps) != 3 {
		t.Fatalf("read %d parts, want 3: %q%q", len(stamps), part[:n], rest)
	}
	if read >= stamps[2] {
		t.Errorf("the first part came at %.3f, when the last had been sent at %.3f: the answer was held", read, stamps[2])
	}
}

func (f *front) testDownload(t *testing.T) {
	want := sha256.New()
	block := bytes.Repeat(everyByte(), 256)
	for range 200 * 16 {
		want.Write(block)
	}
	for _, http2 := range []bool{false, true} {
		got := sha256.New()
		res, err := f.client(t, http2).Do(request(t, http.MethodGet, "https://"+f.site("app.test")+"/download?mb=200", nil))
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(got, res.Body)
		_ = res.Body.Close()
		if err != nil {
			t.Fatalf("by %s the download broke off after %d bytes: %v", res.Proto, n, err)
		}
		if n != 200<<20 || res.ContentLength != n || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
			t.Errorf("by %s: %d bytes (Content-Length %d) with digest %x, want %d bytes with %x",
				res.Proto, n, res.ContentLength, got.Sum(nil), 200<<20, want.Sum(nil))
		}
	}
}

// everyByte is the pattern of the app's download: all bytes in order.
func everyByte() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// curl runs curl with the lab's root and with *.test names at wsfront.
func (f *front) curl(t testing.TB, args ...string) string {
	t.Helper()
	args = append([]string{"--silent", "--show-error", "--max-time", "30",
		"--connect-to", fmt.Sprintf("::127.0.0.1:%d", f.plain)}, args...)
	status, out, errs := finish(t, exec.Command("curl", args...))
	if status != 0 {
		t.Fatalf("curl %v ended with %d: %s", args, status, errs)
	}
	return out
}
