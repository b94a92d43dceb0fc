package apacheimport

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wsfront/cmd/internal/apacheconf"
	"wsfront/cmd/internal/config"
)

// FuzzImport holds what must be so whatever comes in: the configuration is
// valid, or there is none; no directive is without a note; and the report
// cannot be used to write to a terminal.
func FuzzImport(f *testing.F) {
	files, err := filepath.Glob(cases + "/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds:", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		input, _, _ := strings.Cut(string(data), dashes)
		f.Add(input, "", "")
	}
	f.Add("RewriteRule ^(.*)$ http://a/\x1b[31m$1 [P]", "Ä b", "/push")
	f.Add("<VirtualHost *:443>\nServerName a\x00b\nAlias /\xff /x\n</VirtualHost>", "a.example.org", "push")
	f.Fuzz(func(t *testing.T, text, host, push string) {
		name := filepath.Join(t.TempDir(), "vhost.conf")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := apacheconf.Read([]string{name}, apacheconf.Options{Root: t.TempDir()})
		if err != nil {
			return // not an Apache configuration, and it was said
		}
		r := Import(cfg, Options{Host: host, Push: push})
		checkResult(t, cfg, r)
	})
}

func checkResult(t *testing.T, cfg *apacheconf.Config, r *Result) {
	if (r.YAML == "") != (r.Verdict == Rejected) {
		t.Errorf("verdict %v with a configuration of %d bytes", r.Verdict, len(r.YAML))
	}
	if r.YAML != "" {
		if _, err := config.Parse("wsfront.yaml", []byte(r.YAML)); err != nil {
			t.Errorf("not valid: %v\n%s", err, r.YAML)
		}
	}
	told := map[apacheconf.Position]bool{}
	for _, n := range r.Notes {
		for _, p := range n.Positions {
			told[p] = true
		}
	}
	for _, d := range flatten(cfg.Directives) {
		if !told[d.Position] {
			t.Errorf("nothing is said of %v %q", d.Position, d.Raw)
		}
	}
	for _, text := range []string{r.YAML, r.Report()} {
		for _, c := range text {
			if c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0 {
				t.Errorf("a control character %q in %q", c, text)
				return
			}
		}
	}
}
