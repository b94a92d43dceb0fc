package config

import (
	"os"
	"path/filepath"
	"testing"

	"wsfront/proxy"
)

func TestStateDirOf_FileWithMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"nonsense: true\nstate: /srv/wsfront # here\nsites: [": "/srv/wsfront",
		"state: \"/srv/a b\"\nnonsense: true\n":                "/srv/a b",
		"sites:\n  state: elsewhere\n":                         proxy.DefaultState(),
		"state: [no, word]\n":                                  proxy.DefaultState(),
		"":                                                     proxy.DefaultState(),
	} {
		name := filepath.Join(t.TempDir(), "wsfront.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := StateDirOf(name); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := StateDirOf(filepath.Join(t.TempDir(), "none")); got != proxy.DefaultState() {
		t.Errorf("of no file: %q", got)
	}
}
