package proxy

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func readLog(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAccessFile_IsAppendedToAndRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	f := serveConfig(t, Config{AccessLog: AccessLog{Format: AccessCombined, File: path}, Sites: []Site{{
		Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", Files: writeTree(t, "a.txt", "ok")}},
	}}})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&^0o640 != 0 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	f.ReopenAccessLog() // behind what is there
	f.ask("GET /a.txt?one HTTP/1.1\nHost: a\nConnection: close")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	f.ask("GET /a.txt?two HTTP/1.1\nHost: a\nConnection: close")
	f.ReopenAccessLog()
	f.ask("GET /a.txt?three HTTP/1.1\nHost: a\nConnection: close")
	f.stop()
	f.log.await(t, "access.reopen", "file="+path)
	if got := readLog(t, path+".1"); strings.Count(got, "\n") != 2 || !strings.Contains(got, "?one") || !strings.Contains(got, "?two") {
		t.Errorf("the old file has %q", got)
	}
	if got := readLog(t, path); strings.Count(got, "\n") != 1 || !strings.Contains(got, "?three") {
		t.Errorf("the new file has %q", got)
	}
	if f.access.String() != "" {
		t.Errorf("the writer got lines as well: %s", f.access)
	}
}

// Not everybody who rotates a file sends a signal.
func TestAccessFile_ANewFileOfItsNameIsNoticed(t *testing.T) {
	for _, c := range []struct {
		name   string
		rotate func(path string) error
	}{
		{"renamed", func(path string) error { return os.Rename(path, path+".1") }},
		{"renamed and created", func(path string) error {
			if err := os.Rename(path, path+".1"); err != nil {
				return err
			}
			return os.WriteFile(path, nil, 0o600)
		}},
		{"replaced", func(path string) error {
			if err := os.Link(path, path+".1"); err != nil {
				return err
			}
			if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "access.log")
			f := newFront(t, Config{AccessLog: AccessLog{Format: AccessCombined, File: path}, Sites: []Site{{
				Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", Redirect: Redirect{Status: 410}}},
			}}})
			f.filePoll = 5 * time.Millisecond
			f.run()
			f.ask("GET /one HTTP/1.1\nHost: a\nConnection: close")
			until(t, "the line is there", func() bool { return strings.Contains(readLog(t, path), "/one") })
			if err := c.rotate(path); err != nil {
				t.Fatal(err)
			}
			f.log.await(t, "access.reopen", "file="+path)
			f.ask("GET /two HTTP/1.1\nHost: a\nConnection: close")
			f.stop()
			if old, now := readLog(t, path+".1"), readLog(t, path); strings.Contains(old, "/two") || strings.Contains(now, "/one") || !strings.Contains(now, "/two") {
				t.Errorf("the old file has %q, the new one %q", old, now)
			}
			if n := strings.Count(f.log.String(), "access.reopen"); n != 1 {
				t.Errorf("opened anew %d times:\n%s", n, f.log)
			}
		})
	}
}

// A file that cannot be opened is told of once, and opened as soon as it can be.
func TestAccessFile_WatchTellsOnceAndGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "access.log")
	f := newFront(t, Config{AccessLog: AccessLog{Format: AccessCombined, File: path}, Sites: []Site{{
		Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", Redirect: Redirect{Status: 410}}},
	}}})
	f.filePoll = time.Millisecond
	f.run()
	if err := os.Rename(dir, dir+".1"); err != nil {
		t.Fatal(err)
	}
	f.log.await(t, "access.reopen.failed", "does not exist")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f.log.await(t, "msg=access.reopen ", "file="+path)
	if n := strings.Count(f.log.String(), "access.reopen.failed"); n != 1 {
		t.Errorf("told of %d times:\n%s", n, f.log)
	}
}

func TestAccessFile_LinesStayWholeWhileItIsRotated(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	a, err := newAccessLog(AccessLog{File: path, Format: AccessJSON}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 500
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() { // ends by itself
			x := loggedExchange()
			for range each {
				a.write(x)
			}
		})
	}
	for i := range 50 {
		if err := os.Rename(path, fmt.Sprintf("%s.%d", path, i)); err != nil {
			t.Fatal(err)
		}
		f, err := openAccessFile(path)
		if err != nil {
			t.Fatal(err)
		}
		a.redirect(f)
	}
	wg.Wait()
	a.close()
	files, _ := filepath.Glob(path + "*")
	count := 0
	for _, file := range files {
		for line := range bytes.Lines([]byte(readLog(t, file))) {
			if !bytes.HasPrefix(line, []byte(`{"time":"`)) || !bytes.HasSuffix(line, []byte("\"}\n")) {
				t.Fatalf("a torn line: %q", line)
			}
			count++
		}
	}
	if len(files) != 51 || count != writers*each {
		t.Errorf("%d lines in %d files, want %d in 51", count, len(files), writers*each)
	}
}

func TestAccessFile_FailureKeepsTheOldOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	f := serveConfig(t, Config{AccessLog: AccessLog{File: path}, Sites: []Site{{
		Hosts: []string{"*"}, TLS: TLS{Mode: TLSOff}, Routes: []Route{{Path: "/", Files: writeTree(t, "a.txt", "ok")}},
	}}})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	f.ReopenAccessLog()
	f.log.await(t, "access.reopen.failed", "is a directory", "written on")
	f.ask("GET /a.txt HTTP/1.1\nHost: a\nConnection: close")
	f.stop()
	if got := readLog(t, path+".1"); !strings.Contains(got, "/a.txt") {
		t.Errorf("the old file has %q", got)
	}
}

func TestAccessFile_ThatCannotBeOpenedIsRefusedAtTheStart(t *testing.T) {
	cfg := validConfig()
	cfg.Sites[0].TLS.Mode, cfg.State = TLSOff, t.TempDir()
	cfg.AccessLog.File = t.TempDir() + "/none/access.log"
	if _, err := New(cfg, nil, nil); err == nil || !strings.HasPrefix(err.Error(), "access_log.file: the folder ") {
		t.Error(err)
	}
}

func TestAccessLog_SkipsPathsAtSegmentBoundaries(t *testing.T) {
	r := servePolicy(t, Config{AccessLog: AccessLog{Skip: []string{"/ws", "/files/", "/app/poll"}}}, Route{})
	ways := r.ways()
	for _, way := range []string{"HTTP/1.1", "HTTP/2"} {
		for _, path := range []string{"/app/poll", "/app/poll/x", "/app/%70oll?q", "/files/a.txt", "/app/pollen", "/files", "/app/poll/%00", "/last"} {
			ways[way](t, path, "")
		}
	}
	end, res := r.handshake("/ws", "")
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res.Status)
	}
	end.conn.Close()
	r.closed()
	r.stop()
	var got []string
	for line := range strings.Lines(r.access.String()) {
		_, uri, _ := strings.Cut(line, `"uri":"`)
		uri, _, _ = strings.Cut(uri, `"`)
		got = append(got, uri)
	}
	slices.Sort(got)
	// What was refused before its path was known is always shown.
	want := []string{"/app/poll/%00", "/app/poll/%00", "/app/pollen", "/app/pollen", "/files", "/files", "/last", "/last"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestReload_RefusesAnotherAccessLog(t *testing.T) {
	f := serveFront(t, Route{Path: "/", App: "http://127.0.0.1:9"})
	for field, change := range map[string]func(*AccessLog){
		"access_log.format": func(a *AccessLog) { a.Format = AccessCombined },
		"access_log.file":   func(a *AccessLog) { a.File = "/var/log/other.log" },
		"access_log.skip":   func(a *AccessLog) { a.Skip = []string{"/x"} },
	} {
		next := f.cfg
		change(&next.AccessLog)
		if err := f.Reload(next); err == nil || !strings.HasPrefix(err.Error(), "config reload not supported for "+field+": old=") {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := f.Reload(f.cfg); err != nil {
		t.Error(err)
	}
}
