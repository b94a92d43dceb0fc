package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"
)

// parkedFront is a front with one idle connection, which has had an answer.
func parkedFront(t *testing.T, version uint16) (*tlsFront, net.Conn, *bufio.Reader) {
	t.Helper()
	return parkedFrontOver(t, version, func(below net.Conn) net.Conn { return below })
}

// parkedFrontOver is the same, with something between TLS and the socket of the
// client.
func parkedFrontOver(t *testing.T, version uint16, over func(below net.Conn) net.Conn) (f *tlsFront, conn net.Conn, r *bufio.Reader) {
	t.Helper()
	app, _ := answering(t, okAnswer)
	f = newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"app.test"}, TLS: freshPair(t, "app.test"), Routes: []Route{{Path: "/", App: app}}}}}).serve()
	addr := f.secure
	if version == 0 {
		addr = f.plain
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(3 * patience))
	if version != 0 {
		conn = tls.Client(over(conn), &tls.Config{ServerName: "app.test", InsecureSkipVerify: true, MaxVersion: version})
	}
	r = bufio.NewReader(conn)
	askAgain(t, conn, r)
	until(t, "it is parked", func() bool { return f.conns.lot.Len() == 1 })
	return f, conn, r
}

var parkedVersions = map[string]uint16{"http": 0, "TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

func TestClientConn_ParkedIsServedAgain(t *testing.T) {
	for name, version := range parkedVersions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, conn, r := parkedFront(t, version)
			askAgain(t, conn, r)
			until(t, "it is parked again", func() bool { return f.conns.lot.Len() == 1 })
			// Two at once, of which the second is there while the first is answered.
			if _, err := io.WriteString(conn, simpleRequest+simpleRequest); err != nil {
				t.Fatal(err)
			}
			readAnswer(t, r, "GET")
			readAnswer(t, r, "GET")
			conn.Close()
			until(t, "it is forgotten", func() bool {
				f.conns.mu.Lock()
				defer f.conns.mu.Unlock()
				return f.conns.active.first == nil && f.conns.parked.first == nil
			})
			if n := f.conns.lot.Len(); n != 0 {
				t.Errorf("%d parked", n)
			}
		})
	}
}

func TestClientConn_DrainClosesParked(t *testing.T) {
	for name, version := range parkedVersions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, conn, r := parkedFront(t, version)
			f.stop()
			if n, err := r.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("%d bytes, %v", n, err)
			}
			conn.Close()
		})
	}
}

// A record of which only the beginning comes wakes the connection, and the rest
// finds it awake.
func TestClientConn_ParkedIsWokenByAPartOfARecord(t *testing.T) {
	for name, version := range parkedVersions {
		if version == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			torn := &tornConn{}
			f, conn, r := parkedFrontOver(t, version, func(below net.Conn) net.Conn { torn.Conn = below; return torn })
			torn.between = func() {
				until(t, "it is woken", func() bool { return f.conns.lot.Len() == 0 })
			}
			askAgain(t, conn, r)
		})
	}
}

// tornConn calls between, if there is one, after the first three bytes of a Write.
type tornConn struct {
	net.Conn
	between func()
}

func (c *tornConn) Write(p []byte) (int, error) {
	if c.between == nil {
		return c.Conn.Write(p)
	}
	n, err := c.Conn.Write(p[:3])
	if err != nil {
		return n, err
	}
	c.between()
	m, err := c.Conn.Write(p[3:])
	return n + m, err
}

func TestClientConn_ParkedIsClosedAtItsEnd(t *testing.T) {
	f := serveFront(t, Route{Path: "/", App: "http://127.0.0.1:1"})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := &clientConn{server: f.Server, listener: f.listeners[0]}
	c.use(withAwait(conn))
	if !f.conns.add(c) || !c.park(time.Now()) {
		t.Fatal("not parked")
	}
	_ = client.SetDeadline(time.Now().Add(patience))
	if n, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%d bytes, %v", n, err)
	}
}
