package pusher

import (
	"container/list"
	"slices"
	"sync"
	"time"
)

// hookEvent is something to tell the app, or to ask it.
type hookEvent struct {
	kind string
	id   string
	body []byte    // JSON; nil when nothing is sent, and for a question
	born time.Time // when it happened
	// tries counts the times it was sent in vain.
	tries int

	// key is the client's record in the KV, which a connect leaves there and a
	// disconnect takes away; empty means none.
	key string
	// record is what a connect has still to leave there: it is neither sent nor
	// dropped before.
	record []byte

	ask *hookQuestion // a client's message; nil for all others

	lane *hookLane
	cost int64
	// place is where it stands in minor or major; nil while it is being sent.
	place *list.Element
}

// hookEventBytes is what a waiting event costs besides its text, about.
const hookEventBytes = 512

// minor says whether it gives way in a full queue before a disconnect does.
func (e *hookEvent) minor() bool { return e.kind != HookDisconnect }

// hookLane is what happened to one client, or to one channel: it is told in
// order, one thing at a time.
type hookLane struct {
	name   string
	events []*hookEvent // oldest first
	state  laneState
	pause  *time.Timer // while lanePaused
}

type laneState uint8

const (
	// laneStill: its first event cannot be sent yet.
	laneStill laneState = iota
	// laneReady: it stands in hookQueue.ready.
	laneReady
	// laneBusy: its first event is being sent.
	laneBusy
	// lanePaused: its first event is sent again when the pause ends.
	lanePaused
)

// hookQueue holds what the app has still to be told, within limits. It knows
// nothing of how that is done. Its methods may be called concurrently.
type hookQueue struct {
	workers  int
	maxCount int
	maxBytes int64
	dropped  func(e *hookEvent, limit string) // called with mu held

	mu     sync.Mutex
	lanes  map[string]*hookLane // those with events
	count  int                  // events in them, without questions
	bytes  int64
	minor  list.List // of *hookEvent: what gives way first, oldest first
	major  list.List // disconnects
	ready  [2][]*hookLane
	turn   int
	active int
	worker func() // starts one; nil while the queue is not running
	closed bool
	empty  chan struct{} // closed when the queue is closed and empty
}

func newHookQueue(cfg Webhooks, dropped func(*hookEvent, string)) *hookQueue {
	return &hookQueue{
		workers: cfg.Concurrency, maxCount: cfg.Queue, maxBytes: cfg.QueueBytes, dropped: dropped,
		lanes: map[string]*hookLane{}, empty: make(chan struct{}),
	}
}

// add puts e behind what else is in the lane. False: it was not taken, since the
// queue is closed, or full of what is more important.
func (q *hookQueue) add(lane string, e *hookEvent) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if e.ask == nil {
		e.cost = int64(len(e.body)+len(e.record)) + hookEventBytes
		if !q.makeRoom(e) {
			q.dropped(e, q.limit())
			return false
		}
		q.count++
		q.bytes += e.cost
	}
	l := q.lanes[lane]
	if l == nil {
		l = &hookLane{name: lane}
		q.lanes[lane] = l
	}
	e.lane = l
	l.events = append(l.events, e)
	q.place(e, (*list.List).PushBack)
	q.schedule(l)
	return true
}

// makeRoom drops what gives way to e. Needs mu.
func (q *hookQueue) makeRoom(e *hookEvent) bool {
	for q.count >= q.maxCount || q.bytes+e.cost > q.maxBytes {
		oldest := q.minor.Front()
		if oldest == nil && !e.minor() {
			oldest = q.major.Front()
		}
		if oldest == nil {
			return false
		}
		victim, limit := oldest.Value.(*hookEvent), q.limit()
		q.remove(victim)
		q.dropped(victim, limit)
	}
	return true
}

// limit is the one that leaves no room in a full queue. Needs mu.
func (q *hookQueue) limit() string {
	if q.count >= q.maxCount {
		return limitHookQueue
	}
	return limitHookBytes
}

// crowded says whether the queue is more than half full.
func (q *hookQueue) crowded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count > q.maxCount/2 || q.bytes > q.maxBytes/2
}

// place makes e one of those that may be dropped. A question is not one, and a
// connect becomes one when its client is recorded: else a disconnect might come to
// its end before the record is there, which nobody would take away then. Needs mu.
func (q *hookQueue) place(e *hookEvent, push func(*list.List, any) *list.Element) {
	switch {
	case e.ask != nil, e.record != nil:
	case e.minor():
		e.place = push(&q.minor, e)
	default:
		e.place = push(&q.major, e)
	}
}

func (q *hookQueue) unplace(e *hookEvent) {
	switch {
	case e.place == nil:
	case e.minor():
		q.minor.Remove(e.place)
	default:
		q.major.Remove(e.place)
	}
	e.place = nil
}

// remove takes e out of its lane, and the lane out of the queue when it was the
// last one. Needs mu.
func (q *hookQueue) remove(e *hookEvent) {
	l := e.lane
	q.unplace(e)
	if e.ask == nil {
		q.count--
		q.bytes -= e.cost
	}
	first := l.events[0] == e
	l.events = slices.DeleteFunc(l.events, func(other *hookEvent) bool { return other == e })
	if first && l.pause != nil { // what comes behind e has nothing to wait for
		l.pause.Stop()
		l.pause, l.state = nil, laneStill
	}
	if len(l.events) == 0 {
		delete(q.lanes, l.name)
		q.settle()
		return
	}
	q.schedule(l)
}

// settle tells whoever waits for it that a closed queue is empty. Needs mu.
func (q *hookQueue) settle() {
	if q.closed && len(q.lanes) == 0 {
		select {
		case <-q.empty:
		default:
			close(q.empty)
		}
	}
}

// schedule makes the lane ready when its first event can be sent, and has a
// worker look for it. Needs mu.
func (q *hookQueue) schedule(l *hookLane) {
	if l.state != laneStill || l.events[0].record != nil {
		return
	}
	l.state = laneReady
	kind := 0
	if l.events[0].ask != nil {
		kind = 1
	}
	q.ready[kind] = append(q.ready[kind], l)
	q.call()
}

// call starts a worker unless there are enough. Needs mu.
func (q *hookQueue) call() {
	if q.worker != nil && q.active < q.workers {
		q.active++
		q.worker()
	}
}

// next gives a worker what to send; nil ends it. Events and questions take
// turns, so that a long queue of the former does not keep the latter waiting.
func (q *hookQueue) next() *hookEvent {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.worker != nil {
		q.turn = 1 - q.turn
		if len(q.ready[q.turn]) == 0 {
			q.turn = 1 - q.turn
		}
		if len(q.ready[q.turn]) == 0 {
			break
		}
		l := q.ready[q.turn][0]
		q.ready[q.turn][0] = nil
		q.ready[q.turn] = q.ready[q.turn][1:]
		if len(l.events) == 0 { // dropped meanwhile
			continue
		}
		l.state = laneBusy
		q.unplace(l.events[0])
		return l.events[0]
	}
	q.active--
	return nil
}

// done ends the sending of e for good.
func (q *hookQueue) done(e *hookEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.lane.state = laneStill
	q.remove(e)
}

// again has e sent again after a while. It is the oldest event, as it was when
// it was taken.
func (q *hookQueue) again(e *hookEvent, after time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.tries++
	q.place(e, (*list.List).PushFront)
	l := e.lane
	l.state = lanePaused
	if q.worker == nil {
		return
	}
	l.pause = time.AfterFunc(after, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if l.state == lanePaused && len(l.events) > 0 && l.events[0] == e {
			l.pause, l.state = nil, laneStill
			q.schedule(l)
		}
	})
}

// recorded lets a connect be sent; one without a body had only to be recorded.
func (q *hookQueue) recorded(e *hookEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.record = nil
	if e.body == nil {
		q.remove(e)
		return
	}
	q.place(e, (*list.List).PushBack)
	q.schedule(e.lane)
}

// withdraw takes a question back. False: it is being asked, or answered already.
func (q *hookQueue) withdraw(e *hookEvent) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(e.lane.events, e)
	if i < 0 || i == 0 && e.lane.state == laneBusy {
		return false
	}
	q.remove(e)
	return true
}

// run lets workers be started, by a function that must not wait.
func (q *hookQueue) run(worker func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.worker = worker
	for range len(q.ready[0]) + len(q.ready[1]) {
		q.call()
	}
}

// stop ends the workers when each has sent what it is sending, and all pauses.
func (q *hookQueue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.worker, q.closed = nil, true
	for _, l := range q.lanes {
		if l.pause != nil {
			l.pause.Stop()
		}
	}
}

// close refuses what comes from now on. The channel is closed when everything
// that came before is told.
func (q *hookQueue) close() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.settle()
	return q.empty
}

// left is how many events have not been told.
func (q *hookQueue) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count
}
