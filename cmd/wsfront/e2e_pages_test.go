//go:build e2e

package main_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"wsfront/pusher"
)

// pushViews is what the founding app is given besides the documents' own code: a
// view that publishes, one that logs out, and the page that resumes.
const pushViews = `
from django.contrib.auth import logout
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path

def say(request):
    publish(request.GET["channel"], request.GET["text"])
    return HttpResponse("said")

def leave(request):
    logout(request)
    return HttpResponse("logged out")

urls = [
    path("say", say),
    path("push/auth", push_auth),
    path("leave", leave),
    path("resuming", lambda request: render(request, "resuming.html")),
]
`

// pythonOf is the first Python code of a document that has text in it.
func pythonOf(t testing.TB, document, text string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", document))
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(string(page), "```python\n") {
		if code, _, ok := strings.Cut(block, "```\n"); ok && strings.Contains(code, text) {
			return code
		}
	}
	t.Fatalf("%s has no Python code with %q", document, text)
	return ""
}

// publisherOf is the code by which the README has an app publish, for a key and
// a publish API that are not at their usual places.
func publisherOf(t testing.TB, publishAt int, keyFile string) string {
	t.Helper()
	code := pythonOf(t, "README.md", "def publish")
	if n := strings.Count(code, "\n"); n > 5 {
		t.Errorf("publishing takes %d lines of Python, want at most 5", n)
	}
	for usual, here := range map[string]string{"/var/lib/wsfront/publish.key": keyFile, "127.0.0.1:7070": loopback(publishAt)} {
		if !strings.Contains(code, usual) {
			t.Fatalf("the README's code has no %q to replace:\n%s", usual, code)
		}
		code = strings.ReplaceAll(code, usual, here)
	}
	return code
}

// pages is the founding app with a few views more, behind a wsfront with a CA of
// its own and a durable history, and the browser.
type pages struct {
	*front
	*browser
	app *legacy
}

// testPages is what becomes of the founding app's page once the app publishes.
func (l *lab) testPages(t *testing.T) {
	f := l.newFront(t)
	keyFile := filepath.Join(f.folder, "publish.key")
	if _, _, err := pusher.LoadKey(keyFile); err != nil { // the app wants it at its start
		t.Fatal(err)
	}
	p := &pages{front: f, app: l.startApp(t, legacyOptions{server: "gunicorn", change: func(folder string) {
		writeFile(t, filepath.Join(folder, "legacy/live.py"), publisherOf(t, f.publishAt, keyFile)+pythonOf(t, "deploy/docs/push.md", "def push_auth")+pushViews)
		urls := filepath.Join(folder, "legacy/urls.py")
		edit(t, urls, "from . import views", "from . import live, views")
		edit(t, urls, "urlpatterns = [", "urlpatterns = live.urls + [")
		resumingPage(t, filepath.Join(folder, "templates"))
	}})}
	f.run(t, fmt.Sprintf(`sites:
  - hosts: [app.test]
    tls: internal
    routes:
      - {path: /websocket, push: {channel: board}}
      - {path: /members, push: {channel: board, auth: /push/auth}}
      - {path: /rechecked, push: {channel: board, auth: {path: /push/auth, recheck: 1s}}}
      - {path: /static/, files: %s}
      - {path: /, app: "%s"}
push: {history: durable, publish: {listen: %s, key_file: %s}}
log: {level: debug}
`, p.app.static, p.app.url, loopback(f.publishAt), keyFile))
	p.browser = l.newBrowser(t, filepath.Join(f.folder, "state/internal-ca/root.crt"))
	t.Run("auth", p.testAuth)
	t.Run("board", p.testResumingBoard) // the last one, as the wsfront that it starts ends with it
}

// resumingPage writes the founding page with one line changed.
func resumingPage(t testing.TB, templates string) {
	t.Helper()
	founding, err := os.ReadFile(filepath.Join(templates, "wstest.html"))
	if err != nil {
		t.Fatal(err)
	}
	page := writeFile(t, filepath.Join(templates, "resuming.html"), string(founding))
	edit(t, page, "<script>\n", `<script type="module">import WebSocket from "/websocket/push.js";`+"\n")
	changed, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, after := strings.Split(string(founding), "\n"), strings.Split(string(changed), "\n")
	n := 0
	for i := range before {
		if before[i] != after[i] {
			n++
		}
	}
	if n != 1 || len(before) != len(after) {
		t.Fatalf("%d lines of %d changed, and there are %d; want one changed", n, len(before), len(after))
	}
}

// say has the app's view publish.
func (p *pages) say(t testing.TB, channel, text string) {
	t.Helper()
	res, err := http.Get(p.app.url + "/say?" + url.Values{"channel": {channel}, "text": {text}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("the app's view that publishes answered %s", res.Status)
	}
}

// restart ends wsfront and starts it anew. Only what it prints from then on is
// in its log.
func (f *front) restart(t testing.TB, by syscall.Signal) {
	t.Helper()
	f.signal(by)
	if status := f.exit(t); by == syscall.SIGTERM && status != 0 {
		t.Errorf("wsfront ended with %d, want 0", status)
	}
	f.start(t, "run", "--config", f.config)
}

// testResumingBoard restarts wsfront while three pages are open: the founding
// one with one line changed, which shows every message once; one with an
// EventSource, likewise; and the founding one unmodified, which knows nothing of
// this and works as ever once a person loads it again.
func (p *pages) testResumingBoard(t *testing.T) {
	origin := "https://" + p.site("app.test")
	resuming, raw, events := p.open(t, origin+"/resuming"), p.open(t, origin+"/wstest"), p.open(t, origin+"/")
	events.text(t, "window.got = []; window.source = new EventSource('/websocket'); source.onmessage = e => got.push(e.data); 0")
	events.waits(t, "source.readyState == EventSource.OPEN")
	for _, page := range []*page{resuming, raw} {
		page.says(t, "WebSockets connection created.")
	}
	var said []string
	say := func() {
		t.Helper()
		said = append(said, fmt.Sprintf("message %d from the app's <b>view</b>", len(said)+1))
		p.say(t, "board", said[len(said)-1])
	}
	shown := func(page *page, script string) {
		t.Helper()
		page.waits(t, fmt.Sprintf("%s.length >= %d", script, len(said)))
		if got := page.list(t, script); !slices.Equal(got, said) {
			t.Errorf("the page has %q, want %q", got, said)
		}
	}
	const board = "[...document.querySelectorAll('#board p')].reverse().map(p => p.innerHTML)"
	say()
	say()
	shown(resuming, board)
	shown(raw, board)
	shown(events, "got")

	for _, by := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		// Until a message is published while nobody is connected.
		for away := false; !away; {
			p.restart(t, by)
			say()
			away = !strings.Contains(p.log.String(), pusher.EventOpen)
		}
		say()
		shown(resuming, board)
		shown(events, "got")
	}
	// Had one come twice, it would be there before this.
	say()
	shown(resuming, board)
	shown(events, "got")

	raw.do(t, chromedp.Reload())
	raw.waits(t, "socket.readyState == WebSocket.OPEN")
	p.say(t, "board", "after a reload")
	raw.waits(t, "document.querySelectorAll('#board p').length > 0")
	if got, want := raw.text(t, "document.querySelector('#board').innerText + socket.protocol"), "after a reload"; strings.TrimSpace(got) != want {
		t.Errorf("the unmodified page has %q, want %q and no subprotocol", got, want)
	}
}

// testAuth lets those in whom Django's session lets in.
func (p *pages) testAuth(t *testing.T) {
	origin := "https://" + p.site("app.test")
	page := p.open(t, origin+"/")
	refused := func(path, reason string, attributes ...string) {
		t.Helper()
		refusals := func() int { return strings.Count(p.log.String(), pusher.EventRefused) }
		before := refusals()
		if code := page.text(t, fmt.Sprintf("new Promise(done => { new WebSocket('wss://' + location.host + '%s').onclose = e => done(e.code) })", path)); code != "1006" {
			t.Errorf("a socket at %s ended with %s, want a refusal", path, code)
		}
		p.until(t, "logs the refusal", func() bool { return refusals() > before })
		line := lastLine(p.log.String(), pusher.EventRefused)
		for _, part := range append(attributes, reason) {
			if !strings.Contains(line, part) {
				t.Errorf("the log does not say %q: %s", part, line)
			}
		}
	}

	refused("/members", "no cookie came", "status=401", "cookies=none", "the visitor has not logged in", "auth=/push/auth", "origin="+origin)
	page.do(t, chromedp.Navigate(origin+"/login/")) // Django gives the form's cookie
	refused("/members", "though cookies or Authorization came", "status=401", "cookies=csrftoken")

	page.do(t,
		chromedp.SendKeys(chromedp.CSS("#id_username"), "legacy"),
		chromedp.SendKeys(chromedp.CSS("#id_password"), "legacy\r"))
	page.waits(t, "location.pathname == '/whoami' && document.readyState == 'complete'")
	page.text(t, `window.got = []; window.sockets = ["/members", "/rechecked"].map(path => {
		const socket = new WebSocket("wss://" + location.host + path);
		socket.onmessage = e => got.push(path + " " + e.data);
		socket.onclose = e => socket.ended = e.code + " " + e.reason;
		return socket;
	}); 0`)
	page.waits(t, "sockets.every(socket => socket.readyState == WebSocket.OPEN)")
	p.say(t, "secret", "not for this one")
	p.say(t, "user.1", "for this one")
	p.say(t, "board", "for all")
	page.waits(t, "got.length >= 4")
	want := []string{"/members for all", "/members for this one", "/rechecked for all", "/rechecked for this one"}
	if got := page.list(t, "got"); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("the page got %q, want %q", got, want)
	}
	refused("/members?channel=secret", "admits to none of the channels asked for", "status=403", "cookies=\"csrftoken, sessionid\"", "asked=secret")

	page.text(t, "fetch('/leave').then(answer => answer.text())")
	page.waits(t, "sockets[1].ended")
	if got := page.text(t, "sockets[1].ended"); !strings.HasPrefix(got, "4401 ") {
		t.Errorf("after the logout the socket ended with %q, want 4401 and a reason", got)
	}
	refused("/rechecked", "though cookies or Authorization came", "status=401", "cookies=csrftoken")
	// It is asked about after minutes, and has its place until then.
	if got := page.text(t, "sockets[0].readyState"); got != "1" {
		t.Errorf("the socket that was not asked about again is in state %s, want 1", got)
	}
}

// list evaluates a script whose result is an array of texts.
func (p *page) list(t testing.TB, script string) []string {
	t.Helper()
	return strings.Split(p.text(t, "("+script+").join('\\0')"), "\x00")
}

// lastLine is the last line that contains text.
func lastLine(log, text string) string {
	last := ""
	for line := range strings.Lines(log) {
		if strings.Contains(line, text) {
			last = strings.TrimSuffix(line, "\n")
		}
	}
	return last
}
