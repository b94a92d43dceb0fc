package http1

import (
	"errors"
	"io"
	"sync"
)

// BufferSize is the most bytes that a Reader holds: a head of 32 KiB fits, and
// so do two TLS records of 16 KiB.
const BufferSize = 33 << 10

// smallBuffer is what a Reader begins with. Most heads fit, and thousands of
// connections that send a part of one cost an eighth.
const smallBuffer = 4 << 10

// emptyReads is after how many reads without a byte and without an error a
// source is given up.
const emptyReads = 100

// ErrFull says that BufferSize bytes wait in a Reader already.
var ErrFull = errors.New("the read buffer is full")

// smallBuffers and largeBuffers are for the Readers of all connections: their
// number is that of the connections that are being read, not of those open.
var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([BufferSize]byte) }}
)

// Reader buffers what a connection sends. Its buffer comes from a pool when
// there are bytes to read and goes back when there are none, so that an idle
// connection costs none. It is to be Reset before use.
type Reader struct {
	src   io.Reader
	await interface{ Await() error }
	err   error // of a read that also brought bytes

	buf        []byte // of small or large; nil if none is held
	small      *[smallBuffer]byte
	large      *[BufferSize]byte
	begin, end int
	filled     bool // the last read left no room: more is likely to come
}

// Reset makes r read from src, and gives a held buffer back, with what is in
// it. If src has a method Await() error, which returns when a Read would not
// wait, it is called before a buffer is taken.
func (r *Reader) Reset(src io.Reader) {
	r.giveBack()
	await, _ := src.(interface{ Await() error })
	*r = Reader{src: src, await: await}
}

// Buffered is what was read and not discarded. Like every slice of it, it is
// valid until the next Fill, Unread, Release or Reset; Discard changes nothing
// about that.
func (r *Reader) Buffered() []byte { return r.buf[r.begin:r.end] }

// Fill reads once from the source, behind what is buffered. It returns the
// source's error, or ErrFull if there is no room. Slices of Buffered taken
// before are no longer valid.
func (r *Reader) Fill() error { return r.fill(false) }

// FillMuch is Fill where more than a small buffer holds is known to come.
func (r *Reader) FillMuch() error { return r.fill(true) }

// fill takes the large buffer at once where that costs no copy, if much is
// known to come.
func (r *Reader) fill(much bool) error {
	if err := r.err; err != nil {
		r.err = nil
		return err
	}
	if r.buf == nil && r.await != nil {
		if err := r.await.Await(); err != nil {
			return err
		}
	}
	if err := r.makeRoom(much); err != nil {
		return err
	}
	for range emptyReads {
		n, err := r.src.Read(r.buf[r.end:])
		if n > 0 {
			r.end += n
			r.filled = r.end == len(r.buf)
			r.err = err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// makeRoom sees to a buffer with room at its end.
func (r *Reader) makeRoom(much bool) error {
	if r.begin == r.end {
		r.begin, r.end = 0, 0
		if r.large == nil && (much || r.filled) {
			r.enlarge()
		}
	}
	switch {
	case r.buf == nil:
		r.small = smallBuffers.Get().(*[smallBuffer]byte)
		r.buf = r.small[:]
	case r.end < len(r.buf):
	case r.begin > 0:
		r.end = copy(r.buf, r.Buffered())
		r.begin = 0
	case r.large == nil:
		r.enlarge()
	default:
		return ErrFull
	}
	return nil
}

// enlarge moves what is buffered to a large buffer.
func (r *Reader) enlarge() {
	large := largeBuffers.Get().(*[BufferSize]byte)
	n := copy(large[:], r.Buffered())
	r.giveBack()
	r.large, r.buf = large, large[:]
	r.begin, r.end = 0, n
}

func (r *Reader) giveBack() {
	if r.small != nil {
		smallBuffers.Put(r.small)
	}
	if r.large != nil {
		largeBuffers.Put(r.large)
	}
	r.small, r.large, r.buf = nil, nil, nil
	r.begin, r.end, r.filled = 0, 0, false
}

// Discard is done with the first n bytes of Buffered, no more than there are.
// The buffer is kept, so slices of it stay valid as Buffered says.
func (r *Reader) Discard(n int) {
	if n < 0 || n > r.end-r.begin {
		panic("http1: Discard of more than is buffered")
	}
	r.begin += n
}

// Release gives the buffer back to its pool if nothing is in it. A Reader that
// is going to wait long is released first.
func (r *Reader) Release() {
	if r.begin == r.end {
		r.giveBack()
	}
}

// Unread puts p before what is buffered, or returns ErrFull if that has no room.
func (r *Reader) Unread(p []byte) error {
	n := len(p) + r.end - r.begin
	if n > BufferSize {
		return ErrFull
	}
	if len(p) == 0 {
		return nil
	}
	if r.buf == nil || n > len(r.buf) {
		r.grow(n)
	}
	if r.begin < len(p) {
		r.end = len(p) + copy(r.buf[len(p):], r.Buffered())
		r.begin = len(p)
	}
	r.begin -= len(p)
	copy(r.buf[r.begin:], p)
	return nil
}

// grow takes a buffer for n bytes.
func (r *Reader) grow(n int) {
	if n > smallBuffer {
		r.enlarge()
		return
	}
	r.small = smallBuffers.Get().(*[smallBuffer]byte)
	r.buf = r.small[:]
}
