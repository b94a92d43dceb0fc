package http2

import (
	"encoding/binary"
	"io"
	"time"
)

// dataLeft is what has not come yet of a DATA frame. Such are taken as they
// come: a slow client makes progress within a frame.
type dataLeft struct {
	stream  uint32
	length  int // without padding
	padding int
	ends    bool // END_STREAM
}

// pending is a header block of which CONTINUATION frames are still to come.
type pending struct {
	stream    uint32 // 0 if there is none
	endStream bool
	self      bool // the stream depends on itself: see priority
	fragment  []byte
	frames    int // CONTINUATION frames so far
}

// read reads frames until the connection ends, which it returns the cause of.
func (c *Conn) read() error {
	if !c.prefaced {
		if err := c.readPreface(); err != nil {
			return err
		}
		c.prefaced = true
	}
	for {
		b, err := c.need(frameHeadLen)
		if err != nil {
			return err
		}
		h := parseFrameHead(b)
		if err := c.checkFrame(&h); err != nil {
			return err
		}
		if h.kind == frameData {
			err = c.readData(&h)
		} else {
			err = c.readFrame(&h)
		}
		if err != nil {
			return err
		}
	}
}

func (c *Conn) readPreface() error {
	c.begin()
	for n := 1; ; {
		b, err := c.need(n)
		if err != nil {
			return err
		}
		n = min(len(b), len(preface))
		if string(b[:n]) != preface[:n] {
			return broken(ProtocolError, "no preface")
		}
		if n == len(preface) {
			c.reader.Discard(n)
			return nil
		}
		n++
	}
}

// need waits until n bytes are buffered, and returns all that are.
func (c *Conn) need(n int) ([]byte, error) {
	for {
		b := c.reader.Buffered()
		if len(b) >= n {
			return b, nil
		}
		if len(b) == 0 {
			c.reader.Release()
		} else {
			c.begin()
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// fill waits for more bytes.
func (c *Conn) fill() error {
	for {
		var err error
		if c.data.length > muchData {
			err = c.reader.FillMuch()
		} else {
			err = c.reader.Fill()
		}
		if err == nil || !isTimeout(err) {
			return err
		}
		if err := c.due(); err != nil {
			return err
		}
	}
}

// begin notes that something has begun that has to end by HeaderTimeout.
func (c *Conn) begin() {
	if !c.began.IsZero() {
		return
	}
	c.began = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	// No deadline is ever later than IdleTimeout from now: one that is over is
	// set anew, but the end of a stream sets none.
	cfg := &c.server.cfg
	if look := c.began.Add(min(cfg.HeaderTimeout, cfg.IdleTimeout)); c.deadline.IsZero() || look.Before(c.deadline) {
		c.deadlineIs(look)
	}
}

// muchData is from how much of a DATA frame on a large buffer is worth it: what is
// read at once is handed on at once, and a backend's socket asked as often.
const muchData = 4 << 10

// checkFrame is about what is known of a frame by its head (RFC 9113 §4.2,
// §6.10, §3.4).
func (c *Conn) checkFrame(h *frameHead) error {
	switch {
	case h.length > maxFrame:
		return broken(FrameSizeError, "a frame that is too long")
	case !c.settled && (h.kind != frameSettings || h.flags&flagAck != 0):
		return broken(ProtocolError, "the first frame is not SETTINGS")
	case c.pending.stream != 0 && (h.kind != frameContinuation || h.stream != c.pending.stream):
		return broken(ProtocolError, "a frame within a header block")
	}
	return nil
}

// readFrame reads a frame that is not DATA, and acts upon it.
func (c *Conn) readFrame(h *frameHead) error {
	b, err := c.need(frameHeadLen + h.length)
	if err != nil {
		return err
	}
	payload := b[frameHeadLen : frameHeadLen+h.length]
	switch h.kind {
	case frameHeaders:
		err = c.headers(h, payload)
	case frameContinuation:
		err = c.continuation(h, payload)
	default:
		err = c.controlFrame(h, payload)
	}
	if err != nil {
		return err
	}
	c.reader.Discard(frameHeadLen + h.length)
	if c.pending.stream == 0 {
		c.began = time.Time{}
	}
	return nil
}

// controlFrame acts upon a frame that is about no data.
func (c *Conn) controlFrame(h *frameHead, p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	if h.kind != frameWindowUpdate || len(p) != 4 || window(p)&maxWindow < usefulUpdate {
		if err := c.countControl(); err != nil {
			return err
		}
	}
	switch h.kind {
	case framePriority:
		return c.priorityFrame(h, p)
	case frameRSTStream:
		return c.rstStream(h, p)
	case frameSettings:
		return c.settings(h, p)
	case framePushPromise:
		return broken(ProtocolError, "PUSH_PROMISE by a client")
	case framePing:
		return c.ping(h, p)
	case frameGoAway:
		if h.stream != 0 {
			return broken(ProtocolError, "GOAWAY on a stream")
		}
		if len(p) < 8 {
			return broken(FrameSizeError, "a GOAWAY that is too short")
		}
	case frameWindowUpdate:
		return c.windowUpdate(h, p)
	}
	return nil // of a kind that nobody knows (RFC 9113 §4.1), or GOAWAY: the client closes by itself
}

// readData reads a DATA frame (RFC 9113 §6.1) as it comes.
func (c *Conn) readData(h *frameHead) error {
	n := frameHeadLen
	if h.flags&flagPadded != 0 && h.length > 0 {
		n++
	}
	b, err := c.need(n)
	if err != nil {
		return err
	}
	c.data = dataLeft{stream: h.stream, length: h.length, ends: h.flags&flagEndStream != 0}
	if h.flags&flagPadded != 0 {
		if h.length == 0 {
			return broken(FrameSizeError, "DATA without its padding's length")
		}
		if c.data.padding = int(b[frameHeadLen]); c.data.padding >= h.length {
			return broken(ProtocolError, "more padding than frame")
		}
		c.data.length -= 1 + c.data.padding
	}
	c.reader.Discard(n)
	c.began = time.Time{} // the body has time-outs of its own
	if err := c.beginData(h); err != nil {
		return err
	}
	for {
		b := c.reader.Buffered()
		n := min(len(b), c.data.length)
		skip := min(len(b)-n, c.data.padding)
		if err := c.takeData(b[:n], skip); err != nil {
			return err
		}
		c.reader.Discard(n + skip)
		if c.data.length == 0 && c.data.padding == 0 {
			return nil
		}
		if len(c.reader.Buffered()) == 0 {
			c.reader.Release()
		}
		if err := c.fill(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
}

// beginData checks a DATA frame that has begun.
func (c *Conn) beginData(h *frameHead) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.cause != nil:
		return c.cause
	case h.stream == 0:
		return broken(ProtocolError, "DATA on no stream")
	case h.stream > c.seenID || h.stream%2 == 0:
		return broken(ProtocolError, "DATA on a stream that has not begun")
	case int64(h.length) > c.receiveWindow:
		return broken(FlowControlError, "more DATA than the connection's window")
	}
	c.receiveWindow -= int64(h.length)
	if c.data.length == 0 && !c.data.ends {
		if err := c.countControl(); err != nil {
			return err
		}
	}
	c.credit(int64(h.length - c.data.length))
	s := c.streams[h.stream]
	switch {
	case h.stream > c.lastID, s == nil && c.ignored.has(h.stream), s != nil && s.closed && !s.reset:
		return nil
	case s == nil || s.received || s.reset:
		return c.refuse(s, h.stream, StreamClosed)
	case int64(h.length) > s.receiveWindow:
		return c.refuse(s, h.stream, FlowControlError)
	case s.ContentLength >= 0 && s.got+int64(c.data.length) > s.ContentLength,
		s.ContentLength >= 0 && c.data.ends && s.got+int64(c.data.length) != s.ContentLength:
		return c.refuse(s, h.stream, ProtocolError) // RFC 9113 §8.1.1
	}
	s.receiveWindow -= int64(h.length)
	if padding := int64(h.length - c.data.length); padding > 0 {
		c.creditStream(s, padding)
	}
	return nil
}

// takeData takes a part of a DATA frame, and skips a part of its padding.
func (c *Conn) takeData(p []byte, skip int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	d := &c.data
	d.length -= len(p)
	d.padding -= skip
	s := c.streams[d.stream]
	if s == nil || s.closed || s.received {
		c.credit(int64(len(p)))
		return nil
	}
	if len(p) > 0 {
		s.deliver(p)
	}
	if d.ends && d.length == 0 && d.padding == 0 {
		s.received = true
		s.reader.wake()
		c.whole(s)
	}
	return nil
}

// refuse resets a stream, open or not, for what the client has done. Those of
// one client count like its own resets: each costs as much (CVE-2025-8671). c.mu
// is held.
func (c *Conn) refuse(s *Stream, id uint32, code Code) error {
	if err := c.countReset(); err != nil {
		return err
	}
	if s != nil {
		s.closed = true
		s.fail(ErrReset)
	}
	c.ignored.add(id)
	c.appendRST(id, code)
	return c.answered(frameHeadLen + 4)
}

// countReset counts a stream that the client has begun for nothing. c.mu is
// held.
func (c *Conn) countReset() error {
	if c.resets.take(c.server.cfg.MaxResets) {
		return nil
	}
	c.hit(HitResets)
	return broken(EnhanceYourCalm, "too many resets")
}

// countControl counts a frame that asks for nothing. c.mu is held.
func (c *Conn) countControl() error {
	if c.controls.take(c.server.cfg.MaxControlFrames) {
		return nil
	}
	c.hit(HitControlFrames)
	return broken(EnhanceYourCalm, "too many frames that ask for nothing")
}

// usefulUpdate is from how many bytes on a WINDOW_UPDATE is not counted: a
// window has room for so few of them that they do no harm, while a client that
// takes a large answer quickly sends them by the thousand.
const usefulUpdate = 1 << 10

// window reads the number of a WINDOW_UPDATE or a setting.
func window(p []byte) int64 { return int64(binary.BigEndian.Uint32(p)) }
