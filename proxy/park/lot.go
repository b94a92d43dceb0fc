package park

import (
	"net"
	"sync"
	"time"
)

// A Lot watches parked connections. The zero Lot is ready for use, and its
// methods may be called concurrently. It must not be copied, and must be closed.
type Lot struct {
	lot
	once sync.Once
}

// Park has the Lot watch a connection's socket until wake is called, once: with
// true when a read of the socket would not wait (there are bytes, or it has
// ended or failed), with false when the time until has come, or the Lot is
// closed. Only the socket is looked at: bytes that are buffered above it, such
// as a part of a TLS record, must not be there.
//
// It reports whether the connection is parked. If not, wake is never called, and
// the caller goes on as before: the Lot is closed, conn is not a *net.TCPConn or
// *net.UnixConn, there is no descriptor left, or the system is not Linux.
//
// After true, the connection may have been woken already, so it is wake's. Until
// then nobody may read it. If it is closed meanwhile, of which no duplicate of
// its descriptor may be open, wake still comes at the time until at the latest,
// and up to 134 ms later. The connection's own deadlines have no effect.
//
// wake is called by the Lot's goroutine, or that of Close, and delays all others
// while it runs: it must not wait for anything. It may call Park.
func (l *Lot) Park(conn net.Conn, until time.Time, wake func(ready bool)) bool {
	return l.park(conn, until, wake)
}

// Close wakes all parked connections with false, and returns when no wake runs
// any more. From then on nothing is parked. It must not be called by wake.
func (l *Lot) Close() { l.once.Do(l.close) }

// Len is how many connections are parked.
func (l *Lot) Len() int { return l.len() }
