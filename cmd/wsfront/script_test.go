package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for what must happen.
const patience = 30 * time.Second

// TestMain also makes this test binary the wsfront that scripts call.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"wsfront": main})
}

// TestScripts drives the binary as a person does. Beyond testscript's own
// commands, scripts have:
//
//	freeport NAME       $NAME is an address of loopback that nobody uses
//	occupy NAME         $NAME is an address that a program has
//	listening ADDR      waits until somebody listens there; ! says that nobody does
//	subscribe NAME URL  opens a WebSocket
//	received NAME TEXT  its next message is TEXT
//	send ADDR TEXT      writes a line to a TCP address
//	metric STATE LINE   GET /metrics of the admin socket in a state folder has the line
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_CONFIG_HOME", e.WorkDir)
			e.Values[socketsKey] = sockets{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport":  freeport,
			"occupy":    occupy,
			"listening": listening,
			"subscribe": subscribe,
			"received":  received,
			"send":      send,
			"metric":    metric,
		},
	})
}

// sockets are the WebSockets that a script has open, by name.
type sockets map[string]*websocket.Conn

// socketsKey finds them among a script's values.
const socketsKey = "sockets"

func freeport(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	ts.Check(l.Close())
}

func occupy(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	ts.Defer(func() { l.Close() })
}

func listening(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		if conn, err := net.Dial("tcp", args[0]); err == nil {
			conn.Close()
			ts.Fatalf("somebody listens at %s", args[0])
		}
		return
	}
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", args[0])
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("nobody listens: %v", err)
		}
		time.Sleep(10 * time.Millisecond) // between two tries
	}
}

func subscribe(ts *testscript.TestScript, _ bool, args []string) {
	conn, _, err := websocket.DefaultDialer.Dial(args[1], nil)
	ts.Check(err)
	ts.Value(socketsKey).(sockets)[args[0]] = conn
	ts.Defer(func() { conn.Close() })
}

func received(ts *testscript.TestScript, _ bool, args []string) {
	conn := ts.Value(socketsKey).(sockets)[args[0]]
	ts.Check(conn.SetReadDeadline(time.Now().Add(patience)))
	kind, text, err := conn.ReadMessage()
	ts.Check(err)
	if kind != websocket.TextMessage || string(text) != args[1] {
		ts.Fatalf("received %q", text)
	}
}

func send(ts *testscript.TestScript, _ bool, args []string) {
	conn, err := net.Dial("tcp", args[0])
	ts.Check(err)
	defer conn.Close()
	_, err = conn.Write([]byte(args[1] + "\n"))
	ts.Check(err)
}

func metric(ts *testscript.TestScript, _ bool, args []string) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(ts.MkAbs(args[0]), "admin.sock"))
	}}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport, Timeout: patience}).Get("http://admin/metrics")
	ts.Check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if !strings.Contains("\n"+string(text), "\n"+args[1]+"\n") {
		ts.Fatalf("no line %q in\n%s", args[1], text)
	}
}
