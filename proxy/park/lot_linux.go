package park

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// clockGrain is by how many nanoseconds times are rounded up at most (134 ms), so
// that the clock rings once for many connections. These bits are set in all.
const clockGrain = 1<<27 - 1

// A lot is the Linux side of a Lot. Its epoll descriptor is waited for by Go's
// own poller: a thread that blocks in epoll_wait itself would cost a switch of
// threads for each event.
type lot struct {
	mu     sync.Mutex
	epoll  *os.File // nil until something is parked
	ready  syscall.RawConn
	epfd   int
	begin  time.Time     // the times of the clock are nanoseconds since then
	ended  chan struct{} // closed when the goroutine has ended
	closed bool

	spaces []*space // events carry the number of a space
	free   []int32  // those that are nil
	clock  clock
	rings  int64 // when epoll's read deadline is; 0 is never

	events [128]unix.EpollEvent
	woken  []*space // by a round; the goroutine's own
}

// A space is a parked connection. The lot's lock guards it.
type space struct {
	raw    syscall.RawConn
	wake   func(ready bool)
	due    int64
	number int32
	alarm  int32 // its place in the clock
}

func (l *lot) park(conn net.Conn, until time.Time, wake func(ready bool)) bool {
	switch conn.(type) {
	// Anything else that has a socket may hold bytes that came from it.
	case *net.TCPConn, *net.UnixConn:
	default:
		return false
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return false // closed; reading it tells
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.epoll == nil && l.open() != nil {
		return false
	}
	s := &space{raw: raw, wake: wake, due: int64(max(until.Sub(l.begin), 0)) | clockGrain, number: l.number()}
	if l.watch(s) != nil {
		l.free = append(l.free, s.number)
		return false
	}
	l.spaces[s.number] = s
	l.clock.add(s)
	if l.rings == 0 || s.due < l.rings {
		l.setClock(s.due)
	}
	return true
}

// open opens the epoll descriptor and starts the goroutine. l.mu is held.
func (l *lot) open() error {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	// os.NewFile hands only such descriptors to the poller that do not block.
	if err := unix.SetNonblock(epfd, true); err != nil {
		_ = unix.Close(epfd) // it has nothing to lose
		return os.NewSyscallError("fcntl", err)
	}
	epoll := os.NewFile(uintptr(epfd), "epoll")
	ready, err := epoll.SyscallConn()
	if err != nil {
		_ = epoll.Close()
		return err
	}
	l.epoll, l.ready, l.epfd, l.begin, l.ended = epoll, ready, epfd, time.Now(), make(chan struct{})
	go l.run() // ended by close, which waits for it
	return nil
}

// number is that of a space that is free. l.mu is held.
func (l *lot) number() int32 {
	if n := len(l.free); n > 0 {
		number := l.free[n-1]
		l.free = l.free[:n-1]
		return number
	}
	l.spaces = append(l.spaces, nil)
	return int32(len(l.spaces) - 1)
}

// watch gives the socket of s to epoll. l.mu is held.
//
// Nothing is lost that comes before, after or while this is done. The kernel
// looks at the socket itself when it is added, under the lock that its events
// take as well: what is readable then is an event at once, and what becomes so
// later is one when it does. Each event also wakes those that wait for the epoll
// descriptor, which is how Go's poller learns of it. And an event that is taken
// before this function has returned has to wait for l.mu, under which s gets its
// space.
func (l *lot) watch(s *space) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: s.number}
	return l.control(s, unix.EPOLL_CTL_ADD, &event)
}

// control calls epoll_ctl while the socket's descriptor cannot be closed, and
// so cannot be another one's.
func (l *lot) control(s *space, op int, event *unix.EpollEvent) error {
	var failed error
	if err := s.raw.Control(func(fd uintptr) {
		failed = os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.epfd, op, int(fd), event))
	}); err != nil {
		return err
	}
	return failed
}

// leave takes s out. l.mu is held.
func (l *lot) leave(s *space) {
	// It fails if the socket was closed, which has taken it out of epoll.
	_ = l.control(s, unix.EPOLL_CTL_DEL, nil)
	l.spaces[s.number] = nil
	l.free = append(l.free, s.number)
	l.clock.remove(s)
}

// run wakes connections until close.
func (l *lot) run() {
	defer close(l.ended)
	for {
		// doRound never ends the wait, so this is the deadline, or the end.
		err := l.ready.Read(l.doRound)
		if !l.ring() {
			return
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			// It cannot happen before close, and a lot that does not wait is
			// worse than a crash that says so.
			panic(fmt.Sprintf("park: wait for parked connections: %v", err))
		}
	}
}

// doRound takes the events that there are, and returns false to have Go's poller
// wait for more.
//
// That poller reports only what is new since it was last asked. An event stays
// in epoll until its socket is taken out, which happens here for all of them; so
// nothing is left when fewer came than there was room for.
func (l *lot) doRound(uintptr) bool {
	for {
		n, err := unix.EpollWait(l.epfd, l.events[:], 0)
		if err == unix.EINTR {
			continue
		}
		// No other error is possible with a descriptor and a buffer of ours.
		n = max(n, 0)
		l.take(l.events[:n])
		l.wakeUp(true)
		if n < len(l.events) {
			return false
		}
	}
}

// take takes out what events are about.
func (l *lot) take(events []unix.EpollEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		// The number is still that of the connection that the event is about:
		// numbers become free by this goroutine alone, no two events of a round
		// are about one socket, and leave lets none come in a later round.
		s := l.spaces[e.Fd]
		l.leave(s)
		l.woken = append(l.woken, s)
	}
}

// ring takes out and wakes what is due, and sets the clock. It reports false
// when the lot is closed.
func (l *lot) ring() bool {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	now := int64(time.Since(l.begin))
	for next := l.clock.next(); next != 0 && next <= now; next = l.clock.next() {
		s := l.clock[0]
		l.leave(s)
		l.woken = append(l.woken, s)
	}
	l.setClock(l.clock.next())
	l.mu.Unlock()
	l.wakeUp(false)
	return true
}

// setClock has it ring at a time, or never if that is 0. A deadline that is too
// early costs one turn for nothing, so it is not moved when a connection leaves.
// l.mu is held.
func (l *lot) setClock(at int64) {
	l.rings = at
	var deadline time.Time
	if at != 0 {
		deadline = l.begin.Add(time.Duration(at))
	}
	_ = l.epoll.SetReadDeadline(deadline) // the poller has it, so it can
}

// wakeUp wakes what was taken out. l.mu is not held, as wake may call park.
func (l *lot) wakeUp(ready bool) {
	for i, s := range l.woken {
		l.woken[i] = nil // let go of the connection
		s.wake(ready)
	}
	l.woken = l.woken[:0]
}

// close is called by a sync.Once, so that all callers wait for it.
func (l *lot) close() {
	l.mu.Lock()
	l.closed = true
	epoll := l.epoll
	l.mu.Unlock()
	if epoll == nil {
		return
	}
	_ = epoll.Close() // ends the goroutine's wait, and takes all sockets out
	<-l.ended
	// The goroutine has ended and park refuses: what is left is ours.
	l.mu.Lock()
	l.woken = l.clock
	l.spaces, l.free, l.clock = nil, nil, nil
	l.mu.Unlock()
	l.wakeUp(false)
}

func (l *lot) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.clock)
}
