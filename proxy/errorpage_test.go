package proxy

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// failed asks a server that fails for one page.
func failed(t *testing.T, method string, fields map[string]string, hint string) (*http.Response, string) {
	t.Helper()
	ts, done := handlerServer(t, 1, func(w *responseWriter, r *http.Request) {
		w.Header().Set("ETag", `"of the file"`)
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", "99999")
		w.Header().Set("Allow", "GET")
		w.fail(http.StatusBadGateway, "dial 10.0.0.7:8080: refused", hint)
	})
	req, err := http.NewRequest(method, ts.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	for name, value := range fields {
		req.Header.Set(name, value)
	}
	res, err := ts.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	x := awaitExchange(t, done)
	if x.reason != "dial 10.0.0.7:8080: refused" || x.status != 502 {
		t.Errorf("noted %d, %q", x.status, x.reason)
	}
	h := res.Header
	if res.StatusCode != 502 || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Request-Id") != string(testID[:]) {
		t.Errorf("answered %s with %v", res.Status, h)
	}
	if h.Get("ETag") != "" || h.Get("Content-Encoding") != "" || h.Get("Allow") != "GET" {
		t.Errorf("kept the wrong fields of the answer that was begun: %v", h)
	}
	if strings.Contains(string(body), "10.0.0.7") {
		t.Errorf("the page tells the reason:\n%s", body)
	}
	return res, string(body)
}

func TestErrorPage_BrowserGetsEscapedHTMLThatItsPolicyAllows(t *testing.T) {
	res, page := failed(t, "GET", map[string]string{"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, `no <script>alert("&")</script> here`)
	if got := res.Header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("Content-Type %s", got)
	}
	for _, want := range []string{"502", "Bad Gateway", "no &lt;script&gt;", "<code>" + string(testID[:]) + "</code>", "prefers-color-scheme: dark", `name="viewport"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	for _, outside := range []string{"<script", "src=", "href=", "url(", "@import"} {
		if strings.Contains(page, outside) {
			t.Errorf("the page has %q:\n%s", outside, page)
		}
	}
	_, style, _ := strings.Cut(page, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	policy := res.Header.Get("Content-Security-Policy")
	if style == "" || !strings.Contains(policy, "default-src 'none'") ||
		!strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("the policy does not allow the page's style: %s", policy)
	}
}

func TestErrorPage_ProgramGetsJSON(t *testing.T) {
	res, body := failed(t, "POST", map[string]string{"Accept": "application/json"}, `say "what"`)
	if got := res.Header.Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Errorf("Content-Type %s", got)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 4 || got["status"] != 502.0 || got["error"] != "Bad Gateway" || got["message"] != `say "what"` || got["request_id"] != string(testID[:]) {
		t.Errorf("got %v", got)
	}
}

func TestErrorPage_AnybodyElseGetsText(t *testing.T) {
	want := "502 Bad Gateway\nnot now\nrequest " + string(testID[:]) + "\n"
	if _, body := failed(t, "GET", map[string]string{"Accept": "*/*"}, "not now"); body != want {
		t.Errorf("got %q, want %q", body, want)
	}
}

func TestErrorPage_HandshakeGetsText(t *testing.T) {
	res, body := failed(t, "GET", map[string]string{"Accept": "text/html", "Connection": "Upgrade", "Upgrade": "websocket"}, "not now")
	if got := res.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" || !strings.HasPrefix(body, "502 ") {
		t.Errorf("got %s: %s", got, body)
	}
}

func TestErrorPage_HeadHasLengthAndNoBody(t *testing.T) {
	res, body := failed(t, "HEAD", map[string]string{"Accept": "text/html"}, "not now")
	_, page := failed(t, "GET", map[string]string{"Accept": "text/html"}, "not now")
	if body != "" || res.ContentLength != int64(len(page)) {
		t.Errorf("got %d bytes, Content-Length %d; want none, %d", len(body), res.ContentLength, len(page))
	}
}

func TestErrorPage_AnswerThatHasBegunIsCut(t *testing.T) {
	bothProtocols(t, func(t *testing.T, major int) {
		ts, done := handlerServer(t, major, func(w *responseWriter, r *http.Request) {
			io.WriteString(w, "half an ans")
			w.Flush()
			w.fail(http.StatusBadGateway, "backend broke off", "not now")
		})
		res, err := ts.Client().Get(ts.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err == nil || string(body) != "half an ans" {
			t.Errorf("read %q, %v; want the half and an error", body, err)
		}
		if x := awaitExchange(t, done); x.status != 200 || x.reason != "backend broke off" {
			t.Errorf("noted %d, %q", x.status, x.reason)
		}
	})
}
