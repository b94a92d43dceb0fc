package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wsfront/proxy/acmetest"
)

// certificate is the state of the one with that first name.
func (f *tlsFront) certificate(name string) CertificateState {
	f.t.Helper()
	for _, c := range f.Certificates() {
		if c.Names[0] == name {
			return c
		}
	}
	f.t.Fatalf("no certificate of %s in %+v", name, f.Certificates())
	panic("unreachable")
}

func TestCertificates_OfFiles(t *testing.T) {
	pair := func(ends time.Duration, names ...string) TLS {
		cert, key := pemPair(t, time.Now().Add(ends), names...) // each lives for a day
		return writePair(t, t.TempDir(), cert, key)
	}
	changed := pair(12*time.Hour, "changed.test")
	f := newTLSFront(t, Config{Sites: []Site{
		{Hosts: []string{"good.test"}, TLS: pair(12*time.Hour, "good.test", "www.good.test")},
		{Hosts: []string{"old.test"}, TLS: pair(-time.Hour, "old.test")},
		{Hosts: []string{"soon.test"}, TLS: pair(3*time.Hour+time.Minute, "soon.test")},
		{Hosts: []string{"asked.test"}, TLS: pair(12*time.Hour, "other.test")},
		{Hosts: []string{"changed.test"}, TLS: changed},
	}})
	f.certs.pollInterval = time.Millisecond
	f.serve()
	writePair(t, strings.TrimSuffix(changed.Cert, "/cert.pem"), []byte("no certificate"), []byte("nor key"))
	f.events.wait(t, eventCertReloadFailed)
	for name, want := range map[string][2]string{
		"good.test":    {"", ""},
		"old.test":     {"expired on ", "clients refuse it; put a new pair"},
		"soon.test":    {"ends in 3 hours, and has not been renewed", "put a new pair"},
		"other.test":   {"does not cover asked.test", "get a certificate that lists it"},
		"changed.test": {"the changed files cannot be used: ", "put a good pair in place"},
	} {
		c := f.certificate(name)
		if c.Source != certFiles || c.NotAfter.IsZero() || c.Issuer != name || (c.Problem == "") != (want[0] == "") || !strings.HasPrefix(c.Problem, want[0]) || !strings.Contains(c.Hint, want[1]) {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// While the server ends, it tells whether it is ready as quickly as before.
func TestCertificates_AreToldWhileACMEEnds(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"a.test"}, TLS: TLS{Mode: TLSInternal}}}})
	ending, release := make(chan struct{}), make(chan struct{})
	a := startACME(ACME{}, nil, t.TempDir(), nil, nil, acmeTiming{}, f.certs.account, slog.New(slog.DiscardHandler))
	end := a.end
	a.end = func() { end(); close(ending) }
	a.tries.Go(func() { <-release }) // awaited by run below
	f.certs.acme.Store(a)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { // ended by cancel and release, awaited below
		defer close(over)
		f.certs.run(ctx)
	}()
	cancel()
	receive(t, ending)
	told := make(chan []CertificateState, 1)
	go func() { told <- f.Certificates() }() // ends at the latest with run
	if list := receive(t, told); len(list) != 1 {
		t.Errorf("%+v", list)
	}
	close(release)
	<-over
}

// wsfront check warns as early, and so do the alerts.
func TestCertificates_OfFilesEndSoonForAPerson(t *testing.T) {
	now := time.Now()
	leaf := &x509.Certificate{NotBefore: now.Add(-80 * 24 * time.Hour), NotAfter: now.Add(13 * 24 * time.Hour), DNSNames: []string{"a.test"}}
	f := &pemFile{}
	f.pair.Store(&tls.Certificate{Leaf: leaf})
	if c := f.state(); !strings.HasPrefix(c.Problem, "ends in 12 days") {
		t.Errorf("%+v", c)
	}
	leaf.NotAfter = now.Add(15 * 24 * time.Hour)
	if c := f.state(); c.Problem != "" {
		t.Errorf("%+v", c)
	}
}

func TestCertificates_OfTheInternalCA(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"a.test", "*.b.test"}, TLS: TLS{Mode: TLSInternal}}}}).serve()
	if c := f.Certificates(); len(c) != 2 || !c[0].NotAfter.IsZero() || c[0].Problem != "" || !strings.HasPrefix(c[0].Issuer, "wsfront internal CA") {
		t.Errorf("before anybody asked: %+v", c)
	}
	cert, err := f.certFor("a.test")
	if err != nil {
		t.Fatal(err)
	}
	if c := f.certificate("a.test"); c.Source != certInternal || !c.NotAfter.Equal(cert.NotAfter) {
		t.Errorf("%+v", c)
	}
	// Names that clients choose are not listed, however many they are.
	for _, name := range []string{"x.b.test", "y.b.test"} {
		if _, err := f.certFor(name); err != nil {
			t.Fatal(err)
		}
	}
	if c := f.Certificates(); len(c) != 2 || c[1].Names[0] != "*.b.test" || c[1].Source != certInternal || !c[1].NotAfter.IsZero() || c[1].Problem != "" {
		t.Errorf("below the wildcard: %+v", c)
	}
}

func TestCertificates_ByACME(t *testing.T) {
	ca := acmetest.New(t, 0, 0)
	nowhere := "app." + acmetest.Nowhere
	ask := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(ask.Close)
	cfg := acmeConfig(ca, "app.test", nowhere)
	cfg.Sites = append(cfg.Sites, Site{Hosts: []string{"*"}})
	cfg.ACME.OnDemand.Ask = ask.URL
	f := newTLSFront(t, cfg)
	ca.Validate(portOf(t, f.plain), portOf(t, f.secure))
	if c := f.certificate("app.test"); c.Problem != "there is none yet" || !c.NotAfter.IsZero() {
		t.Errorf("before the start: %+v", c)
	}
	f.serve()
	f.events.wait(t, eventCertFailed, "name="+nowhere)
	cert := f.waitForCert("app.test", ca.Roots(), nil)
	if c := f.certificate("app.test"); c.Source != certAuto || !c.NotAfter.Equal(cert.NotAfter) || c.Problem != "" || !strings.HasPrefix(c.Issuer, "Pebble") {
		t.Errorf("once it is there: %+v", c)
	}
	c := f.certificate(nowhere)
	if !strings.HasPrefix(c.Problem, "there is none yet: ") || !strings.Contains(c.Hint, "look at DNS") || !strings.Contains(c.Hint, "; the next try is at ") {
		t.Errorf("what failed: %+v", c)
	}
	reasons := f.NotReady(context.Background(), ReadyWithoutBackends)
	if len(reasons) != 1 || !strings.HasPrefix(reasons[0], "the certificate of "+nowhere+": there is none yet") {
		t.Errorf("not ready for %q", reasons)
	}
	if _, err := f.certFor("customer.test"); err != nil {
		t.Fatal(err)
	}
	if c := f.certificate("customer.test"); c.Source != certOnDemand || c.NotAfter.IsZero() || c.Problem != "" {
		t.Errorf("on demand: %+v", c)
	}
	if n := f.Counts(); n.CertificatesObtained != 2 || n.CertificatesRenewed != 0 || n.CertificateFailures != 1 {
		t.Errorf("obtained %d, renewed %d, failed %d", n.CertificatesObtained, n.CertificatesRenewed, n.CertificateFailures)
	}
}

// A renewal that fails is told of while the old certificate serves, and forgotten
// once there is a new one.
func TestCertificates_RenewalThatFails(t *testing.T) {
	ca := acmetest.NewShortLived(t, 0, 0, time.Hour)
	f := newTLSFront(t, acmeConfig(ca, "app.test"))
	ca.Validate(portOf(t, f.plain), portOf(t, f.secure))
	f.certs.timing = acmeTiming{renewalWindow: 0.999999}
	f.serve()
	f.waitForCert("app.test", ca.Roots(), nil)
	a := f.certs.acme.Load()
	a.log.failed("app.test", context.DeadlineExceeded, 0)
	if _, due := a.current("app.test"); !due {
		t.Fatal("the certificate is not due")
	}
	if c := f.certificate("app.test"); !strings.HasPrefix(c.Problem, "the last try to renew it failed: context deadline exceeded") || !strings.Contains(c.Hint, "cannot be reached") || c.NotAfter.IsZero() {
		t.Errorf("after a failure: %+v", c)
	}
	_ = a.event(context.Background(), "cert_obtained", map[string]any{"identifier": "app.test", "renewal": true})
	if c := f.certificate("app.test"); c.Problem != "" {
		t.Errorf("after the renewal: %+v", c)
	}
	if n := f.Counts(); n.CertificatesRenewed != 1 {
		t.Errorf("%d renewals", n.CertificatesRenewed)
	}
}

// Names on demand are the clients' to choose: what is known of them stays bounded.
func TestCertAccount_IsBounded(t *testing.T) {
	a := newCertAccount()
	now := time.Now()
	for i := range maxKnownNames + 100 {
		name := string(rune('a'+i%26)) + time.Duration(i).String()
		a.load(name)
		a.fail(name, certFailure{at: now.Add(time.Duration(i))})
	}
	if len(a.loaded) != maxKnownNames || len(a.failures) != maxKnownNames {
		t.Errorf("%d loaded, %d failures", len(a.loaded), len(a.failures))
	}
	for _, f := range a.failures {
		if f.at.Before(now.Add(100)) {
			t.Fatal("one of the oldest was kept")
		}
	}
}
