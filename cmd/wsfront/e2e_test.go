//go:build e2e

package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for something that must happen. It is no
// measure: it only has to be longer than a busy machine with one core takes.
const patience = 60 * time.Second

// TestE2E drives the built binary with the true neighbours: Apache with
// mod_wsgi, gunicorn, nginx, HAProxy, Caddy, Chromium, curl, Python, Node, rsyslog,
// h2spec, testssl.sh, and pebble as the CA. testdata/e2e.sh installs them and runs it. Nothing is skipped: what is missing is a failure.
func TestE2E(t *testing.T) {
	l := newLab(t)
	t.Run("modwsgi", l.testFoundingModWSGI)
	t.Run("gunicorn", l.testFoundingGunicorn)
	t.Run("behind_proxy_settings", l.testBehindProxySettings)
	t.Run("apache_alone", l.testApacheAlone)
	t.Run("old_push_process", l.testOldPushProcess)
	t.Run("reload", l.testReload)
	t.Run("shutdown", l.testShutdown)
	t.Run("renewed_files", l.testRenewedFiles)
	t.Run("plain_http", l.testPlainHTTP)
	t.Run("operator_errors", l.testOperatorErrors)
	t.Run("demo", l.testDemo)
	t.Run("status_page", l.testStatusPage)
	t.Run("rsyslog", l.testRsyslog)
	t.Run("import", l.testImport)
	t.Run("import_founding", l.testImportFounding)
	t.Run("faults", l.testFaults)
	t.Run("crash", l.testCrash)
	t.Run("history", l.testHistory)
	t.Run("pages", l.testPages)
	t.Run("clients", l.testClients)
	t.Run("script_client", l.testScriptClient)
	t.Run("doctor", l.testDoctor)
	t.Run("h2spec", l.testH2spec)
	t.Run("testssl", l.testTestssl)
}

// lab is what all tests share. It is not changed after newLab, but for ports,
// which counts. The tests run one after another, but for the doctor's scenarios.
type lab struct {
	folder string // every user can read and enter it, so that www-data and nobody can
	binary string
	ports  atomic.Int64
	pki    *authority

	modwsgi  *legacy // the founding app under Apache, as its vhost stands
	gunicorn *legacy
}

func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("the end-to-end tests start Apache as Debian does, drop to other users and mount a small disk: run testdata/e2e.sh as root")
	}
	for _, program := range []string{"apache2", "gunicorn", "nginx", "haproxy", "caddy", "chromium", "certutil", "curl", "setpriv", "unshare", "mount", "rsyslogd", "logger", "node", "testssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v; testdata/e2e.sh installs what is missing", err)
		}
	}
	syscall.Umask(0o022)
	folder, err := os.MkdirTemp("", "wsfront-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	l := &lab{folder: folder, binary: filepath.Join(folder, "wsfront")}
	l.ports.Store(int64(20000 + os.Getpid()%8000))
	build := exec.Command("go", "build", "-o", l.binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l.pki = newAuthority(t, l.path(t, "ca"))
	l.modwsgi = l.startApp(t, legacyOptions{server: "apache"})
	l.gunicorn = l.startApp(t, legacyOptions{server: "gunicorn"})
	return l
}

// path makes a new folder for one test's files.
func (l *lab) path(t testing.TB, name string) string {
	t.Helper()
	folder, err := os.MkdirTemp(l.folder, name+"-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

// port finds a free port of loopback below the range from which the kernel
// takes the ports of outgoing connections, so that none of those can take it
// before the process that it is meant for binds it.
func (l *lab) port(t testing.TB) int {
	t.Helper()
	for range 2000 {
		port := int(l.ports.Add(1))
		ln, err := net.Listen("tcp", loopback(port))
		if err == nil {
			_ = ln.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// eventually asks until done says yes.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			t.Fatalf("not seen within %v: %s", patience, what)
		case <-tick.C:
		}
	}
}

// writeFile writes text to a new file that every user can read.
func writeFile(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
