package proxy

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
)

// A backend that goes away within a frame ends its tunnel: what there was
// arrives, no Close pretends that all was said, the client of one that was reset
// is reset as well, and other tunnels go on.
func TestFaults_OfATunnelsBackend(t *testing.T) {
	const part = "\x81\x0bhello" // of a frame of 11 bytes
	eachScheme(t, func(t *testing.T, s scheme) {
		host, ends := rawTunnels(t, "")
		f := s.serve(t, Config{}, Route{Path: "/", Tunnel: Tunnel{Backend: "ws://" + host}})
		other, otherBackend := openRaw(f, "/", ends)
		for _, c := range []struct {
			name   string
			text   string
			reset  bool
			reason string
		}{
			{"ends within a frame", part, false, "backend closed"},
			{"is reset within a frame", part, true, "backend aborted"},
			{"ends within a frame's head", part[:1], false, "backend closed"},
			{"ends between two frames", wsFrame(finText, false, "all"), false, "backend closed"},
			{"is reset between two frames", wsFrame(finText, false, "all"), true, "backend aborted"},
		} {
			t.Run(c.name, func(t *testing.T) {
				f := f.with(t)
				f.log.reset()
				client, backend := openRaw(f, "/", ends)
				backend.write(c.text)
				got := make([]byte, len(c.text))
				if _, err := io.ReadFull(client.r, got); err != nil || string(got) != c.text {
					t.Fatalf("the client read %q, %v", got, err)
				}
				if tcp := backend.conn.(*net.TCPConn); c.reset {
					_ = tcp.SetLinger(0)
				}
				backend.conn.Close()
				rest, err := io.ReadAll(client.r)
				if len(rest) > 0 {
					t.Errorf("the client was told %q", rest)
				}
				if c.reset && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("a reset reached the client as %v", err)
				}
				client.conn.Close()
				line := f.closed(`reason="` + c.reason + `"`)
				if strings.Contains(line, "close_code") {
					t.Errorf("a Close was seen: %s", line)
				}
				other.write(other.frame(finText, "hello"))
				otherBackend.wantFrame(finText, "hello")
			})
		}
	})
}
