package relay

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// A side is one end of a tunnel. The way of a side is what it says.
type side uint8

const (
	client side = iota
	backend
)

func (s side) String() string { return [...]string{"client", "backend"}[s] }

func (s side) other() side { return 1 - s }

func (s side) closed() Reason { return [...]Reason{ClientClosed, BackendClosed}[s] }

func (s side) violated() Reason { return [...]Reason{ClientViolated, BackendViolated}[s] }

func (s side) silent() Reason { return [...]Reason{ClientSilent, BackendSilent}[s] }

func (s side) aborted() Reason { return [...]Reason{ClientAborted, BackendAborted}[s] }

// A Tunnel is what Engine.Start made of two connections. Its methods may be
// called by anyone at any time, also once it is over.
//
// Everything that is decided about a tunnel is decided here, under its lock,
// and without any I/O; what moves the bytes is its mover.
type Tunnel struct {
	engine *Engine
	mover  mover
	o      *Options
	owner  Owner
	opened int64 // all times are nanoseconds on the engine's clock

	mu     sync.Mutex
	ways   [2]way
	moved  int64         // when a byte last moved
	ponged int64         // when the client last answered a ping; 0 is never
	trip   time.Duration // how long that took
	endAt  int64         // when it is to be over; 0 is never
	why    Reason        // for what it is to be over then, and once it is over, was

	closing   *closing // nil until it is closed by Close frames of ours
	err       error
	closeCode uint16 // of the first Close that passed or was put in
	closer    party
	first     side // whose half ended first, once one of them has
	over      bool // both connections are closed, or about to be
	broken    bool // over because a side broke off, which the other one is to see
	polite    bool // over once all was said: TLS ends by close_notify
	sooner    bool // due may have become earlier, for the mover to see
}

// Owner is whoever has a tunnel, and keeps what belongs to it.
type Owner interface {
	// Over is called exactly once, in a goroutine of its own, when both of the
	// tunnel's connections are closed.
	Over(Result)
}

// A mover carries out what was decided: it is the tunnel's event loop, or its
// goroutines.
type mover interface {
	// wake has the mover look at the tunnel, as something was decided about it
	// by someone else. The tunnel's lock is held.
	wake()
}

// Owner is the one that Start was given.
func (t *Tunnel) Owner() Owner { return t.owner }

// Stats returns the tunnel's account as it stands; once it is over, as it ended.
func (t *Tunnel) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Stats{
		FromClient:    t.traffic(client),
		FromBackend:   t.traffic(backend),
		Opened:        t.engine.at(t.opened),
		Moved:         t.engine.at(t.moved),
		PingRoundTrip: t.trip,
	}
	if t.ponged != 0 {
		s.Ponged = t.engine.at(t.ponged)
	}
	return s
}

// traffic is the account of what s said. t.mu is held.
func (t *Tunnel) traffic(s side) Traffic {
	w := &t.ways[s]
	messages, _, _ := w.follower.Counts()
	return Traffic{Bytes: w.bytes, Messages: messages}
}

// Cut ends the tunnel at once, without a word to either side, for the reason
// Canceled. It does not wait for that.
func (t *Tunnel) Cut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut(Canceled, nil)
	t.mover.wake()
}

// sourceEnded notes that s has ended its half cleanly, from where on Linger
// counts. t.mu is held.
func (t *Tunnel) sourceEnded(s side, now int64) {
	if !t.ways[s.other()].ended {
		t.first = s
		t.moved = now
	}
	t.ways[s].ended = true
	t.sooner = true
}

// halfClosed says whether one side has ended. t.mu is held.
func (t *Tunnel) halfClosed() bool { return t.ways[client].ended || t.ways[backend].ended }

// told says whether both sides have ended, and know it of each other. t.mu is
// held.
func (t *Tunnel) told() bool {
	for i := range t.ways {
		if w := &t.ways[i]; !w.shut || w.owing {
			return false
		}
	}
	return true
}

// finish ends a tunnel that both sides have ended. t.mu is held.
func (t *Tunnel) finish() {
	if !t.over {
		t.over, t.polite = true, true
		t.why = t.first.closed()
	}
}

// cut ends the tunnel before both sides have ended it. An err means that one
// of them broke off. t.mu is held.
func (t *Tunnel) cut(why Reason, err error) {
	if t.over {
		return
	}
	t.over = true
	t.broken = err != nil && t.closing == nil
	t.why = why
	if c := t.closing; c != nil && why != Failed {
		t.why = c.why // whatever cut it short
	} else if !ordinary(err) {
		t.err = err
	}
	// A side that ended its half and then cannot be written to has not aborted:
	// it had closed altogether, which TCP shows only to one who writes.
	if t.halfClosed() && why == t.first.aborted() && t.err == nil {
		t.why = t.first.closed()
	}
}

// resets says whether s is to see a reset rather than an end, now that the
// tunnel is cut: one side broke off, and the other must not take that for its
// end; or it has part of a message only. t.mu is held.
func (t *Tunnel) resets(s side) bool {
	w := &t.ways[s.other()]
	return t.broken || w.owing || w.wants&wantClose != 0
}

// result is the account of a tunnel that is over. t.mu is held.
func (t *Tunnel) result(now int64) Result {
	return Result{
		FromClient:  t.traffic(client),
		FromBackend: t.traffic(backend),
		Reason:      t.why,
		Err:         t.err,
		CloseCode:   t.closeCode,
		CloseReason: t.closeReason(),
		ClosedBy:    t.ender().String(),
		Duration:    time.Duration(now - t.opened),
	}
}

// ender is who ended a tunnel that is over. t.mu is held.
func (t *Tunnel) ender() party {
	if t.closer != nobody {
		return t.closer
	}
	switch t.why {
	case ClientClosed, ClientAborted, ClientSilent:
		return byClient
	case BackendClosed, BackendAborted, BackendSilent:
		return byBackend
	case LingerTimedOut:
		return byClient + party(t.first)
	}
	return front
}

// ordinary tells a peer that went away, which is how many tunnels end, from a
// failure that an operator should read about.
func ordinary(err error) bool {
	return err == nil ||
		errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || // TLS: FIN within a record
		errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}
