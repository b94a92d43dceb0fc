package apacheimport

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wsfront/cmd/internal/apacheconf"
	"wsfront/cmd/internal/config"
)

var update = flag.Bool("update", false, "write what comes out into testdata/apache/cases; read it before it is committed")

// cases are files of an input, a line of dashes, the configuration, another
// line, and the notes.
const cases = "../../../testdata/apache/cases"

const dashes = "----------\n"

func TestCases(t *testing.T) {
	folder, err := filepath.Abs(cases)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no cases:", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) { testCase(t, name, file) })
	}
}

func testCase(t *testing.T, name, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	input, want, _ := strings.Cut(string(data), dashes)
	r := imported(t, name, input)
	got := r.YAML + dashes + notesText(r)
	if r.YAML != "" {
		if _, err := config.Parse("wsfront.yaml", []byte(r.YAML)); err != nil {
			t.Errorf("not valid: %v", err)
		}
	}
	if got == want {
		return
	}
	if *update {
		if err := os.WriteFile(file, []byte(input+dashes+got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("got\n%s\nwant\n%s", got, want)
}

// imported imports a text, whose first line may say options: "#! host=NAME".
func imported(t *testing.T, name, input string) *Result {
	t.Helper()
	t.Chdir(t.TempDir())
	o := Options{}
	if first, _, _ := strings.Cut(input, "\n"); strings.HasPrefix(first, "#!") {
		for word := range strings.FieldsSeq(first[2:]) {
			switch key, value, _ := strings.Cut(word, "="); key {
			case "host":
				o.Host = value
			case "push":
				o.Push = value
			}
		}
	}
	conf := name + ".conf"
	if strings.HasPrefix(name, "htaccess") {
		conf = ".htaccess"
	}
	if err := os.WriteFile(conf, []byte(input), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := apacheconf.Read([]string{conf}, apacheconf.Options{Define: map[string]string{"CERT": "/etc/ssl/app.pem", "KEY": "/etc/ssl/app.key", "VAR": "/srv/var", "APP": "/srv/app", "PORT": "8081"}})
	if err != nil {
		t.Fatal(err)
	}
	return Import(cfg, o)
}

// notesText is the report in a form for cases: the notes that a person has to
// read in full, of the others which lines they are about.
func notesText(r *Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.Verdict)
	for _, n := range r.Notes {
		var at []string
		for _, p := range n.Positions {
			at = append(at, fmt.Sprint(p.Line))
		}
		head := strings.TrimSpace(strings.Join(at, ",") + " " + n.Directive)
		if n.Message != "" && n.Kind != NotNeeded {
			head += ": " + n.Message
		}
		fmt.Fprintf(&b, "%s: %s\n", n.Kind, strings.TrimPrefix(head, ": "))
	}
	for _, w := range r.Ways {
		fmt.Fprintf(&b, "way: %s\n", w.Title)
		for line := range strings.SplitSeq(w.Text, "\n") {
			fmt.Fprintf(&b, "\t%s\n", line)
		}
	}
	return b.String()
}
