package relay

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultLinger is the Linger of an Options that names none.
const DefaultLinger = 10 * time.Second

// Options are the terms of one tunnel. The zero value is ready to use: no idle
// timeout, DefaultLinger, nothing left over from the handshake.
type Options struct {
	// IdleTimeout cuts a tunnel in which no byte moved in either direction for
	// this long; traffic in one direction keeps both alive. A write that waits
	// for a peer to read does not count as movement, so a peer that takes
	// longer than this for one buffer of 16 KiB is taken for stalled.
	// Zero or less: never.
	IdleTimeout time.Duration

	// Linger is how long the side that still talks may be silent after the
	// other one has ended its half. It is counted from the last byte, not from
	// the end of the half, so that a long reply arrives whole. An IdleTimeout
	// shorter than Linger holds here too. Zero or less: DefaultLinger.
	Linger time.Duration

	// ClientLeftover and BackendLeftover are bytes that arrived from that side
	// together with its handshake. They are delivered to the other side before
	// anything else, and counted. Run only reads the slices, and does not keep
	// them longer than it runs.
	ClientLeftover, BackendLeftover []byte
}

// Reason says what ended a tunnel. Its text is stable, for logs.
type Reason string

// The reasons. A side that closed ended cleanly, and was the first to do so; a
// side that aborted was reset, or could no longer be read or written.
const (
	ClientClosed   Reason = "client closed"
	BackendClosed  Reason = "backend closed"
	ClientAborted  Reason = "client aborted"
	BackendAborted Reason = "backend aborted"
	IdleTimedOut   Reason = "idle timeout"
	LingerTimedOut Reason = "linger timeout"
	Canceled       Reason = "canceled"
)

// Result is the account of one tunnel.
type Result struct {
	// FromClient and FromBackend are the bytes of that side which were handed
	// to the other one's connection, leftovers included.
	FromClient, FromBackend int64

	Reason Reason

	// Err is the failure behind ClientAborted or BackendAborted. It is nil if
	// that side simply went away (reset, broken pipe, a FIN within a TLS
	// record), and for every other Reason.
	Err error

	// Duration is how long Run ran.
	Duration time.Duration
}

// Run copies between client and backend until both directions have ended, and
// closes both connections before it returns. Both must be past their
// handshakes, and nobody else may read or write them; deadlines that the
// handshake left on them are lifted. Canceling ctx cuts both at once.
//
// A side's end is passed on by its peer's CloseWrite method. A connection
// without one cannot be told without losing the rest of its reply, so it is
// left open until it ends by itself, or has been silent for Linger, and is then
// closed whole.
//
// Hand over a *tls.Conn as such: inside another type it cannot be told from
// others, and a cut would send its close_notify and wait up to 5 s for that.
//
// Run uses the caller's goroutine and one more, which has ended when it
// returns. It may be called concurrently for different tunnels.
func Run(ctx context.Context, client, backend net.Conn, o Options) Result {
	t := &tunnel{idle: o.IdleTimeout, linger: o.Linger, start: time.Now()}
	if t.linger <= 0 {
		t.linger = DefaultLinger
	}
	t.up = flow{
		src: client, dst: backend, leftover: o.ClientLeftover,
		srcName: "client", dstName: "backend",
		srcClosed: ClientClosed, srcAborted: ClientAborted, dstAborted: BackendAborted,
	}
	t.down = flow{
		src: backend, dst: client, leftover: o.BackendLeftover,
		srcName: "backend", dstName: "client",
		srcClosed: BackendClosed, srcAborted: BackendAborted, dstAborted: ClientAborted,
	}

	// A hijacked connection still has the deadlines of its HTTP server, which
	// would cut the tunnel later. An error means closed; the flows will see it.
	_ = client.SetDeadline(time.Time{})
	_ = backend.SetDeadline(time.Time{})

	t.mu.Lock()
	t.watch()
	t.mu.Unlock()
	// Should the callback come too late to be stopped, it finds the tunnel over
	// and touches nothing; it needs no one to wait for it.
	stop := context.AfterFunc(ctx, func() { t.cut(Canceled, nil) })
	defer stop()

	var wg sync.WaitGroup
	// The other flow's end, the clock or ctx stops it by closing its
	// connections, if its own source does not end first; wg.Wait waits for it.
	wg.Go(func() { t.carry(&t.down) })
	t.carry(&t.up)
	wg.Wait()

	t.finish()
	return Result{
		FromClient:  t.up.bytes,
		FromBackend: t.down.bytes,
		Reason:      t.reason,
		Err:         t.err,
		Duration:    time.Since(t.start),
	}
}

// A tunnel is one call of Run.
type tunnel struct {
	idle, linger time.Duration
	start        time.Time
	up, down     flow

	// moved is when a byte last moved, in nanoseconds after start.
	moved atomic.Int64

	mu     sync.Mutex
	over   bool   // both connections have been closed
	ended  *flow  // the flow whose source was the first to end cleanly
	reason Reason // why it is over
	err    error
	clock  *time.Timer // runs tick; nil while there is no limit
}

// carry runs one flow to its end, and draws the consequences for the tunnel.
func (t *tunnel) carry(f *flow) {
	reason, err := f.pump(t.touch)
	if err != nil {
		t.cut(reason, err)
		return
	}
	// The clock comes first: CloseWrite of TLS may itself wait for a peer that
	// does not read.
	t.halfClosed(f)
	closeWrite(f.dst)
}

// touch notes that a byte moved. Both flows call it.
func (t *tunnel) touch() { t.moved.Store(int64(time.Since(t.start))) }

// halfClosed notes that f's source has ended cleanly, from where on Linger
// counts.
func (t *tunnel) halfClosed(f *flow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || t.ended != nil {
		return
	}
	t.ended = f
	t.touch()
	t.watch()
}

// limit is how long the tunnel may be silent now, zero for ever, and the reason
// it is cut for then. mu is held.
func (t *tunnel) limit() (time.Duration, Reason) {
	switch {
	case t.ended != nil && (t.idle <= 0 || t.linger < t.idle):
		return t.linger, LingerTimedOut
	case t.idle > 0:
		return t.idle, IdleTimedOut
	}
	return 0, ""
}

// watch sets the clock to when the tunnel will have been silent for too long,
// should no byte move until then; tick looks whether one did. mu is held.
func (t *tunnel) watch() {
	limit, _ := t.limit()
	if limit == 0 {
		return
	}
	left := limit - t.silent()
	if t.clock == nil {
		t.clock = time.AfterFunc(left, t.tick)
		return
	}
	t.clock.Reset(left)
}

func (t *tunnel) silent() time.Duration {
	return time.Since(t.start) - time.Duration(t.moved.Load())
}

// tick is called by the clock. Like the context's callback it does nothing once
// the tunnel is over, so that finish need not wait for it.
func (t *tunnel) tick() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	limit, reason := t.limit()
	if t.silent() < limit {
		t.watch()
		return
	}
	t.cutLocked(reason, nil)
}

// cut ends the tunnel before both sides have ended it.
func (t *tunnel) cut(reason Reason, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cutLocked(reason, err)
}

func (t *tunnel) cutLocked(reason Reason, err error) {
	if t.over {
		return
	}
	t.over = true
	t.reason = reason
	if !ordinary(err) {
		t.err = err
	}
	// A side that ended its half and then cannot be written to has not aborted:
	// it had closed altogether, which TCP shows only to one who writes.
	if t.ended != nil && reason == t.ended.srcAborted && ordinary(err) {
		t.reason = t.ended.srcClosed
	}
	// err: one side broke off, and the other must not take that for its end.
	hangUp(t.up.dst, err != nil || t.up.owing.Load())
	hangUp(t.down.dst, err != nil || t.down.owing.Load())
}

// finish closes what the flows have left open, and stops the clock. From here
// on no callback touches a connection.
func (t *tunnel) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.clock != nil {
		t.clock.Stop()
	}
	if t.over {
		return
	}
	t.over = true
	t.reason = t.ended.srcClosed
	// Both sides have been told by CloseWrite and have nothing more to say: an
	// error can no longer cost anyone a byte.
	_ = t.up.dst.Close()
	_ = t.down.dst.Close()
}
