package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sys/unix"

	"wsfront/cmd/internal/admin"
	"wsfront/cmd/internal/top"
)

// serveEcho runs a server with an echo at /echo behind it and with further flags,
// and gives its state folder and address.
func serveEcho(t *testing.T, flags ...string) (state, address string) {
	t.Helper()
	echo := httptest.NewServer(http.HandlerFunc(echoSocket))
	t.Cleanup(echo.Close)
	state, address = t.TempDir(), freeAddress(t)
	errors := newWatched()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() { // ended and awaited by the cleanup
		done <- run(ctx, append([]string{"run", "--http-listen", address, "--tunnel", "/echo=ws://" + echo.Listener.Addr().String(), "--state", state, "--access-log", "off"}, flags...), nil, io.Discard, errors)
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("the server ends with %d, %s", code, errors)
		}
	})
	errors.await(t, "msg=listen ")
	return state, address
}

// openEcho opens a tunnel, through which one message has gone and come.
func openEcho(t *testing.T, address, userAgent string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+address+"/echo", http.Header{"User-Agent": {userAgent}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); err != nil {
		t.Fatal(err)
	}
	return conn
}

// terminal is a pseudoterminal in which a program runs.
type terminal struct {
	t             *testing.T
	master, slave *os.File
	screen        *watched // all that was written
	before        unix.Termios
	cmd           *exec.Cmd
}

// control does something with a file's descriptor, which stays one that does not
// block.
func control[T any](t *testing.T, f *os.File, do func(fd int) (T, error)) T {
	t.Helper()
	conn, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var (
		value  T
		failed error
	)
	if err := conn.Control(func(fd uintptr) { value, failed = do(int(fd)) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return value
}

// inTerminal starts a program in a terminal of its own.
func inTerminal(t *testing.T, columns, rows uint16, args ...string) *terminal {
	t.Helper()
	term := &terminal{t: t, screen: newWatched()}
	var err error
	if term.master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	number := control(t, term.master, func(fd int) (int, error) {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return 0, err
		}
		return unix.IoctlGetInt(fd, unix.TIOCGPTN)
	})
	if term.slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	term.resize(columns, rows)
	term.before = term.settings()
	term.cmd = exec.Command("/proc/self/exe")
	term.cmd.Args = args // the name makes this test wsfront: see TestMain
	term.cmd.Env = append(os.Environ(), "TERM=xterm")
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = term.slave, term.slave, term.slave
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := term.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() { // ends when the last slave is closed; awaited by the cleanup
		defer close(read)
		_, _ = io.Copy(term.screen, term.master)
	}()
	t.Cleanup(func() {
		_ = term.cmd.Process.Kill() // where it has not ended
		term.slave.Close()
		<-read
		term.master.Close()
	})
	return term
}

func (term *terminal) resize(columns, rows uint16) {
	term.t.Helper()
	control(term.t, term.master, func(fd int) (struct{}, error) {
		return struct{}{}, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	})
}

func (term *terminal) settings() unix.Termios {
	term.t.Helper()
	return *control(term.t, term.slave, func(fd int) (*unix.Termios, error) { return unix.IoctlGetTermios(fd, unix.TCGETS) })
}

func (term *terminal) press(keys string) {
	term.t.Helper()
	if _, err := io.WriteString(term.master, keys); err != nil {
		term.t.Fatal(err)
	}
}

// ended awaits the end of the program, and sees that the terminal is as before.
func (term *terminal) ended() {
	term.t.Helper()
	hung := time.AfterFunc(patience, func() { _ = term.cmd.Process.Kill() })
	defer hung.Stop()
	if err := term.cmd.Wait(); err != nil {
		term.t.Errorf("%v\n%q", err, term.screen)
	}
	if after := term.settings(); after != term.before {
		term.t.Errorf("the terminal was %+v and is %+v", term.before, after)
	}
	term.screen.await(term.t, "\x1b[?1049l") // back from the alternate screen
	for on, off := range map[string]string{"\x1b[?1049h": "\x1b[?1049l", "\x1b[?25l": "\x1b[?25h"} {
		if text := term.screen.String(); strings.LastIndex(text, on) > strings.LastIndex(text, off) {
			term.t.Errorf("%q is not undone", on)
		}
	}
}

func TestTop_InATerminal(t *testing.T) {
	state, address := serveEcho(t, "--tls", "off")
	conn := openEcho(t, address, "agent-of-the-test")
	list, err := admin.GetTunnels(t.Context(), state, admin.TunnelQuery{})
	if err != nil || len(list.Tunnels) != 1 {
		t.Fatalf("%v, %+v", err, list)
	}
	id := list.Tunnels[0].ID

	term := inTerminal(t, 100, 30, "wsfront", "top", "--state", state, "--interval", "100ms")
	term.screen.await(t, id)
	if strings.Contains(term.screen.String(), "agent-of-the-test ") {
		t.Error("100 columns have room for the user agent")
	}
	term.resize(160, 30)
	term.screen.await(t, "agent-of-the-test")
	term.press("x")
	term.screen.await(t, "closes it")
	term.press("y")
	_, _, err = conn.ReadMessage()
	if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the client of the tunnel that was closed has %v", err)
	}
	term.press("q")
	term.ended()
}

func TestTop_EndsBySignalAndControlC(t *testing.T) {
	state, _ := serveEcho(t, "--tls", "off")
	for name, end := range map[string]func(term *terminal) error{
		"SIGTERM":   func(term *terminal) error { return term.cmd.Process.Signal(syscall.SIGTERM) },
		"control-C": func(term *terminal) error { term.press("\x03"); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			term := inTerminal(t, 80, 24, "wsfront", "top", "--state", state)
			term.screen.await(t, "Requests")
			if err := end(term); err != nil {
				t.Fatal(err)
			}
			term.ended()
		})
	}
}

func TestTop_OnceIsForScripts(t *testing.T) {
	state, address := serveEcho(t, "--tls", "off")
	openEcho(t, address, "agent-of-the-test")
	code, out, errors := wsfront(t, "top", "--once", "--json", "--interval", "100ms", "--state", state)
	var f top.Frame
	if err := json.Unmarshal([]byte(out), &f); code != 0 || err != nil {
		t.Fatalf("%d, %v, %s%s", code, err, out, errors)
	}
	if f.Seconds < 0.1 || f.Open != 1 || len(f.Tunnels) != 1 || f.Tunnels[0].MessagesIn != 1 || len(f.Routes) != 1 || f.Routes[0].Tunnels != 1 {
		t.Errorf("%s", out)
	}
	if code, out, errors := wsfront(t, "top", "--once", "--interval", "100ms", "--state", state); code != 0 || !strings.Contains(out, f.Tunnels[0].ID) || strings.Contains(out, "\x1b") {
		t.Errorf("as text: %d, %s%s", code, out, errors)
	}
	for want, args := range map[string][]string{
		"for one frame as text: wsfront top --once":       {},
		"--json is for one frame":                         {"--json"},
		"--interval 1ms: write 100ms or more":             {"--once", "--interval", "1ms"},
		`--sort "size": write rate, age, bytes, messages`: {"--sort", "size"},
	} {
		if code, _, errors := wsfront(t, append([]string{"top", "--state", state}, args...)...); code != 1 || !strings.Contains(errors, want) {
			t.Errorf("%q: %d, %s", args, code, errors)
		}
	}
}
