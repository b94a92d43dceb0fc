package proxy

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFiles_PairThatCannotServeIsRefusedInPlainWords(t *testing.T) {
	certPEM, _ := pemPair(t, time.Now().Add(time.Hour), "app.test")
	_, otherKey := pemPair(t, time.Now().Add(time.Hour), "app.test")
	missing := filepath.Join(t.TempDir(), "missing.pem")
	good := freshPair(t, "app.test")
	for want, files := range map[string]TLS{
		"the certificate file " + missing + " does not exist": {Cert: missing, Key: good.Key},
		"the key file " + missing + " does not exist":         {Cert: good.Cert, Key: missing},
		"do not go together":                                  writePair(t, t.TempDir(), certPEM, otherKey),
		"read the key":                                        {Cert: good.Cert, Key: t.TempDir()},
	} {
		_, err := New(Config{Sites: []Site{{Hosts: []string{"app.test"}, TLS: files, Routes: streamRoutes()}}}, slog.New(slog.DiscardHandler), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "sites[0].tls: ") {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

func TestFiles_UnfitCertificateIsServedWithAWarning(t *testing.T) {
	certPEM, keyPEM := pemPair(t, time.Now().Add(-time.Hour), "app.test", "*.wild.test")
	f := newTLSFront(t, Config{Sites: []Site{
		{Hosts: []string{"app.test", "*.wild.test", "other.test"}, TLS: writePair(t, t.TempDir(), certPEM, keyPEM)},
	}}).serve()
	f.events.wait(t, eventCertUnfit, "WARN", "problem=expired on ")
	f.events.wait(t, eventCertUnfit, "problem=does not cover other.test")
	if n := f.events.count(eventCertUnfit); n != 2 {
		t.Errorf("%d warnings, want 2:\n%s", n, f.events)
	}
	if _, err := f.certFor("app.test"); err != nil {
		t.Error(err)
	}
}

func TestFiles_ChangeBehindLinkIsServedWithoutRestart(t *testing.T) {
	dir := t.TempDir()
	put := func(version string) {
		t.Helper()
		certPEM, keyPEM := pemPair(t, time.Now().Add(time.Hour), version)
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		writePair(t, filepath.Join(dir, version), certPEM, keyPEM)
		// As Kubernetes does: a link renamed above files whose own paths stay.
		if err := os.Symlink(version, filepath.Join(dir, "next")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "live")); err != nil {
			t.Fatal(err)
		}
	}
	put("one")
	files := TLS{Cert: filepath.Join(dir, "live", "cert.pem"), Key: filepath.Join(dir, "live", "key.pem")}
	f := newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"*"}, TLS: files}}})
	f.certs.pollInterval = 10 * time.Millisecond
	f.serve()
	put("two")
	f.events.wait(t, eventCertReload, "INFO", "cert="+files.Cert)
	if cert, err := f.certFor("app.test"); err != nil || cert.Subject.CommonName != "two" {
		t.Errorf("got %v, %v; want the certificate two", cert.Subject, err)
	}
}

func TestFiles_BrokenChangeLeavesOldServing(t *testing.T) {
	files := freshPair(t, "app.test")
	f := newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"app.test"}, TLS: files}}})
	f.certs.pollInterval = 10 * time.Millisecond
	f.serve()
	before, err := f.certFor("app.test")
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM := pemPair(t, time.Now().Add(2*time.Hour), "app.test")
	if err := os.WriteFile(files.Cert, certPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	f.events.wait(t, eventCertReloadFailed, "ERROR", "do not go together", "goes on serving")
	if cert, err := f.certFor("app.test"); err != nil || cert.SerialNumber.Cmp(before.SerialNumber) != 0 {
		t.Errorf("the old certificate does not serve: %v", err)
	}
	if err := f.Reload(f.cfg); err == nil || !strings.Contains(err.Error(), "do not go together") {
		t.Errorf("reload with a broken pair: %v", err)
	}
	if err := os.WriteFile(files.Key, keyPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	f.events.wait(t, eventCertReload)
	if n := f.events.count(eventCertReloadFailed); n != 1 {
		t.Errorf("the broken pair was reported %d times, want once", n)
	}
}

func TestFiles_ReloadReadsAgain(t *testing.T) {
	files := freshPair(t, "app.test")
	f := newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"app.test"}, TLS: files}}})
	f.certs.pollInterval = time.Hour
	f.serve()
	certPEM, keyPEM := pemPair(t, time.Now().Add(2*time.Hour), "app.test", "second.test")
	writePair(t, filepath.Dir(files.Cert), certPEM, keyPEM)
	if err := f.Reload(f.cfg); err != nil {
		t.Fatal(err)
	}
	if cert, err := f.certFor("app.test"); err != nil || len(cert.DNSNames) != 2 {
		t.Errorf("the new pair does not serve after a reload: %v", err)
	}
}
