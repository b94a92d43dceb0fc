package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// install puts a script in the place of the program.
func (u *upgrading) install(script string) {
	u.t.Helper()
	binary := filepath.Join(u.dir, "wsfront")
	if err := errors.Join(os.Remove(binary), os.WriteFile(binary, []byte("#!/bin/sh\n"+script+"\n"), 0o700)); err != nil {
		u.t.Fatal(err)
	}
}

// A new process that hangs holds up neither pages nor the end of the old one, and
// does not outlive that.
func TestUpgrade_NewProcessHangs(t *testing.T) {
	for name, script := range map[string]string{
		"before it is prepared": `exec /bin/sleep 600`,
		"before it serves":      `echo '{"word":"prepared"}' >&3; exec /bin/sleep 600`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it takes holdTime
			u := startUpgrading(t)
			later := strings.Contains(script, "prepared")
			var pushed *websocket.Conn
			if later {
				pushed = u.open("/push")
			}
			u.install(script)
			ordered := make(chan error, 1)
			go func() { ordered <- u.order() }() // ends with the first process, awaited below
			u.await("msg=upgrade.start")
			if later {
				if code := closedBy(pushed); code != websocket.CloseServiceRestart {
					t.Errorf("the push client got %d", code)
				}
			}
			if err := page(t.Context(), &http.Transport{DisableKeepAlives: true}, "http://"+u.http+"/wsfront.yaml"); err != nil {
				t.Error(err)
			}
			_ = u.first.Process.Signal(syscall.SIGTERM)
			u.endOfFirst()
			if err := <-ordered; err == nil || !strings.Contains(err.Error(), "told to end") {
				t.Errorf("upgraded: %v", err)
			}
			var status syscall.WaitStatus
			if _, err := syscall.Wait4(pidsIn(u.log())[0], &status, 0, nil); err != nil || status.Signal() != syscall.SIGKILL {
				t.Errorf("the new process: %v, %v", status, err)
			}
		})
	}
}

// A new process that was told to end before it served does not take the place.
func TestUpgrade_NewProcessIsToldToEnd(t *testing.T) {
	u := startUpgrading(t)
	pushed := u.open("/push")
	pushed.SetCloseHandler(func(int, string) error { return nil }) // it is waited for
	ordered := make(chan error, 1)
	go func() { ordered <- u.order() }() // ends as the new process does, awaited below
	if code := closedBy(pushed); code != websocket.CloseServiceRestart {
		t.Errorf("the push client got %d", code)
	}
	_ = syscall.Kill(pidsIn(u.log())[0], syscall.SIGTERM)
	if err := <-ordered; err == nil || !strings.Contains(err.Error(), "told to end") {
		t.Errorf("upgraded: %v", err)
	}
	u.echoes(u.open("/echo"))
	if err := u.publish(t.Context(), "as before"); err != nil {
		t.Error(err)
	}
}

// The file of a unix socket goes with the last process, whatever became of
// upgrades.
func TestUpgrade_UnixSocketOfThePublishAPI(t *testing.T) {
	path := filepath.Join(t.TempDir(), "publish.sock")
	for _, upgrades := range []int{0, 1} {
		u := startUpgrading(t, "push: {publish: {listen: 'unix:"+path+"'}}")
		for range upgrades {
			u.upgrade()
		}
		u.edit("drain_timeout: 5s", "nonsense: true")
		if err := u.order(); err == nil {
			t.Error("upgraded with mistakes")
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		last := u.first.Process.Pid
		if upgrades > 0 {
			last = u.successors[0]
		}
		_ = syscall.Kill(last, syscall.SIGTERM)
		u.endOfFirst()
		if upgrades > 0 {
			u.reap()
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("after %d upgrades the socket is left behind", upgrades)
		}
	}
}

// The file of an address that the new process has no more goes as well.
func TestUpgrade_UnixSocketThatIsNoMore(t *testing.T) {
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before.sock"), filepath.Join(dir, "after.sock")
	u := startUpgrading(t, "push: {publish: {listen: 'unix:"+before+"'}}")
	u.edit(before, after)
	u.upgrade()
	if _, err := os.Stat(before); err == nil {
		t.Error("the socket is left behind")
	}
	if _, err := os.Stat(after); err != nil {
		t.Error(err)
	}
}

// Neither descriptors nor processes add up, and what serves in the end does so as
// what served first.
func TestUpgrade_AgainAndAgain(t *testing.T) {
	u := startUpgrading(t)
	u.upgrade() // from here on each has a process before it
	u.endOfFirst()
	begun := descriptors(t, u.successors[0])
	const times = 10
	for range times {
		u.upgrade()
		if status := u.reap(); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}
	u.edit("drain_timeout: 5s", "nonsense: true")
	for range times {
		if err := u.order(); err == nil {
			t.Fatal("upgraded with mistakes")
		}
		failed := pidsIn(u.log())
		if _, err := syscall.Wait4(failed[len(failed)-1], nil, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	// Those of the last order are closed soon.
	for deadline := time.Now().Add(patience); descriptors(t, u.successors[0]) > begun; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors at first, %d in the end", begun, descriptors(t, u.successors[0]))
		}
	}
	u.echoes(u.open("/echo"))
}

// descriptors is how many a process has open.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	open, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
