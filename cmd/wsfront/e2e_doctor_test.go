//go:build e2e

package main_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wsfront/proxy/diagnosis"
)

// scenario is one set-up as people have it, most of them broken, and what
// doctor has to say of it: that cause and no other.
type scenario struct {
	name string
	// site is what the server is told of this site alone. Words such as @port@
	// and @gorilla@ stand for the rig's: see doctorRig.
	site string
	url  string // "" for ws://app.test:@port@/websocket; by wss the site has TLS
	// pair is the site's certificate, one of doctorRig.pairs; "none" leaves TLS out
	// where the URL wants it, "both" has it where the URL does without.
	pair  string
	args  []string
	cause string // "" for none: the set-up is healthy
	exit  int

	port int
}

// The usual URL, and the arguments for the founding page beside it.
const (
	plainURL  = "ws://app.test:@port@/websocket"
	secureURL = "wss://app.test:@port@/websocket"
	streamURL = "http://app.test:@port@/events?n=8&gap=0.4"
)

var wstest = []string{"--page", "https://app.test:@port@/wstest"}

// doctorRig is what the scenarios of all servers share: push services and apps
// to put behind them, certificates, and the words that stand for their addresses.
// It is not changed while scenarios run.
type doctorRig struct {
	*lab
	pairs map[string]pair
	words []string // old, new, ...
}

// testDoctor puts doctor before true servers in the states in which people find
// them. The servers of one kind share a process where they can, and all
// scenarios run beside each other: what takes time is waiting.
func (l *lab) testDoctor(t *testing.T) {
	r := &doctorRig{lab: l, pairs: newPairs(t, l)}
	r.startBackends(t)
	t.Run("direct", r.testDirect)
	t.Run("apache", r.testApache)
	t.Run("nginx", r.testNginx)
	t.Run("haproxy", r.testHAProxy)
	t.Run("caddy", r.testCaddy)
	t.Run("wsfront", r.testWsfront)
	t.Run("config", r.testConfig)
}

// word has @name@ stand for a value in the scenarios.
func (r *doctorRig) word(name, value string) { r.words = append(r.words, "@"+name+"@", value) }

// place chooses the port of each scenario.
func (r *doctorRig) place(t testing.TB, list []scenario) {
	t.Helper()
	for i := range list {
		s := &list[i]
		s.port = r.port(t)
		if s.url == "" {
			s.url = plainURL
		}
	}
}

// fill replaces the words of a text.
func (r *doctorRig) fill(s scenario, text string) string {
	return strings.NewReplacer(append(r.words, "@port@", fmt.Sprint(s.port))...).Replace(text)
}

// secured reports whether the site is served by TLS, and with which certificate.
func (r *doctorRig) secured(s scenario) (pair, bool) {
	return r.pairs[s.pair], strings.HasPrefix(s.url, "wss:") && s.pair != "none"
}

// start runs a server until the end of t, and waits for it to listen.
func (r *doctorRig) start(t testing.TB, list []scenario, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "HOME="+r.path(t, "home"))
	p := start(t, name, cmd)
	for _, s := range list {
		p.listens(t, loopback(s.port))
	}
}

// diagnose runs doctor once for each scenario of a server, which doctor has to
// recognize: what to write there must be among the fixes, if there is any.
func (r *doctorRig) diagnose(t *testing.T, server string, list []scenario) {
	for _, s := range list {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			target := r.fill(s, s.url)
			u, err := url.Parse(target)
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"doctor", "--json", "--ca", r.pki.file, "--resolve", u.Hostname() + ":127.0.0.1"}
			for _, arg := range s.args {
				args = append(args, r.fill(s, arg))
			}
			found := r.examine(t, s.cause, s.exit, append(args, target)...)
			if found.Cause == nil {
				return
			}
			for _, fix := range diagnosis.Cause(s.cause).Fixes() {
				if fix.For == server && !slices.ContainsFunc(found.Cause.Fixes, func(f diagnosis.Fix) bool { return f.For == server }) {
					t.Errorf("no fix for %s in %v", server, found.Cause.Fixes)
				}
			}
		})
	}
}

// finding is what doctor prints for machines.
type finding struct {
	Steps []struct{ Name, Status, Detail string }
	Cause *struct {
		ID, Symptom, Sentence string
		Evidence              []string
		Fixes                 []diagnosis.Fix
	}
	Exit int
}

// examine runs doctor and compares what it finds with the cause and the exit
// status that are wanted.
func (r *doctorRig) examine(t testing.TB, cause string, exit int, args ...string) finding {
	t.Helper()
	status, out, errs := finish(t, exec.Command(r.binary, args...))
	var f finding
	if err := json.Unmarshal([]byte(out), &f); err != nil {
		t.Fatalf("doctor ended with %d and no JSON (%v):\n%s%s", status, err, out, errs)
	}
	got := ""
	if f.Cause != nil {
		got = f.Cause.ID
		if f.Cause.Sentence == "" || len(f.Cause.Evidence) == 0 || len(f.Cause.Fixes) == 0 {
			t.Errorf("the cause lacks its sentence, evidence or fixes:\n%s", out)
		}
	}
	if got != cause || status != exit || f.Exit != exit || errs != "" {
		t.Errorf("doctor found %q and ended with %d, want %q and %d\n%s%s", got, status, cause, exit, out, errs)
	}
	return f
}

// newPairs makes the certificates that people have, good and bad.
func newPairs(t testing.TB, l *lab) map[string]pair {
	t.Helper()
	issue := func(a *authority, end time.Time, name string) pair {
		return a.issueUntil(t, end, l.path(t, "pem"), name)
	}
	now := time.Now()
	tomorrow := now.Add(24 * time.Hour)
	pairs := map[string]pair{
		"":            issue(l.pki, tomorrow, "app.test"),
		"wrong name":  issue(l.pki, tomorrow, "other.test"),
		"expired":     issue(l.pki, now.Add(-time.Hour), "app.test"),
		"self-signed": issue(nil, tomorrow, "app.test"),
		"unknown CA":  issue(newAuthority(t, l.path(t, "ca")), tomorrow, "app.test"),
		"no chain":    issue(l.pki.subordinate(t, l.path(t, "ca"), "intermediate"), tomorrow, "app.test"),
	}
	for _, p := range pairs { // HAProxy wants both in one file
		var both []byte
		for _, file := range []string{p.cert, p.key} {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			both = append(both, text...)
		}
		writeFile(t, filepath.Join(filepath.Dir(p.cert), "both.pem"), string(both))
	}
	return pairs
}
