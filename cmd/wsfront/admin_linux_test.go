package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"wsfront/cmd/internal/admin"
)

func (u *upgrading) state() string { return filepath.Join(u.dir, "state") }

func (u *upgrading) status() admin.Status {
	u.t.Helper()
	s, err := admin.GetStatus(u.t.Context(), u.state())
	if err != nil {
		u.t.Fatal(err)
	}
	return s
}

// startObserved starts wsfront with an admin listener that asks for a token, and
// returns a function that asks it.
func startObserved(t *testing.T) (u *upgrading, ask func(path string, header ...string) (int, string)) {
	t.Helper()
	at := freeAddress(t)
	u = startUpgrading(t, fmt.Sprintf("admin: {listen: %q, token_file: %s/admin.token}", at, t.TempDir()))
	_, rest, _ := strings.Cut(u.log(), "msg=admin.token.created file=")
	token, err := os.ReadFile(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return u, func(path string, header ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(header) == 0 {
			header = []string{"Authorization", "Bearer " + strings.TrimSpace(string(token))}
		}
		req.Header.Set(header[0], header[1])
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
}

// One order tells which tunnels are open and how much each moved, and another ends
// one of them.
func TestAdmin_TunnelsAreSeenAndClosed(t *testing.T) {
	u := startUpgrading(t)
	one, other := u.open("/echo"), u.open("/echo")
	u.echoes(other) // after which both are there to be listed
	u.echoes(one)
	u.echoes(one)
	list, err := admin.GetTunnels(t.Context(), u.state(), admin.TunnelQuery{Sort: "bytes", Route: "/echo"})
	if err != nil || list.Open != 2 || len(list.Tunnels) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	busy, idle := list.Tunnels[0], list.Tunnels[1]
	if busy.MessagesIn != 2 || busy.MessagesOut < 1 || busy.BytesIn == 0 || busy.Client != "127.0.0.1" || idle.MessagesIn != 1 {
		t.Errorf("%+v, %+v", busy, idle)
	}
	if err := admin.CloseTunnel(t.Context(), u.state(), idle.ID); err != nil {
		t.Fatal(err)
	}
	if code := closedBy(other); code != websocket.CloseGoingAway {
		t.Errorf("its client got %d", code)
	}
	u.echoes(one)
	if err := admin.CloseTunnel(t.Context(), u.state(), "none"); err == nil || !strings.Contains(err.Error(), "no tunnel of the id") {
		t.Error(err)
	}
	s := u.status()
	if s.Tunnels.Opened != 2 || s.Tunnels.MessagesIn != 4 || s.State != admin.StateServing || s.PID != u.first.Process.Pid || s.Push == nil {
		t.Errorf("%+v", s)
	}
}

// The front has given their connections away.
func TestAdmin_PushClientsAreAmongTheConnections(t *testing.T) {
	u := startUpgrading(t)
	open := func(want int) {
		t.Helper()
		for u.status().Connections["push"] != want && t.Context().Err() == nil { // until the test's own time is over
			time.Sleep(time.Millisecond)
		}
	}
	one := u.open("/push")
	u.open("/push")
	open(2)
	one.Close()
	open(1)
}

func TestAdmin_StatusTellsOfTheConfiguration(t *testing.T) {
	u := startUpgrading(t)
	first := u.status().Config
	if first.File != "wsfront.yaml" || len(first.Version) != 12 || first.Refused != "" || first.Loaded.IsZero() {
		t.Errorf("%+v", first)
	}
	u.edit("drain_timeout: 5s", "drain_timeout: 6s")
	u.reload()
	second := u.status().Config
	if second.Version == first.Version || second.Loaded.Equal(first.Loaded) {
		t.Errorf("%+v after %+v", second, first)
	}
	u.edit("drain_timeout: 6s", "drain_timeout: 6")
	if err := admin.Reload(t.Context(), u.state()); err == nil {
		t.Fatal("it was taken")
	}
	third := u.status().Config
	if third.Version != second.Version || !strings.Contains(third.Refused, "has no unit") || third.RefusedAt.IsZero() {
		t.Errorf("%+v after %+v", third, second)
	}
	u.edit("drain_timeout: 6", "drain_timeout: 6s\nadmin: {pprof: on}")
	if err := admin.Reload(t.Context(), u.state()); err == nil || !strings.Contains(err.Error(), "not supported for admin") {
		t.Error(err)
	}
	u.edit("\nadmin: {pprof: on}", "")
	u.reload()
	if last := u.status().Config; last.Refused != "" || last.Version != second.Version {
		t.Errorf("%+v", last)
	}
}

// What a push route brings along is not told of as a route.
func TestAdmin_RoutesAreThoseOfTheFile(t *testing.T) {
	u := startUpgrading(t)
	routes := func() (all []string) {
		for _, r := range u.status().Sites[0].Routes {
			all = append(all, r.Route)
		}
		return all
	}
	if got := routes(); !slices.Equal(got, []string{"/push", "/echo", "/upload", "/"}) {
		t.Errorf("%q", got)
	}
	u.edit("path: /upload, app:", "path: /send, app:")
	u.reload()
	if got := routes(); !slices.Equal(got, []string{"/push", "/echo", "/send", "/"}) {
		t.Errorf("after a reload: %q", got)
	}
}

// Why a reload was refused is told without what is secret.
func TestAdmin_RefusalsHaveNoSecrets(t *testing.T) {
	u := startUpgrading(t)
	u.edit("history: durable", `history: {url: "nats://Hush@127.0.0.1:4222"}`)
	err := admin.Reload(t.Context(), u.state())
	if err == nil || !strings.Contains(err.Error(), `old={history: {mode: durable}`) || !strings.Contains(err.Error(), "nats://***@127.0.0.1:4222") {
		t.Error(err)
	}
	if told := u.status().Config.Refused; told == "" || strings.Contains(told+u.log(), "Hush") {
		t.Errorf("%s\n%s", told, u.log())
	}
}

// Everything is there by the address as well, for who has the token.
func TestAdmin_AddressAsksForTheToken(t *testing.T) {
	u, ask := startObserved(t)
	u.echoes(u.open("/echo"))
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ready", "/status": `"state":"serving"`, "/tunnels": `"route":"/echo"`, "/channels": `"channels":[`,
		"/certificates": `"certificates":[`, "/failures": `"failures":[`, "/config": "drain_timeout: 5s", "/metrics": "\nwsfront_build_info{",
		"/": "<!doctype html>", "/page/page.css": "{",
	} {
		if code, text := ask(path); code != http.StatusOK || !strings.Contains(strings.ToLower(text), want) {
			t.Errorf("%s: %d: %.300s", path, code, text)
		}
		// What the schemas call a list is one, if an empty one.
		if code, text := ask(path); strings.Contains(text, ":null") {
			t.Errorf("%s: %d: %s", path, code, text)
		}
		open := path == "/" || path == "/healthz" || path == "/readyz" || strings.HasPrefix(path, "/page/")
		if code, _ := ask(path, "Accept", "*/*"); (code == http.StatusOK) != open || !open && code != http.StatusUnauthorized {
			t.Errorf("%s without the token: %d", path, code)
		}
	}
	if code, _ := ask("/events", "Accept", "application/json"); code != http.StatusUnauthorized {
		t.Errorf("events without the token: %d", code)
	}
	if code, text := ask("/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("profiles that nobody asked for: %d: %s", code, text)
	}
	if strings.Contains(u.log(), "level=ERROR") {
		t.Error("the log has errors")
	}
}

// The address stays open over an upgrade, and both listeners are the new process's.
func TestAdmin_OutlivesUpgrades(t *testing.T) {
	u, ask := startObserved(t)
	for range 2 {
		u.upgrade()
		pid := u.successors[len(u.successors)-1]
		if s := u.status(); s.PID != pid || s.State != admin.StateServing {
			t.Errorf("the socket is that of %d (%s), not of %d", s.PID, s.State, pid)
		}
		if code, text := ask("/status"); code != http.StatusOK || !strings.Contains(text, fmt.Sprintf(`"pid":%d,`, pid)) {
			t.Errorf("the address: %d: %s", code, text)
		}
	}
	if n := strings.Count(u.log(), "msg=admin.listen address="); n != 3 {
		t.Errorf("it listens %d times", n)
	}
}

// A new process that fails takes nothing along that it had replaced.
func TestAdmin_OutlivesAnUpgradeThatFails(t *testing.T) {
	u := startUpgrading(t)
	u.install(`echo '{"word":"prepared"}' >&3; read word <&3; /bin/rm state/admin.sock; exit 1`)
	if err := u.order(); err == nil {
		t.Fatal("it succeeded")
	}
	if _, err := os.Lstat(admin.Socket(u.state())); err != nil {
		t.Fatal(err)
	}
	if s := u.status(); s.PID != u.first.Process.Pid || s.State != admin.StateServing {
		t.Errorf("%+v", s)
	}
}

// While a shutdown waits for something, one sees for what.
func TestAdmin_TellsOfAShutdownUnderWay(t *testing.T) {
	u := startUpgrading(t)
	body, slow := io.Pipe()
	uploaded := make(chan error, 1)
	go func() { // ends with the pipe, awaited below
		res, err := http.Post("http://"+u.http+"/upload", "text/plain", body)
		if err == nil {
			res.Body.Close()
		}
		uploaded <- err
	}()
	if _, err := slow.Write(make([]byte, 100<<10)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); u.status().Requests.BytesIn == 0; time.Sleep(time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			t.Fatal("nothing of the upload has come")
		}
	}
	if err := u.first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); u.status().State != admin.StateDraining; time.Sleep(time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			t.Fatal("it does not drain")
		}
	}
	if s := u.status(); len(s.NotReady) == 0 {
		t.Errorf("%+v", s)
	}
	slow.Close()
	if err := <-uploaded; err != nil {
		t.Error(err)
	}
	u.endOfFirst()
	if _, err := os.Lstat(admin.Socket(u.state())); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}
