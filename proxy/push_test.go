package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestPush_HandlerTakesTheConnectionOver(t *testing.T) {
	seen := make(chan *http.Request, 1)
	f := serveConfig(t, Config{TrustedProxies: loopback(), Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{
		{Path: "/push/{channel}", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen <- r
			echoHandler(w, r)
		})},
	}}}})
	d := websocket.Dialer{HandshakeTimeout: patience}
	conn, _, err := d.Dial("ws://"+f.addr+"/x/../push/board%20one", http.Header{"X-Forwarded-For": {"192.0.2.9"}})
	if err != nil {
		t.Fatalf("%v\n%s", err, f.log)
	}
	r := receive(t, seen)
	if r.PathValue("channel") != "board one" || r.URL.Path != "/push/board one" || !strings.HasPrefix(r.RemoteAddr, "192.0.2.9:") {
		t.Errorf("channel %q, path %q, from %s", r.PathValue("channel"), r.URL.Path, r.RemoteAddr)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	echo(t, conn, []byte("hello"))
	if f.access.String() != "" {
		t.Error("logged before it was over")
	}
	conn.Close()
	f.access.await(t, "101")
}

// A push service has polls and a script besides handshakes and streams, and the
// page may have its path.
func TestPush_HandlerGetsPollsAndItsOwnPathsButNoPages(t *testing.T) {
	say := func(what string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, what+" "+r.URL.Scheme+" "+r.Host)
		})
	}
	f := serveConfig(t, Config{Sites: []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{
		{Path: "/websocket", Handler: say("push"), SecretQuery: "token"},
		{Path: "/websocket/push.js", Handler: say("script"), Whole: true},
		{Path: "/", Handler: say("page"), Whole: true},
	}}}})
	for _, c := range []struct {
		path   string
		header http.Header
		want   string
	}{
		{"/websocket", nil, "page"},
		{"/websocket", http.Header{"Accept": {"text/html, text/event-stream;q=0.5"}}, "push"},
		{"/websocket?a=1&token=secret&to%6ben=secret", http.Header{"Prefer": {"respond-async, Wait=25"}}, "push"},
		{"/websocket", http.Header{"Prefer": {"wait"}}, "push"},
		{"/websocket", http.Header{"Prefer": {"waiting=25"}}, "page"},
		{"/websocket/push.js", nil, "script"},
	} {
		request, _ := http.NewRequest("GET", "http://"+f.addr+c.path, nil)
		request.Header = c.header
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if want := c.want + " http " + f.addr; string(body) != want {
			t.Errorf("%s %v: %q, want %q", c.path, c.header, body, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	f.access.await(t, "/websocket/push.js")
	if log := f.access.String(); strings.Contains(log, "secret") || !strings.Contains(log, "a=1&token=***&to%6ben=***") {
		t.Errorf("the access log shows a secret, or not what is none:\n%s", log)
	}
}
