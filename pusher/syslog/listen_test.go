package syslog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// inlet is a running Listener. What it publishes comes out of texts, one by one:
// it publishes the next one when the test has taken the last.
type inlet struct {
	*Listener
	t     *testing.T
	texts chan string
	log   *journal
	stop  context.CancelFunc
	done  chan error // has what Run returned
}

// journal keeps what is logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// open binds a Listener whose messages are the line's text alone.
func open(t *testing.T, cfg Config, publish Publish) (*Listener, *journal) {
	t.Helper()
	cfg.Channel = "board"
	if cfg.Format == "" {
		cfg.Format = "{{.Msg}}"
	}
	log := &journal{}
	l, err := New(cfg, publish, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(); err != nil {
		t.Fatal(err)
	}
	return l, log
}

// start runs a Listener until the test ends.
func start(t *testing.T, cfg Config) *inlet {
	t.Helper()
	in := &inlet{t: t, texts: make(chan string), done: make(chan error, 1)}
	in.Listener, in.log = open(t, cfg, func(ctx context.Context, channel string, text []byte) error {
		if channel != "board" {
			t.Errorf("published on %q", channel)
		}
		select {
		case in.texts <- string(text):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	in.run()
	return in
}

func (in *inlet) run() {
	var ctx context.Context
	ctx, in.stop = context.WithCancel(context.Background())
	go func() { in.done <- in.Run(ctx) }() // ends by stop; end waits
	in.t.Cleanup(in.end)
}

// end may be called before the test's own end. Whatever was not taken is lost.
func (in *inlet) end() {
	if in.stop == nil {
		return
	}
	in.stop()
	in.stop = nil
	for {
		select {
		case <-in.texts:
		case err := <-in.done:
			if err != nil {
				in.t.Errorf("Run: %v", err)
			}
			return
		}
	}
}

// dial connects to the Listener.
func (in *inlet) dial() net.Conn {
	in.t.Helper()
	c, err := net.Dial(in.Addr().Network(), in.Addr().String())
	if err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(func() { c.Close() })
	return c
}

func write(t *testing.T, c net.Conn, format string, args ...any) {
	t.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		t.Fatal(err)
	}
}

// expect takes the next messages.
func (in *inlet) expect(want ...string) {
	in.t.Helper()
	for _, want := range want {
		select {
		case got := <-in.texts:
			if got != want {
				in.t.Fatalf("published %q, want %q", got, want)
			}
		case <-time.After(patience):
			in.t.Fatalf("%q was not published", want)
		}
	}
}

// logged waits until the log has a line with all parts.
func (in *inlet) logged(parts ...string) {
	in.t.Helper()
	eventually(in.t, fmt.Sprintf("a line with %q", parts), func() bool {
		for line := range strings.Lines(in.log.String()) {
			has := true
			for _, part := range parts {
				has = has && strings.Contains(line, part)
			}
			if has {
				return true
			}
		}
		return false
	})
}

// eventually waits for something that no event tells.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	timeout := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-timeout:
			t.Fatalf("did not happen: %s", what)
		case <-tick.C:
		}
	}
}

func TestListener_DatagramsAndStreams(t *testing.T) {
	for _, listen := range []string{"udp://127.0.0.1:0", "udp://[::1]:0", "tcp://127.0.0.1:0", "unix://" + filepath.Join(t.TempDir(), "log.sock")} {
		t.Run(listen[:4], func(t *testing.T) {
			in := start(t, Config{Listen: listen, Format: "{{.Hostname}} {{.AppName}} {{.Msg}}"})
			c := in.dial()
			write(t, c, "<13>Nov 27 10:00:00 host app: one\n")
			in.expect("host app one")
			write(t, c, "<13>Nov 27 10:00:00 app: two\n")
			own, err := os.Hostname()
			if err != nil {
				t.Fatal(err)
			}
			if ip, _, err := net.SplitHostPort(in.Addr().String()); err == nil {
				own = ip
			}
			in.expect(own + " app two")
			in.logged("level=INFO msg=syslog.listen", "channel=board", "address="+in.Addr().String())
		})
	}
}

func TestListener_FullQueueDropsDatagramsAndCountsThem(t *testing.T) {
	const sent = 200
	in := start(t, Config{Listen: "udp://127.0.0.1:0", Queue: 10})
	c := in.dial()
	for i := range sent {
		write(t, c, "%d", i)
	}
	// The kernel keeps what is not read yet; loopback loses nothing.
	dropped := func() int {
		in.tally.mu.Lock()
		defer in.tally.mu.Unlock()
		return in.tally.found[EventDropped].count
	}
	eventually(t, "all but what fits and the one that is being published is dropped", func() bool { return dropped()+len(in.queue)+1 == sent })
	lost := dropped()
	in.expect("0", "1", "2") // the oldest are kept
	in.end()
	in.logged("level=WARN msg=syslog.dropped", fmt.Sprintf("count=%d", lost), "reason=")
}

func TestListener_FullQueueSlowsStreamsDownAndLosesNothing(t *testing.T) {
	for _, listen := range []string{"tcp://127.0.0.1:0", "unix://" + filepath.Join(t.TempDir(), "log.sock")} {
		t.Run(listen[:4], func(t *testing.T) {
			in := start(t, Config{Listen: listen, Queue: 2})
			c := in.dial()
			text := strings.Repeat("x", 4000)
			sent := 0
			for { // until the sender is stopped
				if err := c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
					t.Fatal(err)
				}
				line := fmt.Sprintf("%d %s\n", sent, text)
				n, err := io.WriteString(c, line)
				if err != nil {
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Fatal(err)
					}
					if n > 0 { // the rest of a line that is half sent
						go func() {
							_ = c.SetWriteDeadline(time.Time{})
							_, _ = io.WriteString(c, line[n:]) // ends when there is room, or the connection does
						}()
						sent++
					}
					break
				}
				sent++
			}
			for i := range sent {
				in.expect(fmt.Sprintf("%d %s", i, text))
			}
		})
	}
}

func TestListener_CutsLongLines(t *testing.T) {
	for _, listen := range []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"} {
		t.Run(listen[:3], func(t *testing.T) {
			in := start(t, Config{Listen: listen, MaxMessage: 480})
			c := in.dial()
			write(t, c, "%s\n", strings.Repeat("x", 479))
			write(t, c, "%s\n", strings.Repeat("y", 481))
			write(t, c, "z\n")
			in.expect(strings.Repeat("x", 479), strings.Repeat("y", 480), "z")
			in.end()
			in.logged("level=WARN msg=syslog.cut", "count=1", "max_message")
		})
	}
}

func TestListener_TakesOnlyFromWhoIsAllowed(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	send := func(in *inlet, from, text string) {
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
		if in.Addr().Network() == "tcp" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
		}
		c, err := d.Dial(in.Addr().Network(), in.Addr().String())
		if err != nil {
			in.t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, text) // may be closed already
	}
	for _, listen := range []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"} {
		t.Run(listen[:3], func(t *testing.T) {
			in := start(t, Config{Listen: listen, Allow: allow})
			send(in, "127.0.0.3", "no\n")
			send(in, "127.0.0.2", "yes\n")
			in.expect("yes")
			in.end()
			in.logged("level=WARN msg=syslog.refused", "count=1", `reason="127.0.0.3 is not in allow"`)
		})
	}
}

func TestListener_LimitsConnections(t *testing.T) {
	in := start(t, Config{Listen: "tcp://127.0.0.1:0", MaxConnections: 1})
	first := in.dial()
	write(t, first, "one\n")
	in.expect("one")
	second := in.dial()
	if _, err := second.Read(make([]byte, 1)); err == nil {
		t.Error("the second connection is served")
	}
	write(t, first, "two\n")
	in.expect("two")
	_ = first.Close()
	in.logged("level=DEBUG msg=syslog.close", "lines=2", `reason="client closed"`)
	eventually(t, "a place is free again", func() bool {
		third := in.dial()
		_ = third.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, err := third.Read(make([]byte, 1))
		return errors.Is(err, os.ErrDeadlineExceeded) // it is open
	})
	in.end()
	in.logged("level=WARN msg=syslog.refused", "max_connections (1)")
}

func TestListener_ClosesIdleConnections(t *testing.T) {
	in := start(t, Config{Listen: "tcp://127.0.0.1:0", IdleTimeout: time.Second})
	c := in.dial()
	write(t, c, "one\ntw")
	in.expect("one")
	in.expect("tw") // what came of it
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	in.logged("msg=syslog.close", "lines=2", `reason="idle timeout"`)
}

func TestListener_PublishesWhatItHasWhenItEnds(t *testing.T) {
	in := start(t, Config{Listen: "tcp://127.0.0.1:0"})
	c := in.dial()
	write(t, c, "1\n2\n3\n")
	in.expect("1")
	eventually(t, "all is queued", func() bool { return len(in.queue) == 1 })
	in.stop()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
	in.logged("msg=syslog.close", "reason=shutdown")
	in.expect("2", "3")
}

// A publisher that hangs keeps nobody from ending the service.
func TestListener_EndsThoughPublishingHangs(t *testing.T) {
	in := &inlet{t: t, done: make(chan error, 1)}
	began := make(chan struct{}, 3)
	in.Listener, in.log = open(t, Config{Listen: "udp://127.0.0.1:0"}, func(ctx context.Context, _ string, _ []byte) error {
		began <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	in.run()
	c := in.dial()
	write(t, c, "1")
	write(t, c, "2")
	<-began
	eventually(t, "the second one is queued", func() bool { return len(in.queue) == 1 })
	in.end()
	in.logged("msg=syslog.failed", "count=2", `reason="context canceled"`)
}

func TestListener_CountsWhatCannotBePublished(t *testing.T) {
	in := &inlet{t: t, done: make(chan error, 1)}
	tried := make(chan string, 2)
	in.Listener, in.log = open(t, Config{Listen: "udp://127.0.0.1:0"}, func(_ context.Context, _ string, text []byte) error {
		tried <- string(text)
		return errors.New("no room for " + string(text))
	})
	in.run()
	c := in.dial()
	write(t, c, "1")
	write(t, c, "2")
	if got := <-tried + <-tried; got != "12" {
		t.Errorf("tried %q", got)
	}
	in.end()
	in.logged("level=WARN msg=syslog.failed", "channel=board", "count=2", `reason="no room for 2"`)
}
