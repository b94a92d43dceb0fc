package proxy

import (
	"crypto/tls"
	"time"

	"wsfront/proxy/record"
)

// writeSteps is into how many steps write_timeout is divided: after each it is
// seen whether the client has taken anything.
const writeSteps = 4

// Write fails once the client has taken nothing for write_timeout, or up to one
// step longer: else one that reads nothing would hold its goroutine and the
// backend's connection for good. One that reads slowly is served.
//
// Over TLS 1.2 the client has to take all of p within write_timeout, which is 64
// KiB at most: crypto/tls cannot go on after a deadline.
func (c *clientConn) Write(p []byte) (written int, err error) {
	switch conn := c.Conn.(type) {
	case *record.Conn:
		c.beginWrite()
		written, err = conn.WriteWhile(p, c.takes)
	case *tls.Conn:
		c.limitWrite(c.server.limits.Load().WriteTimeout)
		written, err = conn.Write(p)
	default:
		c.beginWrite()
		for {
			var n int
			n, err = conn.Write(p[written:])
			written += n
			if !isTimeout(err) || !c.takes(n) {
				break
			}
		}
	}
	c.wrote(err)
	return written, err
}

// beginWrite sets how long the first step of a write may take.
func (c *clientConn) beginWrite() {
	c.stalls = 0
	c.limitWrite(c.server.limits.Load().WriteTimeout / writeSteps)
}

// limitWrite sets how long writing may take, or up to deadlineSlack longer, if
// that is for us to say.
func (c *clientConn) limitWrite(d time.Duration) {
	until := time.Now().Add(d)
	if !c.writeUntil.Before(until) {
		return
	}
	c.limits.Lock()
	defer c.limits.Unlock()
	if !c.theirWrite {
		c.writeUntil = until.Add(deadlineSlack)
		_ = c.SetWriteDeadline(c.writeUntil) // an error means closed; writing tells
	}
}

// takes is called at the end of a step, in which the client has taken n bytes.
// It reports whether there is to be another one, and moves the deadline.
func (c *clientConn) takes(n int) bool {
	if c.stalls++; n > 0 {
		c.stalls = 0
	}
	c.limits.Lock()
	defer c.limits.Unlock()
	if c.stalls == writeSteps || c.theirWrite {
		return false
	}
	c.writeUntil = time.Now().Add(c.server.limits.Load().WriteTimeout / writeSteps)
	return c.SetWriteDeadline(c.writeUntil) == nil
}

// wrote counts a client that has reached write_timeout.
func (c *clientConn) wrote(err error) {
	if !isTimeout(err) {
		return
	}
	c.limits.Lock()
	theirs := c.theirWrite
	c.limits.Unlock()
	if !theirs {
		c.server.hits.add(limitWriteTimeout, c.peer)
	}
}
