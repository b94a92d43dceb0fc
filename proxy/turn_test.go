package proxy

import (
	"net"
	"strings"
	"testing"

	"wsfront/proxy/http1"
)

// The buffer that a handshake was read into goes back to the pool with the
// takeover, and to another connection from there. The log lines come later.
func TestTurn_HeadOutlivesTheTakeover(t *testing.T) {
	s := &Server{}
	s.table.Store(&table{})
	for range 20 { // a pool may always forget what it was given
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		c := &clientConn{server: s, listener: &listener{}, Conn: ours}
		c.reader.Reset(strings.NewReader(crlf(handshakeText) + "frames"))
		x := new(turn)
		x.begin(c)
		if err := x.readHead(); err != nil {
			t.Fatal(err)
		}
		x.arrived(nil)
		x.path = x.req.Path
		x.beginBody()
		taken, err := x.takeOver()
		if err != nil || string(taken.leftover) != "frames" {
			t.Fatalf("%q, %v", taken.leftover, err)
		}
		var next http1.Reader
		next.Reset(strings.NewReader(strings.Repeat("x", 4096)))
		if err := next.Fill(); err != nil {
			t.Fatal(err)
		}
		origin, _ := http1.Get(x.req.Fields, http1.Origin)
		if string(x.req.Target) != "/websocket?room=1" || string(x.host) != "app.test" || string(x.path) != "/websocket" || string(origin) != "https://app.test" {
			t.Fatalf("the handshake became %q at %q, %q, by %q", x.req.Target, x.host, x.path, origin)
		}
		next.Reset(nil)
	}
}
