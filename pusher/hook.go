package pusher

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ClientInfo says who a client is. It is what the app gets in JSON.
type ClientInfo struct {
	// ID names the connection: 16 or more letters and digits, and never the
	// same again, in other processes neither.
	ID string `json:"id"`
	// Channels are what it listens to.
	Channels []string `json:"channels"`
	// User is who the app said it is; empty when nobody did.
	User string `json:"user,omitempty"`
	// Info is what the app said of it besides, in JSON.
	Info json.RawMessage `json:"info,omitempty"`
	// Remote is the peer's address.
	Remote string `json:"remote"`
	// Transport is websocket, event-stream or long-poll.
	Transport string `json:"transport"`
	// Opened is when it connected.
	Opened time.Time `json:"opened"`
}

// occurrence is the body of every event that is not a client's message.
type occurrence struct {
	ID      string      `json:"id"`
	Time    time.Time   `json:"time"`
	Event   string      `json:"event"`
	Client  *ClientInfo `json:"client,omitempty"`
	Channel string      `json:"channel,omitempty"`
	Code    int         `json:"code,omitempty"`
	Reason  string      `json:"reason,omitempty"`
}

// Hooks tells the app what happens to its clients, by POST to Webhooks.URL:
//
//	{"id":"K3…Q.connect", "time":"…", "event":"connect", "client":{…}}
//	{"id":"K3…Q.disconnect", "time":"…", "event":"disconnect", "client":{…}, "code":1001, "reason":"…"}
//	{"id":"M7…A", "time":"…", "event":"occupy", "channel":"board"}
//	{"id":"B2…X", "time":"…", "event":"vacate", "channel":"board"}
//
// and asks it about what clients send (Message). Event and id are in the headers
// X-Push-Event and X-Push-ID too, and each request is signed: X-Push-Signature is
// "t=UNIX,v1=HEX", where HEX is the HMAC-SHA256, by the secret, of UNIX, ".", the
// id, "." and the body. An app should refuse a signature that is wrong or older
// than some minutes.
//
// Any answer 2xx means that the app has taken an event. One that could not be
// sent, or was answered 5xx or 429, is sent again, later and later, until
// Webhooks.RetryFor is over; Retry-After is heeded. Any other answer is final, as
// it would be the same the next time. What happens to one client is told in
// order, one thing at a time, and so is what happens to one channel. An app can
// be told the same thing twice, when it took an event and its answer was lost:
// the id is the same then.
//
// A client's disconnect is told even if this process is killed, where the KV
// outlives it: see hooklease.go. All methods may be called concurrently.
type Hooks struct {
	cfg    Webhooks
	secret []byte
	client *http.Client
	kv     KV
	node   string // names this process in the KV
	tally  *hookTally
	queue  *hookQueue
	hits   *limitHits // nil without a hub

	firstPause time.Duration // hookPause, less in tests

	// records are connects whose clients are not in the KV yet.
	records struct {
		mu      sync.Mutex
		waiting []*hookEvent
		wake    chan struct{}
	}
	leased atomic.Bool // the last renewal of the lease succeeded

	sent, retried, lost atomic.Uint64 // of Counts

	mu       sync.Mutex
	vacating map[string]*time.Timer // channels without clients, not told yet
	running  bool
	leaving  bool // Shutdown has begun

	workers  sync.WaitGroup
	stop     context.CancelFunc // ends Run
	finished chan struct{}      // closed when Run has returned
}

// drop notes an event that gave way in a full queue.
func (k *Hooks) drop(e *hookEvent, limit string) {
	k.lose(e, "queue full", nil)
	if k.hits != nil {
		k.hits.add(limit)
	}
}

// lose counts what the app is not told, or has given no verdict on.
func (k *Hooks) lose(e *hookEvent, cause string, err error) {
	k.lost.Add(1)
	k.tally.note(EventHookLost, e.kind, cause, err)
}

// NewHooks makes one that tells nobody anything before Run. kv is where clients
// are remembered; without it, nil, those of a killed process are forgotten. The
// secret's file is created if need be. The error is that of cfg.Validate or of
// the file.
func NewHooks(cfg Webhooks, kv KV, log *slog.Logger) (*Hooks, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	k := &Hooks{
		cfg: cfg, kv: kv, node: rand.Text(), tally: newHookTally(log), firstPause: hookPause,
		vacating: map[string]*time.Timer{}, finished: make(chan struct{}),
	}
	k.records.wake = make(chan struct{}, 1)
	if cfg.URL == "" {
		k.queue = newHookQueue(cfg, k.drop)
		return k, nil
	}
	k.cfg = cfg.withDefaults()
	k.queue = newHookQueue(k.cfg, k.drop)
	secret, created, err := loadSecret(cfg.SecretFile, "webhook secret")
	if err != nil {
		return nil, err
	}
	if created {
		log.LogAttrs(context.Background(), slog.LevelInfo, EventHookSecret, slog.String("file", cfg.SecretFile))
	}
	k.secret = []byte(secret)
	k.client = &http.Client{
		// The app's own address is meant, not where it sends browsers to.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: k.cfg.Timeout}).DialContext,
			MaxIdleConnsPerHost: k.cfg.Concurrency,
			IdleConnTimeout:     hookIdle,
			DisableCompression:  true,
		},
	}
	return k, nil
}

// hookIdle is for how long a connection to the app is kept for the next event.
const hookIdle = 30 * time.Second

// Wants says whether the app is told of an event, one of the Hook constants.
func (k *Hooks) Wants(event string) bool { return slices.Contains(k.cfg.Events, event) }

// Connect tells that c has connected. It never waits.
func (k *Hooks) Connect(c ClientInfo) {
	e := &hookEvent{kind: HookConnect, id: c.ID + "." + HookConnect, born: time.Now()}
	if k.Wants(HookConnect) {
		e.body = e.describe(occurrence{Client: &c})
	}
	if k.remembers() {
		e.key, e.record = recordKey(k.node, c.ID), clientRecord{Client: c}.encode()
	}
	if e.body == nil && e.record == nil {
		return
	}
	if k.queue.add(c.ID, e) && e.key != "" {
		k.record(e)
	}
}

// Disconnect tells that the connection of c has ended, with a WebSocket's close
// code or 0, and why. It never waits. It is called once for a client, after
// Connect, and no Message of that client comes after it.
func (k *Hooks) Disconnect(c ClientInfo, code int, reason string) {
	if !k.Wants(HookDisconnect) {
		return
	}
	e := &hookEvent{kind: HookDisconnect, id: c.ID + "." + HookDisconnect, born: time.Now()}
	e.body = e.describe(occurrence{Client: &c, Code: code, Reason: reason})
	if k.remembers() {
		e.key = recordKey(k.node, c.ID)
	}
	k.queue.add(c.ID, e)
}

// Occupied tells that channel has its first client. It never waits. When the
// channel was without clients for less than Webhooks.LeaveDelay, nothing is told,
// neither this nor that it was.
func (k *Hooks) Occupied(channel string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if leaving := k.vacating[channel]; leaving != nil {
		leaving.Stop()
		delete(k.vacating, channel)
		return
	}
	k.tellChannel(HookOccupy, channel)
}

// Vacated tells that the last client of channel has left it, after
// Webhooks.LeaveDelay. It never waits.
func (k *Hooks) Vacated(channel string) {
	if !k.Wants(HookOccupy) && !k.Wants(HookVacate) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.leaving || k.vacating[channel] != nil {
		return
	}
	var leaving *time.Timer
	leaving = time.AfterFunc(k.cfg.LeaveDelay, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.vacating[channel] == leaving {
			delete(k.vacating, channel)
			k.tellChannel(HookVacate, channel)
		}
	})
	k.vacating[channel] = leaving
}

// tellChannel queues an event of a channel. Needs mu, which keeps them in order.
func (k *Hooks) tellChannel(kind, channel string) {
	if !k.Wants(kind) {
		return
	}
	e := &hookEvent{kind: kind, id: rand.Text(), born: time.Now()}
	e.body = e.describe(occurrence{Channel: channel})
	k.queue.add("#"+channel, e) // no client's ID begins like this
}

// describe is the event in JSON.
func (e *hookEvent) describe(o occurrence) []byte {
	o.ID, o.Time, o.Event = e.id, e.born, e.kind
	if o.Client != nil {
		o.Client = o.Client.sound()
	}
	return mustJSON(o)
}

// sound is c without an Info that is no JSON.
func (c ClientInfo) sound() *ClientInfo {
	if !json.Valid(c.Info) {
		c.Info = nil
	}
	return &c
}

// mustJSON encodes what always can be.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// Run tells the app what is queued and what comes, until Shutdown is done. A ctx
// that ends before cuts off what is under way, as if the process was killed: what
// was not told is forgotten, except for clients in the KV. Run is called once; its
// error says that it was called before.
func (k *Hooks) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	k.mu.Lock()
	if k.running {
		k.mu.Unlock()
		return errors.New("webhooks are running already")
	}
	if k.leaving { // Shutdown was first, and waits for nobody
		k.mu.Unlock()
		return nil
	}
	k.running, k.stop = true, stop
	k.mu.Unlock()
	defer close(k.finished)

	if k.remembers() {
		k.renew(ctx) // before anything is taken over in this node's name
		k.workers.Go(func() { every(ctx, leaseBeat, k.renew) })
		k.workers.Go(func() { every(ctx, sweepBeat, k.sweep) })
		k.workers.Go(func() { k.writeRecords(ctx) })
	}
	k.workers.Go(func() { every(ctx, tallyPause, func(context.Context) { k.tally.flush(false) }) })
	k.queue.run(func() { k.workers.Go(func() { k.work(ctx) }) }) // ended by queue.stop and ctx

	<-ctx.Done()
	k.queue.stop()
	k.stopVacating()
	k.workers.Wait()
	k.tally.flush(true)
	if k.client != nil {
		k.client.CloseIdleConnections()
	}
	return nil
}

// every calls f at once and then once in a period, until ctx ends.
func every(ctx context.Context, period time.Duration, f func(context.Context)) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for ctx.Err() == nil {
		f(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// Shutdown refuses what comes from now on, tells what is queued, channels that
// have just been left among it, and has Run return; at the latest when ctx ends.
// Its error says how much was not told. Disconnects among that are told by the
// next process, where the KV outlives this one. It comes after Hub.Shutdown, so
// that all clients' ends are in the queue.
func (k *Hooks) Shutdown(ctx context.Context) error {
	k.mu.Lock()
	k.leaving = true
	running, stop := k.running, k.stop
	for channel, leaving := range k.vacating {
		leaving.Stop()
		k.tellChannel(HookVacate, channel)
	}
	clear(k.vacating)
	k.mu.Unlock()
	told := k.queue.close()
	if running {
		select {
		case <-told:
		case <-ctx.Done():
		case <-k.finished:
		}
		stop()
		<-k.finished
		k.release()
	}
	if n := k.queue.left(); n > 0 {
		return fmt.Errorf("%d events were not told to the app", n)
	}
	return nil
}

// stopVacating forgets the channels that were to be told.
func (k *Hooks) stopVacating() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.leaving = true
	for _, leaving := range k.vacating {
		leaving.Stop()
	}
	clear(k.vacating)
}
