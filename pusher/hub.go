package pusher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

var (
	// ErrTooLarge is in the chain of Publish's error for a message longer than
	// Config.MaxMessage.
	ErrTooLarge = errors.New("message too long")
	// ErrNotUTF8 is in the chain of Publish's error for a text message that is
	// not UTF-8: browsers would close their connection over it (RFC 6455 §8.1).
	ErrNotUTF8 = errors.New("text message is not UTF-8")
)

// Hub holds the channels and who listens to them. Its methods may be called
// concurrently.
type Hub struct {
	cfg      Config
	log      *slog.Logger
	upgrader websocket.Upgrader
	blocks   sync.Pool // of *[]byte, blockBytes long
	lastID   atomic.Uint64

	mu       sync.RWMutex
	channels map[string]*channel
	active   int           // connections, from before they join to after they have ended
	parting  func(*client) // what Shutdown does with clients; nil before it
	idle     chan struct{} // closed when Shutdown was called and active is 0
}

// New makes a Hub. Its error is that of cfg.Validate. A nil log discards. The
// Hub starts nothing by itself; call Shutdown to end what its clients started.
func New(cfg Config, log *slog.Logger) (*Hub, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &Hub{
		cfg:      cfg.withDefaults(),
		log:      log,
		channels: map[string]*channel{},
		idle:     make(chan struct{}),
	}
	h.blocks.New = func() any { b := make([]byte, 0, blockBytes); return &b }
	h.upgrader = h.newUpgrader()
	return h, nil
}

// Publish sends m to everyone who listens to channel at this moment and says how
// many they are. It never waits for a client: one whose queue is full is cut
// off. Messages of one channel reach all of its clients in one order, that of
// the calls where one ended before the other began. Its errors are ErrBadChannel,
// ErrTooLarge and ErrNotUTF8.
func (h *Hub) Publish(channel string, m Message) (subscribers int, err error) {
	if !validChannel(channel) {
		return 0, fmt.Errorf("%w: %s", ErrBadChannel, channelProblem(channel))
	}
	buf := make([]byte, headroom+len(m.Data))
	copy(buf[headroom:], m.Data)
	return h.publish(channel, m.Text, buf)
}

// publish takes over buf, whose first headroom bytes are free. The channel's
// name has been checked.
func (h *Hub) publish(channel string, text bool, buf []byte) (int, error) {
	if size := int64(len(buf) - headroom); size > h.cfg.MaxMessage {
		return 0, fmt.Errorf("%w: %d bytes, and max_message is %d", ErrTooLarge, size, h.cfg.MaxMessage)
	}
	if text && !utf8.Valid(buf[headroom:]) {
		return 0, ErrNotUTF8
	}
	h.mu.RLock()
	ch := h.channels[channel]
	h.mu.RUnlock()
	if ch == nil {
		return 0, nil
	}
	return ch.publish(newMessage(text, buf)), nil
}

// Subscribers says how many clients listen to channel.
func (h *Hub) Subscribers(channel string) int {
	h.mu.RLock()
	ch := h.channels[channel]
	h.mu.RUnlock()
	n := 0
	if ch != nil {
		ch.each(func(c *client) {
			if c.isOpen() {
				n++
			}
		})
	}
	return n
}

// enter counts a connection before anything is started for it, so that Shutdown
// cannot overlook it. False: Shutdown was called. Each enter needs one exit.
func (h *Hub) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.parting != nil {
		return false
	}
	h.active++
	return true
}

func (h *Hub) exit() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.active--
	if h.parting != nil && h.active == 0 {
		close(h.idle)
	}
}

// join adds c to its channel. From then on its queue fills.
func (h *Hub) join(c *client) {
	h.mu.Lock()
	ch := h.channels[c.channel]
	if ch == nil {
		ch = &channel{}
		h.channels[c.channel] = ch
	}
	ch.members++
	h.mu.Unlock()

	ch.add(c)

	h.mu.RLock()
	parting := h.parting
	h.mu.RUnlock()
	if parting != nil { // Shutdown may have passed this channel before c was in it
		parting(c)
	}
}

// leave undoes join. A channel without clients is forgotten, or whoever may
// choose names could fill memory with them.
func (h *Hub) leave(c *client) {
	h.mu.RLock()
	ch := h.channels[c.channel]
	h.mu.RUnlock()

	ch.remove(c)

	h.mu.Lock()
	defer h.mu.Unlock()
	if ch.members--; ch.members == 0 {
		delete(h.channels, c.channel)
	}
}

// cutTimeout is how long Shutdown waits for connections that it has cut off.
const cutTimeout = time.Second

// Shutdown refuses new clients with 503 and says goodbye to those there are: a
// WebSocket is sent what waits for it and a Close with code 1012, service
// restart, upon which a page may connect again; an event stream ends, and the
// browser connects again by itself. It returns when all have ended. When ctx is
// done before, the rest is cut off, and the error says so. It may be called
// more than once.
func (h *Hub) Shutdown(ctx context.Context) error {
	h.part((*client).goodbye)
	select {
	case <-h.idle:
		return nil
	case <-ctx.Done():
	}
	n := h.part(func(c *client) {
		c.cut(ending{code: websocket.CloseAbnormalClosure, reason: "shutdown did not wait any longer"})
	})
	// They end now, as all their I/O fails. Only net/http, when it gives up an
	// event stream over HTTP/1.1 and TLS, may still spend five seconds on sending
	// a TLS goodbye to a reader that stands still: nobody waits for that.
	select {
	case <-h.idle:
	case <-time.After(cutTimeout):
	}
	return fmt.Errorf("%d push clients were cut off: %w", n, context.Cause(ctx))
}

// part does f with every client, and from now on with those that join.
func (h *Hub) part(f func(*client)) (clients int) {
	h.mu.Lock()
	if h.parting == nil && h.active == 0 {
		close(h.idle)
	}
	h.parting = f
	channels := make([]*channel, 0, len(h.channels))
	for _, ch := range h.channels {
		channels = append(channels, ch)
	}
	h.mu.Unlock()
	for _, ch := range channels {
		ch.each(func(c *client) { clients++; f(c) })
	}
	return clients
}

// newClient fills in what both kinds of connection have.
func (h *Hub) newClient(channel, remote string, l line) client {
	return client{
		id:      h.lastID.Add(1),
		channel: channel,
		remote:  remote,
		opened:  time.Now(),
		limit:   h.cfg.QueueBytes,
		line:    l,
	}
}

// silence is how long a client may take to show a sign of life.
func (h *Hub) silence() time.Duration { return 2 * h.cfg.PingInterval }

// writeBatch writes the entries of a batch at once.
func (h *Hub) writeBatch(w io.Writer, batch [][]byte) error {
	if len(batch) == 1 {
		_, err := w.Write(batch[0])
		return err
	}
	// A copy and not writev: entries are small when several fit, and neither
	// TLS nor HTTP takes them apart.
	block := h.blocks.Get().(*[]byte)
	defer h.blocks.Put(block)
	*block = (*block)[:0]
	for _, b := range batch {
		*block = append(*block, b...)
	}
	_, err := w.Write(*block)
	return err
}

// logClosed writes a client's closing line. Its writer has ended.
func (h *Hub) logClosed(c *client) {
	level, event := slog.LevelDebug, EventClose
	if c.ending.slow {
		level, event = slog.LevelWarn, EventCut
	}
	h.log.LogAttrs(context.Background(), level, event, append(c.attrs(),
		slog.Int64("messages", c.messages),
		slog.Int64("bytes", c.bytes),
		slog.Duration("duration", time.Since(c.opened)),
		slog.Int("code", c.ending.code),
		slog.String("reason", c.ending.reason))...)
}

// guard runs f and keeps a fault in it from ending the process, and with it all
// other connections; net/http does the same for handlers.
func (h *Hub) guard(c *client, f func()) {
	defer func() {
		if fault := recover(); fault != nil {
			c.cut(ending{code: websocket.CloseAbnormalClosure, reason: "fault in this program"})
			h.log.LogAttrs(context.Background(), slog.LevelError, EventPanic, append(c.attrs(),
				slog.Any("panic", fault), slog.String("stack", string(debug.Stack())))...)
		}
	}()
	f()
}
