package http2

import (
	"io"
	"os"
	"sync"
	"time"

	"wsfront/proxy/http1"
)

// A chunk is a part of a body that waits to be read. There are three sizes, so
// that what is held is little more than what was sent.
type chunk struct {
	next *chunk
	b    []byte
}

const (
	smallChunk  = 1 << 10
	middleChunk = 4 << 10
	largeChunk  = 16 << 10
)

// The pools of chunks, by size.
var (
	smallChunks  = sync.Pool{New: func() any { return &chunk{b: make([]byte, 0, smallChunk)} }}
	middleChunks = sync.Pool{New: func() any { return &chunk{b: make([]byte, 0, middleChunk)} }}
	largeChunks  = sync.Pool{New: func() any { return &chunk{b: make([]byte, 0, largeChunk)} }}
)

func poolFor(n int) *sync.Pool {
	switch {
	case n <= smallChunk:
		return &smallChunks
	case n <= middleChunk:
		return &middleChunks
	}
	return &largeChunks
}

func (k *chunk) free() {
	k.next, k.b = nil, k.b[:0]
	poolFor(cap(k.b)).Put(k)
}

// deliver appends what has come of the body. conn.mu is held.
func (s *Stream) deliver(p []byte) {
	s.got += int64(len(p))
	if s.last != nil {
		n := min(len(p), cap(s.last.b)-len(s.last.b))
		s.last.b = append(s.last.b, p[:n]...)
		p = p[n:]
	}
	if len(p) > 0 {
		k := poolFor(len(p)).Get().(*chunk)
		k.b = append(k.b, p...)
		if s.last == nil {
			s.first = k
		} else {
			s.last.next = k
		}
		s.last = k
	}
	s.reader.wake()
}

// ReadBody returns the next piece of the request's body, valid until the next
// call, and io.EOF behind it. The client may send as much again only then.
func (s *Stream) ReadBody() ([]byte, error) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putBack(s)
	for {
		switch {
		case s.stopped || expired(s.readDeadline):
			return nil, os.ErrDeadlineExceeded
		case s.failed != nil:
			return nil, s.failed
		case s.first != nil:
			k := s.first
			if s.first = k.next; s.first == nil {
				s.last = nil
			}
			s.reading = k
			return k.b, nil
		case s.received:
			return nil, io.EOF
		}
		s.reader.wait(&c.mu, s.readDeadline)
	}
}

// Starved reports whether at some time since then the client could send nothing,
// as the bodies of other streams wait for their Handlers. It may be called
// concurrently.
func (s *Stream) Starved(since time.Time) bool {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.receiveWindow < starvedBelow || c.fed.After(since)
}

// starvedBelow is a window too small for clients that send whole frames.
const starvedBelow = maxFrame

// StopBody makes a ReadBody under way, and each later one, fail. It may be
// called concurrently.
func (s *Stream) StopBody() {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.stopped = true
	s.reader.wake()
}

// Trailer is what stood behind the body, once ReadBody has returned io.EOF.
func (s *Stream) Trailer() []http1.Field {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.trailers
}

// putBack frees the piece that was given out. c.mu is held.
func (c *Conn) putBack(s *Stream) {
	if s.reading == nil {
		return
	}
	n := int64(len(s.reading.b))
	s.reading.free()
	s.reading = nil
	c.credit(n)
	c.creditStream(s, n)
}

// creditStream lets the client send n bytes more on a stream. c.mu is held.
func (c *Conn) creditStream(s *Stream, n int64) {
	if s.received || s.closed {
		return
	}
	if s.uncredited += n; s.uncredited >= streamWindow/4 {
		c.appendWindowUpdate(s.id, s.uncredited)
		s.receiveWindow += s.uncredited
		s.uncredited = 0
		c.kick()
	}
}

// dropBody frees what nobody will read. c.mu is held.
func (c *Conn) dropBody(s *Stream) {
	c.putBack(s)
	c.dropWaiting(s)
}

// dropWaiting frees what was not given out. c.mu is held.
func (c *Conn) dropWaiting(s *Stream) {
	for k := s.first; k != nil; {
		next := k.next
		c.credit(int64(len(k.b)))
		k.free()
		k = next
	}
	s.first, s.last = nil, nil
}

// credit lets the client send n bytes more on the connection: in large steps, but
// where little is left, as bodies that nobody reads take the rest. c.mu is held.
func (c *Conn) credit(n int64) {
	step := min(int64(connWindow/4), c.receiveWindow/4)
	if c.uncredited += n; c.uncredited > 0 && c.uncredited >= step && c.cause == nil {
		if c.receiveWindow < starvedBelow {
			c.fed = time.Now()
		}
		c.appendWindowUpdate(0, c.uncredited)
		c.receiveWindow += c.uncredited
		c.uncredited = 0
		c.kick()
	}
}
