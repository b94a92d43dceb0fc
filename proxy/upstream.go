package proxy

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"wsfront/proxy/http1"
)

const (
	// backendIdle is how long a connection to a backend is kept unused.
	backendIdle = 60 * time.Second
	// backendIdleConns is how many are kept for one route.
	backendIdleConns = 256
)

// answerLimits bound what a backend may say before its answer's body.
var answerLimits = http1.Limits{Head: 32 << 10, Fields: 200}

// upstream keeps the connections to one route's backend. Its methods may be
// called concurrently.
type upstream struct {
	backend *backend

	mu     sync.Mutex
	idle   []*backendConn // the one used last at the end
	clock  *time.Timer    // runs sweep; nil while none is idle
	closed bool
}

// backendConn is a connection to a backend, with one exchange at a time on it.
type backendConn struct {
	net.Conn
	reader http1.Reader
	answer http1.Response
	body   http1.Body // of the answer
	out    []byte     // the head on its way to the backend
	swap   swap

	// client is flushed before each read, which may have to wait: what has
	// come so far is the client's.
	client downstream

	writeUntil time.Time // the write deadline that is set

	used  bool      // has served an exchange before this one
	heard bool      // something was read in this exchange
	since time.Time // when it was kept

	// gone says that the client went away, and the deadline that is set for
	// good.
	gone atomic.Bool
}

// errStale says that a connection was no good any more before anything was sent
// on it.
var errStale = errors.New("the kept connection was closed")

// errClientGone ends an attempt whose client went away.
var errClientGone = errors.New("the client went away")

// take returns a connection that was kept, or a new one. One that was kept may
// have been closed by the backend since: sending shows it.
func (u *upstream) take(ctx context.Context, fresh bool) (*backendConn, error) {
	if !fresh {
		if b := u.pop(); b != nil {
			b.used, b.heard = true, false
			return b, nil
		}
	}
	conn, err := u.backend.dial(ctx)
	if err != nil {
		return nil, err
	}
	return newBackendConn(conn), nil
}

func newBackendConn(conn net.Conn) *backendConn {
	b := &backendConn{Conn: conn}
	b.swap.init(conn)
	b.reader.Reset(backendSource{b})
	return b
}

// send sends the head in out, and what follows it there. Where nothing else is
// to be sent before the answer, it goes out with the first read: see swap. The
// backend has limit to take it.
func (b *backendConn) send(all bool, limit time.Duration) error {
	b.allowWrite(limit)
	if all && b.swap.socket != nil {
		b.swap.used, b.swap.out = b.used, b.out
		return nil
	}
	if b.used && !b.swap.isQuiet() {
		return errStale
	}
	_, err := b.Write(b.out)
	return err
}

// backendSource is what a backendConn's Reader reads.
type backendSource struct{ b *backendConn }

func (s backendSource) Read(p []byte) (n int, err error) {
	b := s.b
	if b.client != nil {
		b.client.flush()
	}
	if b.swap.out != nil {
		n, err = b.swap.run(b.Conn, p)
	} else {
		n, err = b.Conn.Read(p)
	}
	if n > 0 {
		b.heard = true
	}
	return n, err
}

func (u *upstream) pop() *backendConn {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := len(u.idle)
	if n == 0 {
		return nil
	}
	b := u.idle[n-1]
	u.idle[n-1] = nil
	u.idle = u.idle[:n-1]
	return b
}

// keep takes a connection back whose exchange has ended cleanly.
func (u *upstream) keep(b *backendConn) {
	if len(b.reader.Buffered()) > 0 || b.gone.Load() {
		b.close() // it said more than it was asked
		return
	}
	b.client = nil
	b.reader.Release()
	b.since = time.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed || len(u.idle) == backendIdleConns {
		b.close()
		return
	}
	u.idle = append(u.idle, b)
	if u.clock == nil {
		u.clock = time.AfterFunc(backendIdle, u.sweep)
	}
}

// sweep closes what has been idle for too long. The ones used last are at the
// end.
func (u *upstream) sweep() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clock = nil
	if u.closed {
		return
	}
	old := 0
	for old < len(u.idle) && time.Since(u.idle[old].since) >= backendIdle {
		u.idle[old].close()
		old++
	}
	u.idle = slices.Delete(u.idle, 0, old)
	if len(u.idle) > 0 {
		u.clock = time.AfterFunc(backendIdle-time.Since(u.idle[0].since), u.sweep)
	}
}

// close closes what is idle now, and what is given back later.
func (u *upstream) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	if u.clock != nil {
		u.clock.Stop()
	}
	for _, b := range u.idle {
		b.close()
	}
	u.idle = nil
}

func (b *backendConn) close() {
	b.reader.Reset(nil)
	_ = b.Conn.Close() // nobody is left who could be told
}

// wait sets the deadline for what is read next; it fails if the client has
// gone.
func (b *backendConn) wait(until time.Time) error {
	_ = b.SetReadDeadline(until) // an error means closed; reading tells
	if b.gone.Load() {
		return errClientGone
	}
	return nil
}

// allowWrite sets how long writing may take, or up to deadlineSlack longer: so
// often only is the deadline moved.
func (b *backendConn) allowWrite(d time.Duration) {
	if until := time.Now().Add(d); b.writeUntil.Before(until) {
		b.writeUntil = until.Add(deadlineSlack)
		_ = b.SetWriteDeadline(b.writeUntil) // an error means closed; writing tells
	}
}

// clientGone makes a read under way fail, and each later one. It may be called
// from any goroutine, while the exchange lasts.
func (b *backendConn) clientGone() {
	b.gone.Store(true)
	_ = b.SetDeadline(aLongTimeAgo)
}

// explainHead names the two mistakes of an answer's head that an operator can
// mend.
func (b *backendConn) explainHead(err error) error {
	p := b.reader.Buffered()
	switch {
	case len(p) >= answerLimits.Head:
		return errHeadTooLong
	case len(p) >= 2 && p[0] == 0x15 && p[1] == 3: // a TLS alert (RFC 8446 §5.1)
		return errSpeaksTLS
	}
	return err
}
