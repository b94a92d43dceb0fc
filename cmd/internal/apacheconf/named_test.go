package apacheconf

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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
	link := filepath.Join(folder, "link.conf")
	if err := os.Symlink("a.conf", link); err != nil {
		t.Fatal(err)
	}

	// As one configuration; what one includes is not read again; names go by the
	// file's own folder.
	cfg, err := Read([]string{main, link, b}, Options{Define: map[string]string{"OTHER": "83", "Port": "hidden by the file's"}})
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
