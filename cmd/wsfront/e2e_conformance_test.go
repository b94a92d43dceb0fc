//go:build e2e

package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// plainFront runs a wsfront for every name, with an app behind it that says yes
// to everything, after a moment: some cases of h2spec send a second frame about
// a stream that must not be over by then.
func (l *lab) plainFront(t *testing.T) *front {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(50 * time.Millisecond)
		w.Header().Set("X-Content-Type-Options", "nosniff") // testssl.sh asks for it, and it is the app's to say
		_, _ = io.WriteString(w, strings.Repeat("a page of the app\n", 100))
	}))
	t.Cleanup(app.Close)
	f := l.newFront(t)
	pem := l.pki.issue(t, f.folder, "app.test")
	f.run(t, fmt.Sprintf("sites: [{hosts: ['*'], tls: {cert: %s, key: %s}, routes: [{path: /, app: %q}]}]\n", pem.cert, pem.key, app.URL))
	return f
}

// testH2spec holds HTTP/2 against the suite that others are measured by.
func (l *lab) testH2spec(t *testing.T) {
	f := l.plainFront(t)
	// The version as the module proxy has it: later ones have no path of their own.
	cmd := exec.Command("go", "run", "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible",
		"--host", "127.0.0.1", "--port", fmt.Sprint(f.https), "--tls", "--insecure", "--timeout", "10")
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "145 tests, 145 passed, 0 skipped, 0 failed") {
		t.Errorf("h2spec: %v\n%s", err, out)
	}
}

// tlsFinding is one line of testssl.sh's report.
type tlsFinding struct{ ID, Severity, Finding string }

// testTestssl holds TLS against testssl.sh: nothing above LOW, but for what the
// test's own certificate is.
func (l *lab) testTestssl(t *testing.T) {
	f := l.plainFront(t)
	report := filepath.Join(f.folder, "testssl.json")
	cmd := exec.Command("testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1", "--add-ca", l.pki.file,
		"--jsonfile", report, "--protocols", "--std", "--pfs", "--server-preference", "--server-defaults", "--headers", "--vulnerable", f.site("app.test"))
	out, err := cmd.CombinedOutput() // its status counts findings of any weight
	text, readErr := os.ReadFile(report)
	if readErr != nil {
		t.Fatalf("testssl: %v, %v\n%s", err, readErr, out)
	}
	var findings []tlsFinding
	if err := json.Unmarshal(text, &findings); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	seen := map[string]bool{}
	for _, found := range findings {
		seen[found.ID] = true
		switch found.Severity {
		case "OK", "INFO", "LOW":
		default:
			if _, exempt := ofTestCertificate()[found.ID]; !exempt {
				t.Errorf("%s: %s: %s", found.Severity, found.ID, found.Finding)
			}
		}
	}
	// A scan that could not connect finds nothing.
	for _, id := range []string{"TLS1_2", "TLS1_3", "heartbleed", "cert_chain_of_trust", "HSTS", "BREACH"} {
		if !seen[id] {
			t.Errorf("testssl did not look at %s\n%s", id, out)
		}
	}
}

// ofTestCertificate are findings that say something of the test and not of
// wsfront, with the reason.
func ofTestCertificate() map[string]string {
	return map[string]string{
		"engine_problem":        "of the openssl that the scanner itself runs",
		"cert_expirationStatus": "the test's certificate lives for a day",
		"cert_notAfter":         "likewise",
		"cert_revocation":       "the test's CA has no place where it revokes",
	}
}
