package systemd

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what is to happen at once.
const patience = 10 * time.Second

// listen is what systemd is told.
func listen(t *testing.T) (told func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify.sock")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		text := make([]byte, 4096)
		n, err := conn.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(text[:n])
	}
}

func TestManager_TellsHowTheServiceIs(t *testing.T) {
	told := listen(t)
	m := NewManager(slog.New(slog.DiscardHandler))
	m.Ready("serving at [::]:443")
	m.Reloading()
	m.Ready("refused: line 1\nWATCHDOG=1")
	m.Succeed(1234)
	m.Stopping(15 * time.Second)
	for _, want := range []string{
		`READY=1\nSTATUS=serving at \[::\]:443`,
		`RELOADING=1\nMONOTONIC_USEC=[1-9]\d*`,
		`READY=1\nSTATUS=refused: line 1 \.\.\.`,
		`READY=1\nMAINPID=1234`,
		`STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000\nSTATUS=ending: what is open has 15s`,
	} {
		if got := told(); !regexp.MustCompile("^" + want + "$").MatchString(got) {
			t.Errorf("%q, not %s", got, want)
		}
	}
}

func TestManager_NobodyIsToldWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	var log bytes.Buffer
	m := NewManager(slog.New(slog.NewTextHandler(&log, nil)))
	m.Ready("serving")
	m.Watch(t.Context(), func(context.Context) error { t.Error("asked"); return nil })
	if s := Sockets(m.log); s != nil || log.Len() > 0 {
		t.Errorf("%v %s", s, &log)
	}
}

func TestManager_UnreachableSystemdIsAnEvent(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none.sock"))
	var log bytes.Buffer
	NewManager(slog.New(slog.NewTextHandler(&log, nil))).Ready("serving")
	if !strings.Contains(log.String(), "msg=systemd.notify.failed state=READY=1") && !strings.Contains(log.String(), `state="READY=1"`) {
		t.Error(log.String())
	}
}

func TestWatch_OnlyWhileAlive(t *testing.T) {
	told := listen(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", "")
	asked := make(chan error)
	var log bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	m := NewManager(slog.New(slog.NewTextHandler(&log, nil)))
	go func() { // ended by stop, awaited below
		defer close(ended)
		m.Watch(ctx, func(asking context.Context) error {
			if at, ok := asking.Deadline(); !ok || time.Until(at) > 5*time.Millisecond {
				t.Error("the answer may take longer than a quarter of WATCHDOG_USEC")
			}
			select {
			case err := <-asked:
				return err
			case <-ctx.Done():
				return nil
			}
		})
	}()
	asked <- errors.New("no connections")
	asked <- errors.New("no connections")
	m.Ready("now") // whatever was told before comes first
	if got := told(); !strings.HasPrefix(got, "READY=1") {
		t.Errorf("%q while nothing is alive", got)
	}
	asked <- nil
	if got := told(); got != "WATCHDOG=1" {
		t.Error(got)
	}
	stop()
	<-ended
	if n := strings.Count(log.String(), "systemd.watchdog.withheld reason=\"no connections\""); n != 2 {
		t.Errorf("%d events: %s", n, &log)
	}
}
