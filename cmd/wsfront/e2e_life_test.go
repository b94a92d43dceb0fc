//go:build e2e

package main_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// testReload changes the configuration under open sockets, by SIGHUP and by
// wsfront reload, for good and for bad.
func (l *lab) testReload(t *testing.T) {
	f := l.newFront(t)
	pem := l.pki.issue(t, f.folder, "app.test", "new.test")
	oldPush := l.startOldPush(t, "3600")
	config := func(hosts string) string {
		return fmt.Sprintf("sites:\n  - hosts: [%s]\n    tls: {cert: %s, key: %s}\n    routes:\n"+
			"      - {path: /websocket, push: {channel: board}}\n      - {path: /old, tunnel: \"%s\"}\n      - {path: /, app: \"%s\"}\n%s",
			hosts, pem.cert, pem.key, oldPush, l.gunicorn.url, f.publishLines())
	}
	good, better := config("app.test"), config("app.test, new.test")
	bad := strings.Replace(good, "path: /old,", "path: /old, tunel: oops,", 1)
	f.run(t, good)

	push := f.socket(t, "wss://"+f.site("app.test")+"/websocket")
	tunnel := f.socket(t, "wss://"+f.site("app.test")+"/old")
	served := func(host string) bool {
		res, err := f.client(t, false).Get("https://" + f.site(host) + "/websocket?message=hello")
		if err != nil {
			return false // a name that no site has is refused in the handshake
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	}
	check := func(t *testing.T, newHost bool) {
		t.Helper()
		if !served("app.test") {
			t.Error("app.test is not served any more")
		}
		if served("new.test") != newHost {
			t.Errorf("new.test is served: %v, want %v", !newHost, newHost)
		}
		text := "after " + t.Name()
		say(t, tunnel, text)
		receives(t, tunnel, func(got string) bool { return got == text })
		if status, out, errs := finish(t, f.command("publish", "--config", f.config, "board", text)); status != 0 {
			t.Fatalf("wsfront publish ended with %d: %s%s", status, out, errs)
		}
		receives(t, push, func(got string) bool { return got == text })
	}

	t.Run("bad_by_hangup", func(t *testing.T) {
		f.write(t, bad)
		f.signal(syscall.SIGHUP)
		if line := f.says(t, "config.reload.refused"); !strings.Contains(line, "tunel") {
			t.Errorf("the log does not say what is wrong: %s", line)
		}
		f.write(t, good) // for wsfront publish, which reads the same file
		check(t, false)
	})
	t.Run("bad_by_command", func(t *testing.T) {
		f.write(t, bad)
		status, out, errs := finish(t, f.command("reload", "--state", filepath.Join(f.folder, "state")))
		if status != 1 || !strings.Contains(errs, "tunel") {
			t.Errorf("wsfront reload ended with %d: %s%s", status, out, errs)
		}
		f.write(t, good)
		check(t, false)
	})
	t.Run("good_by_hangup", func(t *testing.T) {
		f.write(t, better)
		f.signal(syscall.SIGHUP)
		f.until(t, "serves new.test", func() bool { return served("new.test") })
		check(t, true)
	})
	t.Run("good_by_command", func(t *testing.T) {
		f.write(t, good)
		status, out, errs := finish(t, f.command("reload", "--config", f.config))
		if status != 0 {
			t.Errorf("wsfront reload ended with %d: %s%s", status, out, errs)
		}
		check(t, false)
	})
}

// testShutdown ends wsfront while a request and two sockets are open: the
// request is answered to its end, the sockets are closed, and all is over
// within the drain time.
func (l *lab) testShutdown(t *testing.T) {
	const drain = 15 * time.Second
	f := l.newFront(t)
	pem := l.pki.issue(t, f.folder, "app.test")
	f.run(t, fmt.Sprintf("drain_timeout: %v\nsites:\n  - hosts: [app.test]\n    tls: {cert: %s, key: %s}\n    routes:\n"+
		"      - {path: /websocket, push: {channel: board}}\n      - {path: /old, tunnel: \"%s\"}\n      - {path: /, app: \"%s\"}\n%s",
		drain, pem.cert, pem.key, l.startOldPush(t, "3600"), l.gunicorn.url, f.publishLines()))
	origin := f.site("app.test")
	sockets := []*websocket.Conn{f.socket(t, "wss://"+origin+"/websocket"), f.socket(t, "wss://"+origin+"/old")}

	res, err := f.client(t, true).Do(request(t, http.MethodGet, "https://"+origin+"/stream?n=3&gap=1", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer := bufio.NewScanner(res.Body)
	if !answer.Scan() {
		t.Fatalf("the answer did not begin: %v", answer.Err())
	}
	asked := time.Now()
	f.signal(syscall.SIGTERM)
	lines := 1
	for answer.Scan() {
		lines++
	}
	if answer.Err() != nil || lines != 3 {
		t.Errorf("the answer under way broke off after %d of 3 lines: %v", lines, answer.Err())
	}
	for _, c := range sockets {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		_, message, err := c.ReadMessage()
		if err == nil || os.IsTimeout(err) {
			t.Errorf("a socket was not closed: %q, %v", message, err)
		}
	}
	if status := f.exit(t); status != 0 {
		t.Errorf("wsfront ended with %d, want 0", status)
	}
	// The few seconds above the limit are for a busy machine.
	if took := time.Since(asked); took > drain+5*time.Second {
		t.Errorf("wsfront took %v to end, with drain_timeout %v", took, drain)
	}
}

// testRenewedFiles replaces a certificate on disk, as a renewal hook does.
func (l *lab) testRenewedFiles(t *testing.T) {
	f := l.newFront(t)
	pem := l.pki.issue(t, f.folder, "app.test")
	f.run(t, fmt.Sprintf("sites:\n  - hosts: [app.test]\n    tls: {cert: %s, key: %s}\n    routes: [{path: /, app: \"%s\"}]\n", pem.cert, pem.key, l.gunicorn.url))
	serial := func() string {
		c, err := tls.Dial("tcp", loopback(f.https), &tls.Config{RootCAs: f.roots, ServerName: "app.test"})
		if err != nil {
			t.Fatalf("a handshake failed: %v", err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	old := serial()
	l.pki.issue(t, f.folder, "app.test")
	// Until the new pair is there whole, the old one must serve: serial fails
	// the test when a handshake does not work.
	f.until(t, "serves the renewed certificate", func() bool { return serial() != old })
}

// testPlainHTTP asks port 80 by curl.
func (l *lab) testPlainHTTP(t *testing.T) {
	f := l.newFront(t)
	pem := l.pki.issue(t, f.folder, "app.test")
	f.run(t, fmt.Sprintf("sites:\n  - hosts: [app.test]\n    tls: {cert: %s, key: %s}\n    routes:\n      - {path: /websocket, push: {channel: board}}\n      - {path: /, app: \"%s\"}\n%s",
		pem.cert, pem.key, l.gunicorn.url, f.publishLines()))
	redirected := []string{"--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}"}

	got := f.curl(t, append(redirected, "http://app.test/go?how=absolute")...)
	if want := "301 https://" + f.site("app.test") + "/go?how=absolute"; got != want {
		t.Errorf("GET by plain http: %s, want %s", got, want)
	}
	got = f.curl(t, append(redirected, "--data", "a=b", "http://app.test/echo")...)
	if want := "308 https://" + f.site("app.test") + "/echo"; got != want {
		t.Errorf("POST by plain http: %s, want %s", got, want)
	}
	got = f.curl(t, "--include", "-H", "Connection: keep-alive, Upgrade", "-H", "Upgrade: websocket",
		"-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "http://app.test/websocket")
	if !strings.HasPrefix(got, "HTTP/1.1 403 ") || !strings.Contains(got, "wss://") || strings.Contains(got, "Location:") {
		t.Errorf("a WebSocket handshake by plain http was not refused in plain words:\n%s", got)
	}
	if line := f.says(t, "handshake.failed"); !strings.Contains(line, "wss://") {
		t.Errorf("the log does not say why the handshake was refused: %s", line)
	}
}
