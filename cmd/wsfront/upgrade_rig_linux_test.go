package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"wsfront/cmd/internal/admin"
)

// upgrading is a wsfront whose place others take, in a folder of its own.
type upgrading struct {
	t          testing.TB
	dir        string
	http, api  string // addresses
	first      *exec.Cmd
	successors []int // processes that are not awaited yet
}

// startUpgrading starts wsfront with these lines in its file, a push service at
// /push, an echo at /echo, an app that takes uploads at /upload, and pages.
func startUpgrading(t testing.TB, lines ...string) *upgrading {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	u := &upgrading{t: t, dir: t.TempDir(), http: freeAddress(t), api: freeAddress(t)}
	binary := filepath.Join(u.dir, "wsfront") // the name makes this test wsfront: see TestMain
	// A file of its own, so that another program can be put in its place.
	if os.Link(self, binary) != nil { // on another file system
		text, err := os.ReadFile(self)
		if err == nil {
			err = os.WriteFile(binary, text, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	echo := httptest.NewServer(http.HandlerFunc(echoSocket))
	t.Cleanup(echo.Close)
	u.write(echo.Listener.Addr().String(), lines...)
	log, err := os.Create(filepath.Join(u.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	u.first = exec.Command(binary, "run", "--config", "wsfront.yaml")
	u.first.Dir, u.first.Stderr = u.dir, log
	u.first.Env = append(os.Environ(), "PATH="+u.dir) // a program that was started by its name is looked for again
	if err := u.first.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.end)
	u.await("msg=listen ")
	return u
}

func (u *upgrading) write(echo string, lines ...string) {
	u.t.Helper()
	text := fmt.Sprintf(`state: %[1]s/state
http_listen: %[2]s
access_log: off
drain_timeout: 5s
sites:
  - hosts: ['*']
    tls: off
    routes:
      - {path: /push, push: {channel: board}}
      - {path: /echo, tunnel: "ws://%[3]s"}
      - {path: /upload, app: "http://%[3]s"}
      - {path: /, files: %[1]s}
%[4]s
`, u.dir, u.http, echo, strings.Join(lines, "\n"))
	if !strings.Contains(text, "\npush:") {
		text += fmt.Sprintf("push: {history: durable, publish: {listen: %q}}\n", u.api)
	}
	if err := os.WriteFile(filepath.Join(u.dir, "wsfront.yaml"), []byte(text), 0o600); err != nil {
		u.t.Fatal(err)
	}
}

// edit changes the file.
func (u *upgrading) edit(old, new string) {
	u.t.Helper()
	name := filepath.Join(u.dir, "wsfront.yaml")
	text, err := os.ReadFile(name)
	if err != nil || !strings.Contains(string(text), old) {
		u.t.Fatalf("%v: no %q in %s", err, old, text)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
		u.t.Fatal(err)
	}
}

func (u *upgrading) log() string {
	text, err := os.ReadFile(filepath.Join(u.dir, "log"))
	if err != nil {
		u.t.Fatal(err)
	}
	return string(text)
}

// await waits until the log has a line.
func (u *upgrading) await(line string) {
	u.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(u.log(), line); time.Sleep(5 * time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			u.t.Fatalf("no %q in the log:\n%s", line, u.log())
		}
	}
}

// order is wsfront upgrade.
func (u *upgrading) order() error {
	before := len(pidsIn(u.log()))
	err := admin.Upgrade(u.t.Context(), filepath.Join(u.dir, "state"))
	if err == nil {
		u.successors = append(u.successors, pidsIn(u.log())[before])
	}
	return err
}

var startLine = regexp.MustCompile(`msg=upgrade.start pid=(\d+)`)

func pidsIn(log string) (pids []int) {
	for _, found := range startLine.FindAllStringSubmatch(log, -1) {
		pid, _ := strconv.Atoi(found[1])
		pids = append(pids, pid)
	}
	return pids
}

// upgrade is an order that succeeds.
func (u *upgrading) upgrade() {
	u.t.Helper()
	if err := u.order(); err != nil {
		u.t.Fatalf("%v\n%s", err, u.log())
	}
}

// reap waits for the end of the oldest successor, which is a child of the test as
// the first process is, and returns its exit status.
func (u *upgrading) reap() int {
	u.t.Helper()
	pid := u.successors[0]
	u.successors = u.successors[1:]
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
		u.t.Fatal(err)
	}
	return status.ExitStatus()
}

// endOfFirst waits for the first process, whose exit status is to be 0.
func (u *upgrading) endOfFirst() {
	u.t.Helper()
	late := time.AfterFunc(patience, func() { _ = u.first.Process.Kill() })
	defer late.Stop()
	if err := u.first.Wait(); err != nil {
		u.t.Errorf("the first process: %v\n%s", err, u.log())
	}
}

// end ends what runs still, the newest first.
func (u *upgrading) end() {
	for len(u.successors) > 0 {
		last := len(u.successors) - 1
		_ = syscall.Kill(u.successors[last], syscall.SIGTERM)
		_, _ = syscall.Wait4(u.successors[last], nil, 0, nil)
		u.successors = u.successors[:last]
	}
	if u.first.ProcessState == nil {
		_ = u.first.Process.Signal(syscall.SIGTERM)
		_ = u.first.Wait()
	}
	if u.t.Failed() {
		u.t.Logf("the log:\n%s", u.log())
	}
}

// open opens a WebSocket.
func (u *upgrading) open(path string) *websocket.Conn {
	u.t.Helper()
	conn, _, err := websocket.DefaultDialer.DialContext(u.t.Context(), "ws://"+u.http+path, nil)
	if err != nil {
		u.t.Fatalf("%v\n%s", err, u.log())
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	u.t.Cleanup(func() { conn.Close() })
	return conn
}

// echoes shows that a tunnel is open.
func (u *upgrading) echoes(conn *websocket.Conn) {
	u.t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte("still here")); err != nil {
		u.t.Fatal(err)
	}
	if _, got, err := conn.ReadMessage(); err != nil || string(got) != "still here" {
		u.t.Fatalf("%q, %v\n%s", got, err, u.log())
	}
}

// closedBy reads on until the end of a WebSocket, and returns the code of its
// Close.
func closedBy(conn *websocket.Conn) int {
	for {
		_, _, err := conn.ReadMessage()
		if ended, ok := err.(*websocket.CloseError); ok {
			return ended.Code
		} else if err != nil {
			return 0
		}
	}
}

// publish publishes text once, however often that takes.
func (u *upgrading) publish(ctx context.Context, text string) error {
	key, err := os.ReadFile(filepath.Join(u.dir, "state", "publish.key"))
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+u.api+"/channels/board", strings.NewReader(text))
		if err != nil {
			return err
		}
		req.Header = http.Header{"Authorization": {"Bearer " + strings.TrimSpace(string(key))}, "Content-Type": {"text/plain"}, "Idempotency-Key": {text}}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue // its connection was closed: the next one waits for the new process
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		switch res.StatusCode {
		case http.StatusOK, http.StatusCreated, http.StatusAccepted:
			return nil
		case http.StatusServiceUnavailable:
		default:
			return fmt.Errorf("publish: %s", res.Status)
		}
	}
	return ctx.Err()
}

// echoSocket echoes what comes by a WebSocket, and takes uploads.
func echoSocket(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		_, _ = io.Copy(io.Discard, r.Body)
		return
	}
	conn, err := (&websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}).Upgrade(w, r, nil)
	if err != nil {
		return // it has been answered
	}
	defer conn.Close()
	for {
		kind, data, err := conn.ReadMessage()
		if err != nil || conn.WriteMessage(kind, data) != nil {
			return
		}
	}
}
