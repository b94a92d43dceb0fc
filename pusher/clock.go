package pusher

import (
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// clockBuckets is into how many parts all clients are divided; one part after
// the other is looked at within a PingInterval.
const clockBuckets = 64

// clock is all clients of a hub, in the order in which they are pinged. No
// client has a timer of its own.
type clock struct {
	mu      sync.Mutex
	next    int // where the next client goes
	buckets [clockBuckets][]*client
}

func (k *clock) add(c *client) {
	k.mu.Lock()
	defer k.mu.Unlock()
	b := k.next
	k.next = (b + 1) % clockBuckets
	c.info.bucket, c.info.place = b, len(k.buckets[b])
	k.buckets[b] = append(k.buckets[b], c)
}

func (k *clock) remove(c *client) {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := k.buckets[c.info.bucket]
	last := len(list) - 1
	list[c.info.place] = list[last]
	list[c.info.place].info.place = c.info.place
	list[last] = nil
	k.buckets[c.info.bucket] = list[:last]
}

// bucket is a copy of a part.
func (k *clock) bucket(i int) []*client {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.buckets[i])
}

func (k *clock) all() []*client {
	var list []*client
	for i := range clockBuckets {
		list = append(list, k.bucket(i)...)
	}
	return list
}

// tick looks at each client once in a PingInterval, until stop is closed. The
// hub's time is counted in such ticks.
func (h *Hub) tick(stop <-chan struct{}) {
	ticker := time.NewTicker(h.cfg.PingInterval / clockBuckets)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			now := h.ticks.Add(1)
			for _, c := range h.clock.bucket(int(now % clockBuckets)) {
				c.check(now)
			}
		case <-stop:
			return
		}
	}
}

// silence is for how many ticks a client may show no sign of life: two
// PingIntervals.
const silence = 2 * clockBuckets

// check pings a client, or ends it if it has been silent for too long.
func (c *client) check(now uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state == gone || c.held:
	case c.busy && now-c.busySince > silence:
		c.cutLocked(ending{code: websocket.CloseAbnormalClosure, reason: "write timed out: the client does not read", cause: causeSlow})
	case c.state == open && c.form.answers() && !c.inbox.full() && now-c.heard > silence:
		c.cutLocked(ending{code: websocket.CloseAbnormalClosure, reason: "client gone: no answer to pings", cause: causeSilent})
	case c.state == open && !c.busy:
		c.add(c.form.ping())
	}
}
