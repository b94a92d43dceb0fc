package pusher

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// stream is an event-stream client. Its writer is the goroutine that the HTTP
// server started for the request.
type stream struct {
	client
	hub     *Hub
	w       http.ResponseWriter
	control *http.ResponseController
	awake   chan struct{} // holds a token while take has something to say
}

// heartbeat is a comment, which browsers do not show the page (HTML standard
// §9.2.6).
const heartbeat = ":\n\n"

// serveStream answers an event stream and returns when it has ended.
func (e *endpoint) serveStream(w http.ResponseWriter, r *http.Request, channel string) {
	defer e.hub.exit()
	s := &stream{hub: e.hub, w: w, control: http.NewResponseController(w), awake: make(chan struct{}, 1)}
	s.client = e.hub.newClient(channel, r.RemoteAddr, s)
	// Without a deadline a reader that has stopped would hold this goroutine for
	// ever.
	if err := s.control.SetWriteDeadline(time.Now().Add(e.hub.silence())); err != nil {
		e.hub.refuse(w, r, http.StatusInternalServerError, "no write deadlines: "+err.Error(),
			"this server cannot set a write deadline; a ResponseWriter put in between needs an Unwrap method")
		return
	}

	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would hold it back
	if e.origins.foreign(r) {
		header.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		header.Add("Vary", "Origin")
		if !e.origins.any {
			header.Set("Access-Control-Allow-Credentials", "true")
		}
	}
	s.hub.join(&s.client)
	defer s.hangUp()
	s.hub.log.LogAttrs(context.Background(), slog.LevelDebug, EventOpen, s.attrs()...)
	s.run(r.Context())
}

// run writes until the peer has left, is cut off, or Shutdown says goodbye.
func (s *stream) run(ctx context.Context) {
	if s.control.Flush() != nil { // the head of the answer: the page's onopen
		s.cut(ending{reason: "client gone"})
		return
	}
	ticker := time.NewTicker(s.hub.cfg.PingInterval)
	defer ticker.Stop()
	for s.isOpen() {
		var err error
		select {
		case <-ctx.Done():
			s.cut(ending{reason: "client gone"})
		case <-ticker.C:
			err = s.beat()
		case <-s.awake:
			err = s.drain()
		}
		if err != nil {
			s.cut(writeEnding(err))
		}
	}
	// What was queued before a goodbye; nothing after a cut.
	if err := s.drain(); err != nil {
		s.cut(writeEnding(err))
	}
}

// drain empties the queue.
func (s *stream) drain() error {
	var batch [][]byte
	for {
		if batch = s.take(batch); batch == nil {
			return nil
		}
		if err := s.hub.writeBatch(s.w, batch); err != nil {
			return err
		}
		if err := s.control.Flush(); err != nil {
			return err
		}
	}
}

// beat keeps the connection in use, and finds out whether it still is one.
func (s *stream) beat() error {
	s.mu.Lock()
	if s.state == open {
		s.allow()
	}
	s.mu.Unlock()
	if _, err := io.WriteString(s.w, heartbeat); err != nil {
		return err
	}
	return s.control.Flush()
}

// hangUp leaves the connection to the HTTP server.
func (s *stream) hangUp() {
	s.hub.leave(&s.client)
	s.mu.Lock()
	s.state = gone // from here on nobody touches the connection
	s.mu.Unlock()
	s.ending.code = 0 // streams have none
	s.hub.logClosed(&s.client)
}

func (s *stream) transport() string        { return "event-stream" }
func (s *stream) encode(m *message) []byte { return m.asEvent() }
func (s *stream) farewell(string) []byte   { return nil }

func (s *stream) wake() {
	select {
	case s.awake <- struct{}{}:
	default: // has one already
	}
}

// The server's connection takes deadlines: serveStream has tried.

func (s *stream) allow() {
	_ = s.control.SetWriteDeadline(time.Now().Add(s.hub.silence()))
}

func (s *stream) hurry(by time.Time) {
	_ = s.control.SetWriteDeadline(by)
}
