package pusher

import (
	"cmp"
	"sync/atomic"
)

// counters are what a hub counts besides the limits that are reached. What is
// delivered is counted by the deliverers, each for itself: they would get in each
// other's way here.
type counters struct {
	ended   tallies             // by cause
	joins   tallies             // by continuation
	asked   tallies             // the application, by what came of it
	refused [1000]atomic.Uint64 // by status: that of a refusal is the application's choice

	published, publishedBytes, duplicates, unstored atomic.Uint64

	_       [64]byte // publishers are at what is before, and the poller at what follows
	inbound atomic.Uint64
}

func newCounters() *counters {
	return &counters{
		ended: newTallies(causeClosed, causeAnswered, causeSlow, causeSilent, causeExpired, causeDismissed, causeViolation, causeShutdown, causeOther),
		joins: newTallies(string(resumeNew), string(resumeResumed), string(resumeGap)),
		asked: newTallies(askedAllowed, askedRefused, askedFailed),
	}
}

// The causes that Counts.Ended tells apart.
const (
	causeClosed    = "closed"
	causeAnswered  = "answered"
	causeSlow      = "slow"
	causeSilent    = "silent"
	causeExpired   = "expired"
	causeDismissed = "dismissed"
	causeViolation = "violation"
	causeShutdown  = "shutdown"
	causeOther     = "other" // also that of an ending without one
)

// What comes of asking the application.
const (
	askedAllowed = "allowed"
	askedRefused = "refused"
	askedFailed  = "failed"
)

// refuse counts a request that is answered by an error.
func (k *counters) refuse(status int) {
	if status >= 0 && status < len(k.refused) {
		k.refused[status].Add(1)
	}
}

// end counts a client that has gone.
func (k *counters) end(e *ending) { k.ended.add(cmp.Or(e.cause, causeOther)) }

// publish counts what came of storing a message.
func (k *counters) publish(size int, done Appended, err error) {
	switch {
	case err != nil:
		k.unstored.Add(1)
	case done.Duplicate:
		k.duplicates.Add(1)
	default:
		k.published.Add(1)
		k.publishedBytes.Add(uint64(size))
	}
}

// refusals is how many there were of each status that there was.
func (k *counters) refusals() map[int]uint64 {
	all := map[int]uint64{}
	for status := range k.refused {
		if n := k.refused[status].Load(); n > 0 {
			all[status] = n
		}
	}
	return all
}

// tallies count by name. They may be used concurrently.
type tallies map[string]*atomic.Uint64 // never changes

func newTallies(names ...string) tallies {
	t := make(tallies, len(names))
	for _, name := range names {
		t[name] = new(atomic.Uint64)
	}
	return t
}

// add counts one more, and says how many there were. There must be the name.
func (t tallies) add(name string) uint64 { return t[name].Add(1) }

func (t tallies) all() map[string]uint64 {
	all := make(map[string]uint64, len(t))
	for name, n := range t {
		all[name] = n.Load()
	}
	return all
}
