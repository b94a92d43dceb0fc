package admin

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// rig is a server at an address, and a client that follows no redirect.
type rig struct {
	t      *testing.T
	at     string
	client *http.Client
	end    func() // ends the server
}

func serveAt(t *testing.T, s Sources, a Access) *rig {
	t.Helper()
	l, err := ListenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, s, a)
}

func serveOn(t *testing.T, l net.Listener, s Sources, a Access) *rig {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	server := New(l, Handler(s, a))
	go func() { done <- server.Run(ctx) }() // ended and awaited by end
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, l.Addr().Network(), l.Addr().String())
	}}
	r := &rig{t: t, at: l.Addr().String(), client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	ended := false
	r.end = func() {
		if ended {
			return
		}
		ended = true
		transport.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(r.end)
	return r
}

// ask sends a request with header fields, Host among them, and returns the answer
// and its body.
func (r *rig) ask(method, path string, header ...string) (*http.Response, string) {
	r.t.Helper()
	return r.send(method, path, "", header...)
}

func (r *rig) send(method, path, body string, header ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://localhost:7071"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res, string(text)
}

// want wants a status.
func (r *rig) want(status int, method, path string, header ...string) string {
	r.t.Helper()
	res, text := r.ask(method, path, header...)
	if res.StatusCode != status {
		r.t.Errorf("%s %s with %q: %s: %s", method, path, header, res.Status, text)
	}
	return text
}

// login posts the form of the page.
func (r *rig) login(token string) (*http.Response, string) {
	r.t.Helper()
	return r.send("POST", "/login", url.Values{"token": {token}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}
