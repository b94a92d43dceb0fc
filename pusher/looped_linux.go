package pusher

import (
	"io"
	"net"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// looped is a WebSocket client whose socket the poller listens to. While it is
// idle it has a descriptor, its keys if there is TLS, and nothing else: no
// goroutine, no buffer, no timer.
type looped struct {
	conversation
	poller *poller
	fd     int32 // a duplicate of that of a net.Conn, which was closed
	slot   int32
	paused bool
	keys   sealer // of TLS; nil without
	left   []byte // what the socket has not taken yet
	early  []byte // what had been read before the poller listened
	begun  []byte // the TLS record that has not come whole
}

// noSlot is the slot of a client that the poller does not know.
const noSlot = -1

// take duplicates the socket of a connection that the poller can listen to, and
// closes the connection. If it fails the connection is as it was.
func (l *looped) take(conn net.Conn) bool {
	l.slot = noSlot
	inner := conn
	sealed, isSealed := conn.(detachable)
	if isSealed {
		inner = conn.(interface{ NetConn() net.Conn }).NetConn()
	}
	switch inner.(type) {
	// Anything else that has a socket may do more to its bytes than pass them.
	case *net.TCPConn, *net.UnixConn:
	default:
		return false
	}
	raw, err := inner.(syscall.Conn).SyscallConn()
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
	l.fd = int32(fd)
	if isSealed {
		var keys any
		inner, keys, l.early, l.begun = sealed.Release()
		l.keys = keys.(sealer)
		l.keys.Rest()
	}
	_ = inner.Close() // the socket lives on in its duplicate
	return true
}

// begin looks at what came before the poller listened. client.mu is held.
func (l *looped) begin() {
	if len(l.early) > 0 {
		l.received(l.early)
		l.early = nil
	}
	if len(l.begun) > 0 && l.state != gone {
		begun := l.begun
		l.begun = nil
		l.open(begun)
	}
}

// handle does what an event says can be done.
func (l *looped) handle(events uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.hub.contain(l.client)
	if l.state == gone {
		return
	}
	if events&^unix.EPOLLIN != 0 && len(l.left) > 0 {
		l.flush()
	}
	switch {
	case events&^unix.EPOLLOUT == 0 || l.state == gone:
	case !l.paused:
		l.listen()
	case events&(unix.EPOLLERR|unix.EPOLLHUP) != 0: // it would be told of again and again
		l.ended(io.ErrUnexpectedEOF)
	}
}

// listen reads once.
func (l *looped) listen() {
	p := l.poller
	room := p.buf[copy(p.buf, l.begun):]
	n, err := read(l.fd, room[:readBytes])
	switch {
	case err == unix.EAGAIN:
	case err != nil:
		l.ended(os.NewSyscallError("read", err))
	case n == 0:
		l.ended(io.EOF)
	case l.keys == nil:
		l.received(room[:n])
	default:
		b := p.buf[:len(l.begun)+n]
		l.begun = nil
		l.open(b)
	}
}

// open opens the TLS records in b.
func (l *looped) open(b []byte) {
	for l.state != gone {
		plain, n, err := l.keys.Open(b)
		if len(plain) > 0 {
			l.received(plain)
		}
		switch {
		case l.state == gone:
		case err == io.EOF:
			l.ended(io.EOF)
			return
		case err != nil:
			l.alert(err)
			return
		case n == 0:
			l.begun = slices.Clone(b)
			if len(b) == 0 {
				l.begun = nil
			}
			return
		}
		b = b[n:]
	}
}

// alert tells the peer what was wrong with a record, if that goes at once.
func (l *looped) alert(err error) {
	if len(l.left) == 0 {
		_, _ = write(l.fd, l.keys.Alert(nil, err))
	}
	l.ended(err)
}

// send is that of line, as are the methods below.
func (l *looped) send(b []byte) (rest int, keeps bool, err error) {
	out := b
	if l.keys != nil {
		l.d.sealed = l.keys.Seal(l.d.sealed[:0], b)
		out = l.d.sealed
	}
	n, err := write(l.fd, out)
	switch {
	case err != nil && err != unix.EAGAIN:
		return 0, false, os.NewSyscallError("write", err)
	case n == len(out):
		return 0, false, nil
	}
	l.left = out[n:]
	if keeps = l.keys == nil; !keeps {
		l.left = slices.Clone(l.left)
	}
	return len(l.left), keeps, l.poller.control(l, unix.EPOLL_CTL_MOD)
}

// flush writes what the socket had no room for.
func (l *looped) flush() {
	n, err := write(l.fd, l.left)
	switch {
	case err == unix.EAGAIN:
		return
	case err != nil:
		l.cutLocked(writeEnding(os.NewSyscallError("write", err)))
		return
	}
	if l.left = l.left[n:]; len(l.left) > 0 {
		// It does take something: it is slow, and not gone.
		l.busySince = l.hub.ticks.Load()
		return
	}
	l.left = nil
	if err := l.poller.control(l, unix.EPOLL_CTL_MOD); err != nil {
		l.cutLocked(writeEnding(err))
		return
	}
	l.free()
}

func (l *looped) shut() {
	if !l.wroteLast() {
		return
	}
	if l.keys != nil {
		_, _ = write(l.fd, l.keys.CloseNotify(nil))
	}
	// It fails if the peer is gone, which reading from it will tell.
	_ = unix.Shutdown(int(l.fd), unix.SHUT_WR)
}

func (l *looped) pause(on bool) {
	l.paused = on
	if err := l.poller.control(l, unix.EPOLL_CTL_MOD); err != nil {
		l.cutLocked(writeEnding(err))
	}
}

func (l *looped) hangUp(reset bool) {
	l.forget()
	if l.slot != noSlot {
		l.poller.forget(l)
	}
	switch {
	case reset:
		// What the kernel still holds for a peer that does not read, several MB,
		// is dropped. A unix socket has no such thing.
		_ = unix.SetsockoptLinger(int(l.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	case l.keys != nil && !l.client.shut && len(l.left) == 0: // not within a record
		_, _ = write(l.fd, l.keys.CloseNotify(nil))
	}
	_ = unix.Close(int(l.fd)) // nobody is left who could be told of an error
	l.keys, l.begun, l.left = nil, nil, nil
}

func read(fd int32, p []byte) (int, error) {
	for {
		n, err := unix.Read(int(fd), p)
		if err != unix.EINTR {
			return max(n, 0), err
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
