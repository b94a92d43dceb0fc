package proxy

import (
	"sync/atomic"
	"time"
)

// newcomerGrace is how long a shutdown waits for the first request of those who
// have just connected: they could not know, and where the socket stays open for
// the next process, it is this that makes a restart lose nobody.
const newcomerGrace = time.Second

// newcomers are the connections that have not yet said what they want.
type newcomers struct {
	count atomic.Int64
	none  chan struct{} // has room for one: told when the last one was removed
}

func (n *newcomers) add() { n.count.Add(1) }

func (n *newcomers) remove() {
	if n.count.Add(-1) > 0 {
		return
	}
	select {
	case n.none <- struct{}{}:
	default:
	}
}

// wait waits until there is none, for d at most.
func (n *newcomers) wait(d time.Duration) {
	grace := time.NewTimer(d)
	defer grace.Stop()
	for n.count.Load() > 0 {
		select {
		case <-n.none:
		case <-grace.C:
			return
		}
	}
}

// settle notes that the connection is new no more: its first request is there,
// it has ended, or it has been quiet for a while.
func (c *clientConn) settle() {
	if c.isNew {
		c.isNew = false
		c.server.conns.newcomers.remove()
	}
}
