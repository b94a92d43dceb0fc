//go:build e2e

package main_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// testOperatorErrors makes the mistakes that everybody makes once. Each has to
// be told by one line that says what to do.
func (l *lab) testOperatorErrors(t *testing.T) {
	t.Run("port_in_use", l.testPortInUse)
	t.Run("no_permission_for_443", l.testNoPermission)
	t.Run("no_route_and_dead_backend", l.testNoBackend)
	t.Run("full_disk", l.testFullDisk)
}

// oneLine fails unless text is one line with all parts.
func oneLine(t testing.TB, text string, parts ...string) {
	t.Helper()
	if strings.Count(strings.TrimSpace(text), "\n") != 0 {
		t.Errorf("more than one line:\n%s", text)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("the line does not say %q:\n%s", part, text)
		}
	}
}

// refused runs wsfront, which must not start, and returns what it says.
func refused(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	status, _, errs := finish(t, cmd)
	if status != 1 {
		t.Errorf("wsfront ended with %d, want 1", status)
	}
	return errs
}

func (l *lab) testPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	f := l.newFront(t)
	state := filepath.Join(f.folder, "state")
	t.Run("https", func(t *testing.T) {
		errs := refused(t, f.command("run", "--app", l.gunicorn.url, "--tls", "internal", "--listen", addr, "--http-listen", "off", "--state", state))
		oneLine(t, errs, addr, "another program", "--listen: ")
	})
	t.Run("http", func(t *testing.T) {
		errs := refused(t, f.command("run", "--app", l.gunicorn.url, "--tls", "off", "--http-listen", addr, "--state", state))
		oneLine(t, errs, addr, "another program", "--http-listen: ")
	})
	t.Run("publish", func(t *testing.T) {
		errs := refused(t, f.command("run", "--app", l.gunicorn.url, "--push", "/websocket", "--tls", "off",
			"--http-listen", loopback(f.plain), "--publish-listen", addr, "--publish-key", "k", "--state", state))
		oneLine(t, errs, addr, "another program", "--publish-listen")
	})
}

func (l *lab) testNoPermission(t *testing.T) {
	// With net.ipv4.ip_unprivileged_port_start at 443 or below, as containers
	// have it, there is nothing to refuse; a network namespace of our own has
	// the kernel's default and loopback for itself.
	f := l.newFront(t)
	state := filepath.Join(f.folder, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(state, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	errs := refused(t, exec.Command("unshare", "--net", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
		l.binary, "run", "--app", "http://127.0.0.1:8080", "--tls", "internal", "--http-listen", "off", "--state", state))
	oneLine(t, errs, ":443", "permission", "setcap cap_net_bind_service")
}

// testNoBackend looks at both sides of a request that cannot be served: the
// person's page, and the log's line, with the id that joins them.
func (l *lab) testNoBackend(t *testing.T) {
	f := l.newFront(t)
	pem := l.pki.issue(t, f.folder, "app.test")
	dead := loopback(l.port(t))
	f.run(t, fmt.Sprintf("sites:\n  - hosts: [app.test]\n    tls: {cert: %s, key: %s}\n    routes:\n      - {path: /dead/, app: \"http://%s\"}\n      - {path: /ws, tunnel: \"ws://%s\"}\n", pem.cert, pem.key, dead, dead))
	handshake := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	for _, c := range []struct {
		name, path string
		header     http.Header
		status     int
		log        []string
	}{
		{"dead_app", "/dead/page", http.Header{"Accept": {"text/html"}}, http.StatusBadGateway, []string{"request.failed", dead, "connection refused"}},
		{"dead_tunnel", "/ws", handshake, http.StatusBadGateway, []string{"handshake.failed", dead, "connection refused"}},
		{"no_route", "/nowhere", http.Header{"Accept": {"text/html"}}, http.StatusNotFound, []string{"request.failed", "/nowhere", "route"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(t, http.MethodGet, "https://"+f.site("app.test")+c.path, nil)
			r.Header = c.header
			got := send(t, f.client(t, false), r)
			if got.StatusCode != c.status {
				t.Fatalf("%s, want %d: %s", got.Status, c.status, got.body)
			}
			if strings.Contains(got.body, dead) || strings.Contains(got.body, "refused") {
				t.Errorf("the page tells the world what is inside: %s", got.body)
			}
			if html := strings.Contains(got.Header.Get("Content-Type"), "text/html"); html != (c.header.Get("Accept") == "text/html") {
				t.Errorf("the answer is %s", got.Header.Get("Content-Type"))
			}
			line := f.says(t, c.path+" ")
			for _, part := range c.log {
				if !strings.Contains(line, part) {
					t.Errorf("the log does not say %q: %s", part, line)
				}
			}
			if id := attribute(line, "id"); id == "" || !strings.Contains(got.body, id) {
				t.Errorf("the page does not name the id %q of the log's line: %s", id, got.body)
			}
		})
	}
}

// attribute reads one attribute of a log line.
func attribute(line, name string) string {
	_, rest, _ := strings.Cut(line, " "+name+"=")
	value, _, _ := strings.Cut(rest, " ")
	return value
}

// testFullDisk has no room in the folder for certificates: a disk of 64 KiB in
// a mount namespace of its own, filled to the end.
func (l *lab) testFullDisk(t *testing.T) {
	f := l.newFront(t)
	ca := l.newCA(t, f)
	f.write(t, fmt.Sprintf("sites:\n  - hosts: [app.test]\n    tls: auto\n    routes: [{path: /, app: \"%s\"}]\n%s", l.gunicorn.url, ca.lines))
	state := filepath.Join(f.folder, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	script := `mount -t tmpfs -o size=64k none "$1" && { head -c 65536 /dev/zero >"$1/full" || true; } && exec "$2" run --config "$3"`
	p := start(t, "wsfront", exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", state, l.binary, f.config))
	oneLine(t, p.says(t, "no space left on device"), state, "make room")
}
