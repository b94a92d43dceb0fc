package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
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
		transport, base, err := c.route.AppTransport()
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
	if _, _, err := (Route{Match: "^/(", App: app.URL}).AppTransport(); err == nil {
		t.Error("a pattern that is none was taken")
	}
	if _, _, err := (Route{Path: "/", App: "localhost"}).AppTransport(); err == nil {
		t.Error("a backend that is none was taken")
	}
}
