package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"wsfront/cmd/internal/admin"
	"wsfront/proxy"
)

// observe starts an admin listener in a state folder, which tells what these
// sources do.
func observe(t *testing.T, sources admin.Sources) (state string) {
	t.Helper()
	state = t.TempDir()
	l, err := admin.Listen(state, false)
	if err != nil {
		t.Fatal(err)
	}
	s := admin.New(l, admin.Handler(sources, admin.Access{Host: admin.SocketHost}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }() // ended and awaited by the cleanup
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return state
}

// wsfront runs a command and gives its exit status and what it wrote.
func wsfront(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errors strings.Builder
	code = run(t.Context(), args, strings.NewReader(""), &out, &errors)
	return code, out.String(), errors.String()
}

// twoTunnels are sources with two tunnels, of which one can be closed.
func twoTunnels() admin.Sources {
	var mu sync.Mutex
	open := []proxy.TunnelState{
		{ID: "aaaa", Client: "192.0.2.7", UserAgent: "evil\x1b[2J", Site: "a.test", Route: "/ws", Opened: time.Now().Add(-time.Hour), Moved: time.Now(), BytesIn: 10, MessagesIn: 1},
		{ID: "bbbb", Client: "192.0.2.8", Site: "a.test", Route: "/chat", Opened: time.Now(), Moved: time.Now(), BytesOut: 2000, MessagesOut: 3},
	}
	return admin.Sources{
		Tunnels: func() []proxy.TunnelState {
			mu.Lock()
			defer mu.Unlock()
			return append([]proxy.TunnelState(nil), open...)
		},
		CloseTunnel: func(id string) bool {
			mu.Lock()
			defer mu.Unlock()
			if len(open) < 2 || id != "bbbb" {
				return false
			}
			open = open[:1]
			return true
		},
	}
}

func TestTunnels_ListedSortedAndKilled(t *testing.T) {
	state := observe(t, twoTunnels())
	code, out, errors := wsfront(t, "tunnels", "--state", state, "--sort", "bytes")
	if code != 0 || errors != "" || strings.Index(out, "bbbb") > strings.Index(out, "aaaa") || !strings.Contains(out, `evil\x1b[2J`) {
		t.Errorf("%d, %s%s", code, out, errors)
	}
	if _, out, _ := wsfront(t, "tunnels", "--state", state, "--route", "/chat"); !strings.Contains(out, "bbbb") || strings.Contains(out, "aaaa") {
		t.Errorf("by route: %s", out)
	}
	if _, out, _ := wsfront(t, "tunnels", "--state", state, "--limit", "1"); !strings.Contains(out, "1 tunnel of 2 open: ") {
		t.Errorf("limited: %s", out)
	}
	code, out, errors = wsfront(t, "tunnels", "kill", "cccc", "bbbb", "--state", state)
	if code != 1 || out != "closed bbbb\n" || !strings.Contains(errors, `"cccc"`) {
		t.Errorf("kill: %d, %s, %s", code, out, errors)
	}
	_, out, _ = wsfront(t, "tunnels", "--json", "--state", state)
	var list admin.TunnelList
	if err := json.Unmarshal([]byte(out), &list); err != nil || list.Open != 1 || list.Tunnels[0].UserAgent != "evil\x1b[2J" {
		t.Errorf("JSON: %v, %s", err, out)
	}
}

func TestObserve_WrongUseSaysWhatToWrite(t *testing.T) {
	for want, args := range map[string][]string{
		`--sort "size": write age, bytes, messages or idle`:                 {"tunnels", "--sort", "size"},
		"--limit -1: write how many":                                        {"tunnels", "--limit", "-1"},
		"requires at least 1 arg":                                           {"tunnels", "kill"},
		"-n 0: write how many are to be shown, such as -n 10":               {"failures", "-n", "0"},
		`--kind "ws": write handshake, request or tls`:                      {"failures", "--kind", "ws"},
		"write a time such as 14d or 36h":                                   {"certificates", "--expiring", "two weeks"},
		"the state folder can be named in place of the file: --state DIR\n": {"status", "--config", "/nowhere.yaml"},
	} {
		code, _, errors := wsfront(t, args...)
		if code != 1 || !strings.Contains(errors, want) {
			t.Errorf("%q: %d, %s", args, code, errors)
		}
	}
}

func TestFailures_TheLastOnesOfAKind(t *testing.T) {
	state := observe(t, admin.Sources{Failures: func() []proxy.FailureState {
		var all []proxy.FailureState
		for _, kind := range []string{"tls", "handshake", "request", "handshake", "handshake"} {
			all = append(all, proxy.FailureState{Time: time.Now(), Kind: kind, Client: "192.0.2.7", Reason: "why", Count: 1})
		}
		return all
	}})
	for want, args := range map[int][]string{5: nil, 2: {"-n", "2"}, 3: {"--kind", "handshake"}, 1: {"--kind", "tls"}} {
		if code, out, errors := wsfront(t, append([]string{"failures", "--state", state}, args...)...); code != 0 || strings.Count(out, "reason  why") != want {
			t.Errorf("%q: %d, %s%s", args, code, out, errors)
		}
	}
}

func TestCertificates_ExpiringIsForCron(t *testing.T) {
	var served []proxy.CertificateState
	state := observe(t, admin.Sources{Certificates: func() []proxy.CertificateState { return served }})
	in := func(d time.Duration) proxy.CertificateState {
		return proxy.CertificateState{Names: []string{"a.test"}, Source: "files", NotAfter: time.Now().Add(d)}
	}
	for _, c := range []struct {
		served proxy.CertificateState
		want   int
	}{{in(15 * 24 * time.Hour), 0}, {in(13 * 24 * time.Hour), 1}, {in(-time.Hour), 1}, {proxy.CertificateState{Names: []string{"a.test"}, Problem: "there is none yet"}, 1}, {proxy.CertificateState{Names: []string{"a.test"}}, 0}, {proxy.CertificateState{Names: []string{"a.test"}, Source: "internal", NotAfter: time.Now().Add(time.Hour)}, 0}} {
		served = []proxy.CertificateState{in(365 * 24 * time.Hour), c.served}
		if code, out, errors := wsfront(t, "certificates", "--state", state, "--expiring", "14d"); code != c.want || !strings.Contains(out, "a.test") {
			t.Errorf("%v: %d, want %d\n%s%s", c.served.NotAfter, code, c.want, out, errors)
		}
		if code, _, errors := wsfront(t, "certificates", "--state", state); code != 0 {
			t.Errorf("without --expiring: %d, %s", code, errors)
		}
	}
}

// observing are all commands that ask a running server.
var observing = [][]string{{"status"}, {"tunnels"}, {"tunnels", "kill", "aaaa"}, {"failures"}, {"certificates"}}

func TestObserve_NobodyRunsOrAnOlderOne(t *testing.T) {
	older := t.TempDir()
	l, err := net.Listen("unix", admin.Socket(older))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler()}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }() // ended by Close, awaited below
	nobody := t.TempDir()
	refused := filepath.Join(nobody, "wsfront.yaml") // is not read where the folder is named
	if err := os.WriteFile(refused, []byte("nonsense: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errors := wsfront(t, "status", "--state", nobody, "--config", refused); code != 1 || !strings.Contains(errors, "no wsfront runs") {
		t.Errorf("with a file that is refused: %d, %s", code, errors)
	}
	for _, args := range observing {
		if code, _, errors := wsfront(t, append(args, "--state", nobody)...); code != 1 || !strings.Contains(errors, "no wsfront runs with the state folder "+nobody) {
			t.Errorf("%q where nobody runs: %d, %s", args, code, errors)
		}
		if code, _, errors := wsfront(t, append(args, "--state", older)...); code != exitUnknownOrder || !strings.Contains(errors, "of a version that does not know this") {
			t.Errorf("%q of an older server: %d, %s", args, code, errors)
		}
	}
	server.Close()
	<-done
}

// Root may open any socket; therefore it is another user who is denied where the
// tests are root's.
func TestObserve_NoPermission(t *testing.T) {
	state := observe(t, twoTunnels())
	if err := os.Chmod(state, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(state, 0o700) })
	another := func(args ...string) (string, error) {
		cmd := exec.Command("/proc/self/exe")
		cmd.Args = append([]string{"wsfront"}, args...) // the name makes this test wsfront: see TestMain
		cmd.Dir = "/"
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		text, err := cmd.CombinedOutput()
		return string(text), err
	}
	// Without a flag it is a folder of their own that is looked into.
	if text, err := another("status", "--state", "/nowhere"); err == nil || !strings.Contains(text, "no wsfront runs") || !strings.Contains(text, "run this by sudo") {
		t.Errorf("%v, %s", err, text)
	}
	for _, args := range observing {
		text, err := another(append(args, "--state", state)...)
		if err == nil || !strings.Contains(text, "no permission for "+admin.Socket(state)+"; run this as the user that runs wsfront") {
			t.Errorf("%q: %v, %s", args, err, text)
		}
	}
}

// The three questions that everybody has, each answered by one command: which
// tunnels are open and how much each moved, why handshakes failed, and when each
// certificate ends.
func TestObserve_OneCommandForEachQuestion(t *testing.T) {
	nobody := freeAddress(t)
	state, address := serveEcho(t, "--tls", "off", "--tunnel", "/gone=ws://"+nobody)
	conn := openEcho(t, address, "agent\x85of-the-test")
	if _, _, err := websocket.DefaultDialer.Dial("ws://"+address+"/gone", nil); err == nil {
		t.Fatal("a tunnel to nobody")
	}
	ask := func(command string, parts ...string) string {
		t.Helper()
		code, out, errors := wsfront(t, append(strings.Fields(command), "--state", state)...)
		if code != 0 {
			t.Errorf("%s: %d, %s", command, code, errors)
		}
		for _, part := range parts {
			if !strings.Contains(out, part) {
				t.Errorf("%s: no %q in\n%s", command, part, out)
			}
		}
		return out
	}
	list := ask("tunnels", "127.0.0.1", "/echo", "1 tunnel open: 1 message (11 B) in, ") // what went out is counted once it is written, when the client may have it
	ask("failures", "handshake, status 502", "client  127.0.0.1", "/gone", nobody, "backend-down: The front cannot reach the WebSocket's server", "fix     wsfront: Start it")
	ask("status", ": NOT READY\n", "WRONG\n", "route down: ", nobody, "connection refused", "1 open, 1 opened, 1 refused")
	id := strings.Fields(strings.Split(list, "\n")[1])[0]
	ask("tunnels kill "+id, "closed "+id)
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the client has %v", err)
	}

	secure := freeAddress(t)
	state, _ = serveEcho(t, "--tls", "internal", "--host", "app.test", "--listen", secure)
	ask("certificates", "app.test", "internal", "made at need\n")
	tlsConn, err := tls.Dial("tcp", secure, &tls.Config{ServerName: "app.test", InsecureSkipVerify: true}) // whom it trusts is not what this is about
	if err != nil {
		t.Fatal(err)
	}
	tlsConn.Close()
	ask("certificates", "app.test", "internal", "6 days  ok\n")
	ask("status", "tls: internal", "app.test")
}
