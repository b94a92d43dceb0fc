package http2

// headers takes a HEADERS frame (RFC 9113 §6.2).
func (c *Conn) headers(h *frameHead, p []byte) error {
	if h.stream == 0 || h.stream%2 == 0 {
		return broken(ProtocolError, "HEADERS on no stream of a client")
	}
	if h.flags&flagPadded != 0 {
		if len(p) == 0 {
			return broken(FrameSizeError, "HEADERS without their padding's length")
		}
		padding := int(p[0])
		if p = p[1:]; padding > len(p) {
			return broken(ProtocolError, "more padding than frame")
		}
		p = p[:len(p)-padding]
	}
	c.pending = pending{stream: h.stream, endStream: h.flags&flagEndStream != 0, fragment: c.pending.fragment[:0]}
	if h.flags&flagPriority != 0 {
		if len(p) < 5 {
			return broken(FrameSizeError, "HEADERS without their priority")
		}
		c.pending.self = dependsOn(p, h.stream)
		p = p[5:]
	}
	if h.flags&flagEndHeaders != 0 {
		return c.block(p)
	}
	c.pending.fragment = append(c.pending.fragment, p...)
	if c.began.IsZero() {
		c.begin()
	}
	return nil
}

// continuation takes a CONTINUATION frame (RFC 9113 §6.10).
func (c *Conn) continuation(h *frameHead, p []byte) error {
	b, cfg := &c.pending, &c.server.cfg
	if b.stream == 0 {
		return broken(ProtocolError, "CONTINUATION of nothing")
	}
	if b.frames++; b.frames > cfg.MaxContinuations {
		c.hit(HitContinuations)
		return broken(EnhanceYourCalm, "too many CONTINUATION frames")
	}
	if len(b.fragment)+len(p) > 2*cfg.MaxHeader {
		c.hit(HitHeader)
		return broken(EnhanceYourCalm, "a header block that is too long")
	}
	b.fragment = append(b.fragment, p...)
	if h.flags&flagEndHeaders == 0 {
		return nil
	}
	err := c.block(b.fragment)
	b.fragment = nil // it is rare
	return err
}

// block takes a whole header block: a request, or a trailer.
func (c *Conn) block(p []byte) error {
	begin := c.pending
	c.pending.stream = 0
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	s := c.streams[begin.stream]
	switch {
	case begin.stream > c.lastID:
		return c.request(&begin, p)
	case s != nil && !s.closed && !s.received:
		return c.takeTrailer(s, &begin, p)
	}
	if err := c.skip(p); err != nil { // for the sake of the table
		return err
	}
	switch {
	case s == nil && c.ignored.has(begin.stream), s != nil && s.closed && !s.reset:
		return nil
	case s == nil:
		return broken(StreamClosed, "HEADERS on a stream that has ended")
	}
	return c.refuse(s, begin.stream, StreamClosed)
}

func (c *Conn) decode(p []byte, into *block) error {
	into.reset(c.server.cfg.MaxHeader, c.server.cfg.MaxHeaderFields)
	if err := c.decoder.decode(p, into); err != nil {
		return broken(CompressionError, err.Error())
	}
	return nil
}

// skip decodes a block that nobody needs.
func (c *Conn) skip(p []byte) error {
	err := c.decode(p, &c.scratch)
	c.scratch = block{} // it is rare
	return err
}

// request begins a stream. c.mu is held.
func (c *Conn) request(begin *pending, p []byte) error {
	cfg := &c.server.cfg
	c.seenID = max(c.seenID, begin.stream)
	if c.leaving == gone {
		return c.skip(p) // RFC 9113 §6.8: the client knows, or learns, that nobody will answer
	}
	c.lastID = begin.stream
	// Handlers have little to do behind the end of an answer, so there are no
	// more than a few of them beside those of open streams.
	if c.open >= cfg.MaxStreams || len(c.streams) >= 4*cfg.MaxStreams {
		if err := c.skip(p); err != nil {
			return err
		}
		c.hit(HitStreams)
		return c.refuse(nil, begin.stream, RefusedStream)
	}
	s := c.server.streams.Get().(*Stream)
	s.take(c, begin.stream)
	if err := c.decode(p, &s.text); err != nil {
		return err
	}
	if mistake := s.Head.parse(&s.text, !begin.endStream); mistake != "" || begin.self {
		c.server.streams.Put(s)
		return c.refuse(nil, begin.stream, ProtocolError)
	}
	s.received = begin.endStream
	if s.TooLarge != "" {
		c.hit(s.TooLarge)
	}
	if c.streams == nil {
		c.streams = map[uint32]*Stream{}
	}
	c.streams[s.id] = s
	s.counted = true
	c.open++
	c.handlers.Add(1)
	go s.run() // ends with its Handler, which fail wakes; Serve waits for it
	return nil
}

// takeTrailer takes what stands behind a request's body (RFC 9113 §8.1). c.mu is
// held.
func (c *Conn) takeTrailer(s *Stream, begin *pending, p []byte) error {
	if err := c.decode(p, &s.trailer); err != nil {
		return err
	}
	if !begin.endStream || begin.self || s.trailer.over != "" ||
		s.ContentLength >= 0 && s.got != s.ContentLength {
		return c.refuse(s, begin.stream, ProtocolError)
	}
	at := 0
	for _, span := range s.trailer.spans {
		name, value := s.trailer.text[at:span.name:span.name], s.trailer.text[span.name:span.value:span.value]
		at = span.value
		f, mistake := regular(name, value) // pseudo-fields have a name that is not valid
		if mistake != "" {
			return c.refuse(s, begin.stream, ProtocolError)
		}
		s.trailers = append(s.trailers, f)
	}
	s.received = true
	s.reader.wake()
	c.whole(s)
	return nil
}
