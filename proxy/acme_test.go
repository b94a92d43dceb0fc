package proxy

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"wsfront/proxy/acmetest"
)

// acmeConfig is for one site whose certificates come from the test CA.
func acmeConfig(ca *acmetest.CA, hosts ...string) Config {
	return Config{
		Sites: []Site{{Hosts: hosts, Routes: streamRoutes()}},
		ACME:  ACME{CA: ca.URL(), CARoot: ca.TrustFile()},
	}
}

func TestACME_HTTPChallengeOnOurListener(t *testing.T) {
	ca := acmetest.New(t, 0, 0)
	f := newTLSFront(t, acmeConfig(ca, "app.test"))
	ca.Validate(portOf(t, f.plain), 1) // at port 1 nobody answers
	f.serve()
	f.waitForCert("app.test", ca.Roots(), nil)
	f.events.wait(t, eventCertObtained, "INFO", "name=app.test")
	if _, err := f.certFor("other.test"); err == nil {
		t.Error("a name that is not served was shown the certificate")
	}
	key := filepath.Join(f.cfg.State, "certificates")
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder of keys: %v, %v; want mode 0700", info, err)
	}
}

func TestACME_TLSChallengeOnOurListener(t *testing.T) {
	ca := acmetest.New(t, 0, 0)
	cfg := acmeConfig(ca, "app.test", "www.app.test")
	cfg.HTTPListen = Addresses{}
	f := newTLSFront(t, cfg)
	ca.Validate(1, portOf(t, f.secure))
	f.serve()
	f.waitForCert("app.test", ca.Roots(), nil)
	f.waitForCert("www.app.test", ca.Roots(), nil)
}

func TestACME_ReloadAddsAndRemovesNames(t *testing.T) {
	ca := acmetest.New(t, 0, 0)
	f := newTLSFront(t, acmeConfig(ca, "old.test"))
	ca.Validate(portOf(t, f.plain), portOf(t, f.secure))
	f.serve()
	f.waitForCert("old.test", ca.Roots(), nil)
	cfg := f.cfg
	cfg.Sites = []Site{{Hosts: []string{"new.test"}, Routes: streamRoutes()}}
	if err := f.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	f.waitForCert("new.test", ca.Roots(), nil)
	if _, err := f.certFor("old.test"); err == nil {
		t.Error("a name that was taken out still has a certificate")
	}
	if left := f.certs.acme.Load().cache.AllMatchingCertificates("old.test"); len(left) != 0 {
		t.Error("the certificate of a name that was taken out is still maintained")
	}
}

func TestACME_ReloadBringsTheFirstName(t *testing.T) {
	ca := acmetest.New(t, 0, 0)
	cfg := acmeConfig(ca, "app.test")
	cfg.Sites[0].TLS.Mode = TLSInternal
	f := newTLSFront(t, cfg)
	ca.Validate(portOf(t, f.plain), portOf(t, f.secure))
	f.serve()
	f.waitForCert("app.test", f.internalRoots(), nil)
	cfg = f.cfg
	cfg.Sites = []Site{{Hosts: []string{"app.test"}, Routes: streamRoutes()}}
	if err := f.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	f.waitForCert("app.test", ca.Roots(), nil)
}

func TestACME_ChallengePathWithoutTokenIsNotOurs(t *testing.T) {
	ca := acmetest.New(t, 0, 0)
	f := newTLSFront(t, acmeConfig(ca, "app.test"))
	ca.Validate(portOf(t, f.plain), portOf(t, f.secure))
	f.serve()
	f.waitForCert("app.test", ca.Roots(), nil)
	response := f.plainRequest(http.MethodGet, "app.test", "/.well-known/acme-challenge/of-the-app", nil)
	if response.StatusCode != http.StatusMovedPermanently {
		t.Errorf("status %d, want the redirect that other paths get", response.StatusCode)
	}
}

func TestACME_OnDemandAsksFirst(t *testing.T) {
	ca := acmetest.New(t, 0, 0)
	var mu sync.Mutex
	asked := map[string]int{}
	ask := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		name := r.FormValue("domain")
		asked[name]++
		if name != "customer.test" || r.FormValue("key") != "k" {
			w.WriteHeader(http.StatusNoContent) // only 200 allows
		}
	}))
	defer ask.Close()
	cfg := acmeConfig(ca, "*")
	cfg.ACME.OnDemand.Ask = ask.URL + "?key=k"
	f := newTLSFront(t, cfg)
	ca.Validate(portOf(t, f.plain), portOf(t, f.secure))
	f.serve()

	if _, err := f.certFor("stranger.test"); err == nil {
		t.Error("a name that was not allowed has a certificate")
	}
	f.events.wait(t, eventCertRefused, "name=stranger.test", "204")
	for _, name := range []string{"", "localhost", "under_score.%.test"} {
		if _, err := f.certFor(name); err == nil {
			t.Errorf("%q has a certificate", name)
		}
	}
	// The first handshake waits for the certificate.
	if _, err := f.shake(&tls.Config{ServerName: "customer.test", RootCAs: ca.Roots()}); err != nil {
		t.Errorf("a name that was allowed: %v", err)
	}
	if _, err := f.shake(&tls.Config{ServerName: "customer.test", RootCAs: ca.Roots()}); err != nil {
		t.Errorf("a name that was allowed, again: %v", err)
	}
	mu.Lock()
	if len(asked) != 2 || asked["customer.test"] != 1 {
		t.Errorf("asked for %v, want stranger.test and customer.test, the latter once", asked)
	}
	mu.Unlock()

	// What was obtained serves after a restart, whoever is down.
	f.stop()
	ca.Stop()
	ask.Close()
	f = newTLSFront(t, f.cfg).serve()
	if _, err := f.shake(&tls.Config{ServerName: "customer.test", RootCAs: ca.Roots()}); err != nil {
		t.Errorf("a stored certificate, with CA and ask down: %v", err)
	}
	if _, err := f.certFor("second.test"); err == nil {
		t.Error("a certificate without asking")
	}
	f.events.wait(t, eventCertAskFailed, "WARN", "name=second.test", "until the service at acme.on_demand.ask answers")
}

func TestACME_OnDemandFailureIsNotOrderedAgainAtOnce(t *testing.T) {
	ca := acmetest.New(t, 0, 0)
	ask := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer ask.Close()
	cfg := acmeConfig(ca, "*")
	cfg.ACME.OnDemand.Ask = ask.URL
	f := newTLSFront(t, cfg)
	ca.Validate(1, 1)
	f.serve()
	for range 3 {
		if _, err := f.certFor("customer.test"); err == nil {
			t.Fatal("a certificate without validation")
		}
	}
	f.events.wait(t, eventCertFailed, "name=customer.test", "hint=the address of customer.test in DNS must be this machine's")
	f.events.wait(t, eventCertRefused, "name=customer.test", "the last try failed")
	if n := f.events.count(eventCertFailed); n != 1 {
		t.Errorf("%d tries, want 1; events:\n%s", n, f.events)
	}
}

func TestACME_RenewsWhileServing(t *testing.T) {
	var ca *acmetest.CA
	var f *tlsFront
	var first *x509.Certificate
	for first == nil || first.SerialNumber.BitLen()%8 == 0 {
		// pebble would refuse to renew it: see acmetest.NewShortLived.
		if f != nil {
			f.stop()
		}
		ca = acmetest.NewShortLived(t, 0, 0, 12*time.Second)
		f = newTLSFront(t, acmeConfig(ca, "app.test"))
		f.certs.timing = acmeTiming{renewCheck: 500 * time.Millisecond, renewalWindow: 0.8}
		ca.Validate(portOf(t, f.plain), portOf(t, f.secure))
		f.serve()
		first = f.waitForCert("app.test", ca.Roots(), nil)
	}

	conn, err := tls.Dial("tcp", f.secure, &tls.Config{ServerName: "app.test", RootCAs: ca.Roots()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	hello := func() {
		t.Helper()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app.test\r\nAccept: text/event-stream\r\n\r\n")
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("connection from before the renewal: %v", err)
		}
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != http.StatusOK || string(body) != "hello" {
			t.Fatalf("answered %d %q", response.StatusCode, body)
		}
	}
	hello()
	f.waitForCert("app.test", ca.Roots(), func(c *x509.Certificate) bool { return c.SerialNumber.Cmp(first.SerialNumber) != 0 })
	hello()
	f.events.wait(t, eventCertRenewed, "name=app.test")
}

func TestACME_CADownAtStartServesWhatIsStored(t *testing.T) {
	ca := acmetest.NewShortLived(t, 0, 0, time.Minute)
	// certmagic remembers failed renewals by name, for the whole process.
	old := strings.ToLower(rand.Text()) + ".test"
	cfg := acmeConfig(ca, old)
	cfg.State = t.TempDir()
	before := newTLSFront(t, cfg)
	ca.Validate(portOf(t, before.plain), portOf(t, before.secure))
	before.serve()
	stored := before.waitForCert(old, ca.Roots(), nil)
	before.stop()

	ca.Stop()
	cfg.Sites[0].Hosts = append(cfg.Sites[0].Hosts, "new.test")
	f := newTLSFront(t, cfg)
	// A second of a minute is gone: the stored certificate is due.
	f.certs.timing = acmeTiming{firstRetry: 200 * time.Millisecond, renewalWindow: 0.99}
	ca.Validate(portOf(t, f.plain), portOf(t, f.secure))
	f.serve()
	if cert, err := f.certFor(old); err != nil || cert.SerialNumber.Cmp(stored.SerialNumber) != 0 {
		t.Errorf("the stored certificate does not serve at once: %v", err)
	}
	for _, name := range []string{old, "new.test"} {
		f.events.wait(t, eventCertFailed, "ERROR", "name="+name, "cannot be reached", "look at this machine's network")
	}
	f.events.wait(t, eventCertFailed, "name=new.test", "retry_in=200ms")
	f.events.wait(t, eventCertFailed, "name=new.test", "retry_in=400ms")
	if _, err := f.certFor("new.test"); err == nil {
		t.Error("a certificate from nowhere")
	}
	f.events.wait(t, eventCertRefused, "name=new.test", "cert.failed says why")

	ca.Restart()
	f.waitForCert("new.test", ca.Roots(), nil)
}

func TestACME_NameWithoutAddressIsToldWhatToDo(t *testing.T) {
	ca := acmetest.New(t, 0, 0)
	name := "app." + acmetest.Nowhere
	f := newTLSFront(t, acmeConfig(ca, name))
	ca.Validate(portOf(t, f.plain), portOf(t, f.secure))
	f.serve()
	f.events.wait(t, eventCertFailed, "name="+name, "retry_in=1m0s", "look at DNS")
}

func TestACME_StorageThatCannotBeWrittenIsNamed(t *testing.T) {
	ca := acmetest.New(t, 0, 0)
	cfg := acmeConfig(ca, "app.test")
	cfg.State = t.TempDir()
	// Nobody, not even root, makes files there.
	folder := filepath.Join(cfg.State, "certificates")
	if err := os.Symlink("/proc/self/fdinfo", folder); err != nil {
		t.Fatal(err)
	}
	f := newTLSFront(t, cfg)
	f.events.wait(t, eventCertStorage, "ERROR", "folder="+folder, "hint="+folder+" must be writable by this user")
	f.serve()
	f.events.wait(t, eventCertFailed, "name=app.test", "hint="+folder+" must be writable by this user")
}

func TestACME_RootOfTheCAIsReadAtNew(t *testing.T) {
	ca := acmetest.New(t, 0, 0)
	cfg := acmeConfig(ca, "app.test")
	cfg.ACME.CARoot = ""
	cfg.State = t.TempDir()
	f := newTLSFront(t, cfg).serve()
	f.events.wait(t, eventCertFailed, "name=app.test", "name its root by acme.ca_root")
}

func TestACME_StopDoesNotWaitForASilentCA(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	cfg := Config{Sites: []Site{{Hosts: []string{"app.test"}}}, ACME: ACME{CA: "https://" + silent.Addr().String() + "/dir"}}
	f := newTLSFront(t, cfg).serve()
	conn, err := silent.Accept() // certmagic waits for an answer from here on
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stopped := make(chan struct{})
	go func() { // ends with stop, awaited below
		f.stop()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-time.After(tlsWait):
		t.Error("Run goes on after its context is done")
	}
}

// plainRequest sends a request by plain HTTP and follows nothing.
func (f *tlsFront) plainRequest(method, host, target string, fields http.Header) *http.Response {
	f.t.Helper()
	conn, err := net.DialTimeout("tcp", f.plain, tlsWait)
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close()
	var b strings.Builder
	b.WriteString(method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n")
	fields.Write(&b)
	b.WriteString("\r\n")
	io.WriteString(conn, b.String())
	conn.SetReadDeadline(time.Now().Add(tlsWait))
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, target, err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, target, err)
	}
	response.Body = io.NopCloser(strings.NewReader(string(body)))
	return response
}
