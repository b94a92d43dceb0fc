package doctor

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"wsfront/proxy/diagnosis"
)

func TestRun_TLS(t *testing.T) {
	root := newAuthority(t, "Test Root", nil)
	between := newAuthority(t, "Test Intermediate", root)
	ca := root.file(t)
	later := time.Now().Add(500 * time.Hour)
	with := func(pair tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{pair}} }
	for name, c := range map[string]struct {
		cfg  *tls.Config // nil for plain HTTP
		ca   string
		want diagnosis.Cause
		exit int
	}{
		"fine":                  {with(between.issue(t, "app.test", later, between)), ca, "", 0},
		"intermediate missing":  {with(between.issue(t, "app.test", later)), ca, diagnosis.TLSChain, 3},
		"root missing":          {with(root.issue(t, "app.test", later)), "", diagnosis.TLSUntrusted, 3},
		"unknown CA":            {with(between.issue(t, "app.test", later, between)), "", diagnosis.TLSUntrusted, 3},
		"self-signed":           {with(selfSigned(t, "app.test")), ca, diagnosis.TLSUntrusted, 3},
		"self-signed for other": {with(selfSigned(t, "debian")), ca, diagnosis.TLSUntrusted, 3},
		"other name":            {with(root.issue(t, "www.test", later)), ca, diagnosis.TLSName, 3},
		"expired":               {with(root.issue(t, "app.test", time.Now().Add(-time.Hour))), ca, diagnosis.TLSExpired, 3},
		"old versions only":     {&tls.Config{Certificates: []tls.Certificate{root.issue(t, "app.test", later)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, ca, diagnosis.TLSOld, 3},
		"no certificate":        {&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }}, ca, diagnosis.TLSName, 3},
		"refused":               {&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("no") }}, ca, diagnosis.TLSFailed, 3},
		"plain HTTP":            {nil, ca, diagnosis.TLSMissing, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httpSite(t, http.NotFoundHandler())
			if c.cfg != nil {
				s = serve(t, c.cfg, accept)
			}
			expect(t, examine(t, Options{URL: s.url("wss", "/websocket"), CA: c.ca}), c.want, c.exit)
		})
	}
}

func TestRun_OldTLSBesideNewIsAWarning(t *testing.T) {
	root := newAuthority(t, "Test Root", nil)
	cfg := &tls.Config{Certificates: []tls.Certificate{root.issue(t, "app.test", time.Now().Add(time.Hour))}, MinVersion: tls.VersionTLS10}
	s := serve(t, cfg, accept)
	r := examine(t, Options{URL: s.url("wss", "/websocket"), CA: root.file(t)})
	expect(t, r, "", 0)
	for _, name := range []string{"tls", "old tls"} {
		if got := stepOf(r, name); got.Status != Warning {
			t.Errorf("%+v", got)
		}
	}
}

// stepOf finds a step by its name.
func stepOf(r *Report, name string) Step {
	for _, s := range r.Steps {
		if s.Name == name {
			return s
		}
	}
	return Step{}
}

func TestRun_Network(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // whose connections nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mute.Close() }) // after the parallel cases
	silent := &site{addr: mute.Addr().String()}
	healthy := serve(t, nil, accept)
	quiet := serve(t, nil, func(_ net.Conn, _ *http.Request, behind *bufio.Reader) { _, _ = io.Copy(io.Discard, behind) })
	_, gone, _ := net.SplitHostPort(closed.Addr().String())
	for name, c := range map[string]struct {
		o    Options
		want diagnosis.Cause
	}{
		// A name with two dots is refused without asking anybody.
		"no such name":  {Options{URL: "wss://app..test/websocket"}, diagnosis.NameUnknown},
		"nobody":        {Options{URL: "wss://app.test:" + gone + "/websocket"}, diagnosis.PortRefused},
		"silent at TLS": {Options{URL: silent.url("wss", "/websocket"), Timeout: soon}, diagnosis.PortSilent},
		"silent":        {Options{URL: quiet.url("ws", "/websocket"), Timeout: soon}, diagnosis.PortSilent},
		"IPv6 dead":     {Options{URL: healthy.url("ws", "/websocket"), Resolve: []string{"app.test:[::1]", "app.test:127.0.0.1"}}, diagnosis.FamilyDead},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.want == diagnosis.FamilyDead {
				needIPv6(t)
			}
			expect(t, examine(t, c.o), c.want, 2)
		})
	}
}

// needIPv6 fails where the machine has no IPv6 loopback, on which nothing could
// be found dead.
func needIPv6(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatalf("no IPv6 loopback here: %v", err)
	}
	l.Close()
}

func TestRun_AddressInPlaceOfTheName(t *testing.T) {
	s := serve(t, nil, func(c net.Conn, r *http.Request, behind *bufio.Reader) {
		if r.Host != "app.test" || r.Header.Get("Origin") == "http://127.0.0.1" {
			write(c, status(421, "no"))
			return
		}
		accept(c, r, behind)
	})
	expect(t, examine(t, Options{URL: "ws://app.test/websocket", Resolve: []string{"APP.test:127.0.0.1:" + s.port()}}), "", 0)
}

func TestParseInstead(t *testing.T) {
	for written, want := range map[string]string{
		"a.test:192.0.2.7": "192.0.2.7:0", "a.test:192.0.2.7:8443": "192.0.2.7:8443", "a.test:443:192.0.2.7": "192.0.2.7:0",
		"a.test:2001:db8::7": "[2001:db8::7]:0", "a.test:[2001:db8::7]": "[2001:db8::7]:0", "a.test:[2001:db8::7]:8443": "[2001:db8::7]:8443",
		"a.test:443:[2001:db8::7]": "[2001:db8::7]:0",
	} {
		got, err := parseInstead([]string{written})
		if err != nil || len(got["a.test"]) != 1 || got["a.test"][0].String() != want {
			t.Errorf("%s: %v, %v", written, got, err)
		}
	}
	for _, wrong := range []string{"", "a.test", "a.test:", ":192.0.2.7", "a.test:b.test", "a.test:x:192.0.2.7"} {
		if got, err := parseInstead([]string{wrong}); err == nil || !strings.Contains(err.Error(), "write HOST:ADDRESS") {
			t.Errorf("%q: %v, %v", wrong, got, err)
		}
	}
}

func TestParseTarget(t *testing.T) {
	for written, want := range map[string]target{
		"wss://app.test":              {"wss", "app.test", "443", "app.test", "/"},
		"wss://app.test:443/x?y=1#z":  {"wss", "app.test", "443", "app.test", "/x?y=1"},
		"ws://app.test:8080//x":       {"ws", "app.test", "8080", "app.test:8080", "//x"},
		"ws://[2001:db8::7]/x":        {"ws", "2001:db8::7", "80", "[2001:db8::7]", "/x"},
		"https://[2001:db8::7]:8443/": {"https", "2001:db8::7", "8443", "[2001:db8::7]:8443", "/"},
	} {
		if got, err := parseTarget(written); err != nil || got != want {
			t.Errorf("%s: %+v, %v", written, got, err)
		}
	}
	for written, want := range map[string]string{
		"app.test/x": "write wss://app.test/x", "ftp://app.test/": "write wss://app.test/", "wss:///x": "names no host",
		"wss://me@app.test/": "no user name", "wss://app.test:0/": "is no port", "wss://\u00e4.test/": "xn--", "wss://app.test:x/": "is no URL",
	} {
		if _, err := parseTarget(written); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", written, err)
		}
	}
}
