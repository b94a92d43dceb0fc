package relay

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"wsfront/proxy/record"
)

const (
	// maxLoops bounds the loops of an engine: one is busy for 15 µs with a
	// message, so that these carry half a million messages a second.
	maxLoops = 8
	// readSize is how much one read takes at most, and so what a tunnel may
	// move in one direction before it is another one's turn.
	readSize = 64 << 10
	// inSize has room for a record that was begun before a read.
	inSize = readSize + record.MaxRecord
	// outSize has room for all of that sealed anew, and for control frames.
	outSize = inSize + 4<<10
	// clockGrain is what the times of a loop's clock are rounded up to, in
	// nanoseconds (17 ms), so that it rings once for many tunnels.
	clockGrain = 1 << 24
)

// A loop carries tunnels by one goroutine. It waits for all their sockets by an
// epoll descriptor, which Go's own poller waits for in turn: a thread that
// blocks in epoll_wait itself costs a switch of threads for every message.
type loop struct {
	engine *Engine
	epoll  *os.File
	ready  syscall.RawConn // of epoll
	epfd   int
	wakeUp int // an eventfd, readable while queue is not empty

	round  func(fd uintptr) bool // doRound, bound once as that is allocated
	events [128]unix.EpollEvent
	left   bool // something may be left that was there before this round
	ended  bool

	in, out []byte    // what all tunnels read into, and are sealed into
	slots   []*looped // events carry a slot's number
	free    []int32   // slots that are nil
	clock   clock
	rings   int64 // when epoll's read deadline is; 0 is never

	mu      sync.Mutex
	queue   []*looped // to be looked at
	carries int       // tunnels it was given and has not ended
	over    bool
}

// openLoops opens the event loops of an engine.
func openLoops(e *Engine) ([]*loop, error) {
	var loops []*loop
	for range min(runtime.GOMAXPROCS(0), maxLoops) {
		l, err := openLoop(e)
		if err != nil {
			for _, l := range loops {
				l.close()
			}
			return nil, err
		}
		loops = append(loops, l)
	}
	return loops, nil
}

func openLoop(e *Engine) (*loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wakeUp, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epfd)
		return nil, os.NewSyscallError("eventfd", err)
	}
	l := &loop{engine: e, epfd: epfd, wakeUp: wakeUp}
	l.round = l.doRound
	if err := l.join(); err != nil {
		unix.Close(wakeUp)
		unix.Close(epfd)
		return nil, err
	}
	return l, nil
}

// wakeUpSlot is the slot of the eventfd.
const wakeUpSlot = -1

// join hands the epoll descriptor to Go's poller, and the eventfd to epoll.
func (l *loop) join() error {
	// os.NewFile hands only such descriptors to the poller that do not block.
	if err := unix.SetNonblock(l.epfd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeUpSlot}
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, l.wakeUp, &event); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	l.epoll = os.NewFile(uintptr(l.epfd), "epoll")
	var err error
	l.ready, err = l.epoll.SyscallConn()
	return err
}

func (l *loop) close() {
	// Nobody waits for either any more, and nothing is lost with them.
	_ = l.epoll.Close()
	_ = unix.Close(l.wakeUp)
}

// run carries the loop's tunnels until stop, and closes the loop.
func (l *loop) run() {
	defer l.close()
	l.in = make([]byte, inSize)
	l.out = make([]byte, 0, outSize)
	for !l.ended {
		err := l.ready.Read(l.round)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			l.ring(l.engine.now())
		} else if err != nil {
			// It cannot happen before close, and a loop that does not wait is
			// worse than a crash that says so.
			panic(fmt.Sprintf("relay: wait for the sockets of tunnels: %v", err))
		}
	}
}

// doRound takes the events that there are and moves the bytes that they are
// about. It returns false to have Go's poller wait for the next event.
//
// That poller reports only what is new since it was last asked, not what is
// still there. So before it is asked, nothing may be left that was there
// already; but to ask epoll for that each time would be one more call for every
// message. It is asked only where something may be left: see handle.
func (l *loop) doRound(uintptr) bool {
	for {
		n, err := unix.EpollWait(l.epfd, l.events[:], 0)
		if err == unix.EINTR {
			continue
		}
		// No other error is possible with a descriptor and a buffer of ours.
		now := l.engine.now()
		woken := false
		l.left = n == len(l.events)
		for i := range max(n, 0) {
			if e := &l.events[i]; e.Fd == wakeUpSlot {
				woken = true
			} else {
				l.handle(e, now)
			}
		}
		// A slot that an event of this round freed may be taken only now, as
		// another event of the round might still name it.
		if woken {
			l.lookUp(now)
		}
		l.ring(now)
		if l.ended || !l.left {
			return l.ended
		}
	}
}

// stop ends run. The tunnels must have ended before.
func (l *loop) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.signal()
}

// post has the loop look at lt.
func (l *loop) post(lt *looped) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Of a loop that is over, the descriptors are somebody else's by now.
	if lt.queued || l.over {
		return
	}
	lt.queued = true
	l.queue = append(l.queue, lt)
	if len(l.queue) == 1 {
		l.signal()
	}
}

// signal wakes the loop. l.mu is held.
func (l *loop) signal() {
	one := [8]byte{0: 1, 7: 1} // not 0 nor all ones, in either order of bytes
	// It fails only if the counter is full, and then the loop is awake.
	_, _ = unix.Write(l.wakeUp, one[:])
}

// lookUp looks at the tunnels that were posted.
func (l *loop) lookUp(now int64) {
	l.mu.Lock()
	queue := l.queue
	l.ended = l.over
	l.queue = nil
	for _, lt := range queue {
		lt.queued = false
	}
	var counter [8]byte
	_, _ = unix.Read(l.wakeUp, counter[:]) // resets it; it cannot fail while it is readable
	l.mu.Unlock()
	for _, lt := range queue {
		l.look(lt, now)
	}
}

// guard ends a tunnel whose event panicked, and only that; it is deferred, and
// unlocks the tunnel.
func (l *loop) guard(lt *looped) {
	if r := recover(); r != nil {
		lt.cut(Failed, newPanic(r))
		l.end(lt)
	}
	lt.mu.Unlock()
}

// look does what was decided about lt by someone else, or was just begun.
func (l *loop) look(lt *looped, now int64) {
	lt.mu.Lock()
	defer l.guard(lt)
	if lt.gone {
		return
	}
	if lt.slot == noSlot && !lt.over {
		l.admit(lt, now)
	}
	l.settle(lt, now)
}

// handle moves what an event says can move. What kind of event it is matters
// little: an error shows itself to the read or the write that is tried.
func (l *loop) handle(e *unix.EpollEvent, now int64) {
	lt, s := l.slots[e.Fd>>1], side(e.Fd&1)
	if lt == nil {
		return
	}
	lt.mu.Lock()
	defer l.guard(lt)
	if e.Events&^unix.EPOLLIN != 0 && lt.ends[s].kept != nil {
		l.flush(lt, s, now)
	}
	if e.Events&^unix.EPOLLOUT != 0 && lt.reads(s) {
		// Its end is behind what is read now, or what follows an urgent byte.
		more := e.Events&^(unix.EPOLLIN|unix.EPOLLOUT) != 0
		l.receive(lt, s, more, now)
	}
	l.settle(lt, now)
}

// ring does what has become due, and sets the clock.
func (l *loop) ring(now int64) {
	for {
		lt := l.clock.first(now)
		if lt == nil {
			break
		}
		l.tick(lt, now)
	}
	past := l.rings != 0 && l.rings <= now
	if past {
		l.rings = 0
	}
	// A deadline that is too early costs one turn for nothing, but to move it
	// with every message costs more.
	next := l.clock.next()
	var deadline time.Time
	switch {
	case next != 0 && (l.rings == 0 || next < l.rings):
		deadline = l.engine.at(next)
	case !past:
		return
	}
	l.rings = next
	_ = l.epoll.SetReadDeadline(deadline) // the poller has it, so it can
}

func (l *loop) tick(lt *looped, now int64) {
	lt.mu.Lock()
	defer l.guard(lt)
	lt.tick(now)
	lt.sooner = true
	l.settle(lt, now)
}
