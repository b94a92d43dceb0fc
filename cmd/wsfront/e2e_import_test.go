//go:build e2e

package main_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// siteHost is the name of the fixtures' site.
const siteHost = "app.test"

// testImport compares Debian's Apache with what is imported of its
// configuration: the same requests must have the same outcome, or one of which
// the import's report says that it differs.
func (l *lab) testImport(t *testing.T) {
	for _, c := range importCases {
		t.Run(c.fixture, func(t *testing.T) { l.testImportOf(t, c) })
	}
}

func (l *lab) testImportOf(t *testing.T, c importCase) {
	fixture, err := filepath.Abs(filepath.Join("../../testdata/apache/e2e", c.fixture+".conf"))
	if err != nil {
		t.Fatal(err)
	}
	apache, apacheTLS := l.port(t), l.port(t)
	variables := l.fixtureVariables(t)
	forApache := maps.Clone(variables)
	maps.Copy(forApache, map[string]string{
		"PORT": fmt.Sprint(apache), "TLS": fmt.Sprint(apacheTLS), "APACHE": loopback(apache), "APACHE_TLS": loopback(apacheTLS),
		"APACHE_LOG_DIR": l.path(t, "log"),
	})
	l.startApache(t, fixture, forApache)

	// The fixture is imported with the ports that everybody has; wsfront's own
	// are the test's.
	args := []string{"import", "apache", fixture, "--define", "PORT=80", "--define", "TLS=443"}
	for name, value := range variables {
		args = append(args, "--define", name+"="+value)
	}
	f := l.newFront(t)
	status, yaml, report := finish(t, f.command(args...))
	if status > 1 {
		t.Fatalf("the import ended with %d\n%s\n%s", status, yaml, report)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("imported:\n%s\nreport:\n%s", yaml, report)
		}
	})
	f.run(t, yaml)

	differ := differing{c.expected, make([]bool, len(c.expected)), strings.Join(strings.Fields(report), " ")}
	for _, p := range c.all() {
		want := ask(t, p, loopback(apache), loopback(apacheTLS))
		got := ask(t, p, loopback(f.plain), loopback(f.https))
		differ.compare(t, p, want, got)
	}
	differ.unused(t)
}

// fixtureVariables are the names that the fixtures have for what is only known
// now, but for the ports.
func (l *lab) fixtureVariables(t *testing.T) map[string]string {
	t.Helper()
	site := l.path(t, "site")
	for name, text := range map[string]string{
		"static/app.js": "js", "static/deep/a b.txt": "spaced", "static/docs/index.html": "docs", "media/photo.txt": "photo",
		"page/index.html": "the page", "page/style.css": "css",
	} {
		writeTree(t, site, name, text)
	}
	// Of the password "secret", by htpasswd -B.
	passwords := writeTree(t, site, "passwords", "staff:$2y$05$k8YmStj/5YdUPWl1eIGJjuZ3H9ulWRqZxlzoBOREV6D55chxhsrA2\n")
	pem := l.pki.issue(t, l.path(t, "pem"), siteHost, "www."+siteHost)
	return map[string]string{
		"APP": newEcho(t, "app", false), "SOCK": newEcho(t, "sock", false), "OTHER": newEcho(t, "other", false),
		"SECURE": newEcho(t, "secure", true),
		"SITE":   site, "PASSWORDS": passwords, "CERT": pem.cert, "KEY": pem.key,
	}
}

// writeTree writes a file and the folders that it needs.
func writeTree(t *testing.T, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	return writeFile(t, path, text)
}

// all are the case's probes, complete.
func (c importCase) all() []probe {
	var list []probe
	for _, target := range c.targets {
		list = append(list,
			probe{target: target},
			probe{target: target, socket: "Upgrade"},
			probe{target: target, socket: "keep-alive, Upgrade"}, // Firefox
		)
	}
	list = append(list, c.probes...)
	for i := range list {
		if list[i].method == "" {
			list[i].method = http.MethodGet
		}
		if list[i].host == "" {
			list[i].host = siteHost
		}
	}
	return list
}

// differing holds what may differ and what of it was seen.
type differing struct {
	expected []difference
	seen     []bool
	report   string // its lines made one
}

func (d *differing) compare(t *testing.T, p probe, apache, ours outcome) {
	t.Helper()
	names := slices.Collect(maps.Keys(apache))
	names = slices.AppendSeq(names, maps.Keys(ours))
	slices.Sort(names)
	var differ []string
	for _, name := range slices.Compact(names) {
		if apache[name] != ours[name] && !d.allows(p.String(), name, ours["status"]) {
			differ = append(differ, name)
		}
	}
	if len(differ) > 0 {
		t.Errorf("%v: %s\n\tApache:  %v\n\twsfront: %v", p, strings.Join(differ, ", "), apache, ours)
	}
}

// allows says whether what differs in a probe's outcome is expected and named.
func (d *differing) allows(words, field, status string) bool {
	for i, e := range d.expected {
		if d.names(e, words, field, status) {
			d.seen[i] = true
			return true
		}
	}
	return slices.ContainsFunc(always, func(e difference) bool { return d.names(e, words, field, status) })
}

func (d *differing) names(e difference, words, field, status string) bool {
	return regexp.MustCompile("^(?:"+e.status+")").MatchString(status) && regexp.MustCompile(e.probes).MatchString(words) &&
		regexp.MustCompile(e.fields).MatchString(field) && strings.Contains(d.report, e.note)
}

// unused fails for expected differences that were none, or that the report
// does not name, so that the tables stay true.
func (d *differing) unused(t *testing.T) {
	t.Helper()
	for i, e := range d.expected {
		if !d.seen[i] {
			t.Errorf("no difference of %q in %q was seen that the report names by %q, though the table has it", e.probes, e.fields, e.note)
		}
	}
}
