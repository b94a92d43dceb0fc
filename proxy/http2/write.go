package http2

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"wsfront/proxy/http1"
)

// smallOut and largeOut are the capacities of the buffers of the pools: an
// answer of a page's size fits into the first, and all that may wait into the
// second.
const (
	smallOut = 4 << 10
	largeOut = outLimit + maxFrame
)

var (
	smallOuts = sync.Pool{New: func() any { return new([smallOut]byte) }}
	largeOuts = sync.Pool{New: func() any { return new([largeOut]byte) }}
)

// room sees to it that n bytes more fit into out. c.mu is held.
func (c *Conn) room(n int) {
	switch n += len(c.out); {
	case n <= cap(c.out) || n > largeOut:
		return // or append makes one
	case n <= smallOut:
		c.out = smallOuts.Get().(*[smallOut]byte)[:0]
	default:
		old := c.out
		c.out = append(largeOuts.Get().(*[largeOut]byte)[:0], old...)
		freeOut(old)
	}
}

func freeOut(b []byte) {
	switch cap(b) {
	case smallOut:
		smallOuts.Put((*[smallOut]byte)(b[:smallOut]))
	case largeOut:
		largeOuts.Put((*[largeOut]byte)(b[:largeOut]))
	}
}

// kick has out written, soon. c.mu is held.
func (c *Conn) kick() {
	if !c.flushing && c.writeErr == nil && len(c.out) > 0 {
		c.flushing = true
		go c.writer() // ends when all is written or the connection fails; end waits for it
	}
}

// flush writes while there is something to write.
func (c *Conn) flush() {
	runtime.Gosched() // whoever has an answer ready adds it first
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.out) > 0 && c.writeErr == nil {
		p := c.out
		c.out, c.control = nil, 0
		c.generation++
		c.allowWrite()
		c.wakeWriters()
		c.mu.Unlock()
		err := c.send(p)
		freeOut(p)
		c.mu.Lock()
		if err != nil {
			c.brokenOff(err)
		}
	}
	if c.writeErr != nil {
		c.out = nil
	}
	c.flushing = false
	c.flushed.Broadcast()
}

// send writes. A panic of the connection's would end the process, as nobody else
// is there to recover from it: it ends this connection.
func (c *Conn) send(p []byte) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			c.server.cfg.Panic(c.owner, cause, debug.Stack())
			err = errPanic
		}
	}()
	_, err = c.nc.Write(p)
	return err
}

var errPanic = errors.New("a fault in this program")

// allowWrite sets how long the client may take. c.mu is held.
func (c *Conn) allowWrite() {
	if c.cause != nil {
		return // end has set it
	}
	if until := time.Now().Add(c.server.cfg.WriteTimeout); c.writeUntil.Before(until) {
		c.writeUntil = until.Add(deadlineSlack)
		_ = c.nc.SetWriteDeadline(c.writeUntil) // an error means closed; writing tells
	}
}

// brokenOff deals with a connection that cannot be written any more. c.mu is
// held.
func (c *Conn) brokenOff(err error) {
	c.writeErr = err
	if c.cause == nil && isTimeout(err) {
		c.hit(HitWriteTimeout)
	}
	c.fail(err)
	c.wakeReader()
}

// isTimeout reports whether a deadline was over.
func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

// wakeWriters wakes those who wait for room. c.mu is held.
func (c *Conn) wakeWriters() {
	for _, s := range c.heads {
		s.queued = false
		s.writer.wake()
	}
	c.heads = c.heads[:0]
	c.wakeNext()
}

// wakeNext wakes the first of the queue, which wakes the next when it has had
// its turn. c.mu is held.
func (c *Conn) wakeNext() {
	if len(c.queue) > 0 && len(c.out) < outLimit {
		c.queue[0].writer.wake()
	}
}

// turn waits until a stream may append a frame, and returns how much of want
// bytes it may have: streams that have more than one frame to write take turns.
// With want 0 it waits for room alone. c.mu is held.
func (s *Stream) turn(want int) (int, error) {
	c := s.conn
	var shut time.Time // until when a window may stay shut
	defer c.leaveQueue(s)
	for {
		if s.failed != nil {
			return 0, s.failed
		}
		if expired(s.writeDeadline) {
			return 0, os.ErrDeadlineExceeded
		}
		full := len(c.out) >= outLimit
		switch {
		case want == 0 && !full:
			return 0, nil
		case want == 0:
			if !s.queued {
				s.queued = true
				c.heads = append(c.heads, s)
			}
		case s.sendWindow <= 0:
			c.leaveQueue(s)
		case !full && c.sendWindow > 0 && (len(c.queue) == 0 || c.queue[0] == s):
			return int(min(int64(min(want, maxFrame)), s.sendWindow, c.sendWindow)), nil
		case !s.queued:
			s.queued = true
			c.queue = append(c.queue, s)
		}
		until := s.writeDeadline
		if want > 0 && (s.sendWindow <= 0 || c.sendWindow <= 0) {
			if shut.IsZero() {
				shut = time.Now().Add(c.server.cfg.WriteTimeout)
			}
			if until.IsZero() || shut.Before(until) {
				until = shut
			}
		} else {
			shut = time.Time{}
		}
		c.kick() // what was sent must be out before it can be taken
		if s.writer.wait(&c.mu, until) && until.Equal(shut) && s.failed == nil {
			c.hit(HitWriteTimeout)
			c.resetStream(s, Cancel)
			s.fail(ErrTimeout)
		}
	}
}

// leaveQueue ends a stream's wait for its turn: the next one has its own. c.mu is
// held.
func (c *Conn) leaveQueue(s *Stream) {
	if !s.queued {
		return
	}
	s.queued = false
	c.queue = without(c.queue, s)
	c.heads = without(c.heads, s)
	c.wakeNext()
}

func without(list []*Stream, s *Stream) []*Stream {
	if i := slices.Index(list, s); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// appendHead appends a header block of an answer, and returns where its frame
// begins. c.mu is held.
func (s *Stream) appendHead(status int, fields []http1.Field, flags byte) (at int) {
	c := s.conn
	size := 64
	for i := range fields {
		size += len(fields[i].Name) + len(fields[i].Value) + 8
	}
	c.room(size)
	at = len(c.out)
	c.out = append(c.out, make([]byte, frameHeadLen)...)
	if c.noTable {
		c.noTable = false
		c.out = append(c.out, noTable)
	}
	if status != 0 {
		c.out = appendStatus(c.out, status)
	}
	for i := range fields {
		switch fields[i].Known {
		case http1.Connection, http1.KeepAlive, http1.ProxyConnection, http1.TransferEncoding, http1.Upgrade:
			continue // RFC 9113 §8.2.2
		}
		c.out = appendField(c.out, &fields[i])
	}
	c.out = appendHeaders(c.out, at, flags, s.id)
	return at
}

// appendRST appends a RST_STREAM frame. c.mu is held.
func (c *Conn) appendRST(id uint32, code Code) {
	c.room(frameHeadLen + 4)
	c.out = binary.BigEndian.AppendUint32(appendFrameHead(c.out, 4, frameRSTStream, 0, id), uint32(code))
}

func (c *Conn) appendWindowUpdate(id uint32, n int64) {
	c.room(frameHeadLen + 4)
	c.out = binary.BigEndian.AppendUint32(appendFrameHead(c.out, 4, frameWindowUpdate, 0, id), uint32(n))
}

func (c *Conn) appendGoAway(last uint32, code Code) {
	c.room(frameHeadLen + 8)
	c.out = appendFrameHead(c.out, 8, frameGoAway, 0, 0)
	c.out = binary.BigEndian.AppendUint32(c.out, last)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
}

// answered counts the bytes of an answer to a control frame. c.mu is held.
func (c *Conn) answered(n int) error {
	if c.control += n; c.control > controlLimit {
		c.hit(HitControlFrames)
		return broken(EnhanceYourCalm, "answers to control frames are not read")
	}
	c.kick()
	return nil
}
