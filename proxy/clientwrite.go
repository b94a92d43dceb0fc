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
	step := c.server.limits.Load().WriteTimeout / writeSteps
	c.stalls = 0
	switch conn := c.Conn.(type) {
	case *record.Conn:
		c.allowWrite(step)
		written, err = conn.WriteWhile(p, c.takes)
	case *tls.Conn:
		c.allowWrite(writeSteps * step)
		written, err = conn.Write(p)
	default:
		c.allowWrite(step)
		for {
			var n int
			n, err = conn.Write(p[written:])
			written += n
			if !isTimeout(err) || !c.takes(n) {
				break
			}
		}
	}
	if isTimeout(err) {
		c.server.hits.add(limitWriteTimeout, c.peer)
	}
	return written, err
}

// allowWrite sets how long writing may take, or up to deadlineSlack longer.
func (c *clientConn) allowWrite(d time.Duration) {
	if until := time.Now().Add(d); c.writeUntil.Before(until) {
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
	if c.stalls == writeSteps {
		return false
	}
	c.writeUntil = time.Now().Add(c.server.limits.Load().WriteTimeout / writeSteps)
	return c.SetWriteDeadline(c.writeUntil) == nil
}
