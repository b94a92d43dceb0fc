package proxy

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

func TestTLS_ChoosesExactBeforeWildcardBeforeAny(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{
		{Hosts: []string{"*"}, TLS: freshPair(t, "any")},
		{Hosts: []string{"*.example.test"}, TLS: freshPair(t, "wildcard")},
		{Hosts: []string{"App.example.test"}, TLS: freshPair(t, "exact")},
	}}).serve()
	for name, want := range map[string]string{
		"app.example.test":   "exact",
		"APP.Example.test":   "exact",
		"other.example.test": "wildcard",
		"a.b.example.test":   "any", // a wildcard is one label
		"example.test":       "any",
		"else.test":          "any",
		"":                   "any", // 127.0.0.1, which no site lists
	} {
		cert, err := f.certFor(name)
		if err != nil {
			t.Errorf("handshake for %q: %v", name, err)
		} else if cert.Subject.CommonName != want {
			t.Errorf("%q got the certificate of the %s site, want %s", name, cert.Subject.CommonName, want)
		}
	}
}

func TestTLS_UnknownNameIsRefused(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{
		{Hosts: []string{"app.test", "*.wild.test"}, TLS: TLS{Mode: TLSInternal}},
		{Hosts: []string{"plain.test"}, TLS: TLS{Mode: TLSOff}},
	}}).serve()
	for _, name := range []string{"other.test", "a.b.wild.test", "wild.test", ""} {
		if _, err := f.certFor(name); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("handshake for %q: %v, want the alert unrecognized_name", name, err)
		}
	}
	f.events.wait(t, eventCertRefused, "DEBUG", "name=other.test", "add it to hosts")
}

func TestTLS_SiteWithoutTLSDoesNotFallToAny(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{
		{Hosts: []string{"*"}, TLS: TLS{Mode: TLSInternal}},
		{Hosts: []string{"plain.test"}, TLS: TLS{Mode: TLSOff}},
	}}).serve()
	if _, err := f.certFor("plain.test"); err == nil {
		t.Error("a site with tls: off has a certificate")
	}
	if _, err := f.certFor("app.test"); err != nil {
		t.Errorf("another name: %v", err)
	}
}

func TestTLS_WithoutNameUsesSiteOfLocalAddress(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{
		{Hosts: []string{"127.0.0.1"}, TLS: TLS{Mode: TLSInternal}},
		{Hosts: []string{"*"}, TLS: freshPair(t, "any")},
	}}).serve()
	// crypto/tls sends no SNI for an address, yet verifies it.
	if _, err := f.shake(&tls.Config{ServerName: "127.0.0.1", RootCAs: f.internalRoots()}); err != nil {
		t.Error(err)
	}
}

func TestTLS_VersionsAndProtocols(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"app.test"}, TLS: TLS{Mode: TLSInternal}}}}).serve()
	roots := f.internalRoots()
	if _, err := f.shake(&tls.Config{ServerName: "app.test", RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	if _, err := f.shake(&tls.Config{ServerName: "app.test", RootCAs: roots, MaxVersion: tls.VersionTLS12}); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	for _, c := range []struct {
		offered []string
		want    string
	}{
		{[]string{"h2", "http/1.1"}, "h2"},
		{[]string{"http/1.1"}, "http/1.1"},
		{nil, ""},
	} {
		state, err := f.shake(&tls.Config{ServerName: "app.test", RootCAs: roots, NextProtos: c.offered})
		if err != nil {
			t.Errorf("ALPN %v: %v", c.offered, err)
		} else if state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != c.want {
			t.Errorf("ALPN %v: got TLS %x and %q, want 1.3 and %q", c.offered, state.Version, state.NegotiatedProtocol, c.want)
		}
	}
	if _, err := f.shake(&tls.Config{ServerName: "app.test", RootCAs: roots, NextProtos: []string{"acme-tls/1"}}); err == nil {
		t.Error("acme-tls/1 was accepted while no challenge is pending")
	}
}

func TestTLS_SessionResumesAcrossReload(t *testing.T) {
	cfg := Config{State: t.TempDir(), Sites: []Site{{Hosts: []string{"app.test"}, TLS: TLS{Mode: TLSInternal}, Routes: streamRoutes()}}}
	f := newTLSFront(t, cfg).serve()
	config := &tls.Config{ServerName: "app.test", RootCAs: f.internalRoots(), ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	get := func() *tls.ConnectionState {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
		request, _ := http.NewRequest(http.MethodGet, "https://"+f.secure+"/", nil)
		request.Host = "app.test"
		request.Header.Set("Accept", "text/event-stream")
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		io.Copy(io.Discard, response.Body)
		return response.TLS
	}
	if get().DidResume {
		t.Fatal("the first session was resumed")
	}
	cfg = f.cfg
	cfg.Sites = append(cfg.Sites, Site{Hosts: []string{"more.test"}, TLS: TLS{Mode: TLSInternal}, Routes: streamRoutes()})
	if err := f.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if !get().DidResume {
		t.Error("the session was not resumed after a reload")
	}
	if _, err := f.certFor("more.test"); err != nil {
		t.Errorf("the name that came by reload: %v", err)
	}
}

func TestTLS_ReloadRefusesWhatNeedsARestart(t *testing.T) {
	f := newTLSFront(t, Config{Sites: []Site{{Hosts: []string{"app.test"}, TLS: TLS{Mode: TLSInternal}}}}).serve()
	cfg := f.cfg
	cfg.State = t.TempDir()
	if err := f.Reload(cfg); err == nil || !strings.Contains(err.Error(), "not supported for state: old=") {
		t.Errorf("another state folder: %v", err)
	}
	cfg = f.cfg
	cfg.ACME.CA = "https://ca.test/dir"
	if err := f.Reload(cfg); err == nil || !strings.Contains(err.Error(), "not supported for acme.ca: old=") {
		t.Errorf("another CA: %v", err)
	}
	if _, err := f.certFor("app.test"); err != nil {
		t.Errorf("after a refused reload: %v", err)
	}
}

func TestNew_StateIsNeededOnlyForSitesThatUseIt(t *testing.T) {
	state := "/dev/null/state" // below a file no folder can be made, not even by root
	for mode, tls := range map[string]TLS{"auto": {}, "internal": {Mode: TLSInternal}} {
		_, err := New(Config{State: state, Sites: []Site{{Hosts: []string{"app.example.com"}, TLS: tls, Routes: streamRoutes()}}}, slog.New(slog.DiscardHandler), io.Discard)
		if err == nil || !strings.Contains(err.Error(), state) || !strings.Contains(err.Error(), "or write another") {
			t.Errorf("%s: got error %v, want one that names the folder and what to do", mode, err)
		}
	}
	for mode, tls := range map[string]TLS{"off": {Mode: TLSOff}, "files": freshPair(t, "app.test")} {
		if _, err := New(Config{State: state, Sites: []Site{{Hosts: []string{"app.example.com"}, TLS: tls, Routes: streamRoutes()}}}, slog.New(slog.DiscardHandler), io.Discard); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

func TestNew_WildcardByACMEWantsAGuard(t *testing.T) {
	for _, host := range []string{"*", "*.example.test"} {
		_, err := New(Config{State: t.TempDir(), Sites: []Site{{Hosts: []string{host}, Routes: streamRoutes()}}}, slog.New(slog.DiscardHandler), io.Discard)
		if err == nil || !strings.Contains(err.Error(), "acme.on_demand.ask") {
			t.Errorf("%s: got error %v, want one that names acme.on_demand.ask", host, err)
		}
	}
}
