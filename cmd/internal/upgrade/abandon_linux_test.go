package upgrade

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What a new process had may be taken back only when nothing of it is left, also
// where it was given up since its time was over.
func TestAbandon_WaitsForTheEnd(t *testing.T) {
	dir := t.TempDir()
	begun, ended := filepath.Join(dir, "begun"), filepath.Join(dir, "ended")
	// The one that is killed leaves another that has what it inherited.
	program := Program{path: "/bin/sh", dir: dir, args: []string{"sh", "-c", "(echo >begun; sleep 0.3; echo >ended) & wait"}}
	s, err := program.Start(nil)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // between two looks
		if _, err := os.Stat(begun); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was started")
		}
	}
	if err := s.Prepared(t.Context(), time.Millisecond); err == nil {
		t.Error("a process that says nothing is prepared")
	}
	s.Abandon()
	if _, err := os.Stat(ended); err != nil {
		t.Error("abandoned while something was left:", err)
	}
}
