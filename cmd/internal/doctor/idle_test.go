package doctor

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"wsfront/proxy/diagnosis"
)

func TestRun_Idle(t *testing.T) {
	t.Run("alive", func(t *testing.T) {
		t.Parallel()
		s := serve(t, nil, accept)
		r := examine(t, Options{URL: s.url("ws", "/websocket"), Idle: 300 * time.Millisecond})
		expect(t, r, "", 0)
		if got := stepOf(r, "idle"); !strings.HasPrefix(got.Detail, "alive after 300ms") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("pings are answered and told", func(t *testing.T) {
		t.Parallel()
		s := serve(t, nil, pingsUntilUnanswered)
		r := examine(t, Options{URL: s.url("ws", "/websocket"), Idle: 900 * time.Millisecond})
		expect(t, r, "", 0)
		if got := stepOf(r, "idle"); !strings.Contains(got.Detail, "the server pings") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("gone without a word", func(t *testing.T) {
		t.Parallel()
		s := serve(t, nil, func(c net.Conn, r *http.Request, behind *bufio.Reader) {
			write(c, switching(r))
			_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
			for {
				f, err := readMasked(behind)
				if err != nil || f.opcode == opClose {
					break
				}
				write(c, server(opPong, string(f.payload)))
			}
			_ = c.SetReadDeadline(time.Time{})
			_, _ = io.Copy(io.Discard, behind) // as a NAT that has forgotten the connection
		})
		r := examine(t, Options{URL: s.url("ws", "/websocket"), Idle: time.Second})
		expect(t, r, diagnosis.IdleCut, 5)
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		s := serve(t, nil, accept)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		r, err := run(ctx, Options{URL: s.url("ws", "/websocket"), Idle: time.Hour, Resolve: []string{"app.test:127.0.0.1"}}, brisk)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, r, "", 1)
		if got := stepOf(r, "idle"); got.Status != Skipped {
			t.Errorf("%+v", got)
		}
	})
}

// pingsUntilUnanswered closes when a ping gets no pong.
func pingsUntilUnanswered(c net.Conn, r *http.Request, behind *bufio.Reader) {
	write(c, switching(r)+server(opPing, "a"))
	for {
		_ = c.SetReadDeadline(time.Now().Add(600 * time.Millisecond))
		f, err := readMasked(behind)
		switch {
		case err != nil:
			return
		case f.opcode == opPing:
			write(c, server(opPong, string(f.payload)))
		case f.opcode == opPong:
			time.Sleep(200 * time.Millisecond) // the interval of the pings
			write(c, server(opPing, "a"))
		case f.opcode == opClose:
			write(c, server(opClose, string(f.payload)))
			return
		}
	}
}

func TestWhose(t *testing.T) {
	for d, want := range map[time.Duration]string{
		60200 * time.Millisecond: "60 s is a default: nginx", 50200 * time.Millisecond: "HAProxy", 299 * time.Second: "Debian", 77 * time.Second: "no default",
	} {
		if got := whose(d); !strings.Contains(got, want) {
			t.Errorf("%v: %s", d, got)
		}
	}
}
