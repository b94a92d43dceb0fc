package proxy

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// errFault is what a client's body fails by when the goroutine that passes it
// on has panicked.
var errFault = errors.New("a fault in this program; the line request.panic tells of it")

// Panics is how many panics there were since the start. Each ended one request,
// one connection or one tunnel, and is in the log as request.panic. It may be
// called concurrently.
func (s *Server) Panics() uint64 { return s.panics.Load() }

// notePanic counts and logs a panic that was recovered from. id is that of the
// request or tunnel, or "" where there was none yet.
func (s *Server) notePanic(id string, names traceNames, cause any, stack []byte) {
	s.panics.Add(1)
	s.log.Error(eventPanic, append([]any{"id", id, "panic", fmt.Sprint(cause), "stack", string(stack)}, names.nameAttributes()...)...)
}

// panicked contains a panic in one exchange.
func (s *Server) panicked(x *exchange, cause any) {
	id, names := "", traceNames{}
	if x.site != nil {
		id, names = string(x.id[:]), x.traceNames()
	}
	s.notePanic(id, names, cause, debug.Stack())
	x.reason, x.aborted = "panic", true
	if t := &x.attempt; t.b != nil { // under way: what runs beside it must not outlive the exchange
		t.end()
		t.b.close()
	}
}

// contain is deferred by what runs beside an exchange in a goroutine of its own:
// a panic there would end the process, whatever the exchange's own goroutine
// recovers from. after tells the exchange.
func (x *exchange) contain(after func()) {
	if cause := recover(); cause != nil {
		x.server.notePanic(string(x.id[:]), x.traceNames(), cause, debug.Stack())
		after()
	}
}

// contain is deferred by what serves a connection where it has no exchange: in
// its handshake, and while it waits.
func (c *clientConn) contain() {
	if cause := recover(); cause != nil {
		c.server.notePanic("", traceNames{}, cause, debug.Stack())
		if !c.gone {
			c.hangUp()
		}
		c.server.conns.done(c)
	}
}
