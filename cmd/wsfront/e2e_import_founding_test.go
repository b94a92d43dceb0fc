//go:build e2e

package main_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"wsfront/cmd/internal/apacheimport"
)

// testImportFounding takes the founding vhost as it stands, where Apache ends
// TLS and the page's socket has nowhere to go: what is imported of it serves the
// app without a change, before an Apache whose vhost is the one that the report
// spells out.
func (l *lab) testImportFounding(t *testing.T) {
	pair := l.pki.issue(t, l.path(t, "pem"), "app.test")
	f := l.newFront(t)
	imported := func(folder, data, port string) *apacheimport.Result {
		t.Helper()
		status, out, report := finish(t, f.command("import", "apache", filepath.Join(folder, "deploy/apache-tls-vhost.conf"), "--json",
			"--push", "/websocket", "--app-port", port, "--define", "APP="+folder, "--define", "VAR="+data, "--define", "CERT="+pair.cert, "--define", "KEY="+pair.key))
		if status != int(apacheimport.Gaps) {
			t.Fatalf("the import ended with %d\n%s", status, report)
		}
		var r struct {
			YAML string
			Ways []apacheimport.Way
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		return &apacheimport.Result{YAML: r.YAML, Ways: r.Ways}
	}

	app := l.startApp(t, legacyOptions{server: "apache", change: func(folder string) {
		text := imported(folder, "/nowhere", "8080").Ways[0].Text
		begin, end := strings.Index(text, "<VirtualHost"), strings.Index(text, "</VirtualHost>")
		if begin < 0 || end < begin {
			t.Fatalf("no vhost in:\n%s", text)
		}
		// start.sh says where Apache listens.
		vhost := strings.ReplaceAll(text[begin:end], "127.0.0.1:8080", "127.0.0.1:${PORT}") + "</VirtualHost>\n"
		writeFile(t, filepath.Join(folder, "deploy/apache-vhost.conf"), vhost)
	}})
	port := app.url[strings.LastIndexByte(app.url, ':')+1:]
	result := imported(filepath.Join("..", "..", "testdata", "legacy-app"), filepath.Dir(app.static), port)

	f.write(t, result.YAML+f.publishLines())
	if status, out, report := finish(t, f.command("check", "--config", f.config)); status != 0 {
		t.Fatalf("check ended with %d\n%s%s", status, out, report)
	}
	f.run(t, result.YAML+f.publishLines())
	t.Run("board", func(t *testing.T) { f.testBoard(t, l.newBrowser(t, l.pki.file)) })
	t.Run("plain_get_on_the_sockets_url", f.testPlainGet)
	t.Run("login", func(t *testing.T) { testLogin(t, f, "app.test") })
	t.Run("whoami", func(t *testing.T) {
		if me := whoami(t, f.client(t, true), "https://"+f.site("app.test")); !me.IsSecure || me.RemoteAddr != clientAddress {
			t.Errorf("the app believes the client to be %s and is_secure %v, want %s and true", me.RemoteAddr, me.IsSecure, clientAddress)
		}
	})
	t.Run("upload", f.testUpload)
}
