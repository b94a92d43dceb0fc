package proxy

import (
	"crypto/tls"
	"io"
	"testing"
	"time"
)

// newcomer waits until the server has accepted a connection that says nothing
// yet.
func (f *front) newcomer() {
	f.t.Helper()
	for late := time.Now().Add(patience); f.conns.newcomers.count.Load() == 0; {
		if time.Now().After(late) {
			f.t.Fatal("the connection was not accepted")
		}
		time.Sleep(time.Millisecond) // between two looks
	}
}

func TestDrain_WhoHasJustConnectedIsServed(t *testing.T) {
	f := serveFront(t, Route{Path: "/", Files: t.TempDir()})
	conn, r := f.dial("")
	f.newcomer()
	stopped := f.stopping()
	f.log.await(t, "msg=shutdown")
	if _, err := io.WriteString(conn, crlf("GET / HTTP/1.1\nHost: a")); err != nil {
		t.Fatal(err)
	}
	if res, _ := readAnswer(t, r, "GET"); res.StatusCode != 404 {
		t.Error(res.Status)
	}
	receive(t, stopped)
}

func TestDrain_WhoIsShakingHandsIsServed(t *testing.T) {
	f := serveConfig(t, Config{Sites: []Site{{Hosts: []string{"a.test"}, TLS: TLS{Mode: TLSInternal}, Routes: []Route{{Path: "/", Files: t.TempDir()}}}}})
	bare, _ := sendTo(t, f.addr, "")
	f.newcomer()
	stopped := f.stopping()
	f.log.await(t, "msg=shutdown")
	conn := tls.Client(bare, &tls.Config{ServerName: "a.test", InsecureSkipVerify: true})
	_, r := sendOn(t, conn, crlf("GET / HTTP/1.1\nHost: a.test"))
	if res, _ := readAnswer(t, r, "GET"); res.StatusCode != 404 {
		t.Error(res.Status)
	}
	receive(t, stopped)
}
