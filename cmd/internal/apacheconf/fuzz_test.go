package apacheconf

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

func FuzzRead(f *testing.F) {
	for _, name := range caseFiles(f) {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if file.Name != "want" {
				f.Add(file.Data)
			}
		}
	}
	f.Add([]byte("\xef\xbb\xbfA \\\r\n b\x00\n<B\n</B x>\nC \\"))
	f.Add([]byte("<Macro A $a @b>\nUse A @b $a\n<X $a>\n</Macro>\nUse A \"\" '\\\n</X>\nInclude a*/[!b]?\\\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		folder := t.TempDir()
		name := filepath.Join(folder, "main.conf")
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
		cfg, err := Read([]string{name}, Options{Root: folder, Define: map[string]string{"A": "a b"}})
		if err != nil {
			if len(data) > maxFile {
				return
			}
			t.Fatal(err)
		}
		if !slices.Contains(cfg.Files, name) {
			t.Errorf("the files are %q", cfg.Files)
		}
		lines := strings.Count(string(data), "\n") + 1
		for _, n := range cfg.Notes {
			checkPosition(t, n.Position, name, lines)
			if n.Message == "" {
				t.Errorf("%v: a note without a message", n.Position)
			}
		}
		checkAll(t, cfg.Directives, name, lines, 0)
	})
}

// checkPosition: of files beside name, which only a lucky Include finds,
// nothing is known.
func checkPosition(t *testing.T, p Position, name string, lines int) {
	if p.File == "" || p.Line < 1 || p.File == name && p.Line > lines {
		t.Errorf("%v is no place in a file of %d lines", p, lines)
	}
}

func checkAll(t *testing.T, all []*Directive, name string, lines, nesting int) {
	if nesting > maxNesting {
		t.Fatalf("sections of depth %d", nesting)
	}
	for _, d := range all {
		checkPosition(t, d.Position, name, lines)
		if d.Name == "" || d.Raw == "" || !d.Section && len(d.Children) > 0 || len(d.Raw) > 2*maxLine {
			t.Errorf("%v: %+v", d.Position, d)
		}
		checkAll(t, d.Children, name, lines, nesting+1)
	}
}
