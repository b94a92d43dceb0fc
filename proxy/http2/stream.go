package http2

import (
	"fmt"
	"io"
	"os"
	"time"

	"wsfront/proxy/http1"
)

var (
	// ErrReset says that the client has reset the stream, or broken the rules of
	// it, or gone away. It is io.ErrUnexpectedEOF to errors.Is.
	ErrReset = fmt.Errorf("the client has given the stream up: %w", io.ErrUnexpectedEOF)
	// ErrTimeout says that the client made no room for WriteTimeout. The stream
	// was reset. It is os.ErrDeadlineExceeded to errors.Is.
	ErrTimeout = fmt.Errorf("the client does not read: %w", os.ErrDeadlineExceeded)

	errGone  = fmt.Errorf("the connection is over: %w", io.ErrUnexpectedEOF)
	errEnded = fmt.Errorf("the stream has ended: %w", os.ErrClosed)
)

// A Stream is one request and its answer. What says nothing else belongs to the
// Handler's goroutine; ReadBody and the methods about reading may be called by
// one other. All of its memory is used again once the Handler has returned.
type Stream struct {
	Head

	conn *Conn
	id   uint32
	run  func() // serve, bound once
	text block  // of Head

	// What follows is guarded by conn.mu.

	failed error // nothing can be read or written any more
	closed bool  // no frame may be sent any more: it was reset, by whomever
	reset  bool  // by the client
	gone   func()

	reader, writer              waiter
	readDeadline, writeDeadline time.Time

	counted       bool // in conn.open
	received      bool // END_STREAM
	got           int64
	receiveWindow int64
	uncredited    int64
	first, last   *chunk // of the body, that wait to be read
	reading       *chunk // was given out
	trailer       block
	trailers      []http1.Field
	stopped       bool

	sendWindow int64
	queued     bool
	begun      bool // the head of the answer was written
	ended      bool // END_STREAM was written
	frame      int  // where in conn.out the last frame begins that can end the stream
	generation uint64
}

func newStream() *Stream {
	s := &Stream{}
	s.reader.changed, s.writer.changed = make(chan struct{}, 1), make(chan struct{}, 1)
	s.run = s.serve
	return s
}

// take prepares a stream that may have been another before.
func (s *Stream) take(c *Conn, id uint32) {
	clear(s.Fields)
	clear(s.trailers)
	*s = Stream{
		Head: Head{Fields: s.Fields[:0]}, conn: c, id: id, run: s.run, text: s.text,
		reader: s.reader, writer: s.writer, trailer: s.trailer, trailers: s.trailers[:0],
		receiveWindow: streamWindow, sendWindow: c.initialWindow,
	}
	for _, w := range []*waiter{&s.reader, &s.writer} {
		select { // it may have been woken for nothing
		case <-w.changed:
		default:
		}
	}
}

// serve is the stream's goroutine.
func (s *Stream) serve() {
	defer s.conn.finished(s)
	s.conn.server.cfg.Handler(s)
}

// finished ends a stream whose Handler has returned.
func (c *Conn) finished(s *Stream) {
	defer c.handlers.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	s.gone = nil
	defer c.kick()
	switch {
	case s.closed:
	case !s.ended:
		c.resetStream(s, InternalError)
	case !s.received:
		c.resetStream(s, NoError) // RFC 9113 §8.1: the answer is whole, the rest is not wanted
	}
	if s.ended && !s.reset {
		c.resets.allow(1, c.server.cfg.MaxResets)
	}
	if !s.received {
		c.ignored.add(s.id)
	}
	c.dropBody(s)
	c.uncount(s)
	delete(c.streams, s.id)
	if len(c.streams) == 0 {
		c.idleSince = time.Now()
		c.restSoon()
		if c.leaving == gone {
			c.wakeReader()
		}
	}
	s.conn = nil
	if cap(s.text.text) <= maxKeptText && cap(s.trailer.text) <= maxKeptText {
		c.server.streams.Put(s)
	}
}

// fail makes what is read and written from now on fail. conn.mu is held.
func (s *Stream) fail(err error) {
	if s.failed != nil {
		return
	}
	s.failed = err
	s.reader.wake()
	s.writer.wake()
	if s.gone != nil {
		s.gone()
		s.gone = nil
	}
}

// Owner is that of the connection.
func (s *Stream) Owner() any { return s.conn.owner }

// Err is why nothing can be read or written any more, nil while it can. It may
// be called concurrently.
func (s *Stream) Err() error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.failed
}

// Watch has gone called, once at most, if the client resets the stream or goes
// away, until stop was called; at once if it has. The connection is locked
// meanwhile: gone must not wait, nor call methods of the Stream.
func (s *Stream) Watch(gone func()) (stop func()) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.failed != nil {
		gone()
	} else {
		s.gone = gone
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		s.gone = nil
	}
}

// SetReadDeadline sets until when ReadBody waits, this one or a later one. The
// zero Time means as long as it takes. It may be called concurrently.
func (s *Stream) SetReadDeadline(t time.Time) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.readDeadline = t
	s.reader.wake()
}

// SetWriteDeadline is the same for whatever writes. WriteTimeout holds beside
// it.
func (s *Stream) SetWriteDeadline(t time.Time) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.writeDeadline = t
	s.writer.wake()
}

// Interim writes an interim answer (RFC 9110 §15.2), and does not wait for a
// Flush. Fields that only HTTP/1.1 knows are left out, here and elsewhere; names
// may be spelled in any case.
func (s *Stream) Interim(status int, fields []http1.Field) error {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := s.turn(0); err != nil {
		return err
	}
	if s.begun || s.ended {
		return errEnded
	}
	s.appendHead(status, fields, 0)
	c.kick()
	return nil
}

// Continue asks the client for the body that it waits to be asked for (RFC 9110
// §10.1.1). It never waits, and may be called concurrently.
func (s *Stream) Continue() {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.failed == nil && !s.begun && !s.received {
		s.appendHead(100, nil, 0)
		c.kick()
	}
}

// WriteHead begins the answer. It waits for room at most, not until it is
// written: Flush sees to that, or the Handler's end.
func (s *Stream) WriteHead(status int, fields []http1.Field) error {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := s.turn(0); err != nil {
		return err
	}
	if s.begun {
		return errEnded
	}
	s.begun = true
	s.frame = s.appendHead(status, fields, 0)
	s.generation = c.generation
	return nil
}

// Write writes a part of the body behind the head. It waits while the client
// makes no room, in frames of at most 16 KiB that alternate with those of other
// streams. p is copied.
func (s *Stream) Write(p []byte) (written int, err error) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(p) > 0 {
		n, err := s.turn(len(p))
		if err == nil && (!s.begun || s.ended) {
			err = errEnded
		}
		if err != nil {
			return written, err
		}
		c.room(frameHeadLen + n)
		s.frame, s.generation = len(c.out), c.generation
		c.out = append(appendFrameHead(c.out, n, frameData, 0, s.id), p[:n]...)
		s.sendWindow -= int64(n)
		c.sendWindow -= int64(n)
		c.controls.allow(updatesForData, c.server.cfg.MaxControlFrames)
		if len(c.out) >= flushFrom {
			c.kick()
		}
		p = p[n:]
		written += n
	}
	return written, nil
}

// updatesForData is how many WINDOW_UPDATE frames of few bytes a client may send
// for a DATA frame: for the stream and for the connection.
const updatesForData = 2

// Flush sends what was written. It does not wait until it is sent.
func (s *Stream) Flush() {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.conn.kick()
}

// End ends the answer. It waits at most for room for a trailer. The end is sent
// by Flush, or when the Handler returns.
func (s *Stream) End(trailer []http1.Field) error {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(trailer) > 0 {
		if _, err := s.turn(0); err != nil {
			return err
		}
	}
	switch {
	case s.failed != nil:
		return s.failed
	case !s.begun || s.ended:
		return errEnded
	case len(trailer) > 0:
		s.appendHead(0, trailer, flagEndStream)
	case s.generation == c.generation && len(c.out) > 0: // it waits to be written
		c.out[s.frame+4] |= flagEndStream
	default:
		c.room(frameHeadLen)
		c.out = appendFrameHead(c.out, 0, frameData, flagEndStream, s.id)
	}
	s.ended = true
	c.whole(s)
	return nil
}

// whole is called when one side has ended. A stream whose request and answer
// are whole is not open any more: the client may begin another one when it has
// seen the end, which may be before the Handler has returned. c.mu is held.
func (c *Conn) whole(s *Stream) {
	if s.ended && s.received {
		c.uncount(s)
	}
}

func (c *Conn) uncount(s *Stream) {
	if s.counted {
		s.counted = false
		c.open--
	}
}

// Reset ends the stream at once, in a way that shows that something is missing.
// What was written before it is sent. It may be called concurrently.
func (s *Stream) Reset(code Code) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resetStream(s, code)
	s.fail(errEnded)
}

// resetStream sends RST_STREAM for a stream, if that has an end to come. c.mu is held.
func (c *Conn) resetStream(s *Stream, code Code) {
	if s.closed || s.ended && s.received || c.cause != nil {
		return
	}
	s.closed = true
	c.appendRST(s.id, code)
	c.kick()
}
