package relay

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"wsfront/proxy/frame"
	"wsfront/proxy/tally"
)

// An Engine carries tunnels. Its methods may be called concurrently.
type Engine struct {
	loops []*loop   // none where every tunnel has goroutines
	base  time.Time // where its clock begins
	pings *tally.Histogram

	mu       sync.Mutex
	live     map[*Tunnel]struct{} // those of which the owner was not told yet that they are over
	empty    chan struct{}        // closed once live is empty; nil while nobody waits
	draining bool                 // a tunnel that begins is to end at once
	cutting  bool                 // and without a word
}

// NewEngine returns an engine that nobody runs yet. On Linux it opens as many
// event loops as GOMAXPROCS, but at most 8, each of which has two descriptors;
// Run must be called, as it closes them. The error is that of the system, which
// has no descriptors left.
func NewEngine() (*Engine, error) {
	e := newEngine()
	var err error
	if e.loops, err = openLoops(e); err != nil {
		return nil, fmt.Errorf("open the event loops of the tunnels: %w", err)
	}
	return e, nil
}

func newEngine() *Engine {
	return &Engine{base: time.Now(), pings: tally.NewHistogram(tally.Latencies()), live: make(map[*Tunnel]struct{})}
}

// now is the time on the engine's clock, in nanoseconds. It is never 0, which
// stands for no time at all.
func (e *Engine) now() int64 { return int64(time.Since(e.base)) + 1 }

func (e *Engine) at(t int64) time.Time { return e.base.Add(time.Duration(t - 1)) }

// Run carries the tunnels until ctx is done, then cuts those that are left, and
// returns nil once all of them are closed and their owners know it. It may be
// called once.
func (e *Engine) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, l := range e.loops {
		wg.Go(l.run) // stopped below, and waited for
	}
	<-ctx.Done()
	e.cutAll()
	<-e.ended()
	for _, l := range e.loops {
		l.stop()
	}
	wg.Wait()
	return nil
}

// Start makes a tunnel of two connections that are past their handshakes and
// returns at once. Nobody else may touch them from here on; deadlines that the
// handshake left on them are lifted. The owner is told when both are closed.
//
// On Linux, TCP and unix sockets as such are carried by an event loop.
// Everything else has two goroutines and a buffer each: hand over a *tls.Conn
// as such, as inside another type it cannot be told from others, and a cut
// would send its close_notify and wait up to 5 s for that.
//
// A side's end is passed on by its peer's CloseWrite method. A connection
// without one cannot be told without losing the rest of its reply, so it is
// left open until it ends by itself, or has been silent for Linger, and is then
// closed whole.
//
// Once the engine drains, a tunnel is closed as it begins, with 1001; once its
// time to drain is over or it has ended, it is cut.
func (e *Engine) Start(client, backend net.Conn, o *Options, early Early, owner Owner) *Tunnel {
	if t := e.startLooped(client, backend, o, early, owner); t != nil {
		return t
	}
	return e.startGoing(client, backend, o, early, owner)
}

// begin fills in a new tunnel, and counts it. It says whether the tunnel lives,
// as it is cut once the engine's time is over; if it does, Run waits for its
// end.
func (e *Engine) begin(t *Tunnel, m mover, o *Options, owner Owner) bool {
	now := e.now()
	t.engine, t.mover, t.o, t.owner, t.opened, t.moved = e, m, o, owner, now, now
	if o.MaxLifetime > 0 {
		t.endAt, t.why = now+int64(o.MaxLifetime), LifetimeOver
	}
	if o.Frames != nil {
		t.ways[client].follower.Init(frame.FromClient, &o.Frames.FromClient)
		t.ways[backend].follower.Init(frame.FromBackend, &o.Frames.FromBackend)
	}
	for s := range t.ways {
		t.ways[s].heard, t.ways[s].told = now, now
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.live[t] = struct{}{}
	switch {
	case e.cutting:
		t.cut(Canceled, nil)
	case e.draining:
		t.endBy(now, Drained)
	case o.Group != nil && o.Group.over:
		t.endBy(now, o.Group.why)
	}
	return !e.cutting
}

// end reports a tunnel whose connections are closed. It lives until the owner
// has been told: whoever sums up what moved in those that live and in those that
// do not would otherwise miss it for a moment.
func (e *Engine) end(t *Tunnel, r Result) {
	go func() { // ends with Over; Run and Shutdown wait for it
		defer e.forget(t)
		t.owner.Over(r)
	}()
}

func (e *Engine) forget(t *Tunnel) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.live, t)
	if len(e.live) == 0 && e.empty != nil {
		close(e.empty)
		e.empty = nil
	}
}

// ended returns a channel that is closed once every tunnel has ended.
func (e *Engine) ended() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.empty != nil {
		return e.empty
	}
	c := make(chan struct{})
	if len(e.live) == 0 {
		close(c)
		return c
	}
	e.empty = c
	return c
}

// Tunnels is the number of tunnels that live, which each does until its owner's
// Over has returned.
func (e *Engine) Tunnels() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.live)
}

// All are the tunnels that lived when the iteration began, in no order.
func (e *Engine) All() iter.Seq[*Tunnel] {
	return func(yield func(*Tunnel) bool) {
		for _, t := range e.snapshot() {
			if !yield(t) {
				return
			}
		}
	}
}

// PingRoundTrip has counted how long clients took to answer the pings of
// Options.Ping. Whoever carries tunnels by other means may add theirs.
func (e *Engine) PingRoundTrip() *tally.Histogram { return e.pings }

// snapshot returns the tunnels that live.
func (e *Engine) snapshot() []*Tunnel {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.AppendSeq(make([]*Tunnel, 0, len(e.live)), maps.Keys(e.live))
}

func (e *Engine) cutAll() {
	e.mu.Lock()
	e.cutting = true
	e.mu.Unlock()
	for _, t := range e.snapshot() {
		t.Cut()
	}
}
