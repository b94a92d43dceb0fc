//go:build e2e

package main_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// formToken is the hidden field of Django's forms.
var formToken = regexp.MustCompile(`name="csrfmiddlewaretoken" value="([^"]+)"`)

// openForm gets a page with a form and returns its token; the client keeps the
// cookie that goes with it.
func openForm(t testing.TB, c *http.Client, address string) string {
	t.Helper()
	page := get(t, c, address)
	token := formToken.FindStringSubmatch(page.body)
	if page.StatusCode != http.StatusOK || token == nil {
		t.Fatalf("%s: %s, and no form: %s", address, page.Status, page.body)
	}
	return token[1]
}

// testLogin sends Django's login form as a browser does; Django compares
// Origin and Referer with what it believes to be its own address.
func testLogin(t *testing.T, f *front, host string) {
	c := f.client(t, true)
	origin := "https://" + f.site(host)
	address := origin + "/login/"
	form := url.Values{"csrfmiddlewaretoken": {openForm(t, c, address)}, "username": {"legacy"}, "password": {"legacy"}}
	r := request(t, http.MethodPost, address, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", origin)
	r.Header.Set("Referer", address)
	got := send(t, c, r)
	if got.StatusCode != http.StatusFound || got.Header.Get("Location") != "/whoami" {
		t.Fatalf("the login form: %s to %q, want 302 to /whoami: %s", got.Status, got.Header.Get("Location"), got.body)
	}
	if me := whoami(t, c, origin); me.User != "legacy" {
		t.Errorf("after the login the app knows me as %q, want legacy", me.User)
	}
}

// testLoginInBrowser fills in the same form by hand.
func testLoginInBrowser(t *testing.T, f *front, b *browser, host string) {
	p := b.open(t, "https://"+f.site(host)+"/login/")
	p.do(t,
		chromedp.SendKeys(chromedp.CSS("#id_username"), "legacy"),
		chromedp.SendKeys(chromedp.CSS("#id_password"), "legacy"),
		chromedp.Click(chromedp.CSS("button")),
	)
	p.waits(t, `location.pathname == "/whoami" && document.body.innerText.includes('"user": "legacy"')`)
}

func (f *front) testUpload(t *testing.T) {
	c := f.client(t, true)
	address := "https://" + f.site("app.test") + "/upload"
	token := openForm(t, c, address)
	file := randomBytes(3 << 20)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("csrfmiddlewaretoken", token); err != nil {
		t.Fatal(err)
	}
	part, err := form.CreateFormFile("file", "Ünïcode.bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(file); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	r := request(t, http.MethodPost, address, &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Referer", address)
	got := send(t, c, r)
	var received struct {
		Name   string
		Size   int
		SHA256 string
	}
	if err := json.Unmarshal([]byte(got.body), &received); err != nil {
		t.Fatalf("%s %v: %s", got.Status, err, got.body)
	}
	if received.Name != "Ünïcode.bin" || received.Size != len(file) || received.SHA256 != digest(file) {
		t.Errorf("the app received %+v, want %d bytes with digest %s", received, len(file), digest(file))
	}
}

// testBodyWithoutLength sends bodies chunked (HTTP/1.1) and with no
// content-length (HTTP/2). WSGI can read neither by itself.
func (f *front) testBodyWithoutLength(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		c := f.client(t, http2)
		for _, size := range []int{5, 900_000, 12 << 20} {
			body := randomBytes(size)
			// The reader's type hides its length from net/http.
			r := request(t, http.MethodPost, "https://"+f.site("app.test")+"/echo", io.MultiReader(bytes.NewReader(body)))
			got := send(t, c, r)
			var received struct {
				Size             int
				SHA256           string
				ContentLength    string  `json:"content_length"`
				TransferEncoding *string `json:"transfer_encoding"`
			}
			if err := json.Unmarshal([]byte(got.body), &received); err != nil {
				t.Fatalf("%d bytes by %s: %s %v: %s", size, got.Proto, got.Status, err, got.body)
			}
			if received.Size != size || received.SHA256 != digest(body) || received.ContentLength != strconv.Itoa(size) || received.TransferEncoding != nil {
				t.Errorf("%d bytes by %s: the app received %+v, want all, with Content-Length", size, got.Proto, received)
			}
		}
	}
}

// identity is what the app believes of a request.
type identity struct {
	Scheme     string
	IsSecure   bool `json:"is_secure"`
	Host       string
	RemoteAddr string `json:"remote_addr"`
	User       string
	Headers    map[string]string
}

func whoami(t testing.TB, c *http.Client, origin string) identity {
	t.Helper()
	return readIdentity(t, get(t, c, origin+"/whoami"))
}

func readIdentity(t testing.TB, a answer) identity {
	t.Helper()
	var me identity
	if err := json.Unmarshal([]byte(a.body), &me); err != nil {
		t.Fatalf("whoami: %s %v: %s", a.Status, err, a.body)
	}
	return me
}

func (f *front) testWhoami(t *testing.T, secure bool) {
	site := f.site("app.test")
	for _, http2 := range []bool{false, true} {
		r := request(t, http.MethodGet, "https://"+site+"/whoami", nil)
		// What a client could say of itself. The spellings with an underscore
		// become the same variable in WSGI.
		for name, value := range map[string]string{
			"X-Forwarded-For": "6.6.6.1", "X_Forwarded_For": "6.6.6.2", "X-Real-Ip": "6.6.6.3", "X_Real_Ip": "6.6.6.4",
			"X-Forwarded-Host": "evil.test", "X_Forwarded_Host": "evil.test",
			"X-Forwarded-Proto": "gopher", "X_Forwarded_Proto": "gopher",
			"Forwarded": "for=6.6.6.5;host=evil.test",
		} {
			r.Header[name] = []string{value}
		}
		got := send(t, f.client(t, http2), r)
		me := readIdentity(t, got)
		for _, forged := range []string{"6.6.6.", "evil.test", "gopher"} {
			if strings.Contains(got.body, forged) {
				t.Errorf("by %s the app sees the client's own %s: %s", got.Proto, forged, got.body)
			}
		}
		if me.Host != site || me.Headers["X-Forwarded-Host"] != site {
			t.Errorf("by %s the app's host is %q and %q, want %s as the client wrote it", got.Proto, me.Host, me.Headers["X-Forwarded-Host"], site)
		}
		if me.Headers["X-Forwarded-For"] != clientAddress || me.Headers["X-Real-Ip"] != clientAddress {
			t.Errorf("by %s the client is %q and %q, want %s", got.Proto, me.Headers["X-Forwarded-For"], me.Headers["X-Real-Ip"], clientAddress)
		}
		if me.Headers["X-Forwarded-Proto"] != "https" || !strings.Contains(me.Headers["Forwarded"], clientAddress) {
			t.Errorf("by %s X-Forwarded-Proto is %q and Forwarded %q", got.Proto, me.Headers["X-Forwarded-Proto"], me.Headers["Forwarded"])
		}
		if me.IsSecure != secure {
			t.Errorf("by %s is_secure is %v (scheme %s), want %v", got.Proto, me.IsSecure, me.Scheme, secure)
		}
	}
	// A client that names no port is told apart from one that does.
	r := request(t, http.MethodGet, "https://"+site+"/whoami", nil)
	r.Host = "app.test"
	if me := readIdentity(t, send(t, f.client(t, false), r)); me.Host != "app.test" {
		t.Errorf("the app's host is %q, want app.test as the client wrote it", me.Host)
	}
}

func (f *front) testCookies(t *testing.T) {
	got := get(t, f.client(t, true), "https://"+f.site("app.test")+"/cookie")
	var names []string
	for _, line := range got.Header.Values("Set-Cookie") {
		name, _, _ := strings.Cut(line, "=")
		names = append(names, name)
	}
	if want := []string{"plain", "lasting", "strict"}; !slices.Equal(names, want) {
		t.Errorf("the Set-Cookie lines are %v, want %v in this order", names, want)
	}
	if last := got.Header.Values("Set-Cookie")[len(names)-1]; !strings.Contains(last, "Secure") || !strings.Contains(last, "SameSite=Strict") {
		t.Errorf("the last cookie is %q, and has lost attributes", last)
	}
}

// testRedirects: a relative Location stays as it is, an absolute one leads to
// https, even from an app that does not know of it.
func testRedirects(t *testing.T, f *front, host string) {
	c := f.client(t, true)
	origin := "https://" + f.site(host)
	for path, want := range map[string]string{"/go": "/wstest", "/go?how=absolute": origin + "/wstest"} {
		if got := get(t, c, origin+path); got.StatusCode != http.StatusFound || got.Header.Get("Location") != want {
			t.Errorf("the redirect of %s became %s to %q, want 302 to %q", path, got.Status, got.Header.Get("Location"), want)
		}
	}
}

// testBehindProxySettings is for the settings that let an app know of https
// and of the client's address: Django's under gunicorn and mod_wsgi, and the
// two lines of mod_wsgi's own.
func (l *lab) testBehindProxySettings(t *testing.T) {
	behind := []string{"LEGACY_BEHIND_PROXY=1"}
	apps := map[string]*legacy{
		"gunicorn-settings.test": l.startApp(t, legacyOptions{server: "gunicorn", env: behind}),
		"modwsgi-settings.test":  l.startApp(t, legacyOptions{server: "apache", env: behind}),
		"modwsgi-trusted.test":   l.startApp(t, legacyOptions{server: "apache", trusted: true}),
	}
	f := l.newFront(t)
	pem := l.pki.issue(t, f.folder, "gunicorn-settings.test", "modwsgi-settings.test", "modwsgi-trusted.test")
	config := "sites:\n"
	for host, app := range apps {
		config += fmt.Sprintf("  - hosts: [%s]\n    tls: {cert: %s, key: %s}\n    routes: [{path: /, app: \"%s\"}]\n", host, pem.cert, pem.key, app.url)
	}
	f.run(t, config)
	b := l.newBrowser(t, l.pki.file)
	for host := range apps {
		t.Run(host, func(t *testing.T) {
			c := f.client(t, true)
			me := whoami(t, c, "https://"+f.site(host))
			if me.Scheme != "https" || !me.IsSecure {
				t.Errorf("the app believes the scheme to be %s, is_secure %v", me.Scheme, me.IsSecure)
			}
			if host == "modwsgi-trusted.test" && me.RemoteAddr != clientAddress {
				t.Errorf("the app believes the client to be %s, want %s", me.RemoteAddr, clientAddress)
			}
			testLogin(t, f, host)
			testLoginInBrowser(t, f, b, host)
			testRedirects(t, f, host)
		})
	}
}

// stampsIn reads the times that the app wrote into a streamed answer.
func stampsIn(t testing.TB, text string) []float64 {
	t.Helper()
	var stamps []float64
	for _, s := range regexp.MustCompile(`\d{10}\.\d{3}`).FindAllString(text, -1) {
		stamp, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		stamps = append(stamps, stamp)
	}
	return stamps
}

func unixNow() float64 { return float64(time.Now().UnixNano()) / 1e9 }

// randomBytes cannot be compressed, and no part of it is like another.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func digest(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
