package natsbroker

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"wsfront/pusher"
)

// journal keeps the names of events that are logged.
type journal struct {
	slog.Handler
	mu   sync.Mutex
	text strings.Builder
}

func newJournal() *journal {
	j := new(journal)
	j.Handler = slog.NewTextHandler(j, nil)
	return j
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) has(part string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Contains(j.text.String(), part)
}

// follower keeps what Watch hands out, and can be stopped.
type follower struct {
	mu   sync.Mutex
	gate sync.Mutex // held: deliver does not return
	list []*pusher.Entry
}

func (f *follower) deliver(e *pusher.Entry) {
	f.gate.Lock()
	defer f.gate.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, e)
}

// hold stops deliver until the release, or the end of the test.
func (f *follower) hold(t *testing.T) (release func()) {
	f.gate.Lock()
	release = sync.OnceFunc(f.gate.Unlock)
	t.Cleanup(release)
	return release
}

func (f *follower) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.list)
}

// await waits for n messages of any channels, without one missing.
func (f *follower) await(t *testing.T, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d messages are watched", n), func() bool { return f.len() >= n })
	f.mu.Lock()
	defer f.mu.Unlock()
	prev := map[string]uint64{}
	before := uint64(0)
	for _, e := range f.list {
		if e.Seq <= before || e.Prev != prev[e.Channel] {
			t.Fatalf("message %d of %s with Prev %d comes after %d of all and %d of it", e.Seq, e.Channel, e.Prev, before, prev[e.Channel])
		}
		before, prev[e.Channel] = e.Seq, e.Seq
	}
	if len(f.list) != n {
		t.Fatalf("%d messages, want %d", len(f.list), n)
	}
}

func watchAll(t *testing.T, b *Broker) *follower {
	t.Helper()
	f := new(follower)
	if _, err := b.Watch(f.deliver); err != nil {
		t.Fatal(err)
	}
	return f
}

// Most of what comes is dropped before it gets to Watch's function, the newest
// message at last: nothing that comes later shows that it is missing.
func TestWatch_WhatWasDroppedIsReadFromTheStore(t *testing.T) {
	log := newJournal()
	b := openLogging(t, Options{Dir: t.TempDir()}, log)
	f := watchAll(t, b)
	if err := b.watch.sub.SetPendingLimits(2, 1<<20); err != nil {
		t.Fatal(err)
	}
	const n = 600
	release := f.hold(t)
	for i := range n {
		mustAppend(t, b, fmt.Sprintf("c%d", i%5), draft("x"))
	}
	if dropped, err := b.watch.sub.Dropped(); err != nil || dropped < n/2 {
		t.Errorf("%d messages were dropped, %v: the test proves nothing", dropped, err)
	}
	release()
	f.await(t, n)
	eventually(t, "the hole is logged", func() bool { return log.has(pusher.EventStoreHole) })
	mustAppend(t, b, "c0", draft("x"))
	f.await(t, n+1)
}

// Behind what was dropped there is a message that comes live.
func TestWatch_HoleIsFilledBeforeWhatFollows(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir()})
	f := watchAll(t, b)
	limit := func(messages int) {
		t.Helper()
		if err := b.watch.sub.SetPendingLimits(messages, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	limit(2)
	release := f.hold(t)
	for range 20 {
		mustAppend(t, b, "a", draft("x"))
	}
	limit(100)
	mustAppend(t, b, "a", draft("x"))
	if pending, _, err := b.watch.sub.Pending(); err != nil || pending == 0 {
		t.Errorf("%d wait, %v: the test proves nothing", pending, err)
	}
	release()
	f.await(t, 21)
}

func TestWatch_OnlyOne(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir()})
	watchAll(t, b)
	if _, err := b.Watch(func(*pusher.Entry) {}); err == nil {
		t.Error("a second Watch is accepted")
	}
}

func TestExternal_TwoProcessesShareOneStore(t *testing.T) {
	url := external(t)
	const publishers, each = 4, 50
	var nodes [2]*Broker
	var followers [2]*follower
	for i := range nodes {
		nodes[i] = open(t, Options{URL: url})
		followers[i] = watchAll(t, nodes[i])
	}
	if nodes[0].Epoch() != nodes[1].Epoch() {
		t.Error("they have two epochs")
	}
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				d := pusher.Draft{Data: fmt.Appendf(nil, "%d-%d", p, i), ID: fmt.Sprintf("%d-%d", p, i)}
				first, err := nodes[p%2].Append(context.Background(), "a", d)
				if err != nil || first.Duplicate {
					t.Errorf("message %s: %+v, %v", d.ID, first, err)
				}
				again, err := nodes[1-p%2].Append(context.Background(), "a", d)
				if err != nil || !again.Duplicate || again.Seq != first.Seq {
					t.Errorf("message %s is %+v and over the other one %+v, %v", d.ID, first, again, err)
				}
			}
		})
	}
	wg.Wait()
	for _, f := range followers {
		f.await(t, publishers*each)
	}
	if list := next(t, nodes[1], "a", 0); len(list) != publishers*each {
		t.Errorf("%d messages are stored", len(list))
	}
}

// Somebody else writes to the subjects of the stream.
func TestExternal_ForeignMessagesArePassedOver(t *testing.T) {
	b := open(t, Options{URL: external(t)})
	f := watchAll(t, b)
	write := func(subject string) {
		t.Helper()
		if _, err := b.conn.Request(b.names.messages+subject, []byte("foreign"), testPatience); err != nil {
			t.Fatal(err)
		}
	}
	seq := mustAppend(t, b, "a", draft("1"))
	if err := b.watch.sub.SetPendingLimits(1, 1<<20); err != nil {
		t.Fatal(err)
	}
	release := f.hold(t)
	for range 5 {
		if _, err := b.Append(t.Context(), "b", draft("x")); err != nil {
			t.Error(err)
		}
		write("b")
		write("c")
	}
	release()
	eventually(t, "six messages are watched", func() bool { return f.len() == 6 })
	if list := next(t, b, "b", 0); len(list) != 5 {
		t.Errorf("%d messages", len(list))
	}
	write("a")
	if list := next(t, b, "a", 0); len(list) != 1 || list[0].Seq != seq {
		t.Errorf("%d messages", len(list))
	}
	mustAppend(t, b, "a", draft("2"))
	if list := next(t, b, "a", seq); len(list) != 1 || list[0].Prev <= seq {
		t.Errorf("behind a foreign message: %+v", list)
	}
}

func TestExternal_ServerComesBack(t *testing.T) {
	options := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
	}
	start := func() *server.Server {
		s, err := server.NewServer(options)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		if !s.ReadyForConnections(testPatience) {
			t.Fatal("the NATS server does not start")
		}
		return s
	}
	s := start()
	stop := func() { s.Shutdown(); s.WaitForShutdown() }
	defer func() { stop() }()
	log := newJournal()
	b := openLogging(t, Options{URL: s.ClientURL()}, log)
	f := watchAll(t, b)
	other := open(t, Options{URL: s.ClientURL()})
	mustAppend(t, b, "a", draft("1"))
	f.await(t, 1)
	epoch := b.Epoch()

	options.Port = s.Addr().(*net.TCPAddr).Port
	stop()
	eventually(t, "the loss is logged", func() bool { return log.has(pusher.EventStoreDown) })
	s = start()
	mustAppend(t, other, "a", draft("2")) // perhaps before b is there again
	mustAppend(t, b, "a", draft("3"))
	f.await(t, 3)
	eventually(t, "the return is logged", func() bool { return log.has(pusher.EventStoreUp) })
	if !reaches(t, b, epoch, 3) {
		t.Error("the token does not reach")
	}
}

func TestOpen_ErrorsKeepThePassword(t *testing.T) {
	log := newJournal()
	for _, url := range []string{"nats://user:hunter2@127.0.0.1:1", "nats://user:hunter2@127.0.0.1:x", "nats://user:hunter2@"} {
		_, err := Open(t.Context(), Options{URL: url}, slog.New(log))
		if err == nil {
			t.Fatal("connected to nothing")
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	if log.has("hunter2") {
		t.Error("the log tells the password")
	}
}
