package proxy

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A disk that is full costs the lines, and no request.
func TestAccessFile_FullDiskCostsTheLinesAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	app, _ := answering(t, okAnswer)
	f := serveConfig(t, Config{
		AccessLog: AccessLog{File: path},
		Sites:     []Site{{Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", App: app}}}},
	})
	ask := func(path string) {
		t.Helper()
		if res, body := f.ask("GET " + path + " HTTP/1.1\nHost: a\nConnection: close"); res.StatusCode != 200 || body != "ok" {
			t.Errorf("%s: %s %q", path, res.Status, body)
		}
	}
	for range 3 {
		ask("/lost")
	}
	f.log.await(t, "access.write.failed", "no space left", "hint=")
	if err := os.Remove(path); err != nil { // as if there were room again
		t.Fatal(err)
	}
	f.ReopenAccessLog()
	ask("/kept")
	f.log.await(t, "msg=access.write ", "lost=")
	if n := strings.Count(f.log.String(), "access.write.failed"); n != 1 {
		t.Errorf("%d lines say that lines are lost", n)
	}
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "/kept") {
		t.Errorf("%q, %v", text, err)
	}
}

// filling takes a number of bytes, and no more until there is room again.
type filling struct {
	strings.Builder
	room int
}

func (f *filling) Write(p []byte) (int, error) {
	n := min(len(p), f.room)
	f.room -= n
	_, _ = f.Builder.Write(p[:n])
	if n < len(p) {
		return n, errors.New("full")
	}
	return n, nil
}

func TestAccessLog_HalfALineTakesNoOtherWithIt(t *testing.T) {
	out, log := &filling{room: 3}, newLines()
	a, err := newAccessLog(AccessLog{}, out, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	say := func(line string) { a.put(func(b []byte) []byte { return append(b, line...) }) }
	say("first\n")
	say("second\n")
	out.room = 100
	say("third\n")
	if got := out.String(); got != "fir\nthird\n" {
		t.Errorf("%q", got)
	}
	log.await(t, "msg=access.write ", "lost=2")
}
