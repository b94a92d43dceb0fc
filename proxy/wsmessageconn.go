package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"wsfront/proxy/frame"
	"wsfront/proxy/relay"
)

// messageEnd is the connection that gorilla/websocket has in place of a peer's.
// It never fails: the library would take that for something to log, and would
// invent a Close frame. A peer's Close, its disappearance and its faults all end
// the tunnel (messageRun.end); then Read says that the peer went away, in the one
// form that is not logged, and what the library then wants to say goodbye with is
// replaced by the truth in Write.
type messageEnd struct {
	net.Conn
	run  *messageRun
	side frame.Side // whose frames are read here
	name string

	greeted  bool   // the library has written its handshake
	greeting []byte // the answer that it is still to read

	reader    frameReader
	early     []byte  // what came with the handshake, still to be read
	aside     bool    // what is read cannot stay in place, as it may grow
	buffer    *[]byte // where it is then, nil when there is nothing
	ready     []byte  // of buffer, still to be handed over
	readOver  chan struct{}
	closeRead sync.Once

	mu        sync.Mutex // held during a write; below it, what writing needs
	out       frame.Follower
	armed     int64 // until when the write deadline is far enough, after begin
	broken    bool
	said      chan struct{} // closed when the Close frame is written, or cannot be
	closeSaid sync.Once

	heard                    atomic.Int64 // when a byte came, after begin
	tried, asked             int64        // when a ping was due and when one was sent, after begin; the clock's
	pinged                   atomic.Int64 // when one was sent that has no pong yet, after begin; 0 is none
	ponged, trip             atomic.Int64 // when a pong came, after begin, and how long the ping had taken to it
	received, sent, messages atomic.Int64
}

func (e *messageEnd) init(r *messageRun, side frame.Side, p messagePeer, deflate bool) {
	e.Conn, e.early, e.run, e.side, e.name = p.conn, p.early, r, side, [...]string{"client", "backend"}[side]
	e.readOver, e.said = make(chan struct{}), make(chan struct{})
	rules := &r.rules[side]
	if deflate {
		rules, e.aside = &r.deflate, true
	}
	e.reader.init(e, rules)
	e.out.Init(e.other(), &r.free) // what is written here came from the other side
	// A hijacked connection still has the deadlines of its HTTP server.
	_ = e.Conn.SetDeadline(time.Time{})
}

func (e *messageEnd) other() frame.Side { return frame.FromClient + frame.FromBackend - e.side }

// Read hands over frames that were looked at. It is called by one goroutine.
func (e *messageEnd) Read(p []byte) (n int, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			e.panicked(cause)
			n, err = 0, e.run.over
		}
	}()
	for {
		switch {
		case len(e.greeting) > 0:
			n = copy(p, e.greeting)
			e.greeting = e.greeting[n:]
			return n, nil
		case len(e.ready) > 0:
			n = copy(p, e.ready)
			e.ready = e.ready[n:]
			e.release()
			return n, nil
		case e.run.ending.Load() != nil:
			e.closeRead.Do(func() { close(e.readOver) })
			return 0, e.run.over
		}
		if n = e.receive(p); n > 0 {
			return n, nil
		}
	}
}

// receive reads once from the peer. It returns how much of p may be handed over;
// what was taken aside is ready instead.
func (e *messageEnd) receive(p []byte) int {
	var n int
	var err error
	if len(e.early) > 0 {
		n = copy(p, e.early)
		e.early = e.early[n:]
	} else {
		n, err = e.Conn.Read(p)
	}
	passed := 0
	if n > 0 {
		passed = e.look(p, n)
	}
	switch verdict := e.reader.verdict; {
	case verdict != nil:
		e.run.end(*verdict)
	case err != nil:
		e.run.end(e.vanished(err))
	}
	return passed
}

// look has the first n bytes of p read as frames.
func (e *messageEnd) look(p []byte, n int) (passed int) {
	e.received.Add(int64(n))
	now := e.run.now()
	e.heard.Store(now)
	if !e.aside && !e.reader.holds() {
		return len(e.reader.take(p[:0], p[:n], now))
	}
	e.buffer = e.run.getBuffer()
	*e.buffer = e.reader.take(*e.buffer, p[:n], now)
	e.ready = *e.buffer
	e.release()
	return 0
}

// release gives the buffer back once it is empty.
func (e *messageEnd) release() {
	if len(e.ready) == 0 {
		e.run.putBuffer(e.buffer)
		e.buffer, e.ready = nil, nil
	}
}

// getBuffer is an empty buffer.
func (m *messageTunnel) getBuffer() *[]byte {
	b, _ := m.buffers.Get().(*[]byte)
	if b == nil {
		b = new([]byte)
	}
	*b = (*b)[:0]
	return b
}

// putBuffer keeps a buffer for the next message, unless it is one for the rare
// large ones.
func (m *messageTunnel) putBuffer(b *[]byte) {
	if b != nil && cap(*b) <= 64<<10 {
		m.buffers.Put(b)
	}
}

// vanished is the end by a peer that sends no more and has not said Close.
func (e *messageEnd) vanished(err error) messageEnding {
	ending := messageEnding{reason: [...]relay.Reason{relay.ClientAborted, relay.BackendAborted}[e.side], by: e.name, code: 1006}
	if err != io.EOF && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, net.ErrClosed) {
		ending.err = err
	}
	ending.words[e.other()] = lastWord{true, 1001, e.name + " went away"}
	return ending
}

// panicked contains what would end the process: the library's goroutines are not
// ours, but this call is.
func (e *messageEnd) panicked(cause any) {
	ending := frontEnds(relay.Failed, 1011)
	ending.err = &relay.Panic{Value: cause, Stack: debug.Stack()}
	e.run.end(ending)
	e.closeRead.Do(func() { close(e.readOver) })
	e.closeSaid.Do(func() { close(e.said) })
}

// Write sends one frame, or a part of one that begins or goes on with p: gorilla
// writes no other pieces.
func (e *messageEnd) Write(p []byte) (n int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer func() {
		if cause := recover(); cause != nil {
			e.broken = true
			e.panicked(cause)
			n, err = len(p), nil
		}
	}()
	switch {
	case !e.greeted:
		e.greet(p)
	case e.out.AtBoundary() && p[0]&opcodeBits == opcodeClose:
		e.sayClose()
	default:
		_, _, _ = e.out.Feed(p, 0) // rules of none: it only follows
		e.put(p)
	}
	return len(p), nil
}

// sayClose writes the Close frame that the ending has for this peer. mu is held.
func (e *messageEnd) sayClose() {
	if ending := e.run.ending.Load(); ending != nil && ending.words[e.side].say {
		word := ending.words[e.side]
		e.put(frame.AppendClose(nil, e.other(), word.code, word.text))
	}
	e.broken = true // nothing may follow (RFC 6455 §5.5.1)
	e.closeSaid.Do(func() { close(e.said) })
}

// put writes to the peer, in pieces small enough for a slow one to keep within
// the deadline. mu is held.
func (e *messageEnd) put(p []byte) {
	const piece = 64 << 10
	for len(p) > 0 && !e.broken {
		e.arm()
		n, err := e.Conn.Write(p[:min(len(p), piece)])
		e.sent.Add(int64(n))
		p = p[n:]
		if err == nil {
			continue
		}
		e.broken = true
		e.closeSaid.Do(func() { close(e.said) })
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			err = fmt.Errorf("it took nothing for %v", e.run.stall)
		}
		e.run.end(e.vanished(err))
	}
}

// arm sets the write deadline where the last one has come near. mu is held.
func (e *messageEnd) arm() {
	if now := e.run.now(); now >= e.armed {
		_ = e.Conn.SetWriteDeadline(time.Now().Add(e.run.stall))
		e.armed = now + int64(e.run.stall/2)
	}
	// Looked at last: end may just have set its own deadline, or be about to.
	if ending := e.run.ending.Load(); ending != nil {
		_ = e.Conn.SetWriteDeadline(ending.until)
	}
}

// nextProbe is when the peer will have been silent for too long.
func (e *messageEnd) nextProbe() int64 { return max(e.heard.Load(), e.tried) + int64(e.run.ping) }

// probe sends a ping to a peer that was silent for too long, or ends the tunnel
// if the last one had no answer. Any byte is an answer: a peer in the middle of
// a long message can send no pong.
func (e *messageEnd) probe(now int64) {
	if now < e.nextProbe() {
		return
	}
	if e.asked > e.heard.Load() {
		ending := e.vanished(net.ErrClosed)
		ending.reason = [...]relay.Reason{relay.ClientSilent, relay.BackendSilent}[e.side]
		e.run.end(ending)
		return
	}
	e.tried = now
	// A write that is under way has a deadline, which finds a dead peer as well.
	if !e.mu.TryLock() {
		return
	}
	defer e.mu.Unlock()
	if e.greeted && e.out.AtBoundary() {
		e.asked = now
		e.pinged.Store(now)
		e.put(frame.AppendPing(nil, e.other(), e.run.nonce[:]))
	}
}

// awaitClose reads until the peer has answered our Close frame, so that the
// connection is not reset under it while the frame is on its way (RFC 6455
// §7.1.1), and closes the connection. The library reads no more.
func (e *messageEnd) awaitClose(until time.Time) {
	defer e.Conn.Close()
	_ = e.Conn.SetReadDeadline(until)
	e.reader.mute = true
	p := make([]byte, 2048)
	for !e.reader.closed {
		n, err := e.Conn.Read(p)
		e.reader.take(nil, p[:n], e.run.now())
		if err != nil {
			return
		}
	}
}

// Close does nothing: the library closes at the first error, when the other side
// may not have been told. messageRun.takeLeave closes.
func (e *messageEnd) Close() error { return nil }

// SetDeadline does nothing: gorilla lifts the deadlines that are ours.
func (e *messageEnd) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing, as SetDeadline.
func (e *messageEnd) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing, as SetDeadline.
func (e *messageEnd) SetWriteDeadline(time.Time) error { return nil }
