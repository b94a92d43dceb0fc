package relay

import (
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// oneLoop is a running engine all of whose tunnels share a loop, and that loop.
// stop ends it; the test's end does at the latest.
func oneLoop(t *testing.T) (e *Engine, l *loop, stop func()) {
	t.Helper()
	e = newEngine()
	l, err := openLoop(e)
	if err != nil {
		t.Fatal(err)
	}
	e.loops = []*loop{l}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { // stopped and waited for by stop
		defer close(ended)
		_ = e.Run(ctx)
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return e, l, stop
}

// tell is an owner that is a function.
type tell func(Result)

func (f tell) Over(r Result) { f(r) }

// joined is a tunnel of two connections of TCP with small buffers, and the far
// ends.
func joined(t *testing.T, e *Engine, owner Owner) (tn *Tunnel, far [2]net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var near [2]net.Conn
	for i := range near {
		near[i], far[i] = pair(t, l)
		for _, c := range []net.Conn{near[i], far[i]} {
			c.(*net.TCPConn).SetReadBuffer(64 << 10)
			c.(*net.TCPConn).SetWriteBuffer(64 << 10)
		}
		far[i].SetDeadline(time.Now().Add(10 * time.Second))
	}
	return e.Start(near[client], near[backend], &Options{}, Early{}, owner), far
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come to that: %s", what)
		}
	}
}

// holdUp stops the loop of a tunnel within a round, by an event for that tunnel.
func holdUp(t *testing.T, tn *Tunnel, far [2]net.Conn) (release func()) {
	t.Helper()
	// Once a byte has passed, the loop has admitted the tunnel, which it needs
	// its lock for as well.
	if _, err := far[client].Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := far[backend].Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	tn.mu.Lock()
	release = sync.OnceFunc(tn.mu.Unlock)
	t.Cleanup(release) // before the engine is stopped, which needs the lock
	if _, err := far[client].Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	all := make([]byte, 1<<20)
	until(t, "the loop waits for the tunnel's lock", func() bool {
		for g := range strings.SplitSeq(string(all[:runtime.Stack(all, true)]), "\n\n") {
			if strings.Contains(g, "[sync.Mutex.Lock") && strings.Contains(g, "(*loop).handle(") {
				return true
			}
		}
		return false
	})
	return release
}

// fill has s say as much as the tunnel takes while nobody reads it, and no more:
// all of it is read, and a part of it is kept. It returns how much that is.
func fill(t *testing.T, tn *Tunnel, far net.Conn, s side) (sent int) {
	t.Helper()
	lt := tn.mover.(*looped)
	full := func() bool {
		tn.mu.Lock()
		defer tn.mu.Unlock()
		return lt.ends[s.other()].kept != nil
	}
	for chunk := make([]byte, 16<<10); ; {
		n, err := far.Write(chunk)
		if err != nil {
			t.Fatal(err)
		}
		sent += n
		until(t, "what was said is read", func() bool {
			tn.mu.Lock()
			read := tn.ways[s].bytes == int64(sent)
			tn.mu.Unlock()
			return read || full()
		})
		if !full() {
			continue
		}
		// The kernel may still find room on the other side. A machine that pauses
		// for so long makes the test weaker, never red.
		<-time.After(50 * time.Millisecond)
		if full() {
			return sent
		}
	}
}

// Both sides had stopped reading, and read again in the same moment. What one of
// them had said in the meantime must not wait for another event of the loop.
func TestLoop_BothSidesThatReadAgainAreReadAgain(t *testing.T) {
	for _, first := range []side{client, backend} {
		t.Run(first.String()+" first", func(t *testing.T) {
			e, _, _ := oneLoop(t)
			holder, holderFar := joined(t, e, tell(func(Result) {}))
			tn, far := joined(t, e, tell(func(Result) {}))
			lt := tn.mover.(*looped)
			second := first.other()

			var sent [2]int
			for _, s := range []side{first, second} {
				sent[s] = fill(t, tn, far[s], s)
			}
			if _, err := io.WriteString(far[second], "the rest"); err != nil {
				t.Fatal(err)
			}
			sent[second] += len("the rest")

			release := holdUp(t, holder, holderFar)
			got := [2]int{}
			for _, s := range []side{first, second} { // to each what the kernel has for it
				tn.mu.Lock()
				n := sent[s.other()]
				if k := lt.ends[s].kept; k != nil {
					n -= len(k.buf)
				}
				tn.mu.Unlock()
				if s == first {
					n -= len("the rest")
				}
				if _, err := io.ReadFull(far[s], make([]byte, n)); err != nil {
					t.Fatal(err)
				}
				got[s] = n
			}
			release()
			for _, s := range []side{first, second} {
				n, err := io.ReadFull(far[s], make([]byte, sent[s.other()]-got[s]))
				if err != nil {
					t.Errorf("the %s got %d bytes of the %d that were left, %v", s, n, sent[s.other()]-got[s], err)
				}
			}
		})
	}
}

// A read of TCP ends before a byte that was sent as urgent, whatever there is
// behind it.
func TestLoop_UrgentByteHoldsNothingUp(t *testing.T) {
	e, _, _ := oneLoop(t)
	holder, holderFar := joined(t, e, tell(func(Result) {}))
	_, far := joined(t, e, tell(func(Result) {}))
	release := holdUp(t, holder, holderFar)
	raw, err := far[client].(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		for _, s := range []struct {
			text  string
			flags int
		}{{"before ", 0}, {"!", unix.MSG_OOB}, {"and behind", 0}} {
			if err := unix.Sendto(int(fd), []byte(s.text), s.flags, nil); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	release()
	got := make([]byte, len("before and behind"))
	if n, err := io.ReadFull(far[backend], got); err != nil || string(got) != "before and behind" {
		t.Errorf("the backend got %q, %v", got[:n], err)
	}
}
