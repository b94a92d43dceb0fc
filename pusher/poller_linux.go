package pusher

import (
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// readBytes is how much one read takes at most. All clients share the buffer.
const readBytes = 64 << 10

// maxRecord has room for a TLS record that was begun before a read.
const maxRecord = 18 << 10

// A poller listens to the sockets of all clients by one goroutine. It waits for
// them by an epoll descriptor, which Go's own poller waits for in turn: a thread
// that blocks in epoll_wait itself would cost a switch of threads each time. Its
// zero value carries nothing until start.
type poller struct {
	hub   *Hub
	epoll *os.File // nil if there is none
	ready syscall.RawConn
	epfd  int

	buf    []byte // what is read into
	events [128]unix.EpollEvent

	mu    sync.Mutex
	slots []*looped // events carry a slot's number and its age
	ages  []uint32
	free  []int32
}

// start opens the epoll descriptor and starts the goroutine. Without it, as when
// there are no descriptors left, clients are carried otherwise.
func (p *poller) start(h *Hub) {
	p.hub = h
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return
	}
	// os.NewFile hands only such descriptors to Go's poller that do not block.
	_ = unix.SetNonblock(epfd, true) // it cannot fail for a descriptor of ours
	epoll := os.NewFile(uintptr(epfd), "epoll")
	ready, err := epoll.SyscallConn()
	if err != nil {
		_ = epoll.Close()
		return
	}
	p.epoll, p.ready, p.epfd = epoll, ready, epfd
	h.running.Go(p.run) // ended by close; Shutdown waits
}

// close ends the goroutine. Clients must have ended before.
func (p *poller) close() {
	if p.epoll != nil {
		_ = p.epoll.Close() // nothing is lost with it
	}
}

func (p *poller) run() {
	p.buf = make([]byte, maxRecord+readBytes)
	err := p.ready.Read(p.round)
	select {
	case <-p.hub.stop:
	default:
		// It cannot happen, and clients that nobody listens to are worse than a
		// crash that says so.
		panic("pusher: wait for the sockets of clients: " + err.Error())
	}
}

// round takes the events that there are, and returns false to have Go's poller
// wait for more. That reports only what is new since it was last asked, so
// before it is asked nothing may be left.
func (p *poller) round(uintptr) bool {
	for {
		n, err := unix.EpollWait(p.epfd, p.events[:], 0)
		if err == unix.EINTR {
			continue
		}
		// No other error is possible with a descriptor and a buffer of ours.
		if n <= 0 {
			return false
		}
		for i := range n {
			e := &p.events[i]
			if l := p.find(e.Fd, uint32(e.Pad)); l != nil {
				l.handle(e.Events)
			}
		}
	}
}

// find is the client that an event is about, nil if it has gone.
func (p *poller) find(slot int32, age uint32) *looped {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ages[slot] != age {
		return nil
	}
	return p.slots[slot]
}

// watch gives the socket of l to epoll. Should it fail, l has its slot all the
// same.
func (p *poller) watch(l *looped) error {
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		l.slot = p.free[n-1]
		p.free = p.free[:n-1]
	} else {
		l.slot = int32(len(p.slots))
		p.slots, p.ages = append(p.slots, nil), append(p.ages, 0)
	}
	p.slots[l.slot] = l
	p.mu.Unlock()
	return p.control(l, unix.EPOLL_CTL_ADD)
}

// forget frees the slot of l, whose socket has been, or is about to be, closed,
// which takes it out of epoll.
func (p *poller) forget(l *looped) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots[l.slot] = nil
	p.ages[l.slot]++ // events about l may be under way
	p.free = append(p.free, l.slot)
}

// control sets what epoll tells of l.
func (p *poller) control(l *looped, op int) error {
	p.mu.Lock()
	age := p.ages[l.slot]
	p.mu.Unlock()
	event := unix.EpollEvent{Fd: l.slot, Pad: int32(age)}
	if !l.paused {
		event.Events |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if len(l.left) > 0 {
		event.Events |= unix.EPOLLOUT
	}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epfd, op, int(l.fd), &event))
}

// carry takes the socket out of conn, which is closed, and listens to it for c.
// It reports false if it cannot, and conn is as it was.
func (p *poller) carry(c *client, conn net.Conn) bool {
	if p.epoll == nil {
		return false
	}
	l := &looped{conversation: conversation{client: c}, poller: p}
	if !l.take(conn) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == gone {
		_ = unix.Close(int(l.fd))
		return true
	}
	err := p.watch(l)
	c.start(l)
	if err != nil {
		l.end(writeEnding(err), true)
		return true
	}
	l.begin()
	return true
}
