package statuspage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"wsfront/pusher"
)

const (
	// channel is the only one of the page's push service.
	channel = "status"
	// tickInterval is the time between two ticks, unless making one takes more than
	// 1/tickShare of it. It is never more than maxInterval.
	tickInterval = time.Second
	tickShare    = 100
	maxInterval  = 10 * time.Second
	// keepFor is for how long the state is kept when nobody listens any more, so
	// that a page whose connection broke goes on where it was.
	keepFor = 15 * time.Second
	// maxTick is the length of the longest tick, and maxChanges that of what it may
	// tell. What is longer is not told: pages ask for the state again.
	maxTick    = 1 << 20
	maxChanges = maxTick - 100
	// statusTimeout is how long the status may take to be found.
	statusTimeout = 5 * time.Second
	// goodbyeTimeout is how long streams may take to end.
	goodbyeTimeout = 2 * time.Second
)

// feed answers GET /events.
type feed struct {
	sources  Sources
	hub      *pusher.Hub
	endpoint http.Handler
	interval time.Duration
	keep     time.Duration
	came     chan struct{} // holds a token when somebody has come where nobody was

	mu      sync.Mutex
	viewers int       // those who listen, or are about to
	left    time.Time // when the last one did
	state   state     // as the ticks have told it
}

func newFeed(sources Sources) (*feed, error) {
	// There are few viewers, and what they have missed for a minute they get anew.
	hub, err := pusher.New(pusher.Config{
		MaxClients: 32, ChannelsTotal: 1, MaxMessage: maxTick, QueueBytes: 2 * maxTick, QueueTotal: 8 * maxTick,
		History: pusher.History{Messages: 60, Bytes: 2 * maxTick, Total: 2 * maxTick, Age: time.Minute},
	}, nil, nil)
	if err != nil {
		return nil, err
	}
	endpoint, err := hub.Endpoint(pusher.Endpoint{Channel: channel})
	if err != nil {
		return nil, err
	}
	return &feed{
		sources: sources, hub: hub, endpoint: endpoint,
		interval: tickInterval, keep: keepFor, came: make(chan struct{}, 1),
	}, nil
}

// ServeHTTP answers by the state where JSON is asked for, and else by an event
// stream, whatever the client accepts: a WebSocket or a poll would not last as
// long as this call does.
func (f *feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.arrive()
	defer f.leave()
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		f.serveState(w, r)
		return
	}
	r = r.Clone(r.Context())
	r.Header.Del("Upgrade")
	r.Header.Set("Accept", "text/event-stream")
	f.endpoint.ServeHTTP(w, r)
}

// serveState answers by the state of this moment.
func (f *feed) serveState(w http.ResponseWriter, r *http.Request) {
	text, err := f.now(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	w.Write(text)
}

// now brings the state up to date, for all, and returns it.
func (f *feed) now(ctx context.Context) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.tick(ctx); err != nil {
		return nil, err
	}
	return f.state.append(nil), nil
}

func (f *feed) arrive() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.viewers++; f.viewers == 1 {
		select {
		case f.came <- struct{}{}:
		default: // has one already
		}
	}
}

func (f *feed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.viewers--; f.viewers == 0 {
		f.left = time.Now()
	}
}

// run publishes ticks while somebody listens, until ctx is done.
func (f *feed) run(ctx context.Context) error {
	timer := time.NewTimer(f.interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			goodbye, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeTimeout)
			defer cancel()
			return f.hub.Shutdown(goodbye)
		case <-f.came:
			timer.Reset(f.interval)
		case <-timer.C:
			next, err := f.step(ctx)
			if err != nil && ctx.Err() == nil {
				return errors.Join(err, f.hub.Shutdown(ctx))
			}
			if next > 0 {
				timer.Reset(next)
			}
		}
	}
}

// step publishes a tick if somebody listens, else gives up the state in time. It
// says when the next one is due, 0 for when somebody comes.
func (f *feed) step(ctx context.Context) (time.Duration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.viewers == 0 {
		if rest := f.keep - time.Since(f.left); rest > 0 {
			return rest, nil
		}
		f.state.forget()
		return 0, nil
	}
	began := time.Now()
	err := f.tick(ctx)
	return max(f.interval, min(tickShare*time.Since(began), maxInterval)), err
}

// tick publishes what has changed. f.mu is held.
func (f *feed) tick(ctx context.Context) error {
	looking, cancel := context.WithTimeout(ctx, statusTimeout)
	status := f.sources.Status(looking)
	cancel()
	text, err := f.state.advance(status, f.sources.Tunnels())
	if err != nil {
		return err
	}
	if _, err := f.hub.Publish(ctx, channel, pusher.Message{Text: true, Data: text}); err != nil {
		return fmt.Errorf("publish to the status page: %w", err)
	}
	return nil
}
