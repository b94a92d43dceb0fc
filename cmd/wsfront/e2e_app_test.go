//go:build e2e

package main_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// legacy is a running founding app.
type legacy struct {
	*process
	url    string // http://127.0.0.1:port
	static string // the folder that its /static/ stands for
}

// legacyOptions are the few settings in which the tests' apps differ.
type legacyOptions struct {
	server  string   // gunicorn or apache, as start.sh names them
	env     []string // for the settings of Django
	trusted bool     // mod_wsgi believes a proxy on this machine: the vhost's two lines
	tlsAt   int      // when set, Apache serves the app by TLS too, at this port
	tlsPair pair
	change  func(folder string) // what the copy is to have besides, or nil
}

// startApp runs a copy of the founding app by its own start.sh. The copy is for
// www-data, which may not be able to read the source's folder, and for the
// lines of the vhost that the options ask for; the app itself is as it stands.
func (l *lab) startApp(t testing.TB, o legacyOptions) *legacy {
	t.Helper()
	folder, data := l.path(t, "app"), l.path(t, "var")
	source := filepath.Join("..", "..", "testdata", "legacy-app")
	if err := os.CopyFS(folder, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	if o.trusted {
		edit(t, filepath.Join(folder, "deploy/apache-vhost.conf"), "#WSGITrusted", "WSGITrusted")
	}
	if o.tlsAt != 0 {
		vhost := filepath.Join(folder, "deploy/apache-tls-vhost.conf")
		edit(t, vhost, "*:443", loopback(o.tlsAt))
		conf := filepath.Join(folder, "deploy/apache-standalone.conf")
		edit(t, conf, "Include ", fmt.Sprintf("LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\nListen %s\nInclude %s\nInclude ", loopback(o.tlsAt), vhost))
	}
	if o.change != nil {
		o.change(folder)
	}
	port := l.port(t)
	cmd := exec.Command(filepath.Join(folder, "start.sh"), o.server, fmt.Sprint(port))
	cmd.Env = append(os.Environ(), "LEGACY_VAR="+data, "CERT="+o.tlsPair.cert, "KEY="+o.tlsPair.key)
	cmd.Env = append(cmd.Env, o.env...)
	a := &legacy{
		process: start(t, "the app under "+o.server, cmd),
		url:     "http://" + loopback(port),
		static:  filepath.Join(data, "static"),
	}
	t.Cleanup(func() {
		if report, err := os.ReadFile(filepath.Join(data, "apache-error.log")); err == nil && t.Failed() {
			t.Logf("Apache's error log:\n%s", report)
		}
	})
	a.until(t, "answers", func() bool {
		res, err := http.Get(a.url + "/whoami")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return a
}

// edit replaces a text in a file, and fails when it is not there.
func edit(t testing.TB, path, from, to string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s has no %q to replace", path, from)
	}
	writeFile(t, path, strings.ReplaceAll(string(text), from, to))
}
