//go:build e2e

package main_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	crashPublishers = 3
	crashEach       = 7000 // messages of each publisher
	crashClients    = 6
	crashRestarts   = 9 // six by SIGKILL, three by SIGTERM
	crashMessages   = crashPublishers * crashEach

	// crashAhead is how far publishers may be ahead of the slowest client. A
	// channel keeps 1000 messages, and who has missed more is told of a gap, with
	// good reason.
	crashAhead = 800

	// crashPause is how long publishers and clients wait before they try again
	// while the server is down.
	crashPause = 10 * time.Millisecond
)

// crash is one run: what was acknowledged, and what each client has.
type crash struct {
	server *pushServer
	ctx    context.Context
	stop   context.CancelCauseFunc // with what is wrong

	mu    sync.Mutex
	moved *sync.Cond // of all below, and of ctx
	acked map[string]uint64
	got   [crashClients][]string
	seqs  [crashClients][]uint64
	cuts  int
	again int // publishes
}

// testCrash is the proof of the promise: publishers that try again with the
// same Idempotency-Key, clients that are cut at random and resume, and a server
// that is killed or ended at random. Every client has every acknowledged message once,
// in the order of its publisher, and all have them in one order.
func (l *lab) testCrash(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	r := &crash{server: l.newPush(t, "--history", "durable"), acked: map[string]uint64{}}
	r.moved = sync.NewCond(&r.mu)
	r.ctx, r.stop = context.WithCancelCause(ctx)
	defer context.AfterFunc(r.ctx, r.moved.Broadcast)()
	r.server.start(t)

	var wg sync.WaitGroup
	defer wg.Wait()
	defer r.stop(nil)
	connected := make(chan struct{}, crashClients)
	for i := range crashClients {
		wg.Go(func() { r.listen(i, connected) }) // ends when it has all, or with r.ctx
	}
	for range crashClients {
		select {
		case <-connected:
		case <-r.ctx.Done():
			t.Fatal(context.Cause(r.ctx))
		}
	}
	for p := range crashPublishers {
		wg.Go(func() { r.publish(p) }) // ends with its last message, or with r.ctx
	}
	for k := range crashRestarts {
		const stretch = crashMessages / (crashRestarts + 1)
		moment := k*stretch + rand.IntN(stretch)
		r.await(t, func() bool { return len(r.acked) > moment })
		by := syscall.SIGKILL
		if k%3 == 2 { // a restart in good order must lose nothing either
			by = syscall.SIGTERM
		}
		r.server.restart(t, by)
	}
	r.await(t, func() bool { return len(r.acked) == crashMessages && r.slowest() == crashMessages })
	r.check(t)
	t.Logf("%d acknowledged messages, %d further attempts, %d clients cut %d times, the server restarted %d times: each client has all, once, in order",
		len(r.acked), r.again, crashClients, r.cuts, crashRestarts)
}

// await waits until done, which is asked with r.mu held.
func (r *crash) await(t *testing.T, done func() bool) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !done() {
		if r.ctx.Err() != nil {
			var has []int
			for _, got := range r.got {
				has = append(has, len(got))
			}
			t.Fatalf("%v; %d messages are acknowledged, the clients have %v", context.Cause(r.ctx), len(r.acked), has)
		}
		r.moved.Wait()
	}
}

// publish publishes the messages of one publisher, each until it is
// acknowledged. Now and then it does not wait for the answer, as one whose own
// deadline is over, and tries again.
func (r *crash) publish(publisher int) {
	for n := range crashEach {
		r.mu.Lock()
		for r.ctx.Err() == nil && len(r.acked)-r.slowest() > crashAhead {
			r.moved.Wait()
		}
		r.mu.Unlock()
		text := crashText(publisher, n)
		for r.ctx.Err() == nil {
			ctx, cancel := r.ctx, context.CancelFunc(func() {})
			if rand.IntN(50) == 0 {
				ctx, cancel = context.WithTimeout(r.ctx, time.Duration(rand.IntN(2000))*time.Microsecond)
			}
			at, err := r.server.tryPublish(ctx, "board", text, "id "+text)
			cancel()
			if err == nil {
				r.note(func() { r.acked[text] = at.Seq })
				break
			}
			if errors.Is(err, errRefused) {
				r.stop(err)
			}
			r.note(func() { r.again++ })
			r.pause()
		}
	}
}

func crashText(publisher, n int) string { return fmt.Sprintf("p%d %d", publisher, n) }

// slowest is how many messages the client with the fewest has. r.mu is held.
func (r *crash) slowest() int {
	least := crashMessages
	for _, got := range r.got {
		least = min(least, len(got))
	}
	return least
}

// note changes what others wait for.
func (r *crash) note(change func()) {
	r.mu.Lock()
	change()
	r.mu.Unlock()
	r.moved.Broadcast()
}

func (r *crash) pause() {
	select {
	case <-time.After(crashPause):
	case <-r.ctx.Done():
	}
}

// listen is one client, connection after connection, until it has as many
// messages as there are.
func (r *crash) listen(client int, connected chan<- struct{}) {
	c := &resumer{url: r.server.socketURL()}
	want := "new"
	for left := crashMessages; left > 0 && r.ctx.Err() == nil; {
		how, err := c.connect(r.ctx)
		switch {
		case err == nil && how != want:
			r.stop(fmt.Errorf("client %d was told %s at %s, want %s", client, how, c.token, want))
		case err != nil:
			r.pause()
		case want == "new":
			want = "resumed"
			connected <- struct{}{}
			fallthrough
		default:
			left -= r.readSome(client, c, min(left, rand.IntN(400)))
		}
		if c.conn != nil {
			c.cut()
		}
	}
}

// cut ends the connection as a broken network does: without a goodbye, by FIN or
// RST, with the server in the middle of its work.
func (c *resumer) cut() {
	if rand.IntN(2) == 0 {
		_ = c.conn.NetConn().(*net.TCPConn).SetLinger(0)
	}
	_ = c.conn.Close()
}

// readSome reads up to n messages, and returns how many came before the
// connection ended.
func (r *crash) readSome(client int, c *resumer, n int) int {
	for i := range n {
		text, at, err := c.read()
		if errors.Is(err, errNotResume) {
			r.stop(fmt.Errorf("client %d: %w", client, err))
		}
		if err != nil {
			return i
		}
		r.note(func() {
			r.got[client] = append(r.got[client], text)
			r.seqs[client] = append(r.seqs[client], at.Seq)
		})
	}
	r.note(func() { r.cuts++ })
	return n
}

// check compares what the clients have with what was acknowledged.
func (r *crash) check(t *testing.T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for client, got := range r.got {
		var next [crashPublishers]int
		for i, text := range got {
			var publisher, n int
			if _, err := fmt.Sscanf(text, "p%d %d", &publisher, &n); err != nil {
				t.Fatalf("client %d got %q, which nobody published", client, text)
			}
			if n != next[publisher] {
				t.Fatalf("client %d got %q, want number %d", client, text, next[publisher])
			}
			next[publisher]++
			if seq := r.seqs[client][i]; seq != r.acked[text] {
				t.Errorf("client %d got %q at %d, and the publisher was told %d", client, text, seq, r.acked[text])
			}
		}
		if !slices.Equal(got, r.got[0]) {
			t.Errorf("clients 0 and %d have the messages in different orders", client)
		}
		if !slices.IsSorted(r.seqs[client]) {
			t.Errorf("client %d got positions that go back", client)
		}
	}
}
