package proxy

import (
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
