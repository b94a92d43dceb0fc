package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// unit is a wsfront that was started as systemd starts it.
type unit struct {
	t   *testing.T
	cmd *exec.Cmd
	log bytes.Buffer
	own *net.UnixConn // at which it tells how it is
}

// startUnit starts wsfront in dir with sockets that are open already.
func startUnit(t *testing.T, dir string, own *net.UnixConn, sockets ...*os.File) *unit {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "wsfront") // the name makes this test wsfront: see TestMain
	if err := os.Symlink(self, binary); err != nil {
		t.Fatal(err)
	}
	u := &unit{t: t, own: own}
	// LISTEN_PID is that of the process itself, which the shell knows and exec keeps.
	u.cmd = exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, binary, "run", "--config", "wsfront.yaml")
	u.cmd.Dir = dir
	u.cmd.Env = append(os.Environ(), "STATE_DIRECTORY="+filepath.Join(dir, "state"), "LISTEN_FDS="+fmt.Sprint(len(sockets)),
		"LISTEN_FDNAMES="+strings.Repeat(":", len(sockets)-1), "NOTIFY_SOCKET="+own.LocalAddr().String(), "WATCHDOG_USEC=200000")
	u.cmd.ExtraFiles = sockets
	u.cmd.Stderr = &u.log
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if u.cmd.ProcessState == nil {
			_ = u.cmd.Process.Kill()
			_ = u.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("wsfront said:\n%s", &u.log)
		}
	})
	return u
}

// told returns the next message of the unit that is not of its watchdog.
func (u *unit) told() string {
	u.t.Helper()
	for {
		if text := u.next(); text != "WATCHDOG=1" {
			return text
		}
	}
}

func (u *unit) next() string {
	u.t.Helper()
	_ = u.own.SetReadDeadline(time.Now().Add(patience))
	text := make([]byte, 4096)
	n, err := u.own.Read(text)
	if err != nil {
		u.t.Fatal(err)
	}
	return string(text[:n])
}

// expect waits for a message that begins so.
func (u *unit) expect(want string) {
	u.t.Helper()
	if got := u.told(); !strings.HasPrefix(got, want) {
		u.t.Fatalf("told %q, not %q", got, want)
	}
}

// stop ends it, and waits for the end.
func (u *unit) stop() {
	u.t.Helper()
	_ = u.cmd.Process.Signal(syscall.SIGTERM)
	u.expect("STOPPING=1\nEXTEND_TIMEOUT_USEC=7000000\n")
	if err := u.cmd.Wait(); err != nil {
		u.t.Error(err)
	}
}

func TestSystemd_SocketsStayOpenOverARestart(t *testing.T) {
	dir := t.TempDir()
	own, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	var sockets []*os.File
	var at []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		sockets, at = append(sockets, f), append(at, l.Addr().String())
	}
	write := func(more string) {
		text := fmt.Sprintf("listen: %s\nhttp_listen: %s\ndrain_timeout: 2s\naccess_log: off\nsites: [{hosts: ['*'], tls: internal, routes: [{path: /, files: %s}]}]\n%s", at[0], at[1], dir, more)
		if err := os.WriteFile(filepath.Join(dir, "wsfront.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	first := startUnit(t, dir, own, sockets...)
	first.expect(fmt.Sprintf("READY=1\nSTATUS=serving https at %s, http at %s", at[0], at[1]))
	if got := first.next(); got != "WATCHDOG=1" {
		t.Errorf("told %q", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "state", "admin.sock")); err != nil {
		t.Error("there is nobody to give orders to yet:", err)
	}
	if err := get(t.Context(), "https://"+at[0]); err != nil {
		t.Error(err)
	}
	_ = first.cmd.Process.Signal(syscall.SIGHUP)
	first.expect("RELOADING=1\nMONOTONIC_USEC=")
	first.expect("READY=1\nSTATUS=serving ")
	write("nonsense: true\n")
	_ = first.cmd.Process.Signal(syscall.SIGHUP)
	first.expect("RELOADING=1")
	first.expect("READY=1\nSTATUS=the last reload was refused: ")
	first.stop()
	if line := "listen.unused address=" + at[2]; !strings.Contains(first.log.String(), line) {
		t.Errorf("no event %s", line)
	}

	// Nobody serves, and yet nobody is refused.
	write("")
	answered := make(chan error, 1)
	go func() { answered <- get(t.Context(), "https://"+at[0]) }() // ends with the answer, awaited below
	second := startUnit(t, dir, own, sockets[:2]...)
	second.expect("READY=1")
	if err := <-answered; err != nil {
		t.Error(err)
	}
	second.stop()
}

// get gets the page of a server whose certificate nobody knows.
func get(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/wsfront.yaml", nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", res.Status)
	}
	return nil
}
