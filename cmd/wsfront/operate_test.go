package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Whoever reads operate.md, or an alert, is to find the commands and flags that it
// names.
func TestOperate_CommandsExist(t *testing.T) {
	command := regexp.MustCompile(`\bwsfront ((?:[a-z]+)(?: [a-z]+)?)`)
	flag := regexp.MustCompile("`wsfront [^`]*`")
	seen := 0
	for _, name := range []string{"docs/operate.md", "docs/metrics.md", "monitoring/wsfront.rules.yml", "monitoring/dashboard.json"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "deploy", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		for _, quoted := range flag.FindAllString(string(text), -1) {
			line := command.FindStringSubmatch(quoted)
			if line == nil {
				continue // flags alone, such as --version
			}
			seen++
			found, rest, err := newRoot().Find(strings.Fields(strings.Trim(quoted, "`"))[1:])
			if err != nil || !found.HasParent() {
				t.Errorf("%s names %s, which is no command: %v", name, quoted, err)
				continue
			}
			wantFlags(t, name+": "+quoted, found, rest)
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands found", seen)
	}
}

func wantFlags(t *testing.T, where string, command *cobra.Command, words []string) {
	t.Helper()
	for _, word := range words {
		name, long := strings.CutPrefix(word, "--")
		if name, _, _ = strings.Cut(name, "="); long && command.Flags().Lookup(name) == nil && command.InheritedFlags().Lookup(name) == nil {
			t.Errorf("%s: %s has no flag --%s", where, command.Name(), name)
		}
	}
}
