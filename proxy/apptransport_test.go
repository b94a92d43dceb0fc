package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A question of our own reaches the app at the path, by the Host and with the
// fields that a browser's request on the same route would have there.
func TestAppTransport_AsksWhereTheRouteForwards(t *testing.T) {
	say := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, " ", r.URL.Path, r.Header.Get("X-Tenant"))
	})
	app := httptest.NewServer(say)
	defer app.Close()
	socket := filepath.Join(t.TempDir(), "app.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	local := &http.Server{Handler: say}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = local.Serve(l) }() // ended by Close, awaited
	defer func() { local.Close(); <-ended }()
	for _, c := range []struct {
		route Route
		want  string
	}{
		{Route{Path: "/", App: app.URL}, "a.test /push/auth"},
		{Route{Path: "/", App: app.URL + "/legacy"}, "a.test /legacy/push/auth"},
		{Route{Path: "/push", App: app.URL + "/legacy/"}, "a.test /legacy/auth"},
		{Route{Path: "/push/", App: app.URL + "/", Host: "inner.test"}, "inner.test /auth"},
		{Route{Path: "/", App: "unix:" + socket}, "a.test /push/auth"},
		{Route{Match: "^/push/", App: app.URL}, "a.test /push/auth"},
		{Route{Match: "^/push/(.*)$", App: app.URL + "/legacy/$1"}, "a.test /legacy/auth"},
		{Route{Path: "/", App: app.URL, RequestHeaders: RequestHeaders{Set: map[string]string{"X-Tenant": "=blue"}}}, "a.test /push/auth=blue"},
	} {
		transport, base, err := c.route.AppTransport(nil)
		if err != nil {
			t.Fatal(err)
		}
		ask, _ := http.NewRequest("GET", base.JoinPath("/push/auth").String(), nil)
		ask.Host = "a.test"
		answer, err := transport.RoundTrip(ask)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if string(got) != c.want {
			t.Errorf("%+v: asked %q, want %q", c.route.App, got, c.want)
		}
		transport.(*appTransport).CloseIdleConnections()
	}
	if _, _, err := (Route{Match: "^/(", App: app.URL}).AppTransport(nil); err == nil {
		t.Error("a pattern that is none was taken")
	}
	if _, _, err := (Route{Path: "/", App: "pool://web"}).AppTransport(nil); err == nil {
		t.Error("a pool that is none was taken")
	}
	if _, _, err := (Route{Path: "/", App: "localhost"}).AppTransport(nil); err == nil {
		t.Error("a backend that is none was taken")
	}
}

// Of a pool, the backend that the browser's requests go to is asked, or another
// one when that cannot be reached, with the whole body.
func TestAppTransport_AsksAPool(t *testing.T) {
	a, b := startNamed(t, "a"), startNamed(t, "b")
	pools := []Pool{{Name: "web", Sticky: "ROUTE", Backends: members(a, b)}}
	transport, base, err := Route{Path: "/", App: "pool://web"}.AppTransport(pools)
	if err != nil {
		t.Fatal(err)
	}
	defer transport.(*appTransport).CloseIdleConnections()
	ask := func(body io.Reader, cookie string) (string, error) {
		q, _ := http.NewRequest("POST", base.JoinPath("/push/auth").String(), body)
		q.Header.Set("Cookie", "x=1; ROUTE="+cookie)
		answer, err := transport.RoundTrip(q)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		got, err := io.ReadAll(answer.Body)
		return string(got), err
	}
	want := func(who, cookie string) {
		t.Helper()
		if got, err := ask(strings.NewReader("hello"), cookie); got != who+"hello" || err != nil {
			t.Errorf("%q, %v; want an answer of %s", got, err, who)
		}
	}
	for range 2 {
		want("b", memberKey(b.url))
	}
	want("a", "")
	want("b", "")
	b.down()
	want("a", memberKey(b.url))
	want("a", memberKey(b.url)) // known to be down by now
	b.up()
	transport.(*appTransport).route.pool.longAgo()
	want("b", memberKey(b.url))
	a.down()
	b.down()
	if got, err := ask(io.NopCloser(strings.NewReader("once")), ""); err == nil {
		t.Errorf("%q from nobody", got)
	}
	if _, err := ask(nil, ""); !errors.Is(err, os.ErrNotExist) || transport.(*appTransport).route.pool.opened(plainRequest) != 0 {
		t.Errorf("%v, want that there is no such socket, and nothing counted as open", err)
	}
}
