package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"wsfront/cmd/internal/admin"
)

func (u *upgrading) reload() {
	u.t.Helper()
	if err := admin.Reload(u.t.Context(), filepath.Join(u.dir, "state")); err != nil {
		u.t.Fatal(err)
	}
}

// burden is how many files the process has open, and its memory in KiB.
func (u *upgrading) burden() (files, memory int) {
	u.t.Helper()
	proc := fmt.Sprintf("/proc/%d/", u.first.Process.Pid)
	list, err := os.ReadDir(proc + "fd")
	if err != nil {
		u.t.Fatal(err)
	}
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		u.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	memory, err = strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		u.t.Fatal(err)
	}
	return len(list), memory
}

// crowd opens tunnels and push clients.
func (u *upgrading) crowd(tunnels, pushed int) (echoes, pushes []*websocket.Conn) {
	u.t.Helper()
	for range tunnels {
		echoes = append(echoes, u.open("/echo"))
	}
	for range pushed {
		pushes = append(pushes, u.open("/push"))
	}
	return echoes, pushes
}

// allThere shows that nobody of a crowd was cut.
func (u *upgrading) allThere(echoes, pushes []*websocket.Conn) {
	u.t.Helper()
	for _, c := range echoes {
		u.echoes(c)
	}
	if err := u.publish(u.t.Context(), "to all of you"); err != nil {
		u.t.Fatal(err)
	}
	for _, c := range pushes {
		if _, text, err := c.ReadMessage(); err != nil || string(text) != "to all of you" {
			u.t.Fatalf("%q, %v", text, err)
		}
	}
}

func TestReload_CutsNobodyHoweverOften(t *testing.T) {
	u := startUpgrading(t)
	echoes, pushes := u.crowd(50, 50)
	u.reload()
	before, _ := u.burden()
	for range 50 {
		u.reload()
	}
	u.allThere(echoes, pushes)
	// A few more: the publisher's connection, and those of orders.
	if after, _ := u.burden(); after > before+5 {
		t.Errorf("%d files are open, %d before", after, before)
	}
}

func TestReload_RouteThatIsGoneTakesItsPushClientsAlong(t *testing.T) {
	u := startUpgrading(t)
	echoes, pushes := u.crowd(1, 3)
	u.reload() // by another handler than the one they came by
	u.edit("      - {path: /push, push: {channel: board}}\n", "      - {path: /elsewhere, push: {channel: board}}\n")
	u.reload()
	for _, c := range pushes {
		if code := closedBy(c); code != websocket.CloseGoingAway {
			t.Errorf("a push client got %d", code)
		}
	}
	u.echoes(echoes[0])
}

// BenchmarkReload reloads while 1,000 tunnels and 200 push clients are open, and
// tells what of the machine the process has before and after. The bar is a
// thousand times: -benchtime 1000x.
func BenchmarkReload(b *testing.B) {
	u := startUpgrading(b)
	echoes, pushes := u.crowd(1000, 200)
	u.reload()
	files, memory := u.burden()
	for b.Loop() {
		u.reload()
	}
	b.StopTimer()
	u.allThere(echoes, pushes)
	filesNow, memoryNow := u.burden()
	b.Logf("%d reloads, nobody cut; open files %d, then %d; memory %d KiB, then %d KiB", b.N, files, filesNow, memory, memoryNow)
}
