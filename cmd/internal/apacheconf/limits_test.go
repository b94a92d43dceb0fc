package apacheconf

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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
