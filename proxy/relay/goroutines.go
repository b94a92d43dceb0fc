package relay

import (
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A going tunnel is carried by two goroutines: one for each way, which reads a
// buffer from its source, writes it to its destination, and only then reads
// again. It is the way for whatever no event loop can carry.
type going struct {
	Tunnel
	conns [2]net.Conn
	early [2][]byte

	// writing is held while something is written to that side.
	writing [2]sync.Mutex

	// puts are the goroutines that put control frames in; putting says of which
	// way there is one.
	puts    sync.WaitGroup
	putting [2]bool

	clock *time.Timer // calls ring; nil while there is no limit
}

// goingBuffer is what one TLS record can carry (RFC 8446 §5.1): a read of TLS
// never returns more, so a larger buffer would stand half empty.
const goingBuffer = 16 << 10

// goingBuffers is shared by all tunnels, so that short ones do not make
// garbage. It holds nothing that one tunnel could see of another: no byte of a
// buffer is written that was not just read into it.
var goingBuffers = sync.Pool{New: func() any { return new([goingBuffer]byte) }}

func (e *Engine) startGoing(c, b net.Conn, o *Options, early Early, owner Owner) *Tunnel {
	g := &going{conns: [2]net.Conn{c, b}, early: [2][]byte{early.FromClient, early.FromBackend}}
	e.begin(&g.Tunnel, g, o, owner)
	go g.run() // ends with the tunnel, which Engine.Run cuts; its end is counted
	return &g.Tunnel
}

func (g *going) run() {
	// A hijacked connection still has the deadlines of its HTTP server, which
	// would cut the tunnel later. An error means closed; the ways will see it.
	_ = g.conns[client].SetDeadline(time.Time{})
	_ = g.conns[backend].SetDeadline(time.Time{})
	func() {
		defer g.guard()
		g.locked(func() {
			g.sooner = true
			g.wake()
		})
	}()

	var wg sync.WaitGroup
	// The other way's end, the clock or the engine stops it by closing its
	// connections, if its own source does not end first.
	wg.Go(func() { g.carry(backend) })
	g.carry(client)
	wg.Wait()

	g.mu.Lock()
	if g.clock != nil {
		g.clock.Stop() // come too late, ring finds the tunnel over
	}
	g.finish()
	polite := g.polite
	r := g.result(g.engine.now())
	g.mu.Unlock()
	if polite {
		// Both sides have been told, and have nothing more to say: an error can
		// no longer cost anyone a byte.
		_ = g.conns[client].Close()
		_ = g.conns[backend].Close()
	}
	g.puts.Wait()
	g.engine.end(&g.Tunnel, r)
}

// carry runs one way to its end, and draws the consequences for the tunnel.
func (g *going) carry(s side) {
	defer g.guard()
	if len(g.early[s]) > 0 && !g.forward(s, g.early[s]) {
		return
	}
	g.early[s] = nil
	buf := goingBuffers.Get().(*[goingBuffer]byte)
	defer goingBuffers.Put(buf)
	for {
		n, err := g.conns[s].Read(buf[:])
		if n > 0 && !g.forward(s, buf[:n]) {
			return
		}
		if err == io.EOF {
			g.passEnd(s)
			return
		}
		if err != nil {
			g.abort(s, fmt.Errorf("read from %s: %w", s, err))
			return
		}
	}
}

// forward writes what s said to the other side, and says whether the tunnel
// goes on.
func (g *going) forward(s side, p []byte) bool {
	g.writing[s.other()].Lock()
	defer g.writing[s.other()].Unlock()
	var out outbox
	var over bool
	g.locked(func() {
		g.pass(s, p, g.engine.now(), &out)
		// What was said may have been an answer that was waited for, or broken a
		// rule, which has its consequences while the other side takes its time.
		if g.ways[s].owing = len(out.bytes()) > 0; !g.ways[s].owing || g.sooner {
			g.wake()
		}
		over = g.over
	})
	return !over && g.write(s, &out)
}

// write writes to the side that s speaks to. Its writing lock is held.
func (g *going) write(s side, out *outbox) bool {
	p := out.bytes()
	if len(p) == 0 {
		return true
	}
	n, err := g.conns[s.other()].Write(p)
	g.locked(func() {
		w := &g.ways[s]
		w.bytes += int64(min(n, out.plain))
		now := g.engine.now()
		if n > 0 && out.plain > 0 {
			g.moved = now
		}
		w.owing = err != nil
		if err == nil {
			if out.plain > 0 {
				g.taken(s, now)
			}
			g.wake() // a control frame may have waited for this
		}
	})
	if err != nil {
		g.abort(s.other(), fmt.Errorf("write to %s: %w", s.other(), err))
	}
	return err == nil
}

// passEnd tells the other side that s has ended.
func (g *going) passEnd(s side) {
	var out outbox
	var closing bool
	g.locked(func() {
		g.sourceEnded(s, g.engine.now())
		g.last(s, &out)
		// The clock comes first: CloseWrite of TLS may itself wait for a peer that
		// does not read.
		g.wake()
		closing = g.closing != nil
	})
	g.writing[s.other()].Lock()
	defer g.writing[s.other()].Unlock()
	// A tunnel that is closing ends whole.
	if g.write(s, &out) && !closing {
		closeWrite(g.conns[s.other()])
	}
}

// startPut has the control frames put in that the way of s wants, if they can
// be; if not, forward puts them in. g.mu is held.
func (g *going) startPut(s side) {
	if w := &g.ways[s]; w.wants == 0 || w.owing || g.putting[s] || !w.follower.AtBoundary() {
		return
	}
	g.putting[s] = true
	g.puts.Go(func() { // ends with its write, as forward's does; run waits for it
		defer g.guard()
		g.writing[s.other()].Lock()
		defer g.writing[s.other()].Unlock()
		var out outbox
		g.locked(func() {
			g.putting[s] = false
			g.put(s, g.engine.now(), &out)
			g.ways[s].owing = len(out.bytes()) > 0
			g.wake()
		})
		g.write(s, &out)
	})
}

// locked calls f with g.mu held, and leaves it unlocked if f panics.
func (g *going) locked(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// guard ends a tunnel of which a goroutine panicked, and only that; it is
// deferred where g.mu is not held.
func (g *going) guard() {
	if cause := recover(); cause != nil {
		fault := newPanic(cause)
		g.locked(func() {
			g.cut(Failed, fault)
			g.hangUp()
		})
	}
}

func (g *going) abort(s side, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut(s.aborted(), err)
	g.wake()
}

// wake does what was decided: it closes both connections if the tunnel is over,
// which ends its ways, or else puts control frames in and sets the clock. g.mu
// is held.
func (g *going) wake() {
	g.progress(g.engine.now())
	if g.over {
		g.hangUp()
		return
	}
	g.startPut(client)
	g.startPut(backend)
	if g.sooner {
		g.sooner = false
		g.setClock()
	}
}

// hangUp closes both connections of a tunnel that is over, which ends its ways.
// g.mu is held.
func (g *going) hangUp() {
	for s, c := range g.conns {
		if g.polite {
			// run closes it once its reader has ended. An error means that it is
			// closed.
			_ = c.SetReadDeadline(time.Unix(1, 0))
		} else {
			hangUp(c, g.resets(side(s)))
		}
	}
}

// setClock sets the clock to when the tunnel is due. g.mu is held.
func (g *going) setClock() {
	at := g.due()
	if at == 0 {
		return
	}
	left := time.Duration(at - g.engine.now())
	if g.clock == nil {
		g.clock = time.AfterFunc(left, g.ring)
		return
	}
	g.clock.Reset(left)
}

// ring is called by the clock. It does nothing once the tunnel is over, so that
// its end need not wait for it.
func (g *going) ring() {
	defer g.guard()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return
	}
	g.tick(g.engine.now())
	g.sooner = true
	g.wake()
}
