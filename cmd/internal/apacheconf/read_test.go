package apacheconf

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what was read into the cases")

// TestRead_Cases reads the main.conf of each archive in testdata/cases, beside
// the archive's other files, and compares with its file want. $WORK in the
// files is the folder they are in.
func TestRead_Cases(t *testing.T) {
	for _, name := range caseFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			folder := t.TempDir()
			archive := unpack(t, name, folder)
			cfg, err := Read([]string{filepath.Join(folder, "main.conf")}, Options{Root: folder, Define: map[string]string{"STARTED": "with -D"}})
			if err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(show(cfg), folder, "$WORK")
			i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
			if *update {
				want := txtar.File{Name: "want", Data: []byte(got)}
				if i < 0 {
					archive.Files = append(archive.Files, want)
				} else {
					archive.Files[i] = want
				}
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if i < 0 || got != string(archive.Files[i].Data) {
				t.Errorf("read:\n%s", got)
			}
		})
	}
}

func caseFiles(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	return names
}

// unpack writes the files of an archive into folder.
func unpack(t testing.TB, name, folder string) *txtar.Archive {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		path := filepath.Join(folder, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(f.Data), "$WORK", folder)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return archive
}

// show is a configuration as text: each directive with its place and its
// arguments, then the notes and the files.
func show(cfg *Config) string {
	var b strings.Builder
	showAll(&b, cfg.Directives, "")
	for _, n := range cfg.Notes {
		fmt.Fprintf(&b, "note %v: %s\n", n.Position, n.Message)
	}
	for _, f := range cfg.Files {
		fmt.Fprintf(&b, "file %s\n", f)
	}
	return b.String()
}

func showAll(b *strings.Builder, all []*Directive, indent string) {
	for _, d := range all {
		name := d.Name
		if d.Section {
			name = "<" + name + ">"
		}
		fmt.Fprintf(b, "%s%s:%d %s", indent, filepath.Base(d.File), d.Line, name)
		for _, arg := range d.Args {
			fmt.Fprintf(b, " %q", arg)
		}
		b.WriteByte('\n')
		showAll(b, d.Children, indent+"\t")
	}
}

// readText reads text as the file main.conf of an empty folder.
func readText(t testing.TB, text string, o Options) *Config {
	t.Helper()
	folder := t.TempDir()
	name := filepath.Join(folder, "main.conf")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if o.Root == "" {
		o.Root = folder
	}
	cfg, err := Read([]string{name}, o)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// noteAt is the message of the first note at a line of main.conf.
func noteAt(cfg *Config, line int) string {
	i := slices.IndexFunc(cfg.Notes, func(n Note) bool { return n.Line == line && filepath.Base(n.File) == "main.conf" })
	if i < 0 {
		return ""
	}
	return cfg.Notes[i].Message
}

func wantNote(t *testing.T, cfg *Config, line int, text string) {
	t.Helper()
	if got := noteAt(cfg, line); !strings.Contains(got, text) {
		t.Errorf("the note at line %d is %q, want %q in it; all: %v", line, got, text, cfg.Notes)
	}
}
