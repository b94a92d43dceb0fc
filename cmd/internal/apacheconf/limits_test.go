package apacheconf

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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

func TestRead_LongLinesAreLeftOut(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	cfg := readText(t, "UnsetEnv a \\\n"+long+"\nUnsetEnv b\n", Options{})
	wantNote(t, cfg, 1, "a line of more than 65536 bytes")
	if len(cfg.Directives) != 1 || cfg.Directives[0].Line != 3 {
		t.Errorf("read %v", cfg.Directives)
	}
}

func TestRead_GrowingVariablesAreBounded(t *testing.T) {
	var text strings.Builder
	text.WriteString("Define V0 0123456789\n")
	for i := range 40 {
		fmt.Fprintf(&text, "Define V%d ${V%d}${V%d}\n", i+1, i, i)
	}
	cfg := readText(t, text.String(), Options{})
	wantNote(t, cfg, 14, "with its variables expanded the line has more than")
}

func TestRead_GrowingMacrosAreBounded(t *testing.T) {
	var text strings.Builder
	text.WriteString("<Macro M0>\nUnsetEnv x\n</Macro>\n")
	for i := range 30 {
		fmt.Fprintf(&text, "<Macro M%d>\nUse M%d\nUse M%d\n</Macro>\n", i+1, i, i)
	}
	text.WriteString("Use M30\nUnsetEnv end\n")
	cfg := readText(t, text.String(), Options{})
	if !slices.ContainsFunc(cfg.Notes, func(n Note) bool { return strings.Contains(n.Message, "the rest is not read") }) {
		t.Errorf("2^30 lines without a note: %v", cfg.Notes)
	}
}

func TestRead_NestingIsBounded(t *testing.T) {
	const sections = 1000
	cfg := readText(t, strings.Repeat("<If x>\n", sections)+strings.Repeat("</If>\n", sections)+"UnsetEnv end\n", Options{})
	wantNote(t, cfg, maxNesting+1, "section within a section")
	depth := 0
	for all := cfg.Directives; len(all) > 0; all = all[0].Children {
		depth++
	}
	if depth != maxNesting || len(cfg.Directives) != 2 {
		t.Errorf("%d sections within each other, want %d; %d directives outside, want 2", depth, maxNesting, len(cfg.Directives))
	}
}

// A chain of files, each of which includes the next twice.
func TestRead_IncludesAreBounded(t *testing.T) {
	folder := t.TempDir()
	for i := range 40 {
		text := fmt.Sprintf("Include %d.conf\nInclude %d.conf\n", i+1, i+1)
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%d.conf", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cfg := readText(t, "Include 0.conf\n", Options{Root: folder})
	var deep, many bool
	for _, n := range cfg.Notes {
		deep = deep || strings.Contains(n.Message, "within another")
		many = many || strings.Contains(n.Message, "looks at more than")
	}
	if !deep || !many {
		t.Errorf("depth noted: %v, number noted: %v; %v", deep, many, cfg.Notes)
	}
}

// Such as Include /usr.
func TestRead_IncludedFoldersAreBounded(t *testing.T) {
	folder := t.TempDir()
	for i := range 5 {
		for j := range maxEntries / 4 {
			path := filepath.Join(folder, fmt.Sprint(i), fmt.Sprint(j))
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	cfg := readText(t, "Include "+folder+"\nUnsetEnv end\n", Options{})
	wantNote(t, cfg, 1, "looks at more than 4000 files")
	if len(cfg.Directives) != 1 || cfg.Directives[0].Arg(0) != "end" {
		t.Error("the line behind the Include was not read")
	}
}

func TestRead_OddBytes(t *testing.T) {
	cfg := readText(t, "\xef\xbb\xbfUnsetEnv a\r\nUnsetEnv b\\\r\nc\r\nUnsetEnv d\x00e \\\nUnsetEnv f\nUnsetEnv g \\", Options{})
	var got []string
	for _, d := range cfg.Directives {
		got = append(got, fmt.Sprintf("%d %s %q", d.Line, d.Name, d.Args))
	}
	want := []string{`1 UnsetEnv ["a"]`, `2 UnsetEnv ["bc"]`, `4 UnsetEnv ["d"]`, `5 UnsetEnv ["f"]`, `6 UnsetEnv ["g" "\\"]`}
	if !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	wantNote(t, cfg, 1, "byte order mark")
	wantNote(t, cfg, 4, "NUL byte")
}

func TestRead_NamedFiles(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	main := write("main.conf", "Define Port 81\nInclude a.conf\n")
	a := write("a.conf", "Listen ${Port}\n")
	b := write("b.conf", "Listen ${Port}2\nListen ${OTHER}\n")

	// As one configuration; what one includes is not read again; names go by the
	// file's own folder.
	cfg, err := Read([]string{main, a, b}, Options{Define: map[string]string{"OTHER": "83", "Port": "hidden by the file's"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range cfg.Directives {
		got = append(got, d.Position.String()+" "+d.Arg(0))
	}
	if want := []string{a + ":1 81", b + ":1 812", b + ":2 83"}; !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	if want := []string{main, a, b}; !slices.Equal(cfg.Files, want) {
		t.Errorf("the files are %q, want %q", cfg.Files, want)
	}

	for _, name := range []string{filepath.Join(folder, "nosuch.conf"), folder, write("big.conf", strings.Repeat("#\n", maxFile/2+1))} {
		if _, err := Read([]string{main, name}, Options{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("reading %s: %v, want an error with its name", name, err)
		}
	}
}

// Configurations copied from a server to another machine: the folder of
// ServerRoot is not there.
func TestRead_CopiedServerRoot(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"conf/httpd.conf":   "ServerRoot /nosuch/httpd\nInclude conf.d/*.conf\n",
		"conf.d/vhost.conf": "UnsetEnv vhost\n",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := Read([]string{filepath.Join(folder, "conf/httpd.conf")}, Options{})
	if err != nil || len(cfg.Directives) != 2 || cfg.Directives[1].Arg(0) != "vhost" {
		t.Errorf("read %+v, %v", cfg, err)
	}
}

func TestDirective(t *testing.T) {
	d := readText(t, "proxypass /ws \\\n  \"ws://127.0.0.1/\"\n", Options{}).Directives[0]
	if !d.Is("ProxyPass") || d.Is("ProxyPassReverse") || d.Name != "proxypass" {
		t.Errorf("the name is %q", d.Name)
	}
	if d.Arg(0) != "/ws" || d.Arg(1) != "ws://127.0.0.1/" || d.Arg(2) != "" || d.Arg(-1) != "" {
		t.Errorf("the arguments are %q", d.Args)
	}
	if want := `proxypass /ws   "ws://127.0.0.1/"`; d.Raw != want {
		t.Errorf("as written: %q, want %q", d.Raw, want)
	}
}
