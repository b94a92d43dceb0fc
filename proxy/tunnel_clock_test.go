package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// noteControl has the pings and pongs that a socket gets told. Its answers to
// pings go out as ever.
func noteControl(conn *websocket.Conn) (pings, pongs <-chan string) {
	gotPings, gotPongs := make(chan string, 100), make(chan string, 100)
	answer := conn.PingHandler()
	conn.SetPingHandler(func(text string) error {
		gotPings <- text
		return answer(text)
	})
	conn.SetPongHandler(func(text string) error {
		gotPongs <- text
		return nil
	})
	return gotPings, gotPongs
}

// awaitText receives until what it wants comes.
func awaitText(t *testing.T, c <-chan string, want string) {
	t.Helper()
	for receive(t, c) != want {
	}
}

// Both sides get pings and answer them, and neither sees the other one's answer.
// Pings of their own, and the pongs for these, pass.
func TestTunnelPing_BothSidesGetItAndTheirPongsGoNoFurther(t *testing.T) {
	runSchemes(t, schemes(t)[:2], func(t *testing.T, s scheme) {
		type side struct {
			conn         *websocket.Conn
			pings, pongs <-chan string
		}
		backends := make(chan side, 1)
		host, ended := hookedBackend(t, func(conn *websocket.Conn) {
			pings, pongs := noteControl(conn)
			backends <- side{conn, pings, pongs}
		})
		f := s.serve(t, Config{}, Route{Path: "/", App: "http://" + host, Ping: time.Second})
		client := side{}
		client.conn, _ = dialWS(t, f, websocket.Dialer{}, "/")
		client.pings, client.pongs = noteControl(client.conn)
		backend := receive(t, backends)
		left := make(chan error, 1)
		go func() { left <- endOf(client.conn) }() // ends with the tunnel, awaited below
		for range 2 {                              // the second comes only if the first was answered
			for _, got := range []string{receive(t, client.pings), receive(t, backend.pings)} {
				if len(got) != 8 {
					t.Errorf("a ping of the front's has %q, want 8 bytes", got)
				}
			}
		}
		for from, to := range map[side]side{client: backend, backend: client} {
			if err := from.conn.WriteControl(websocket.PingMessage, []byte("my own"), time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			awaitText(t, to.pings, "my own")
			// Had pongs for the front's pings passed, they would be before it.
			if got := receive(t, from.pongs); got != "my own" {
				t.Errorf("got the pong %q, which answers no ping of this side", got)
			}
		}
		_ = client.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4000, ""), time.Now().Add(patience))
		wantCloseError(t, "backend", receive(t, ended), 4000)
		wantCloseError(t, "client", receive(t, left), 4000)
		client.conn.Close()
		// ping, pong and Close of each side, and nothing of the front's
		f.closed("bytes_in=32 bytes_out=20 messages_in=0 messages_out=0", "close_code=4000 closed_by=client")
	})
}

// A side that answers nothing is gone, whatever the other one does.
func TestTunnelPing_SideThatDoesNotAnswerIsCut(t *testing.T) {
	mute := func(conn *websocket.Conn) { conn.SetPingHandler(func(string) error { return nil }) }
	for _, silent := range []string{"client", "backend"} {
		t.Run(silent, func(t *testing.T) {
			t.Parallel()
			s, hook := schemes(t)[1], func(*websocket.Conn) {}
			if silent == "backend" {
				s, hook = schemes(t)[2], mute
			}
			host, ended := hookedBackend(t, hook)
			f := s.serve(t, Config{}, Route{Path: "/", App: "http://" + host, Ping: time.Second})
			conn, _ := dialWS(t, f, websocket.Dialer{}, "/")
			if silent == "client" {
				mute(conn)
			}
			if err := endOf(conn); err == nil || strings.Contains(err.Error(), "timeout") {
				t.Errorf("the client ended by %v", err)
			}
			receive(t, ended)
			f.closed(`reason="ping timeout of the ` + silent)
		})
	}
}

// A side that sends messages but no pongs is alive.
func TestTunnelPing_MessagesAreAnswerEnough(t *testing.T) {
	t.Parallel()
	host, _ := hookedBackend(t, nil)
	f := serveFront(t, Route{Path: "/", App: "http://" + host, Ping: time.Second})
	client, _ := f.handshake("/", "")
	for range 2 { // had the first one to be answered by a pong, there would be no second
		first, payload, err := client.read()
		if err != nil || first != finPing || len(payload) != 8 {
			t.Fatalf("the client read %#x %q, %v; want a ping", first, payload, err)
		}
		client.write(client.frame(finText, "too busy"))
		client.wantFrame(finText, "too busy")
	}
}

// wantSilentEnd wants a tunnel over in which nobody says anything but to answer.
func wantSilentEnd(t *testing.T, s scheme, r Route, reason string) {
	t.Helper()
	host, ends := rawTunnels(t, "")
	for _, r := range tunnelOrApp(r, host) {
		f := s.serve(t, Config{}, r)
		client, backend := openRaw(f, r.Path, ends)
		told := make(chan struct{})
		go func() { // ends with the tunnel, awaited below
			defer close(told)
			backend.wantClose(1001)
		}()
		client.wantClose(1001)
		receive(t, told)
		f.closed("close_code=1001 closed_by=front", fmt.Sprintf("reason=%q", reason), "backend="+r.App+r.Tunnel.Backend)
	}
}

func TestTunnelClock_IdleTimeoutClosesWith1001(t *testing.T) {
	eachScheme(t, func(t *testing.T, s scheme) {
		wantSilentEnd(t, s, Route{IdleTimeout: 100 * time.Millisecond}, "idle timeout")
	})
}

// A lifetime ends a tunnel however busy it is.
func TestTunnelClock_MaxLifetimeClosesABusyTunnelWith1001(t *testing.T) {
	eachScheme(t, func(t *testing.T, s scheme) {
		host, ended := hookedBackend(t, nil)
		for _, r := range tunnelOrApp(Route{MaxLifetime: 200 * time.Millisecond}, host) {
			f := s.serve(t, Config{}, r)
			conn, _ := dialWS(t, f, websocket.Dialer{}, r.Path)
			flooded := make(chan struct{})
			go func() { // ends with the tunnel, awaited below
				defer close(flooded)
				for conn.WriteMessage(websocket.TextMessage, []byte("busy")) == nil {
				}
			}()
			wantCloseError(t, "client", endOf(conn), 1001)
			conn.Close()
			receive(t, flooded)
			receive(t, ended)
			f.closed("close_code=1001 closed_by=front", `reason="max lifetime"`)
		}
	})
}
