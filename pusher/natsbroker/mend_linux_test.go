package natsbroker

import (
	"context"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"wsfront/pusher"
)

// limitFiles has writes beyond a size fail, as on a disk that is full, until the
// returned function is called. It is for the process as a whole: the size is to be
// beyond what else the process writes.
func limitFiles(t *testing.T, size uint64) (lift func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ) // then the write fails, and no more
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	lift = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(lift)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	return lift
}

// The server inside takes no message any more once a write has failed. When there
// is room again, messages are stored again, without a restart of the process; what
// was acknowledged is there, and live messages arrive.
func TestMend_FullDiskIsGotOver(t *testing.T) {
	log := newJournal()
	b := openLogging(t, Options{Dir: t.TempDir()}, log)
	f := watchAll(t, b)
	lift := limitFiles(t, 4<<20)
	var acked []uint64
	for err := error(nil); err == nil; {
		var a pusher.Appended
		// One that the store has failed at is never answered.
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		a, err = b.Append(ctx, "a", draft(strings.Repeat("x", 300<<10)))
		cancel()
		if err == nil {
			acked = append(acked, a.Seq)
		}
	}
	eventually(t, "the fault is logged", func() bool { return log.has(pusher.EventStoreBroken) })
	if _, err := b.Append(t.Context(), "a", draft("more")); err == nil || !strings.Contains(err.Error(), "make room there") && !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("a message on a full disk: %v", err)
	}
	lift()
	eventually(t, "it goes on", func() bool { return log.has(pusher.EventStoreMended) })
	acked = append(acked, mustAppend(t, b, "a", draft("after")))
	f.await(t, len(acked))
	stored := map[uint64]bool{}
	for _, e := range next(t, b, "a", 0) {
		stored[e.Seq] = true
	}
	for _, seq := range acked {
		if !stored[seq] {
			t.Errorf("message %d was acknowledged, and is lost", seq)
		}
	}
}
