package pusher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
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
	// ErrBadID is in the chain of Publish's error for an ID that is too long.
	ErrBadID = errors.New("bad idempotency key")
)

// Hub holds the channels and who listens to them. Its methods may be called
// concurrently.
type Hub struct {
	cfg      Config
	log      *slog.Logger
	broker   Broker
	hooks    *Hooks // nil without
	epoch    string
	plain    websocket.Upgrader // without compression
	packing  websocket.Upgrader // with it
	lastID   atomic.Uint64
	latest   atomic.Uint64 // all messages up to this number are in the chains
	retained atomic.Int64  // bytes that are kept for single clients; see retained.go
	taken    atomic.Int64  // bytes of publishes under way; see publishtotal.go
	hits     *limitHits
	counts   *counters
	panics   atomic.Uint64
	made     time.Time     // where the clock of inboundrate.go begins
	reading  chan struct{} // holds a token for each one who reads what clients missed

	deliverers []*deliverer
	poller     poller
	clock      clock
	ticks      atomic.Uint32 // of clock

	starting sync.Once
	stopping sync.Once
	stop     chan struct{}  // closed when the goroutines are to end
	running  sync.WaitGroup // those

	mu       sync.Mutex // before client.mu, and never held while the broker is called
	channels map[string]*channel
	windows  int64                // bytes of their windows
	there    map[string]int       // clients that have joined, by transport
	active   atomic.Int64         // connections, from before they join to after they have ended; changed with mu held
	from     map[netip.Prefix]int // how many of them, by addressGroup
	parting  atomic.Bool          // Shutdown was called; set with mu held
	over     bool                 // nobody joins any more
	idle     chan struct{}        // closed when Shutdown was called and active is 0
}

// New makes a Hub. What is published is kept by broker, which must not be used
// by another Hub; nil is NewMemory(cfg.History). The error is that of
// cfg.Validate or of the broker. A nil log discards. Call Shutdown to end what
// its clients started; it does not close the broker.
func New(cfg Config, broker Broker, log *slog.Logger) (*Hub, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if broker == nil {
		broker = NewMemory(cfg.History)
	}
	h := &Hub{
		cfg:      cfg.withDefaults(),
		log:      log,
		broker:   broker,
		epoch:    broker.Epoch(),
		channels: map[string]*channel{},
		there:    map[string]int{},
		from:     map[netip.Prefix]int{},
		hits:     newLimitHits(log),
		counts:   newCounters(),
		made:     time.Now(),
		idle:     make(chan struct{}),
		stop:     make(chan struct{}),
		reading:  make(chan struct{}, maxReading),
	}
	for i := range min(runtime.GOMAXPROCS(0), maxDeliverers) {
		h.deliverers = append(h.deliverers, newDeliverer(h, i))
	}
	if cfg.Webhooks.URL != "" {
		hooks, err := NewHooks(cfg.Webhooks, broker.KV(), log)
		if err != nil {
			return nil, err
		}
		hooks.hits = h.hits
		h.hooks = hooks
	}
	h.plain, h.packing = h.newUpgrader(false), h.newUpgrader(true)
	position, err := broker.Watch(h.deliver)
	if err != nil {
		return nil, fmt.Errorf("watch what is published: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latest.Store(max(h.latest.Load(), position))
	return h, nil
}

// Receipt is what is known of a message that was published.
type Receipt struct {
	// Position is where it stands: whoever has it has seen the message.
	Position Position
	// Subscribers is how many listen to the channel at this moment.
	Subscribers int
	// Duplicate says that it had been published before, by its ID: nothing was
	// done.
	Duplicate bool
}

// Publish stores m and sends it to everyone who listens to channel. It returns
// when the message is as safe as the broker promises, and never waits for a
// client: one that does not keep up is cut off, or as Config.Slow says. Messages
// of one channel reach all of its clients in one order, that of the calls where
// one ended before the other began. Its errors are ErrBadChannel, ErrTooLarge,
// ErrNotUTF8, ErrBadID and those of Broker.Append.
func (h *Hub) Publish(ctx context.Context, channel string, m Message) (Receipt, error) {
	if !validChannel(channel) {
		return Receipt{}, fmt.Errorf("%w: %s", ErrBadChannel, channelProblem(channel))
	}
	buf := make([]byte, headroom+len(m.Data))
	copy(buf[headroom:], m.Data)
	return h.publish(ctx, channel, m, buf)
}

// publish takes over buf, whose first headroom bytes are free, and does not look
// at m.Data. The channel's name has been checked.
func (h *Hub) publish(ctx context.Context, channel string, m Message, buf []byte) (Receipt, error) {
	size := len(buf) - headroom
	if int64(size) > h.cfg.MaxMessage {
		h.hits.add(limitMessage)
		return Receipt{}, fmt.Errorf("%w: %d bytes, and max_message is %d", ErrTooLarge, size, h.cfg.MaxMessage)
	}
	if m.Text && !utf8.Valid(buf[headroom:]) {
		return Receipt{}, ErrNotUTF8
	}
	if len(m.ID) > MaxID {
		return Receipt{}, fmt.Errorf("%w: it has %d bytes, at most %d are allowed", ErrBadID, len(m.ID), MaxID)
	}
	done, err := h.broker.Append(ctx, channel, Draft{
		Text: m.Text, Data: buf[headroom:], ID: m.ID, TTL: m.TTL, frame: frameOf(m.Text, buf),
	})
	h.counts.publish(size, done, err)
	if err != nil {
		return Receipt{}, fmt.Errorf("store the message: %w", err)
	}
	return Receipt{Position{h.epoch, done.Seq}, h.Subscribers(channel), done.Duplicate}, nil
}

// deliver is Broker.Watch's function.
func (h *Hub) deliver(e *Entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch := h.channels[e.Channel]
	if ch != nil {
		ch.append(newMessage(e), h.windows > windowsTotal)
		h.measure(ch)
	}
	// After the message, and before anybody is woken: all up to here are there.
	h.latest.Store(e.Seq)
	if ch != nil {
		for i := range ch.shards {
			ch.shards[i].d.post(&ch.shards[i])
		}
	}
}

// Subscribers says how many clients listen to channel.
func (h *Hub) Subscribers(channel string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ch := h.channels[channel]; ch != nil {
		return ch.members
	}
	return 0
}

// leaving says that Shutdown was called.
func (h *Hub) leaving() bool { return h.parting.Load() }

// start starts the goroutines that all clients share; Shutdown ends them.
func (h *Hub) start() {
	for _, d := range h.deliverers {
		h.running.Go(func() { d.run(h.stop) })
	}
	h.running.Go(func() { h.tick(h.stop) })
	h.poller.start(h)
}

// hold finds or makes a channel that lives until it is released. h.mu is held.
func (h *Hub) hold(name string) *channel {
	ch := h.channels[name]
	if ch == nil {
		mark := &message{seq: h.latest.Load()}
		ch = &channel{name: name, first: mark, last: mark, shards: make([]shard, len(h.deliverers))}
		for i := range ch.shards {
			ch.shards[i].ch, ch.shards[i].d = ch, h.deliverers[i]
		}
		h.channels[name] = ch
	}
	if ch.members++; ch.members == 1 && h.tells(HookOccupy) {
		h.hooks.Occupied(name)
	}
	return ch
}

// release undoes hold. A channel without clients is forgotten, or whoever may
// choose names could fill memory with them.
func (h *Hub) release(names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		ch := h.channels[name]
		if ch.members--; ch.members > 0 {
			continue
		}
		delete(h.channels, name)
		h.windows -= ch.window
		if h.tells(HookVacate) {
			h.hooks.Vacated(name)
		}
	}
}

// admit adds c to its channels, for which it has been held. h.mu is held.
func (h *Hub) admit(c *client) error {
	if h.over {
		return errOver
	}
	for i := range c.subs {
		c.subs[i].shard.add(&c.subs[i])
	}
	h.clock.add(c)
	h.there[c.form.transport()]++
	return nil
}

// errOver is why nobody can join who was about to when Shutdown ran out of time.
var errOver = errors.New("shutting down")

// depart is the end of a client that join has made one.
func (h *Hub) depart(c *client) {
	defer h.exit(c.info.remote)
	for i := range c.subs {
		c.subs[i].shard.remove(&c.subs[i])
	}
	c.drain()
	h.clock.remove(c) // until here Shutdown can end it
	h.tellDisconnect(c)
	h.release(c.names())
	h.leave(c)
	h.logClosed(c)
}

// leave undoes what admit has counted.
func (h *Hub) leave(c *client) {
	h.counts.end(c.ending)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.there[c.form.transport()]--
}

// newClient makes a client whose handshake is not over.
func (h *Hub) newClient(e *endpoint, remote string, f form) *client {
	id := h.lastID.Add(1)
	return &client{
		hub: h, line: opening{}, form: f, held: true,
		d:    h.deliverers[id%uint64(len(h.deliverers))],
		info: &clientInfo{id: id, key: newClientKey(), remote: remote, opened: time.Now(), endpoint: e},
	}
}

// silence is how long a client may take to show a sign of life.
func (h *Hub) silence() time.Duration { return 2 * h.cfg.PingInterval }

// logClosed writes a client's closing line.
func (h *Hub) logClosed(c *client) {
	c.mu.Lock() // the deliverer may just be done with it
	defer c.mu.Unlock()
	level, event := slog.LevelDebug, EventClose
	if c.ending.cause == causeSlow {
		level, event = slog.LevelWarn, EventCut
	}
	h.log.LogAttrs(context.Background(), level, event, append(c.attrs(),
		slog.Int64("messages", c.messages),
		slog.Int64("bytes", c.bytes),
		slog.Duration("duration", time.Since(c.info.opened)),
		slog.Int("code", c.ending.code),
		slog.String("reason", c.ending.reason))...)
}

// spare is deferred by what serves a client's request, for a fault in it to end
// that client and nothing else.
func (h *Hub) spare(c *client) {
	if fault := recover(); fault != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		h.fault(c, fault)
	}
}

// contain is deferred by what runs for a client in a goroutine that others share:
// a fault there ends that client and nothing else. c.mu is held.
func (h *Hub) contain(c *client) {
	if fault := recover(); fault != nil {
		h.fault(c, fault)
	}
}

// Panics is how many faults in this program there were since the start. Each
// ended one client, and is in the log as push.panic. It may be called
// concurrently.
func (h *Hub) Panics() uint64 { return h.panics.Load() }

func (h *Hub) fault(c *client, fault any) {
	h.panics.Add(1)
	h.log.LogAttrs(context.Background(), slog.LevelError, EventPanic, append(c.attrs(),
		slog.Any("panic", fault), slog.String("stack", string(debug.Stack())))...)
	c.cutLocked(ending{code: websocket.CloseAbnormalClosure, reason: "fault in this program"})
}
