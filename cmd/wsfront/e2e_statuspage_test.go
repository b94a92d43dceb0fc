//go:build e2e

package main_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/gorilla/websocket"

	"wsfront/cmd/internal/admin"
)

// hostile is a user agent that would be markup if it were written as such.
const hostile = `<img src="/healthz" onerror="document.title='broken in'">`

// statusPage is a wsfront with an admin listener, an app behind it, and its status
// page in a browser.
type statusPage struct {
	*front
	*page
	origin string // of the admin listener
}

// testStatusPage holds the page to what the server tells by other ways.
func (l *lab) testStatusPage(t *testing.T) {
	p := &statusPage{front: l.newFront(t)}
	listen := loopback(l.port(t))
	p.origin = "http://" + listen
	pem := l.pki.issue(t, p.folder, "app.test")
	app := httptest.NewServer(http.HandlerFunc(echoApp))
	t.Cleanup(app.Close)
	p.run(t, fmt.Sprintf(`sites:
  - hosts: [app.test]
    tls: {cert: %s, key: %s}
    routes:
      - {path: /ws, tunnel: "ws://%s"}
      - {path: /dead, tunnel: "ws://%s"}
      - {path: /push, push: {channel: board}}
      - {path: /, app: "http://%[3]s"}
admin: {listen: "%[5]s"}
%[6]s`, pem.cert, pem.key, app.Listener.Addr(), loopback(l.port(t)), listen, p.publishLines()))
	p.listens(t, listen)
	p.page = l.newBrowser(t, l.pki.file).open(t, p.origin+"/")
	p.waits(t, "!document.getElementById('main').hidden")

	t.Run("shows_what_is_there", p.testShows)
	t.Run("kill_by_keyboard", p.testKill)
	t.Run("accessible", p.testAccessible)
	t.Run("thousand", p.testThousand)
	if got := p.console.String(); got != "" {
		t.Errorf("the console has %s", got)
	}
	t.Run("restart", p.testRestart)
	t.Run("login", p.testLogin)
}

// echoApp sends back what it is sent by a WebSocket, and answers else.
func echoApp(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		io.WriteString(w, "hello")
		return
	}
	c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		kind, text, err := c.ReadMessage()
		if err != nil || c.WriteMessage(kind, text) != nil {
			return
		}
	}
}

func (p *statusPage) dialer() *websocket.Dialer {
	return &websocket.Dialer{NetDialContext: p.dial, TLSClientConfig: &tls.Config{RootCAs: p.roots}, HandshakeTimeout: patience}
}

// tunnel opens one by a user agent.
func (p *statusPage) tunnel(t testing.TB, agent string) *websocket.Conn {
	t.Helper()
	c, _, err := p.dialer().Dial("wss://"+p.site("app.test")+"/ws", http.Header{"User-Agent": {agent}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// echo sends texts through a tunnel and waits for them to come back.
func echo(t testing.TB, c *websocket.Conn, times int) {
	t.Helper()
	for range times {
		if err := c.WriteMessage(websocket.TextMessage, []byte("to and fro")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
}

// asked is what the admin listener answers for a path.
func asked[T any](t testing.TB, p *statusPage, path string) T {
	t.Helper()
	var answer T
	res, err := http.Get(p.origin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, res.Status, err)
	}
	return answer
}

// rows are the tunnels as the page has them: their exact figures, and the words.
const rows = `[...document.querySelectorAll('#tunnels tbody tr')].map(tr => [tr.dataset.id, tr.cells[0].textContent, tr.cells[1].textContent,
	...[3, 4, 5, 6].map(i => tr.cells[i].firstChild.value), tr.cells[10].textContent].join(' | ')).sort()`

// testShows compares the page with /status, /tunnels, /certificates and /failures
// while tunnels move.
func (p *statusPage) testShows(t *testing.T) {
	agents := []string{hostile, "Mozilla/5.0 (X11; Linux x86_64)", "a bot"}
	var tunnels []*websocket.Conn
	for i, agent := range agents {
		tunnels = append(tunnels, p.tunnel(t, agent))
		echo(t, tunnels[i], i+1)
	}
	res, err := p.client(t, false).Get("https://" + p.site("app.test") + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if _, _, err := p.dialer().Dial("wss://"+p.site("app.test")+"/dead", nil); err == nil {
		t.Fatal("a handshake with nobody behind it succeeded")
	}
	p.text(t, "window.loaded = 'once'")
	for round := range 3 {
		eventually(t, "the page's tunnels are those of /tunnels", func() bool {
			var want []string
			for _, x := range asked[admin.TunnelList](t, p, "/tunnels").Tunnels {
				want = append(want, fmt.Sprintf("%s | %s | %s%s | %d | %d | %d | %d | %s", x.ID, x.Client, x.Site, x.Route, x.MessagesIn, x.MessagesOut, x.BytesIn, x.BytesOut, x.UserAgent))
			}
			slices.Sort(want)
			return len(want) == len(agents) && slices.Equal(p.list(t, rows), want)
		})
		eventually(t, "the rest is that of /status", func() bool {
			s := asked[admin.Status](t, p, "/status")
			var want []string
			for _, site := range s.Sites {
				for _, r := range site.Routes {
					want = append(want, fmt.Sprintf("%s %s %d %d %d", r.Route, r.Health, r.Tunnels, r.Requests, r.Failed))
				}
			}
			got := p.list(t, `[...document.querySelectorAll('#sites tr')].filter(tr => tr.cells.length == 6 && tr.parentNode.tagName == 'TBODY').map(tr =>
				[tr.cells[0].firstChild.textContent, tr.cells[2].textContent, ...[3, 4, 5].map(i => tr.cells[i].firstChild.value)].join(' '))`)
			head := p.text(t, "document.getElementById('facts').textContent")
			return slices.Equal(got, want) && strings.Contains(head, s.Version) && strings.Contains(head, s.Config.Version) && strings.Contains(head, fmt.Sprint(s.PID)) &&
				p.text(t, "document.querySelector('.failures .sentence').textContent") == s.Failures[0].Sentence &&
				p.text(t, "document.querySelectorAll('#certificates tbody tr').length") == fmt.Sprint(len(s.Certificates)) &&
				p.text(t, "[...document.querySelectorAll('#push dd')][1].textContent") == fmt.Sprint(s.Push.Channels)
		})
		echo(t, tunnels[round], 5) // and the page is to follow
	}
	if got := p.text(t, "window.loaded + document.images.length + document.title.includes('broken in')"); got != "once0false" {
		t.Errorf("loaded once, images, and broken in: %s", got)
	}
	if fix := p.text(t, "document.querySelector('.failures dd').textContent"); !strings.Contains(fix, " ") {
		t.Errorf("the failure has the fix %q", fix)
	}
	for _, c := range tunnels {
		_ = c.Close()
	}
	p.waits(t, "document.querySelectorAll('#tunnels tbody tr').length == 0")
}

// press presses keys until something has the focus that a script finds.
func (p *statusPage) press(t testing.TB, key, until string) {
	t.Helper()
	for range 100 {
		if p.text(t, "Boolean("+until+")") == "true" {
			return
		}
		p.do(t, chromedp.KeyEvent(key))
	}
	t.Fatalf("%q does not lead to %s", key, until)
}

func (p *statusPage) testKill(t *testing.T) {
	stays, goes := p.tunnel(t, "stays"), p.tunnel(t, "goes")
	p.waits(t, "document.querySelectorAll('#tunnels tbody tr').length == 2")
	p.text(t, "document.activeElement.blur()")
	const inRow = "document.activeElement.closest('tr')?.textContent.includes('goes')"
	p.press(t, "\t", inRow)

	p.do(t, chromedp.KeyEvent("\r"))
	p.waits(t, "document.getElementById('closing').open")
	if got := p.text(t, "document.activeElement.value"); got != "keep" {
		t.Errorf("the dialog begins at %q, want keep", got)
	}
	p.do(t, chromedp.KeyEvent("\r"))
	p.waits(t, "!document.getElementById('closing').open")
	echo(t, goes, 1)
	if got := p.text(t, inRow); got != "true" {
		t.Error("after the dialog the focus is not where it was")
	}

	p.do(t, chromedp.KeyEvent("\r"))
	p.waits(t, "document.getElementById('closing').open")
	p.press(t, "\t", "document.activeElement.value == 'close'")
	p.do(t, chromedp.KeyEvent("\r"))
	if _, _, err := goes.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the tunnel ended by %v, want a Close with 1001", err)
	}
	p.waits(t, "document.querySelectorAll('#tunnels tbody tr').length == 1 && document.getElementById('said').textContent.includes('is closed')")
	echo(t, stays, 1)
	if got := p.text(t, "document.activeElement == document.body"); got != "false" {
		t.Error("the focus went with the row")
	}
	p.text(t, "document.activeElement.blur()")
}

// testAccessible has axe-core look at the page in both themes, wide and narrow.
func (p *statusPage) testAccessible(t *testing.T) {
	p.tunnel(t, hostile)
	p.waits(t, "document.querySelectorAll('#tunnels tbody tr').length > 0")
	axe, err := os.ReadFile("../../testdata/push-client/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	p.text(t, string(axe)+"; 0")
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390} {
			p.do(t, chromedp.EmulateViewport(width, 900), media("prefers-color-scheme", theme))
			if got := p.text(t, `axe.run().then(r => r.violations.map(v => v.id + ": " + v.nodes.map(n => n.target + " " + n.failureSummary)).join("\n"))`); got != "" {
				t.Errorf("%s, %d wide: %s", theme, width, got)
			}
			if got := p.text(t, "document.documentElement.scrollWidth"); got != fmt.Sprint(width) {
				t.Errorf("the page is %s wide on a screen of %d", got, width)
			}
		}
	}
	p.do(t, chromedp.ResetViewport(), media("prefers-color-scheme", ""))
}

// media emulates a preference of the person in front.
func media(name, value string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: name, Value: value}}})
		return err
	})
}

// testThousand has as many tunnels as the page must stay usable with, of which
// each moves.
func (p *statusPage) testThousand(t *testing.T) {
	const many = 1000
	p.do(t, chromedp.EmulateViewport(1280, 900)) // narrower, and rows are cards
	p.waits(t, "document.querySelectorAll('#tunnels tbody tr').length == 0")
	tunnels := make([]*websocket.Conn, many)
	for i := range tunnels {
		tunnels[i] = p.tunnel(t, fmt.Sprintf("number %d.", i))
	}
	p.waits(t, "document.getElementById('shown').textContent == '50 shown of 1,000'")
	p.text(t, `window.slow = []; new PerformanceObserver(list => slow.push(...list.getEntries().map(e => Math.round(e.duration)))).observe({type: "longtask"}); 0`)
	for range 3 {
		for _, c := range tunnels {
			echo(t, c, 1)
		}
	}
	if got := p.text(t, "document.querySelectorAll('#tunnels tbody tr').length"); got != "50" {
		t.Errorf("of %d tunnels %s are drawn, want 50", many, got)
	}
	p.do(t, chromedp.Click(chromedp.CSS("#more")))
	p.waits(t, "document.querySelectorAll('#tunnels tbody tr').length == 150")

	echo(t, tunnels[77], 9)
	p.do(t, chromedp.Click(chromedp.CSS("[data-sort=messagesIn]")))
	p.waits(t, "document.querySelector('#tunnels tbody tr').cells[3].firstChild.value == '12'")
	if got := p.text(t, "document.querySelector('#tunnels tbody tr').cells[10].textContent + document.querySelector('[aria-sort]').textContent"); got != "number 77.Messages in" {
		t.Errorf("sorted by messages, the first and the heading are %q", got)
	}
	p.do(t, chromedp.SendKeys(chromedp.CSS("#filter"), "NUMBER 99"))
	p.waits(t, "document.querySelectorAll('#tunnels tbody tr').length == 11") // 99 and 990 to 999
	p.do(t, chromedp.SendKeys(chromedp.CSS("#filter"), "5."))
	p.waits(t, "document.querySelectorAll('#tunnels tbody tr').length == 1 && document.getElementById('shown').textContent.startsWith('1 shown')")
	t.Logf("tasks of the page that took more than 50 ms, in ms: %s", p.text(t, "slow.join(' ')"))
	for _, c := range tunnels {
		_ = c.Close()
	}
	p.text(t, "filter.value = ''; filter.dispatchEvent(new Event('input')); 0")
	p.waits(t, "document.getElementById('shown').textContent == '0'")
}

// testRestart ends the server: the page says so, and goes on with the next one.
func (p *statusPage) testRestart(t *testing.T) {
	p.text(t, "window.loaded = 'before'")
	before := asked[admin.Status](t, p, "/status").PID
	p.signal(syscall.SIGTERM)
	p.exit(t)
	p.waits(t, "document.body.classList.contains('stale') && document.getElementById('link').textContent.startsWith('Connection lost')")
	p.start(t, "run", "--config", p.config)
	p.waits(t, fmt.Sprintf("!document.body.classList.contains('stale') && !document.getElementById('facts').textContent.includes('Process %d')", before))
	after := asked[admin.Status](t, p, "/status").PID
	if got := p.text(t, "window.loaded + document.getElementById('process').textContent"); got != fmt.Sprintf("beforeProcess %d", after) {
		t.Errorf("after the restart the page has %q, want the process %d without being loaded again", got, after)
	}
	p.tunnel(t, "after the restart")
	p.waits(t, "document.querySelector('#tunnels tbody tr')?.textContent.includes('after the restart')")
}

// testLogin has the listener ask for a token.
func (p *statusPage) testLogin(t *testing.T) {
	token := filepath.Join(p.folder, "admin.token")
	edit(t, p.config, "admin: {listen:", fmt.Sprintf("admin: {token_file: %s, listen:", token))
	p.restart(t, syscall.SIGTERM)
	p.waits(t, "!document.getElementById('login').hidden && document.getElementById('main').hidden")
	const told = "document.getElementById('link').textContent + document.getElementById('link').className"
	if got := p.text(t, told); got != "not logged inlink" {
		t.Errorf("before the login the page says of its connection %q", got)
	}
	p.do(t, chromedp.SendKeys(chromedp.CSS("#token"), "not the token\r"))
	p.waits(t, "document.getElementById('refused').textContent")
	if got := p.text(t, "document.getElementById('main').hidden"); got != "true" {
		t.Error("a wrong token shows the page")
	}
	text, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	p.text(t, "document.getElementById('token').value = ''; 0")
	p.do(t, chromedp.SendKeys(chromedp.CSS("#token"), strings.TrimSpace(string(text))+"\r"))
	p.waits(t, "document.getElementById('login').hidden && !document.getElementById('main').hidden && !document.body.classList.contains('stale')")
	if got := p.text(t, told); got != "livelink known" {
		t.Errorf("after the login the page says of its connection %q", got)
	}
	p.tunnel(t, "for those who are logged in")
	p.waits(t, "document.querySelector('#tunnels tbody tr')?.textContent.includes('for those who are logged in')")
}
