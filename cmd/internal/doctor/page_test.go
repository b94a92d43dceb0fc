package doctor

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"wsfront/proxy/diagnosis"
)

// founding is the page that all began with.
const founding = `<html><head><title>Board</title></head><body>
<script src="/static/jquery.min.js"></script>
<script>
  var socket = new WebSocket("ws://" + window.location.host + "/websocket");
</script></body></html>`

func TestRun_Page(t *testing.T) {
	root := newAuthority(t, "Test Root", nil)
	ca := root.file(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{root.issue(t, "app.test", time.Now().Add(500*time.Hour))}}
	for name, c := range map[string]struct {
		pages  map[string]string // by path, whole answers; the WebSocket is at /websocket
		plain  bool
		want   diagnosis.Cause
		exit   int
		detail string
	}{
		"founding":               {map[string]string{"/": status(200, founding)}, false, diagnosis.MixedContent, 6, "/ line 4"},
		"founding, http":         {map[string]string{"/": status(200, founding)}, true, "", 0, "http://"},
		"policy":                 {map[string]string{"/": status(200, founding, "Content-Security-Policy: default-src *", "Content-Security-Policy: upgrade-insecure-requests")}, false, "", 0, "Content-Security-Policy"},
		"policy in the page":     {map[string]string{"/": status(200, `<META http-equiv="Content-Security-Policy" content="upgrade-insecure-requests">`+founding)}, false, "", 0, "Content-Security-Policy"},
		"report only":            {map[string]string{"/": status(200, founding, "Content-Security-Policy-Report-Only: upgrade-insecure-requests")}, false, diagnosis.MixedContent, 6, ""},
		"script":                 {map[string]string{"/": status(200, `<script defer src='app.js?v=1'></script>`), "/app.js?v=1": status(200, "\n\nconnect('ws://app.test/websocket')")}, false, diagnosis.MixedContent, 6, "/app.js?v=1 line 3"},
		"script that is missing": {map[string]string{"/": status(200, `<script src=app.js></script>`), "/app.js": status(404, "'ws://app.test/'")}, false, "", 0, "no ws://"},
		"chooses by the page":    {map[string]string{"/": status(200, `<script>var s = (location.protocol == "https:" ? "wss://" : "ws://") + location.host;</script>`)}, false, "", 0, "no ws://"},
		"attribute":              {map[string]string{"/": status(200, `<div data-socket="ws://app.test/websocket"></div>`)}, false, diagnosis.MixedContent, 6, "/ line 1"},
		"text for people":        {map[string]string{"/": status(200, `<p>Open "ws://app.test/"</p><!-- <script>new WebSocket("ws://x")</script> --><script>// "ws://x"</script>`)}, false, "", 0, "no ws://"},
		"this machine":           {map[string]string{"/": status(200, `<script>new WebSocket("ws://localhost:1/")</script>`)}, false, "", 0, "no ws://"},
		"redirect":               {map[string]string{"/": status(302, "", "Location: /start"), "/start": status(200, founding)}, false, diagnosis.MixedContent, 6, "/start line 4"},
		"redirect to a login":    {map[string]string{"/": status(302, "", "Location: /login"), "/login": status(200, "<form>")}, false, "", 0, "/login, which has no ws://"},
		"JSON of PHP":            {map[string]string{"/": status(200, `<script>var o = {"url":"ws:\/\/app.test\/websocket","dev":"ws:\/\/localhost"}</script>`)}, false, diagnosis.MixedContent, 6, "/ line 1"},
		"redirect elsewhere":     {map[string]string{"/": status(302, "", "Location: https://login.test/")}, false, "", 0, "https://login.test/"},
		"loop":                   {map[string]string{"/": status(301, "", "Location: /")}, false, diagnosis.RedirectLoop, 4, "itself"},
		"longer loop":            {map[string]string{"/": status(301, "", "Location: /a"), "/a": status(301, "", "Location: /")}, false, diagnosis.RedirectLoop, 4, "redirects"},
		"missing":                {map[string]string{"/": status(404, "no")}, false, "", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, scheme, socket := cfg, "https", "wss"
			if c.plain {
				config, scheme, socket = nil, "http", "ws"
			}
			s := serve(t, config, func(conn net.Conn, r *http.Request, behind *bufio.Reader) {
				switch page := c.pages[r.RequestURI]; {
				case isHandshake(r):
					accept(conn, r, behind)
				case page != "":
					write(conn, page)
				default:
					write(conn, status(404, "no"))
				}
			})
			r := examine(t, Options{URL: s.url(socket, "/websocket"), Page: s.url(scheme, "/"), CA: ca})
			expect(t, r, c.want, c.exit)
			if got := stepOf(r, "page"); !strings.Contains(got.Detail, c.detail) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestRun_PageBeforeTheRedirect: who examines the ws:// URL that an https page
// opens is told of the page, and not of what answers at port 80.
func TestRun_PageBeforeTheRedirect(t *testing.T) {
	root := newAuthority(t, "Test Root", nil)
	page := serve(t, &tls.Config{Certificates: []tls.Certificate{root.issue(t, "app.test", time.Now().Add(500*time.Hour))}}, fixed(status(200, founding)))
	plain := serve(t, nil, fixed(status(301, "", "Location: https://app.test/websocket")))
	r := examine(t, Options{URL: plain.url("ws", "/websocket"), Page: page.url("https", "/"), CA: root.file(t)})
	expect(t, r, diagnosis.MixedContent, 6)
}

func TestLinkedScripts_OfThePagesOwnHostOnly(t *testing.T) {
	page := target{"https", "app.test", "443", "app.test", "/a/b"}
	got := linkedScripts(page, `<script src="c.js"></script><SCRIPT type=module SRC=/d.js></SCRIPT><script src="//cdn.test/e.js"></script>
		<script src="https://app.test/f.js"></script><script src="http://app.test/g.js"></script><img src="h.png"><script>i</script>`)
	var paths []string
	for _, s := range got {
		paths = append(paths, s.path)
	}
	if want := []string{"/a/c.js", "/d.js", "/f.js"}; !slices.Equal(paths, want) {
		t.Errorf("%q, want %q", paths, want)
	}
}

// FuzzScan: any page is gone over to its end, and what is found stands in it.
func FuzzScan(f *testing.F) {
	f.Add(founding)
	f.Add(`<script src=x><!-- `)
	f.Add(`<div a="ws://b">`)
	f.Add("<script>`ws://\n")
	f.Fuzz(func(t *testing.T, text string) {
		found := insecureSockets("/", text)
		if len(found) > 0 && !strings.Contains(text, "ws://") {
			t.Errorf("%q", found)
		}
		linkedScripts(target{"https", "app.test", "443", "app.test", "/"}, text)
		upgrades(&answer{fields: http.Header{}}, text)
	})
}
