package proxy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// stopping begins the shutdown of the front; the channel is closed when it is
// over.
func (f *front) stopping() <-chan struct{} {
	stopped := make(chan struct{})
	go func() { // ends with the tunnels, awaited by who gets the channel
		f.stop()
		close(stopped)
	}()
	return stopped
}

// A message that is under way at the shutdown arrives whole; only then is its
// reader told to go. The other side is told at once.
func TestTunnelEnd_ShutdownLetsTheMessageUnderWayArrive(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 1<<16)
	eachScheme(t, func(t *testing.T, s scheme) {
		for i := range 2 {
			host, ends := rawTunnels(t, "")
			f := s.serve(t, Config{}, Route{Path: "/", Tunnel: Tunnel{Backend: "ws://" + host}})
			client, backend := openRaw(f, "/", ends)
			sender, reader := [2]*wsEnd{client, backend}[i], [2]*wsEnd{client, backend}[1-i]
			text := sender.frame(finText, long)
			sender.write(text[:1000])
			if _, err := reader.r.Peek(1000); err != nil { // it is on its way
				t.Fatal(err)
			}
			stopped := f.stopping()
			sender.wantFrame(finClose, closing(1001, "drained"))
			arrived := make(chan struct{})
			go func() { // ends with the tunnel, awaited below
				defer close(arrived)
				first, got, err := reader.read()
				if err != nil || first != finText || got != long {
					t.Errorf("the %s read %#x of %d bytes, %v; want %d bytes", reader.name, first, len(got), err, len(long))
				}
				reader.wantClose(1001)
			}()
			sender.write(text[1000:])
			sender.write(sender.frame(finClose, closing(1001, "")))
			receive(t, arrived)
			receive(t, stopped)
			f.closed("close_code=1001 closed_by=front", "reason=drained", [2]string{"messages_in=1 messages_out=0", "messages_in=0 messages_out=1"}[i])
		}
	})
}

// One tunnel that answers is no reason to wait, however long the drain may take.
func TestTunnelEnd_ShutdownOfOneTunnelIsQuick(t *testing.T) {
	eachScheme(t, func(t *testing.T, s scheme) {
		host, ended := hookedBackend(t, nil)
		f := s.serve(t, Config{DrainTimeout: time.Hour}, Route{Path: "/", App: "http://" + host})
		conn, _ := dialWS(t, f, websocket.Dialer{}, "/")
		stopped := f.stopping()
		wantCloseError(t, "client", endOf(conn), 1001)
		conn.Close()
		wantCloseError(t, "backend", receive(t, ended), 1001)
		receive(t, stopped)
	})
}

// A reload changes no tunnel: neither where it leads nor its terms.
func TestTunnelEnd_ReloadLeavesTermsAsTheyWere(t *testing.T) {
	host, ends := rawTunnels(t, "")
	f := serveFront(t, Route{Path: "/", App: "http://" + host, MaxMessage: 1000})
	client, backend := openRaw(f, "/", ends)
	cfg := f.cfg
	site := cfg.Sites[0]
	site.Routes = []Route{{Path: "/", App: "http://" + host, MaxMessage: 10, MaxLifetime: time.Millisecond}}
	cfg.Sites = []Site{site}
	if err := f.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	newClient, newBackend := openRaw(f, "/", ends)
	for _, e := range []*wsEnd{newClient, newBackend} {
		e.wantFrame(finClose, closing(1001, "max lifetime"))
		e.conn.Close()
	}
	f.closed(`reason="max lifetime"`)
	client.write(client.frame(finText, strings.Repeat("x", 1000)))
	backend.wantFrame(finText, strings.Repeat("x", 1000))
}

// The log says who closed and how.
func TestTunnelEnd_LogSaysWhoClosedAndHow(t *testing.T) {
	eachScheme(t, func(t *testing.T, s scheme) {
		host, ends := rawTunnels(t, "")
		f := s.serve(t, Config{}, Route{Path: "/", App: "http://" + host})
		for _, c := range []struct {
			name, payload, want string
			close               bool
		}{
			{"with a code", closing(4001, "enough"), "close_code=4001 closed_by=%s", true},
			{"without one", "", "close_code=1005 closed_by=%s", true},
			{"without a Close", "", "", false},
		} {
			for i, side := range []string{"client", "backend"} {
				f.log.reset()
				client, backend := openRaw(f, "/", ends)
				closer, other := [2]*wsEnd{client, backend}[i], [2]*wsEnd{client, backend}[1-i]
				closer.write(closer.frame(finText, "one") + closer.frame(0x01, "tw") + closer.frame(0x80, "o"))
				for _, e := range []string{"one", "tw", "o"} {
					if _, got, err := other.read(); err != nil || got != e {
						t.Fatalf("%s: %q %v", c.name, got, err)
					}
				}
				if c.close {
					closer.write(closer.frame(finClose, c.payload))
					other.wantFrame(finClose, c.payload)
					other.write(other.frame(finClose, c.payload))
					closer.wantFrame(finClose, c.payload)
				}
				closer.conn.Close()
				if _, _, err := other.read(); err == nil {
					t.Errorf("%s: there is more", c.name)
				}
				other.conn.Close()
				line := f.closed(fmt.Sprintf(`reason="%s closed"`, side), [2]string{"messages_in=2 messages_out=0", "messages_in=0 messages_out=2"}[i])
				want := strings.Replace(c.want, "%s", side, 1)
				if !strings.Contains(line, want) || !c.close && strings.Contains(line, "close_code") {
					t.Errorf("%s of the %s: want %q in %s", c.name, side, want, line)
				}
			}
		}
	})
}

// What was sent together with the handshakes counts as well.
func TestTunnelEnd_AccessLogHasTheBytesThatPassed(t *testing.T) {
	combined := regexp.MustCompile(`^127\.0\.0\.1 - - \[[^]]+\] "GET /room\?a=1 HTTP/1\.1" 101 47 "-" "-"\n$`)
	eachScheme(t, func(t *testing.T, s scheme) {
		for _, format := range []AccessFormat{AccessJSON, AccessCombined} {
			fromClient := wsFrame(finText, true, "with the handshake") // 24 bytes
			host, ends := rawTunnels(t, "")
			f := s.serve(t, Config{AccessLog: AccessLog{Format: format}}, Route{Path: "/room", Tunnel: Tunnel{Backend: "ws://" + host}})
			conn, r := f.dial(crlf(strings.Replace(handshakeText, "/websocket?room=1", "/room?a=1", 1)) + fromClient)
			client := &wsEnd{t: t, name: "client", conn: conn, r: r, masks: true}
			backend := f.backendOf(ends)
			backend.wantFrame(finText, "with the handshake")
			for line := ""; line != "\r\n"; {
				var err error
				if line, err = r.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			if f.access.String() != "" {
				t.Errorf("the line came before the end: %s", f.access)
			}
			client.write(client.frame(finText, "hello")) // 11 bytes
			backend.wantFrame(finText, "hello")
			backend.write(backend.frame(finText, strings.Repeat("x", 45))) // 47 bytes
			client.wantFrame(finText, strings.Repeat("x", 45))
			client.conn.Close()
			backend.conn.Close()
			line := f.access.await(t, "101")
			f.closed("bytes_in=35 bytes_out=47", "duration=")
			if format == AccessCombined {
				if !combined.MatchString(line) {
					t.Errorf("%s", line)
				}
				continue
			}
			var got struct {
				Status, Bytes   int
				In              int     `json:"bytes_in"`
				Seconds         float64 `json:"duration_seconds"`
				Path, Route, ID string
			}
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatal(err)
			}
			if got.Status != 101 || got.Bytes != 47 || got.In != 35 || got.Seconds <= 0 || got.Route != "*/room" {
				t.Errorf("%+v of %s", got, line)
			}
		}
	})
}
