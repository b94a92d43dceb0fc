package http2

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"wsfront/proxy/http1"
)

var (
	// ErrClosed says that the connection was closed, by Close or by the client.
	ErrClosed = errors.New("the connection is closed")

	errIdle = errors.New("no request for idle_timeout")
	errRest = errors.New("no request for a while")
	errDone = errors.New("all streams have ended")
)

// Conn is one connection. Serve reads it; the goroutines of Handlers write, and
// so does one that runs while there is something to write.
type Conn struct {
	server *Server
	owner  any
	nc     net.Conn
	reader http1.Reader

	// Serve's own.
	decoder  decoder
	greeted  bool
	prefaced bool     // the client's preface has come
	settled  bool     // and its first SETTINGS frame
	data     dataLeft // of a DATA frame that has begun
	pending  pending  // of a header block that has begun
	scratch  block    // of a header block that nobody needs
	began    time.Time
	deadline time.Time // for reading, as it is set

	mu      sync.Mutex
	streams map[uint32]*Stream // until the Handler has returned
	open    int                // of those that are open as the client sees it, or were reset
	lastID  uint32             // the highest that was let in
	seenID  uint32             // the highest that the client has begun: higher only when it was told to go
	ignored ignored
	cause   error // why it ends; nil while it does not

	receiveWindow int64     // what the client may still send
	uncredited    int64     // what it may send again as soon as it is told
	fed           time.Time // see Stream.Starved
	sendWindow    int64
	initialWindow int64 // of streams, towards the client
	resets        rate
	controls      rate

	out        []byte // frames that are written next
	generation uint64 // of out
	control    int    // bytes of answers to control frames in out
	noTable    bool   // the next header block begins so
	queue      []*Stream
	heads      []*Stream // that wait for room in out, and for no window
	writer     func()    // flush, bound once
	flushing   bool
	flushed    sync.Cond // flushing is over
	writeErr   error
	writeUntil time.Time // the write deadline that is set

	leaving   leaving
	graceEnds time.Time
	idleSince time.Time
	mayRest   bool
	handlers  sync.WaitGroup
}

// leaving is how far the connection is on its way to an orderly end.
type leaving uint8

const (
	staying leaving = iota
	warned          // GOAWAY was sent that allows all streams
	gone            // GOAWAY was sent that names the last one
)

// NewConn makes a connection of one whose client is about to send its preface.
// The owner is whatever Handler and Hit know it by. If nc has a method Await()
// error, which returns when a Read would not wait, no buffer is held meanwhile.
func (s *Server) NewConn(nc net.Conn, owner any) *Conn {
	c := &Conn{server: s, owner: owner, nc: nc, receiveWindow: connWindow, sendWindow: defaultWindow, initialWindow: defaultWindow}
	c.decoder.max = tableSize
	c.flushed.L = &c.mu
	c.writer = c.flush
	c.reader.Reset(nc)
	return c
}

// Serve serves until the connection has ended and all Handlers have returned,
// and closes it. The error says why it ended, and is nil if that was in order;
// *ConnError if the client has to be blamed, or a limit was reached. A panic of
// nc's passes through.
//
// If mayRest is set, it returns early, with resting set, when the connection has
// been without a stream for RestAfter and holds nothing but itself. It is to be
// called again when there is something to read, when IdleEnd has come, or after
// a Shutdown.
func (c *Conn) Serve(mayRest bool) (resting bool, err error) {
	defer func() {
		if cause := recover(); cause != nil { // nothing of it must outlive this
			c.Close()
			c.handlers.Wait()
			panic(cause)
		}
	}()
	err = c.begins(mayRest)
	if err == nil {
		err = c.read()
	}
	if err == errRest {
		return true, nil
	}
	c.end(err)
	c.handlers.Wait()
	return false, c.inOrder()
}

// begins prepares for reading, the first time or after a rest.
func (c *Conn) begins(mayRest bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.greeted {
		c.mayRest = mayRest
		c.greet()
		return nil
	}
	c.mayRest = false // there was something to wake it
	err := c.judge()
	if c.mayRest = mayRest; err == nil {
		c.restSoon()
	}
	return err
}

// restSoon has due called when the connection may rest. c.mu is held.
func (c *Conn) restSoon() {
	if at := time.Now().Add(c.server.cfg.RestAfter); c.mayRest && c.deadline.After(at) {
		c.deadlineIs(at)
	}
}

// IdleEnd is when a connection that rests has been idle for IdleTimeout.
func (c *Conn) IdleEnd() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idleSince.Add(c.server.cfg.IdleTimeout)
}

// inOrder is why the connection has ended, or nil if that was in order.
func (c *Conn) inOrder() error {
	err := c.cause // the first of them
	if errors.Is(err, errIdle) || errors.Is(err, errDone) || errors.Is(err, io.EOF) || errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// hit tells of a limit that was reached.
func (c *Conn) hit(l Limit) { c.server.cfg.Hit(c.owner, l) }

// greet sends what a server begins with (RFC 9113 §3.4). c.mu is held.
func (c *Conn) greet() {
	c.greeted, c.idleSince = true, time.Now()
	cfg := &c.server.cfg
	settings := appendSetting(nil, settingMaxStreams, uint32(cfg.MaxStreams))
	settings = appendSetting(settings, settingInitialWindowSize, streamWindow)
	settings = appendSetting(settings, settingMaxHeaderListSize, uint32(cfg.MaxHeader))
	c.room(64)
	c.out = append(appendFrameHead(c.out, len(settings), frameSettings, 0, 0), settings...)
	c.appendWindowUpdate(0, connWindow-defaultWindow)
	c.kick()
}

// Shutdown tells the client to go: streams that are open, or on their way, are
// served, and then Serve returns. It does not wait.
func (c *Conn) Shutdown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil || c.leaving != staying {
		return
	}
	if !c.greeted { // Serve is about to be called, and nothing may come before
		c.greet()
	}
	c.leaving = warned
	c.graceEnds = time.Now().Add(goAwayGrace)
	c.appendGoAway(maxStreamID, NoError)
	// Its answer tells that the client knows, and that what it sent before it
	// did has come.
	c.room(frameHeadLen + len(leavingPing))
	c.out = append(appendFrameHead(c.out, len(leavingPing), framePing, 0, 0), leavingPing...)
	c.kick()
	c.wakeReader()
}

// Dismiss is a Shutdown that does not wait for requests on their way: GOAWAY says
// that they were not served, and may be asked again. It is for a connection that
// rests, on which Serve is to be called then; to any other it does nothing.
func (c *Conn) Dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil && c.leaving != gone && c.greeted && len(c.streams) == 0 {
		c.leave()
	}
}

// leavingPing is the payload of our only PING.
const leavingPing = "goodbye!"

// Close cuts the connection. Handlers are told; Serve returns when they have
// returned.
func (c *Conn) Close() {
	c.mu.Lock()
	c.fail(ErrClosed)
	c.mu.Unlock()
	_ = c.nc.Close()
}

// fail makes all streams fail. c.mu is held.
func (c *Conn) fail(cause error) {
	if c.cause != nil {
		return
	}
	c.cause = cause
	for _, s := range c.streams {
		s.fail(errGone)
	}
}

// end ends the connection, which cannot be read any more, or is not to be.
func (c *Conn) end(err error) {
	c.mu.Lock()
	c.fail(err)
	var fault *ConnError
	tell, patience := true, c.server.cfg.WriteTimeout // the end of an answer may be under way yet
	switch {
	case errors.As(err, &fault):
		patience = lingerTime
		c.appendGoAway(c.lastID, fault.Code)
	case errors.Is(err, errIdle):
		c.appendGoAway(c.lastID, NoError)
	case errors.Is(err, errDone):
	default: // nobody reads what could be written
		tell = false
		c.writeErr = err
	}
	if tell {
		_ = c.nc.SetWriteDeadline(time.Now().Add(patience)) // an error means closed
		c.kick()
		for c.flushing {
			c.flushed.Wait()
		}
		tell = c.writeErr == nil
	}
	c.mu.Unlock()
	if tell {
		c.linger(patience)
	}
	c.reader.Reset(nil)
	_ = c.nc.Close()
	c.mu.Lock()
	for c.flushing {
		c.flushed.Wait()
	}
	c.mu.Unlock()
}

// linger ends our half, and takes what the client still sends: closed at once,
// the connection would be reset, and what was just written lost with it. A client
// that opens windows is still reading; it has so long for that.
func (c *Conn) linger(longest time.Duration) {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	for ends := time.Now().Add(longest); c.lingersUntil(ends); {
		c.reader.Discard(len(c.reader.Buffered()))
		if c.reader.Fill() != nil {
			return
		}
	}
}

// lingersUntil allows the client lingerTime for its next bytes. It reports false
// if it is time to close.
func (c *Conn) lingersUntil(ends time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.cause == ErrClosed || !now.Before(ends) {
		return false
	}
	next := now.Add(lingerTime)
	if ends.Before(next) {
		next = ends
	}
	return c.nc.SetReadDeadline(next) == nil
}

// wakeReader has Serve look at what has changed. c.mu is held.
func (c *Conn) wakeReader() {
	c.deadlineIs(time.Unix(1, 0))
}

// deadlineIs sets the read deadline. c.mu is held.
func (c *Conn) deadlineIs(t time.Time) {
	c.deadline = t
	_ = c.nc.SetReadDeadline(t) // an error means closed; reading tells
}

// due is called when the read deadline is over, which is set to be too early
// rather than be moved with each stream. It sets the next one, or returns why
// the connection ends.
func (c *Conn) due() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.judge()
}

// judge is due. c.mu is held.
func (c *Conn) judge() error {
	now, cfg := time.Now(), &c.server.cfg
	if c.cause != nil {
		return c.cause
	}
	if c.leaving == warned && !now.Before(c.graceEnds) {
		c.leave()
	}
	next := now.Add(cfg.IdleTimeout)
	switch {
	case c.leaving == gone && len(c.streams) == 0:
		return errDone
	case c.leaving == warned:
		next = c.graceEnds
	case len(c.streams) == 0:
		next = c.idleSince.Add(cfg.IdleTimeout)
		if !now.Before(next) {
			c.hit(HitIdleTimeout)
			return errIdle
		}
		if c.mayRest && c.began.IsZero() && c.data.length+c.data.padding == 0 {
			rest := c.idleSince.Add(cfg.RestAfter)
			switch {
			case now.Before(rest):
			case c.flushing || len(c.out) > 0: // the client takes its time
				rest = now.Add(cfg.RestAfter)
			default:
				c.streams, c.queue, c.heads = nil, nil, nil // which may have been large
				return errRest
			}
			if rest.Before(next) {
				next = rest
			}
		}
	}
	if !c.began.IsZero() {
		ends := c.began.Add(cfg.HeaderTimeout)
		if !now.Before(ends) {
			c.hit(HitHeaderTimeout)
			return broken(EnhanceYourCalm, "a preface, a frame or a header block that does not end")
		}
		if ends.Before(next) {
			next = ends
		}
	}
	c.deadlineIs(next)
	return nil
}

// leave sends the GOAWAY that names the last stream. c.mu is held.
func (c *Conn) leave() {
	c.leaving = gone
	c.appendGoAway(c.lastID, NoError)
	c.kick()
}
