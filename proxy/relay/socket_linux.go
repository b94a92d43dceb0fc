package relay

import (
	"net"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"wsfront/proxy/record"
)

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
	d.keys = nil // whoever keeps the Tunnel has no use for them
	if reset {
		// A unix socket has no such thing.
		_ = unix.SetsockoptLinger(int(d.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	// Nobody is left who could be told of an error.
	_ = unix.Close(int(d.fd))
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
