package relay

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"wsfront/proxy/record"
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
	waits   uint32       // the events that epoll waits for
	kept    *kept        // what this side has not taken yet
	partial *kept        // the record that it has begun
	keys    *record.Keys // of its TLS 1.3, or nil
	alerted bool         // it was told by an alert of TLS what was wrong
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
	lt.ends[client].part(c, &early.FromClient)
	lt.ends[backend].part(b, &early.FromBackend)
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
	if t, ok := c.(*record.Conn); ok {
		c = t.NetConn()
	}
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

// part takes what else there is in a connection whose socket was duplicated, and
// closes it. Its data goes behind early.
func (d *end) part(c net.Conn, early *[]byte) {
	if t, ok := c.(*record.Conn); ok {
		var plain, sealed []byte
		c, d.keys, plain, sealed = t.Detach()
		if len(plain) > 0 {
			*early = append(slices.Clip(*early), plain...)
		}
		if len(sealed) > 0 {
			d.partial = keep(sealed)
		}
	}
	// The socket lives on in its duplicate, and is not shut down.
	_ = c.Close()
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
	for s := range lt.ends {
		if d := &lt.ends[s]; d.keys != nil {
			var sealed []byte
			k := d.partial
			if d.partial = nil; k != nil {
				sealed = k.buf
			}
			l.unseal(lt, side(s), sealed, now)
			if k != nil {
				k.drop()
			}
		}
	}
	lt.sooner = true
}

// outbox is an empty one for what goes to s.
func (l *loop) outbox(lt *looped, s side) outbox { return outbox{buf: l.out, keys: lt.ends[s].keys} }

// deliver passes on p, which s has said.
func (l *loop) deliver(lt *looped, s side, p []byte, now int64) {
	out := l.outbox(lt, s.other())
	lt.pass(s, p, now, &out)
	l.send(lt, s, &out)
}

// receive reads from s once, and passes that on.
func (l *loop) receive(lt *looped, s side, now int64) {
	d, have := &lt.ends[s], 0
	if d.partial != nil {
		have = copy(l.in, d.partial.buf)
	}
	n, err := read(d.fd, l.in[have:have+readSize])
	switch {
	case err == unix.EAGAIN:
		return
	case err != nil:
		lt.cut(s.aborted(), fmt.Errorf("read from %s: %w", s, os.NewSyscallError("read", err)))
		return
	case n == 0 && have > 0:
		lt.cut(s.aborted(), fmt.Errorf("read from %s: %w", s, io.ErrUnexpectedEOF))
		return
	case n == 0:
		l.sourceEnded(lt, s, now)
		return
	case n == readSize:
		l.left = true // it is another tunnel's turn now
	}
	if d.partial != nil {
		d.partial.drop()
		d.partial = nil
	}
	if d.keys == nil {
		l.deliver(lt, s, l.in[:n], now)
		return
	}
	l.unseal(lt, s, l.in[:have+n], now)
}

// unseal opens the records in b, in place, passes on what is in them, and keeps
// the beginning of the last one if it is not whole.
func (l *loop) unseal(lt *looped, s side, b []byte, now int64) {
	d := &lt.ends[s]
	out := l.outbox(lt, s.other())
	var err error
	for {
		var plain []byte
		var n int
		plain, n, err = d.keys.Open(b)
		if len(plain) > 0 {
			lt.pass(s, plain, now, &out)
		}
		if n == 0 || err != nil {
			break
		}
		b = b[n:]
	}
	l.send(lt, s, &out)
	switch {
	case err == io.EOF:
		l.sourceEnded(lt, s, now)
	case err != nil:
		l.alert(lt, s, err)
	case len(b) > 0:
		d.partial = keep(b)
	}
}

// alert ends a tunnel one of whose sides has sent what is no valid record, and
// tells it so if that goes at once.
func (l *loop) alert(lt *looped, s side, err error) {
	d := &lt.ends[s]
	if p := d.keys.Alert(l.out, err); len(p) > 0 && d.kept == nil {
		_, failed := write(d.fd, p)
		d.alerted = failed == nil
	}
	lt.cut(s.aborted(), fmt.Errorf("read from %s: %w", s, err))
}

func (l *loop) sourceEnded(lt *looped, s side, now int64) {
	lt.sourceEnded(s, now)
	out := l.outbox(lt, s.other())
	lt.last(s, &out)
	l.send(lt, s, &out)
	l.passEnd(lt, s)
}

// passEnd tells the other side that s has ended, as nothing more will come.
func (l *loop) passEnd(lt *looped, s side) {
	w, to := &lt.ways[s], &lt.ends[s.other()]
	// A tunnel that is closing ends whole.
	if !w.ended || w.shut || w.owing || lt.closing != nil {
		return
	}
	w.shut = true
	if to.keys != nil {
		l.write(lt, s, to.keys.CloseNotify(l.out), 0)
		return
	}
	// It fails if the peer is gone, which reading from it will tell.
	_ = unix.Shutdown(int(to.fd), unix.SHUT_WR)
}

// send writes what s has said to the other side.
func (l *loop) send(lt *looped, s side, out *outbox) {
	if p := out.bytes(); len(p) > 0 {
		l.write(lt, s, p, out.plain)
	}
}

// write writes p to the side that s speaks to, and keeps what that does not
// take.
func (l *loop) write(lt *looped, s side, p []byte, plain int) {
	to, w := &lt.ends[s.other()], &lt.ways[s]
	if to.kept != nil { // only with what arrived early
		to.kept = to.kept.more(p, plain)
		return
	}
	n, err := write(to.fd, p)
	if err != nil && err != unix.EAGAIN {
		w.owing = true
		lt.cut(s.other().aborted(), fmt.Errorf("write to %s: %w", s.other(), os.NewSyscallError("write", err)))
		return
	}
	if n > 0 {
		w.bytes += int64(plain)
		plain = 0
	}
	if n < len(p) {
		w.owing = true
		to.kept = keep(p[n:])
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
	l.passEnd(lt, s.other())
}

// settle draws the consequences of an event.
func (l *loop) settle(lt *looped, now int64) {
	if lt.gone {
		return
	}
	for s := range lt.ways {
		if w := &lt.ways[s]; w.wants != 0 && !w.owing && !lt.over {
			out := l.outbox(lt, side(s).other())
			lt.put(side(s), now, &out)
			l.send(lt, side(s), &out)
		}
	}
	lt.progress(now)
	if !lt.over && lt.told() {
		lt.finish()
	}
	if lt.over {
		l.end(lt)
		return
	}
	if lt.sooner {
		lt.sooner = false
		l.clock.set(lt, lt.due())
	}
	for s := range lt.ends {
		if err := l.await(lt, side(s)); err != nil {
			lt.cut(Failed, fmt.Errorf("watch the socket of the %s: %w", side(s), err))
			l.end(lt)
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
		want |= unix.EPOLLIN | unix.EPOLLRDHUP
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
func (l *loop) end(lt *looped) {
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
		d := &lt.ends[s]
		if lt.polite && d.keys != nil && d.kept == nil {
			// If it goes at once; it is nothing after an earlier one.
			if p := d.keys.CloseNotify(l.out); len(p) > 0 {
				_, _ = write(d.fd, p)
			}
		}
		d.close(lt.resets(side(s)) && !d.alerted)
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
