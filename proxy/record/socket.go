package record

import (
	"io"
	"net"
	"syscall"
)

// A socket is a connection with what was read from it and is not used yet. It
// has a buffer only while there are such bytes. Of its methods beside those of
// the connection, only one may run at a time.
type socket struct {
	net.Conn
	raw syscall.RawConn       // nil if the connection cannot be waited for without a buffer
	try func(fd uintptr) bool // tryRead, bound once instead of for each call

	buf  *buffer // nil while there is nothing in it
	r, w int     // buf.b[r:w] are the bytes
	err  error   // of the last tryRead
}

func newSocket(nc net.Conn) *socket {
	s := &socket{Conn: nc, raw: rawConn(nc)}
	s.try = s.tryRead
	return s
}

// bytes are those that were read and not used.
func (s *socket) bytes() []byte {
	if s.buf == nil {
		return nil
	}
	return s.buf.b[s.r:s.w]
}

// use takes n of bytes away. They stay where they are until release or fill.
func (s *socket) use(n int) { s.r += n }

// release gives up the buffer if there is nothing left in it.
func (s *socket) release() {
	if s.buf != nil && s.r == s.w {
		s.drop()
	}
}

// drop gives up the buffer with what is in it.
func (s *socket) drop() {
	if s.buf != nil {
		s.buf.free()
		s.buf, s.r, s.w = nil, 0, 0
	}
}

// wanted is the length of the record that bytes begin with, or of its header.
func (s *socket) wanted() int {
	b := s.bytes()
	if len(b) < headerLen {
		return headerLen
	}
	return headerLen + int(b[3])<<8 + int(b[4])
}

// fill waits for at least one more byte, or for the end, which is io.EOF. It
// must not be called with a whole record in bytes.
func (s *socket) fill() error {
	if s.raw == nil {
		return s.fillBlocking()
	}
	if err := s.raw.Read(s.try); err != nil {
		return err // closed, or the deadline
	}
	return s.err
}

// tryRead is called by Go's poller, first at once, and then when the socket is
// readable, until it returns true.
func (s *socket) tryRead(fd uintptr) bool {
	s.makeRoom(largeBuffer)
	n, again, err := readFD(fd, s.buf.b[s.w:])
	if again {
		s.park()
		return false
	}
	s.w += n
	s.err = err
	if err != nil {
		s.release()
	}
	return true
}

// fillBlocking is fill for connections that can only be read with a buffer in
// the hand.
func (s *socket) fillBlocking() error {
	s.makeRoom(recordBuffer)
	n, err := s.Conn.Read(s.buf.b[s.w:])
	s.w += n
	if n > 0 {
		return nil // an error will come again
	}
	s.release()
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// makeRoom sees to it that what is missing of the first record can be read. A
// buffer that is taken for it is for size bytes.
func (s *socket) makeRoom(size int) {
	s.release()
	if s.buf == nil {
		s.buf = getBuffer(size)
		return
	}
	switch want := s.wanted(); {
	case want > len(s.buf.b):
		s.move(size)
	case s.r+want > len(s.buf.b) || s.w == len(s.buf.b):
		s.w = copy(s.buf.b, s.bytes())
		s.r = 0
	}
}

// park leaves the bytes in a buffer no larger than their record needs, if any.
func (s *socket) park() {
	s.release()
	if s.buf != nil && len(s.buf.b) == largeBuffer {
		s.move(min(s.wanted(), recordBuffer))
	}
}

// move puts the bytes at the start of a buffer for n bytes, or for them.
func (s *socket) move(n int) {
	b := getBuffer(max(n, s.w-s.r))
	s.w = copy(b.b, s.bytes())
	s.r = 0
	s.buf.free()
	s.buf = b
}
