package natsbroker

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"wsfront/pusher"
)

const (
	// watchMessages and watchBytes are how much may wait for the function that
	// Watch calls. What comes when they are reached is dropped, and read from the
	// store when the function has caught up.
	watchMessages = 64 << 10
	watchBytes    = 64 << 20
	// checkInterval is how long the newest message may be missing without a
	// later one that shows it.
	checkInterval = time.Second
)

// watch hands out messages in the order of their numbers. They come live, over
// a way that may lose some: a number left out shows that, and the stream is then
// asked what is there, which may be nothing (marks of purges have numbers too).
type watch struct {
	b    *Broker
	sub  *nats.Subscription
	done chan struct{} // closed when check has returned

	mu       sync.Mutex // held while deliver runs, so that it runs once at a time
	deliver  func(*pusher.Entry)
	position uint64 // the number up to which everything was handed out
}

func (b *Broker) Watch(deliver func(*pusher.Entry)) (position uint64, err error) {
	if b.ctx.Err() != nil {
		return 0, pusher.ErrBrokerClosed
	}
	w := &b.watch
	w.mu.Lock() // what arrives before the position is known waits
	defer w.mu.Unlock()
	if w.deliver != nil {
		return 0, errors.New("store: there is a Watch already")
	}
	if w.sub, err = b.conn.Subscribe(b.names.live+"*", w.live); err != nil {
		return 0, fmt.Errorf("store: watch: %w", err)
	}
	if err := w.sub.SetPendingLimits(watchMessages, watchBytes); err != nil {
		return 0, fmt.Errorf("store: watch: %w", err)
	}
	// The answer comes from behind the subscription: what is stored after that
	// number comes live.
	state, err := b.state(b.ctx, b.names.stream, "")
	if err != nil {
		return 0, err
	}
	w.b, w.deliver, w.position = b, deliver, state.LastSeq
	w.done = make(chan struct{})
	go w.check() // ends with b.ctx; end waits for it
	return w.position, nil
}

// end returns when deliver runs no more.
func (w *watch) end() {
	w.mu.Lock()
	done := w.done
	w.mu.Unlock()
	if done != nil {
		<-done
	}
}

// live is called with each message that comes live, by one goroutine.
func (w *watch) live(m *nats.Msg) {
	seq, err := strconv.ParseUint(m.Header.Get(headerSeq), 10, 64)
	if err != nil {
		return // not of the stream
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deliver == nil || seq <= w.position || w.b.ctx.Err() != nil {
		return
	}
	if seq > w.position+1 {
		w.fill(seq - 1)
	}
	if seq != w.position+1 {
		return // fill has met it in the stream
	}
	if s, err := readStored(m); err == nil {
		w.handOut(s)
	}
	w.position = seq
}

func (w *watch) handOut(s stored) {
	if s.foreign() {
		return
	}
	token, _ := strings.CutPrefix(s.subject, w.b.names.messages)
	w.deliver(s.entry(tokenChannel(token)))
}

// fill hands out what the stream has behind position, up to a number. It does
// not give up before the broker is closed: nothing may be left out.
func (w *watch) fill(to uint64) {
	from, found := w.position+1, false
	for w.position < to {
		batch, more, err := w.b.getFrom(w.b.ctx, w.b.names.messages+"*", w.position+1, maxBatch, maxBatchBytes)
		if err != nil {
			select {
			case <-w.b.ctx.Done():
				return
			case <-time.After(checkInterval / 4):
				continue
			}
		}
		for _, s := range batch {
			if s.seq > to {
				more = false
				break
			}
			w.handOut(s)
			w.position, found = s.seq, true
		}
		if !more && to != math.MaxUint64 {
			w.position = to
		}
		if !more {
			break
		}
	}
	if found {
		w.b.log.Info(pusher.EventStoreHole, "from", from, "to", w.position)
	}
}

// check looks for messages that did not come although nothing has come since.
func (w *watch) check() {
	defer close(w.done)
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	var before uint64
	for {
		select {
		case <-w.b.ctx.Done():
			w.mu.Lock() // for a deliver under way
			defer w.mu.Unlock()
			return
		case <-tick.C:
		}
		w.mu.Lock()
		// Other processes may have stored what this one does not know of.
		missing := !w.b.sole() || w.b.stored.Load() > w.position
		if w.position == before && missing {
			w.fill(math.MaxUint64)
		}
		before = w.position
		w.mu.Unlock()
	}
}
