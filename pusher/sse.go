package pusher

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// stream is an event-stream client, and one poll of a polling one. Its writer is
// the goroutine that the HTTP server started for the request.
type stream struct {
	*client
	w       http.ResponseWriter
	control *http.ResponseController
	awake   chan struct{} // holds a token while one of these has changed, under client.mu:
	given   []byte        // to be written
	last    bool          // nothing follows given
}

// newStream is the line of a client by plain HTTP, to which nothing may be
// written for as long as wait. It reports false if the server cannot carry one,
// and has answered, and left the hub, then.
func (e *endpoint) newStream(w http.ResponseWriter, r *http.Request, wait time.Duration) (*stream, bool) {
	s := &stream{w: w, control: http.NewResponseController(w), awake: make(chan struct{}, 1)}
	// Without a deadline a reader that has stopped would hold this goroutine for
	// ever. HTTP/2 ends a stream when it passes, written or not.
	if err := s.control.SetWriteDeadline(time.Now().Add(wait + e.hub.silence())); err != nil {
		e.hub.exit(r.RemoteAddr)
		e.hub.refuse(w, r, http.StatusInternalServerError, "no write deadlines: "+err.Error(),
			"this server cannot set a write deadline; a ResponseWriter put in between needs an Unwrap method")
		return nil, false
	}
	return s, true
}

// streamRetry is when browsers connect again.
const streamRetry = time.Second

// serveStream answers an event stream and returns when it has ended.
func (e *endpoint) serveStream(w http.ResponseWriter, r *http.Request, a *arrival) {
	s, ok := e.newStream(w, r, 0)
	if !ok {
		return
	}
	c, how, at, ok := e.join(w, r, a, formEvent)
	if !ok {
		return
	}
	defer e.hub.spare(c)
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would hold it back
	e.shareWith(w, r)
	s.client = c
	c.queue(retryField(streamRetry))
	e.begin(c, a, how, at)
	s.open(r.Context())
}

// shareWith lets a page of another host that may connect read the answer, which
// its browser keeps from it else (Fetch standard §3.3).
func (e *endpoint) shareWith(w http.ResponseWriter, r *http.Request) {
	if !e.origins.foreign(r) {
		return
	}
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	header.Set("Access-Control-Expose-Headers", "Next, Resume")
	header.Add("Vary", "Origin")
	if !e.origins.any {
		header.Set("Access-Control-Allow-Credentials", "true")
	}
}

// open lets the deliverer write and returns when the client has gone.
func (s *stream) open(ctx context.Context) {
	s.mu.Lock()
	if s.state == gone {
		s.mu.Unlock()
		return
	}
	s.start(s)
	s.mu.Unlock()
	s.hub.log.LogAttrs(ctx, slog.LevelDebug, EventOpen, s.attrs()...)
	s.run(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(ending{reason: "client gone", cause: causeClosed}, false)
}

// run writes until the peer has left, is cut off, or Shutdown says goodbye.
func (s *stream) run(ctx context.Context) {
	if s.control.Flush() != nil { // the head of the answer: the page's onopen
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.awake:
			if !s.write() {
				return
			}
		}
	}
}

// write writes what was given and reports whether more may follow.
func (s *stream) write() bool {
	s.mu.Lock()
	given, last := s.given, s.last
	s.given = nil
	if s.state == gone {
		s.mu.Unlock()
		return false
	}
	// Not after that of hangUp.
	_ = s.control.SetWriteDeadline(time.Now().Add(s.hub.silence()))
	s.mu.Unlock()
	if given == nil {
		return !last
	}
	_, err := s.w.Write(given)
	if err == nil {
		err = s.control.Flush()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.cutLocked(writeEnding(err))
		return false
	}
	s.free()
	return true
}

func (s *stream) send(b []byte) (rest int, keeps bool, err error) {
	s.given = b
	s.wake()
	return len(b), true, nil
}

func (s *stream) shut() {
	s.last = true
	s.wake()
}

func (s *stream) pause(bool) {}

func (s *stream) hangUp(reset bool) {
	if reset { // a write that is under way fails
		_ = s.control.SetWriteDeadline(longAgo)
	}
	s.wake()
}

func (s *stream) wake() {
	select {
	case s.awake <- struct{}{}:
	default: // has one already
	}
}

// longAgo is a deadline that has passed; the zero Time would mean none.
var longAgo = time.Unix(1, 0)
