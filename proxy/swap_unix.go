//go:build unix

package proxy

import (
	"io"
	"net"
	"syscall"
)

// swap sends a request and reads the beginning of its answer in one go. After a
// write of its own, net.Conn.Read would first ask the system for what cannot
// have come yet; done inside the wait for the answer, the write costs one system
// call less in each exchange.
//
// It also sees to it that nothing had come before the request was sent. A
// backend that closed the connection meanwhile, or said something that nobody
// asked for, such as a 408 for a request that never came, must not be taken to
// answer this request.
type swap struct {
	socket syscall.RawConn // nil where the connection is not the socket itself
	below  syscall.RawConn // the socket, below TLS as well
	empty  func() bool     // nothing that was read from below waits above it
	step   func(fd uintptr) bool
	peek   func(fd uintptr)

	out   []byte // to be sent; nil when it has been
	in    []byte // to be read into
	used  bool   // the connection has carried another exchange
	sent  bool
	n     int
	err   error
	quiet bool // what peek found
}

func (s *swap) init(conn net.Conn) {
	raw := socketOf(conn)
	if c, ok := raw.(syscall.Conn); ok {
		s.below, _ = c.SyscallConn() // an error leaves nil
	}
	if raw == conn {
		s.socket = s.below
	}
	s.empty = func() bool { return true }
	if c, ok := conn.(interface{ Empty() bool }); ok {
		s.empty = c.Empty
	}
	s.step, s.peek = s.doStep, s.doPeek // bound once, not in each exchange
}

// isQuiet reports whether there is nothing to read on a connection, where
// something else than run is going to write to it: run looks itself. The read
// deadline of the exchange before does not matter.
func (s *swap) isQuiet() bool {
	return s.below != nil && s.empty() && s.below.Control(s.peek) == nil && s.quiet
}

func (s *swap) doPeek(fd uintptr) { s.quiet = !isReadable(fd) }

// run sends out, waits, and reads into p.
func (s *swap) run(conn net.Conn, p []byte) (int, error) {
	s.in, s.sent, s.n, s.err = p, false, 0, nil
	err := s.socket.Read(s.step)
	s.in = nil
	if err != nil && !s.sent {
		return 0, err // a deadline that was over before step was called: out is still to be sent
	}
	out := s.out
	s.out = nil
	switch {
	case err != nil:
		return 0, err
	case s.err != nil || s.sent:
		return s.n, s.err
	}
	// The system did not take it all at once.
	if _, err := conn.Write(out[s.n:]); err != nil {
		return 0, err
	}
	return conn.Read(p)
}

// doStep is called first when nothing is waited for yet, and then whenever
// something may have come.
func (s *swap) doStep(fd uintptr) bool {
	if !s.sent {
		if s.used && isReadable(fd) {
			s.err = errStale
			return true
		}
		n, err := syscall.Write(int(fd), s.out)
		if n < len(s.out) {
			s.n = max(n, 0)
			if err != syscall.EAGAIN && err != syscall.EINTR {
				s.err = err
			}
			return true
		}
		s.sent = true
		return false
	}
	n, err := syscall.Read(int(fd), s.in)
	switch {
	case err == syscall.EAGAIN, err == syscall.EINTR:
		return false
	case err != nil:
		s.err = err
	case n == 0:
		s.err = io.EOF
	}
	s.n = max(n, 0)
	return true
}

// plainConn is a client's connection without TLS that can be waited for without
// a buffer. As net.Conn has it, one goroutine at a time may read or wait.
type plainConn struct {
	*net.TCPConn
	raw   syscall.RawConn
	ready func(fd uintptr) bool // bound once
}

// withAwait is conn with a method Await, where that is possible.
func withAwait(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn
	}
	return &plainConn{tcp, raw, isReadable}
}

// Await blocks until a Read will not. It obeys the read deadline.
func (c *plainConn) Await() error { return c.raw.Read(c.ready) }

// Empty reports that nothing was read ahead, as with (*record.Conn).Empty.
func (c *plainConn) Empty() bool { return true }

func isReadable(fd uintptr) bool {
	var one [1]byte
	_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err != syscall.EAGAIN
}

// NetConn is the connection as the net package knows it.
func (c *plainConn) NetConn() net.Conn { return c.TCPConn }
