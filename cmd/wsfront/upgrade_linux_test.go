package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gorilla/websocket"
)

// load asks for pages until stop is called: half of the clients keep their
// connections, half of them open one for each page.
type load struct {
	served, failed atomic.Int64
	stop           func()
}

func (u *upgrading) load() *load {
	l := &load{}
	ctx, cancel := context.WithCancel(u.t.Context())
	var clients sync.WaitGroup
	for i := range 4 {
		transport := &http.Transport{DisableKeepAlives: i%2 == 0}
		clients.Go(func() { // ended by stop
			defer transport.CloseIdleConnections()
			for ctx.Err() == nil {
				err := page(ctx, transport, "http://"+u.http+"/wsfront.yaml")
				switch {
				case err == nil:
					l.served.Add(1)
				case ctx.Err() == nil:
					l.failed.Add(1)
					u.t.Errorf("a page: %v", err)
				}
			}
		})
	}
	l.stop = func() { cancel(); clients.Wait() }
	return l
}

func page(ctx context.Context, transport *http.Transport, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// more waits until as many further pages were served.
func (l *load) more(u *upgrading, n int64) {
	u.t.Helper()
	for want := l.served.Load() + n; l.served.Load() < want; {
		if u.t.Context().Err() != nil || l.failed.Load() > 0 {
			u.t.Fatal("the load has failed")
		}
		u.await("msg=listen ") // a look at the log takes a moment
	}
}

// follow reads the event stream of the board until it has seen the text last, and
// connects again from where it was each time that it ends. It returns what came.
func (u *upgrading) follow(last string, connected func()) (texts []string, err error) {
	position := ""
	for {
		req, err := http.NewRequestWithContext(u.t.Context(), http.MethodGet, "http://"+u.http+"/push", nil)
		if err != nil {
			return texts, err
		}
		req.Header.Set("Accept", "text/event-stream")
		if position != "" {
			req.Header.Set("Last-Event-ID", position)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return texts, err
		}
		if res.StatusCode != http.StatusOK {
			return texts, errors.New(res.Status)
		}
		joined := false // a stream without an id is told to come back later
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				position = id
				if !joined {
					joined = true
					connected()
				}
			}
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				texts = append(texts, text)
				if text == last {
					res.Body.Close()
					return texts, nil
				}
			}
		}
		res.Body.Close()
	}
}

// No page is lost, a tunnel stays, and push clients miss nothing and see nothing
// twice, while messages are published all the time.
func TestUpgrade_UnderLoad(t *testing.T) {
	u := startUpgrading(t)
	tunnel, pushed := u.open("/echo"), u.open("/push")
	l := u.load()
	l.more(u, 500)

	connected := make(chan struct{}, 100)
	followed := make(chan error, 1)
	var got []string
	go func() { // ends with the last text, awaited below
		var err error
		got, err = u.follow("last", func() { connected <- struct{}{} })
		followed <- err
	}()
	<-connected
	ctx, cancel := context.WithCancel(t.Context())
	published := make(chan []string, 1)
	go func() { // ended by cancel, awaited below
		var sent []string
		for i := 0; ctx.Err() == nil; i++ {
			text := fmt.Sprint("text ", i)
			if err := u.publish(t.Context(), text); err != nil {
				t.Error(err)
				break
			}
			sent = append(sent, text)
		}
		published <- sent
	}()

	u.upgrade()
	if code := closedBy(pushed); code != websocket.CloseServiceRestart {
		t.Errorf("the push client got %d", code)
	}
	<-connected // to the new one
	u.echoes(tunnel)
	l.more(u, 500)
	u.upgrade()
	<-connected
	l.more(u, 500)
	cancel()
	sent := append(<-published, "last")
	if err := u.publish(t.Context(), "last"); err != nil {
		t.Error(err)
	}
	if err := <-followed; err != nil {
		t.Error(err)
	}
	l.stop()
	if strings.Join(got, "\n") != strings.Join(sent, "\n") {
		t.Errorf("published %d texts, and got %d", len(sent), len(got))
	}
	t.Logf("%d pages, %d failed; %d texts", l.served.Load(), l.failed.Load(), len(got))
}

// A new process that does not serve leaves the old one as it is, whether it fails
// before or after the push service was given up for it.
func TestUpgrade_FailureLeavesTheOldProcessServing(t *testing.T) {
	u := startUpgrading(t)
	tunnel, pushed := u.open("/echo"), u.open("/push")
	const site = "drain_timeout: 5s"
	u.edit(site, "nonsense: true")
	if err := u.order(); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("upgraded with mistakes: %v", err)
	}
	u.await("msg=upgrade.failed reason=\"the new process is not ready: ")
	u.edit("nonsense: true", site)

	// A program that ends without a word.
	binary, kept := filepath.Join(u.dir, "wsfront"), filepath.Join(u.dir, "kept")
	if err := os.Rename(binary, kept); err != nil {
		t.Fatal(err)
	}
	relink := func(to string) {
		_ = os.Remove(binary)
		if err := os.Symlink(to, binary); err != nil {
			t.Fatal(err)
		}
	}
	relink("/bin/false")
	if err := u.order(); err == nil || !strings.Contains(err.Error(), "ended before it served") {
		t.Errorf("upgraded to another program: %v", err)
	}
	relink(filepath.Join(u.dir, "nothing"))
	if err := u.order(); err == nil || !strings.Contains(err.Error(), "start the new process") {
		t.Errorf("upgraded to nothing: %v", err)
	}
	if err := errors.Join(os.Remove(binary), os.Rename(kept, binary)); err != nil {
		t.Fatal(err)
	}
	if err := u.publish(t.Context(), "nothing has happened"); err != nil {
		t.Fatal(err)
	}
	if _, text, err := pushed.ReadMessage(); err != nil || string(text) != "nothing has happened" {
		t.Fatalf("%q %v", text, err)
	}

	// A history that cannot be opened shows when the old process has let go of its
	// own.
	blocked := filepath.Join(u.dir, "blocked")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	u.edit("history: durable", "history: {dir: "+blocked+"}")
	if err := u.order(); err == nil || !strings.Contains(err.Error(), "does not serve: open the history") {
		t.Errorf("upgraded without a history: %v", err)
	}
	u.edit("history: {dir: "+blocked+"}", "history: durable")
	if code := closedBy(pushed); code != websocket.CloseServiceRestart {
		t.Errorf("the push client got %d", code)
	}
	again := u.open("/push")
	if err := u.publish(t.Context(), "as before"); err != nil {
		t.Fatal(err)
	}
	if _, text, err := again.ReadMessage(); err != nil || string(text) != "as before" {
		t.Fatalf("%q %v", text, err)
	}
	u.echoes(tunnel)
	u.upgrade() // the next one succeeds
	u.echoes(tunnel)
}

func TestUpgrade_EndOfTheDrainClosesTunnels(t *testing.T) {
	u := startUpgrading(t, "upgrade_drain: 200ms")
	tunnel := u.open("/echo")
	u.upgrade()
	if code := closedBy(tunnel); code != websocket.CloseGoingAway {
		t.Errorf("the tunnel got %d", code)
	}
	u.endOfFirst()
	u.echoes(u.open("/echo"))
}

// There are never more than two that drain, and a shutdown ends those as well.
func TestUpgrade_OlderProcessesHurry(t *testing.T) {
	u := startUpgrading(t, "upgrade_drain: 24h")
	first := u.open("/echo")
	u.upgrade()
	second := u.open("/echo")
	u.edit("drain_timeout: 5s", "nonsense: true")
	if err := u.order(); err == nil {
		t.Error("upgraded with mistakes")
	}
	u.edit("nonsense: true", "drain_timeout: 5s")
	u.echoes(first) // nothing is hurried for an upgrade that fails
	u.upgrade()
	if code := closedBy(first); code != websocket.CloseGoingAway {
		t.Errorf("the first tunnel got %d", code)
	}
	u.endOfFirst()
	u.echoes(second)
	third := u.open("/echo")
	_ = syscall.Kill(u.successors[1], syscall.SIGTERM)
	for _, tunnel := range []*websocket.Conn{second, third} {
		if code := closedBy(tunnel); code != websocket.CloseGoingAway {
			t.Errorf("a tunnel got %d", code)
		}
	}
	for range 2 {
		if status := u.reap(); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}
	if _, err := os.Stat(filepath.Join(u.dir, "state", "admin.sock")); err == nil {
		t.Error("the admin socket is left behind")
	}
}

// SIGUSR2 does the same, and a process without tunnels ends at once.
func TestUpgrade_BySignal(t *testing.T) {
	u := startUpgrading(t)
	_ = u.first.Process.Signal(syscall.SIGUSR2)
	u.endOfFirst()
	u.await("msg=upgrade.done")
	u.successors = pidsIn(u.log())
	if err := page(t.Context(), &http.Transport{DisableKeepAlives: true}, "http://"+u.http+"/wsfront.yaml"); err != nil {
		t.Error(err)
	}
}

// systemd is told of the new process by the old one, which is the one it listens
// to, and then by the new one, whose watchdog it is from there on.
func TestUpgrade_SystemdKnowsWhichProcessCounts(t *testing.T) {
	dir := t.TempDir()
	own, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	text := fmt.Sprintf("http_listen: %s\ndrain_timeout: 2s\naccess_log: off\nsites: [{hosts: ['*'], tls: off, routes: [{path: /, files: %s}]}]\n", l.Addr(), dir)
	if err := os.WriteFile(filepath.Join(dir, "wsfront.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	u := startUnit(t, dir, own, socket)
	u.expect("READY=1\nSTATUS=serving http at " + l.Addr().String())
	_ = u.cmd.Process.Signal(syscall.SIGUSR2)
	pid := 0
	if _, err := fmt.Sscanf(u.told(), "READY=1\nMAINPID=%d", &pid); err != nil || pid == u.cmd.Process.Pid {
		t.Fatalf("told of %d, %v", pid, err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	u.expect("READY=1\nSTATUS=serving http at " + l.Addr().String())
	// It says nothing more, as the next message shows. Wait itself would wait for
	// the new process as well, which has the same standard error.
	if state, err := u.cmd.Process.Wait(); err != nil || state.ExitCode() != 0 {
		t.Errorf("%v, %v", state, err)
	}
	for range 3 {
		if got := u.next(); got != "WATCHDOG=1" {
			t.Errorf("told %q", got)
		}
	}
	_ = syscall.Kill(pid, syscall.SIGTERM)
	u.expect("STOPPING=1\n")
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil || status.ExitStatus() != 0 {
		t.Errorf("exit status %d, %v", status.ExitStatus(), err)
	}
}
