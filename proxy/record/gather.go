package record

import (
	"net"
	"runtime"
	"sync"
	"time"
)

// maxGathered is how much may wait to be written together. A Write beyond it
// waits as well.
const maxGathered = 64 << 10

// A gatherer writes together what is written to it by many in a short time. A
// server of HTTP/2 flushes at the end of each answer; under load the answers of
// several streams are ready in the same moment, and most of what an answer
// costs is the system call.
//
// Write only takes the bytes, and a goroutine that runs while there are any
// writes them once those have had their turn that were to run before it. An
// error is returned by the Writes that follow.
type gatherer struct {
	conn net.Conn

	mu      sync.Mutex
	idle    sync.Cond // signals that running, pending or err has changed
	pending []byte
	spare   []byte // what pending was before, while it is not written
	running bool
	err     error
}

func newGatherer(conn net.Conn) *gatherer {
	g := &gatherer{conn: conn}
	g.idle.L = &g.mu
	return g
}

func (g *gatherer) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.pending) > 0 && len(g.pending)+len(p) > maxGathered && g.err == nil {
		g.idle.Wait()
	}
	if g.err != nil {
		return 0, g.err
	}
	g.pending = append(g.pending, p...)
	if !g.running {
		g.running = true
		go g.run() // ends when all is written, or can't be; flush waits for it
	}
	return len(p), nil
}

func (g *gatherer) run() {
	runtime.Gosched() // whoever has an answer ready writes it before us
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.pending) > 0 && g.err == nil {
		p := g.pending
		g.pending, g.spare = g.spare[:0], nil
		g.mu.Unlock()
		_, err := g.conn.Write(p)
		g.mu.Lock()
		g.err, g.spare = err, p
		g.idle.Broadcast()
	}
	// An idle connection holds no buffer.
	g.running, g.pending, g.spare = false, nil, nil
	g.idle.Broadcast()
}

// flush waits until all has been written, or can't be.
func (g *gatherer) flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.running {
		g.idle.Wait()
	}
}

// gather has the feed of an HTTP/2 connection write what comes together.
func (f *feed) gather() { f.gathered = newGatherer(f.Conn) }

// SetDeadline sets both deadlines.
func (f *feed) SetDeadline(t time.Time) error {
	if err := f.SetWriteDeadline(t); err != nil {
		return err
	}
	return f.Conn.SetReadDeadline(t)
}

// SetWriteDeadline sets the deadline of what is written from now on: crypto/tls
// forbids further writes by one that is over, directly behind its close_notify.
func (f *feed) SetWriteDeadline(t time.Time) error {
	if f.gathered != nil && !t.IsZero() && time.Until(t) <= 0 {
		f.gathered.flush()
	}
	return f.Conn.SetWriteDeadline(t)
}

// Close closes the connection. What was written before gets a moment to leave.
func (f *feed) Close() error {
	if f.gathered != nil {
		_ = f.Conn.SetWriteDeadline(time.Now().Add(closeTimeout)) // an error means closed
		f.gathered.flush()
	}
	return f.Conn.Close()
}
