package http2

import "encoding/binary"

// priorityFrame is looked at and forgotten (RFC 9113 §5.3.2). c.mu is held.
func (c *Conn) priorityFrame(h *frameHead, p []byte) error {
	switch {
	case h.stream == 0:
		return broken(ProtocolError, "PRIORITY on no stream")
	case len(p) != 5 && h.stream > c.lastID:
		return broken(FrameSizeError, "PRIORITY of a wrong length")
	case len(p) != 5:
		return c.refuse(c.streams[h.stream], h.stream, FrameSizeError)
	case !dependsOn(p, h.stream):
		return nil
	case h.stream > c.lastID: // there is nothing to be reset
		return broken(ProtocolError, "a stream that depends on itself")
	}
	return c.refuse(c.streams[h.stream], h.stream, ProtocolError)
}

// dependsOn reports whether a priority makes a stream depend on itself.
func dependsOn(p []byte, stream uint32) bool {
	return binary.BigEndian.Uint32(p)&maxStreamID == stream
}

// rstStream ends a stream (RFC 9113 §6.4). Its Handler may be at work for a
// while yet, and the stream counts as open for as long: a client cannot have
// more at work by resetting them (CVE-2023-44487). c.mu is held.
func (c *Conn) rstStream(h *frameHead, p []byte) error {
	switch {
	case h.stream == 0:
		return broken(ProtocolError, "RST_STREAM on no stream")
	case len(p) != 4:
		return broken(FrameSizeError, "RST_STREAM of a wrong length")
	case h.stream > c.seenID || h.stream%2 == 0:
		return broken(ProtocolError, "RST_STREAM on a stream that has not begun")
	}
	s := c.streams[h.stream]
	if s == nil {
		c.ignored.remove(h.stream)
		return nil
	}
	s.closed, s.reset, s.received = true, true, true
	c.dropWaiting(s)
	s.fail(ErrReset)
	if s.ended {
		return nil
	}
	return c.countReset()
}

// settings takes the client's settings (RFC 9113 §6.5). c.mu is held.
func (c *Conn) settings(h *frameHead, p []byte) error {
	switch {
	case h.stream != 0:
		return broken(ProtocolError, "SETTINGS on a stream")
	case h.flags&flagAck != 0 && len(p) > 0:
		return broken(FrameSizeError, "SETTINGS that acknowledge and have a payload")
	case len(p)%6 != 0:
		return broken(FrameSizeError, "SETTINGS of a wrong length")
	case h.flags&flagAck != 0:
		return nil
	}
	c.settled = true
	initial := c.initialWindow
	for ; len(p) > 0; p = p[6:] {
		if err := c.setting(binary.BigEndian.Uint16(p), window(p[2:])); err != nil {
			return err
		}
	}
	if change := c.initialWindow - initial; change != 0 {
		if err := c.moveWindows(change); err != nil {
			return err
		}
	}
	c.room(frameHeadLen)
	c.out = appendFrameHead(c.out, 0, frameSettings, flagAck, 0)
	return c.answered(frameHeadLen)
}

func (c *Conn) setting(id uint16, value int64) error {
	switch id {
	case settingHeaderTableSize:
		c.noTable = true
	case settingEnablePush:
		if value > 1 {
			return broken(ProtocolError, "a wrong SETTINGS_ENABLE_PUSH")
		}
	case settingMaxFrameSize:
		if value < maxFrame || value >= 1<<24 {
			return broken(ProtocolError, "a wrong SETTINGS_MAX_FRAME_SIZE")
		}
	case settingInitialWindowSize:
		if value > maxWindow {
			return broken(FlowControlError, "a wrong SETTINGS_INITIAL_WINDOW_SIZE")
		}
		c.initialWindow = value
	}
	return nil
}

// moveWindows changes the windows of all streams, which may become negative
// (RFC 9113 §6.9.2): once for a frame, which may set the same 2,700 times. c.mu is
// held.
func (c *Conn) moveWindows(change int64) error {
	for _, s := range c.streams {
		if s.sendWindow += change; s.sendWindow > maxWindow {
			return broken(FlowControlError, "a window that is too large")
		}
		s.writer.wake()
	}
	return nil
}

// ping answers a PING (RFC 9113 §6.7). c.mu is held.
func (c *Conn) ping(h *frameHead, p []byte) error {
	switch {
	case h.stream != 0:
		return broken(ProtocolError, "PING on a stream")
	case len(p) != 8:
		return broken(FrameSizeError, "PING of a wrong length")
	case h.flags&flagAck != 0:
		if c.leaving == warned && string(p) == leavingPing {
			c.leave()
			if len(c.streams) == 0 {
				return errDone
			}
		}
		return nil
	}
	c.room(frameHeadLen + len(p))
	c.out = append(appendFrameHead(c.out, len(p), framePing, flagAck, 0), p...)
	return c.answered(frameHeadLen + len(p))
}

// windowUpdate lets us send more (RFC 9113 §6.9). c.mu is held.
func (c *Conn) windowUpdate(h *frameHead, p []byte) error {
	if len(p) != 4 {
		return broken(FrameSizeError, "WINDOW_UPDATE of a wrong length")
	}
	n := window(p) & maxWindow
	if h.stream == 0 {
		switch c.sendWindow += n; {
		case n == 0:
			return broken(ProtocolError, "WINDOW_UPDATE by nothing")
		case c.sendWindow > maxWindow:
			return broken(FlowControlError, "a window that is too large")
		}
		c.wakeNext()
		return nil
	}
	s := c.streams[h.stream]
	switch {
	case h.stream > c.seenID || h.stream%2 == 0:
		return broken(ProtocolError, "WINDOW_UPDATE on a stream that has not begun")
	case s == nil || s.closed:
		return nil // it may have been sent before the client knew
	case n == 0:
		return c.refuse(s, h.stream, ProtocolError)
	case s.sendWindow+n > maxWindow:
		return c.refuse(s, h.stream, FlowControlError)
	}
	s.sendWindow += n
	s.writer.wake()
	return nil
}
