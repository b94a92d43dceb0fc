package relay

import (
	"fmt"
	"net"
	"os"

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

func (e *Engine) startLooped(c, b net.Conn, o *Options, early Early, owner Owner) *Tunnel {
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
	if e.begin(&lt.Tunnel, lt, o, owner) {
		lt.loop.post(lt)
	} else {
		// The loop may have ended. It never looks at a tunnel that was over
		// before it was admitted, but to end it.
		lt.mu.Lock()
		lt.loop.end(lt)
		lt.mu.Unlock()
	}
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
		// A read of TCP ends before an urgent byte (RFC 9293 §3.8.5), and EPOLLPRI
		// tells that there may be more behind it.
		want |= unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLPRI
	}
	if d.kept != nil {
		want |= unix.EPOLLOUT
	}
	if want == d.waits {
		return nil
	}
	op := unix.EPOLL_CTL_MOD
	// Of a socket that this round was told about, Linux does not tell anew what
	// is waited for in addition and is there already.
	l.left = l.left || d.waits != 0 && want&^d.waits != 0
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
