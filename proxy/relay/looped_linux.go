package relay

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	noSlot  = -1
	noAlarm = -1
)

// A looped tunnel is carried by an event loop. Its own fields belong to that
// loop's goroutine, but for queued, which the loop's lock guards.
type looped struct {
	Tunnel
	loop   *loop
	ends   [2]end
	early  *Early // until it was admitted
	slot   int32  // noSlot until then
	alarm  int32  // its place in the loop's clock
	gone   bool   // its sockets are closed
	queued bool
}

// An end is the socket of one side. The loop has it alone: it is a duplicate of
// that of a net.Conn, which was closed.
type end struct {
	fd      int32
	waits   uint32 // the events that epoll waits for
	kept    *kept  // what this side has not taken yet
	partial *kept  // the record that it has begun
}

func (e *Engine) startLooped(c, b net.Conn, o *Options, early Early, done func(Result)) *Tunnel {
	if len(e.loops) == 0 {
		return nil
	}
	lt := &looped{slot: noSlot, alarm: noAlarm}
	if !lt.ends[client].take(c) {
		return nil
	}
	if !lt.ends[backend].take(b) {
		lt.ends[client].close(false)
		return nil
	}
	_ = c.Close()
	_ = b.Close()
	if len(early.FromClient)+len(early.FromBackend) > 0 {
		lt.early = &early
	}
	lt.loop = e.leastLoop()
	e.begin(&lt.Tunnel, lt, o, done)
	lt.loop.post(lt)
	return &lt.Tunnel
}

// leastLoop is the loop that carries the fewest tunnels, and now one more.
func (e *Engine) leastLoop() *loop {
	least, fewest := e.loops[0], int(^uint(0)>>1)
	for _, l := range e.loops {
		l.mu.Lock()
		if l.carries < fewest {
			least, fewest = l, l.carries
		}
		l.mu.Unlock()
	}
	least.mu.Lock()
	defer least.mu.Unlock()
	least.carries++
	return least
}

// take duplicates the socket of a connection that an event loop can carry. It
// fails if that is of another kind, or if there are no descriptors left: then
// the net.Conn is as it was, and goroutines carry it.
func (d *end) take(c net.Conn) bool {
	switch c.(type) {
	// Anything else that has a socket may do more to its bytes than pass them.
	case *net.TCPConn, *net.UnixConn:
	default:
		return false
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return false
	}
	fd := -1
	err2 := raw.Control(func(orig uintptr) {
		fd, err = unix.FcntlInt(orig, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil || err2 != nil {
		return false
	}
	d.fd = int32(fd)
	return true
}

// close closes the socket without waiting for anything, and with reset lets the
// peer know that it was not the end: by a RST instead of a FIN, for which the
// kernel also drops what it has not delivered yet.
func (d *end) close(reset bool) {
	for _, k := range []**kept{&d.kept, &d.partial} {
		if *k != nil {
			(*k).drop()
			*k = nil
		}
	}
	if reset {
		// A unix socket has no such thing.
		_ = unix.SetsockoptLinger(int(d.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	// Nobody is left who could be told of an error.
	_ = unix.Close(int(d.fd))
}

func (lt *looped) wake() { lt.loop.post(lt) }

// reads says whether more is to be read from s: not after its end, and not
// before its peer has taken what it said before.
func (lt *looped) reads(s side) bool {
	return !lt.over && !lt.ways[s].ended && lt.ends[s.other()].kept == nil
}

// admit gives lt a slot and passes on what arrived early.
func (l *loop) admit(lt *looped, now int64) {
	if n := len(l.free); n > 0 {
		lt.slot = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		lt.slot = int32(len(l.slots))
		l.slots = append(l.slots, nil)
	}
	l.slots[lt.slot] = lt
	if early := lt.early; early != nil {
		lt.early = nil
		l.deliver(lt, client, early.FromClient, now)
		l.deliver(lt, backend, early.FromBackend, now)
	}
	l.clock.set(lt, lt.due())
}

func (l *loop) deliver(lt *looped, s side, p []byte, now int64) {
	if len(p) == 0 {
		return
	}
	out := outbox{buf: l.out}
	lt.pass(s, p, now, &out)
	l.send(lt, s, &out, now)
}

// receive reads from s once, and passes that on.
func (l *loop) receive(lt *looped, s side, now int64) {
	n, err := read(lt.ends[s].fd, l.in[:readSize])
	switch {
	case err == unix.EAGAIN:
		return
	case err != nil:
		lt.cut(s.aborted(), fmt.Errorf("read from %s: %w", s, os.NewSyscallError("read", err)))
		return
	case n == 0:
		l.sourceEnded(lt, s, now)
		return
	}
	l.deliver(lt, s, l.in[:n], now)
}

func (l *loop) sourceEnded(lt *looped, s side, now int64) {
	lt.sourceEnded(s, now)
	if !lt.ways[s].owing {
		l.passEnd(lt, s)
	}
	l.clock.set(lt, lt.due()) // Linger may be shorter than what it was set to
}

// passEnd tells the other side that s has ended, as nothing more will come.
func (l *loop) passEnd(lt *looped, s side) {
	lt.ways[s].shut = true
	// It fails if the peer is gone, which reading from it will tell.
	_ = unix.Shutdown(int(lt.ends[s.other()].fd), unix.SHUT_WR)
}

// send writes what s has said to the other side, and keeps what that does not
// take. Nothing may be kept for it already.
func (l *loop) send(lt *looped, s side, out *outbox, now int64) {
	p := out.bytes()
	if len(p) == 0 {
		return
	}
	to, w := &lt.ends[s.other()], &lt.ways[s]
	n, err := write(to.fd, p)
	if err != nil && err != unix.EAGAIN {
		w.owing = true
		lt.cut(s.other().aborted(), fmt.Errorf("write to %s: %w", s.other(), os.NewSyscallError("write", err)))
		return
	}
	plain := out.plain
	if n > 0 {
		w.bytes += int64(plain)
		plain = 0
	}
	if n < len(p) {
		w.owing = true
		to.kept = keep(p[max(n, 0):])
		to.kept.plain = plain
	}
}

// flush writes what was kept for s.
func (l *loop) flush(lt *looped, s side, now int64) {
	to, w := &lt.ends[s], &lt.ways[s.other()]
	n, err := write(to.fd, to.kept.buf)
	switch {
	case err == unix.EAGAIN:
		return
	case err != nil:
		lt.cut(s.aborted(), fmt.Errorf("write to %s: %w", s, os.NewSyscallError("write", err)))
		return
	}
	lt.moved = now
	w.bytes += int64(to.kept.plain)
	to.kept.plain = 0
	to.kept.buf = to.kept.buf[n:]
	if len(to.kept.buf) > 0 {
		return
	}
	to.kept.drop()
	to.kept = nil
	w.owing = false
	if w.ended && !w.shut {
		l.passEnd(lt, s.other())
	}
}

// settle draws the consequences of an event.
func (l *loop) settle(lt *looped, now int64) {
	if lt.gone {
		return
	}
	if !lt.over && lt.told() {
		lt.finish()
	}
	if lt.over {
		l.end(lt, now)
		return
	}
	for s := range lt.ends {
		if err := l.await(lt, side(s)); err != nil {
			lt.cut(Failed, fmt.Errorf("watch the socket of the %s: %w", side(s), err))
			l.end(lt, now)
			return
		}
	}
}

// await has epoll wait for what can be done on s. A socket that is waited for
// at all is reported when it breaks, again and again; so while neither reading
// nor writing could learn of that, it is not waited for.
func (l *loop) await(lt *looped, s side) error {
	d := &lt.ends[s]
	var want uint32
	if lt.reads(s) {
		want |= unix.EPOLLIN
	}
	if d.kept != nil {
		want |= unix.EPOLLOUT
	}
	if want == d.waits {
		return nil
	}
	op := unix.EPOLL_CTL_MOD
	switch {
	case d.waits == 0:
		op = unix.EPOLL_CTL_ADD
	case want == 0:
		op = unix.EPOLL_CTL_DEL
	}
	d.waits = want
	event := unix.EpollEvent{Events: want, Fd: lt.slot<<1 | int32(s)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.epfd, op, int(d.fd), &event))
}

// end closes the sockets of a tunnel that is over, and reports it.
func (l *loop) end(lt *looped, now int64) {
	if lt.gone {
		return
	}
	lt.gone = true
	l.clock.remove(lt)
	if lt.slot != noSlot {
		l.slots[lt.slot] = nil
		l.free = append(l.free, lt.slot)
	}
	for s := range lt.ends {
		lt.ends[s].close(lt.resets(side(s)))
	}
	l.mu.Lock()
	l.carries--
	l.mu.Unlock()
	l.engine.end(&lt.Tunnel, lt.result(l.engine.now()))
}

func read(fd int32, p []byte) (int, error) {
	for {
		n, err := unix.Read(int(fd), p)
		if err != unix.EINTR {
			return n, err
		}
	}
}

func write(fd int32, p []byte) (int, error) {
	for {
		n, err := unix.Write(int(fd), p)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// partialRoom is the room for a record that was begun by an earlier read;
// sealRoom what the seals of one read's bytes add to them.
const (
	partialRoom = 0
	sealRoom    = 0
)

var _ = io.EOF
