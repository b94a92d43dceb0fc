package proxy

import "net/netip"

// enter gives a connection its place among those that are open. Where it may
// have none, limit names what forbids it; where one that was idle had to be
// closed for it, limit is named as well.
//
// Idle connections give way, and not those that have something to do: a client
// whose idle connection is closed opens another one for its next request
// (RFC 9112 §9.5), while one that is refused has nothing.
func (s *clientConns) enter(c *clientConn) (limit string, ok bool) {
	l := c.server.limits.Load()
	from := c.server.countedAs(c.peer, l)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return "", false
	case from.IsValid() && s.from[from] >= l.MaxConnectionsPerAddress:
		return limitMaxConnectionsPerAddress, false
	case l.MaxConnections > 0 && s.count >= l.MaxConnections:
		if limit = limitMaxConnections; !s.closeIdle() {
			return limit, false
		}
	}
	if c.counted = from.IsValid(); c.counted {
		if s.from == nil {
			s.from = map[netip.Prefix]int{}
		}
		s.from[from]++
	}
	s.count++
	s.active.push(c)
	c.isNew = true
	s.newcomers.add()
	s.wg.Add(1)
	return limit, true
}

// leave takes the place of a connection back.
func (s *clientConns) leave(c *clientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake(c)
	s.active.remove(c)
	if !c.evicted {
		s.count--
	}
	if c.counted {
		from := c.server.addressGroup(c.peer)
		if s.from[from]--; s.from[from] == 0 {
			delete(s.from, from)
		}
	}
}

// rest notes that a connection is parked.
func (s *clientConns) rest(c *clientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active.remove(c)
	s.parked.push(c)
	c.parked = true
}

// resume notes that a connection is parked no more.
func (s *clientConns) resume(c *clientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake(c)
}

// wake is resume; s.mu is held.
func (s *clientConns) wake(c *clientConn) {
	if c.parked {
		s.parked.remove(c)
		s.active.push(c)
		c.parked = false
	}
}

// closeIdle has the connection end that has been parked the longest, and gives
// its place away. It reports false if there is none. s.mu is held, so that the
// connection cannot have become something else meanwhile.
//
// It closes the reading half alone, which wakes the connection as if the client
// had gone: what the client has sent by then is still read and answered, or over
// HTTP/2 was told to be asked again.
func (s *clientConns) closeIdle() bool {
	c := s.parked.first
	if c == nil {
		return false
	}
	half, ok := socketOf(c.Conn).(interface{ CloseRead() error })
	if !ok || half.CloseRead() != nil {
		return false
	}
	if c.streams != nil {
		c.streams.Dismiss()
	}
	s.wake(c)
	c.evicted = true
	s.count--
	return true
}

// makeRoom closes idle connections, n at most. It is for want of descriptors.
func (s *clientConns) makeRoom(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n > 0 && s.closeIdle() {
		n--
	}
}

// connList is a list of connections, linked by prev and next.
type connList struct{ first, last *clientConn }

// push puts c at the end.
func (l *connList) push(c *clientConn) {
	c.prev, c.next = l.last, nil
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
}

func (l *connList) remove(c *clientConn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.prev, c.next = nil, nil
}
