package pusher

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrBadChannel is in the chain of every error about a channel's name.
var ErrBadChannel = errors.New("bad channel name")

const maxChannelName = 164

// validChannel keeps names to what can stand in a URL's path, a log line and a
// JSON string as it is.
func validChannel(name string) bool {
	if name == "" || len(name) > maxChannelName {
		return false
	}
	for i := range len(name) {
		switch b := name[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case b == '_', b == '-', b == '=', b == '@', b == ',', b == '.', b == ';', b == ':':
		default:
			return false
		}
	}
	return true
}

// channelProblem says what to write instead of a name that is not valid.
func channelProblem(name string) string {
	return fmt.Sprintf("%.80q is no channel name; write 1 to %d letters (a-z), digits or any of _-=@,.;:", name, maxChannelName)
}

// errChannels is why nobody can listen to a further channel just now.
var errChannels = errors.New("channels_total is used up")

// hasRoomFor says whether all names can have a channel. h.mu is held.
func (h *Hub) hasRoomFor(names []string) bool {
	if len(h.channels)+len(names) <= h.cfg.ChannelsTotal {
		return true
	}
	count := len(h.channels)
	for _, name := range names {
		if h.channels[name] == nil {
			count++
		}
	}
	return count <= h.cfg.ChannelsTotal
}

// channel is one name while somebody listens to it: the chain of its latest
// messages, and who is where in it.
type channel struct {
	name string

	// Of Hub.mu: a channel is dropped from the hub only when nobody holds on to
	// it, and what is published is appended in one order.
	members     int      // subscriptions that are, or are about to be, in shards
	first, last *message // the window: from first on, nobody needs the store
	count       int      // messages in the window
	window      int64    // what of Hub.windows is this one's
	mortal      bool     // some of them may expire

	end    atomic.Int64 // that of last
	shards []shard      // one for each deliverer
}

// The window of a channel, for those who come back after a moment.
const (
	windowMessages = 256
	windowBytes    = 256 << 10
	// windowsTotal is how long all windows may be together. Beyond it what is
	// published leaves its channel a window of one message: who comes back is
	// served by the store.
	windowsTotal = 64 << 20
)

// append makes m the newest message; tight leaves the window no other. Hub.mu is
// held.
func (ch *channel) append(m *message, tight bool) {
	m.end = ch.last.end + m.cost()
	ch.end.Store(m.end)
	ch.last.next.Store(m)
	ch.last = m
	ch.count++
	ch.mortal = ch.mortal || m.expires != 0
	for ch.count > windowMessages || (tight || m.end-ch.first.end > windowBytes) && ch.first.next.Load() != m {
		ch.first = ch.first.next.Load()
		ch.count--
	}
}

// measure counts the window of ch after a change. h.mu is held.
func (h *Hub) measure(ch *channel) {
	now := ch.last.end - ch.first.end
	h.windows += now - ch.window
	ch.window = now
}

// after finds the place behind which messages with a number above seq follow,
// none missing; nil when the window does not reach back that far. Hub.mu is held.
func (ch *channel) after(seq uint64) *message {
	if ch.first.seq > seq {
		return nil
	}
	return ch.first.before(seq)
}

// expire has the window begin behind what is not kept any longer. Hub.mu is held.
func (ch *channel) expire() {
	if !ch.mortal {
		return
	}
	ch.mortal = false
	now := time.Now().UnixNano()
	passed := 0
	for m := ch.first.next.Load(); m != nil; m = m.next.Load() {
		passed++
		if m.expires != 0 && m.expires <= now {
			ch.first, ch.mortal = m, false
			ch.count, passed = ch.count-passed, 0
		} else if m.expires != 0 {
			ch.mortal = true
		}
	}
}

// subscription is a client's place in a channel.
type subscription struct {
	client *client
	shard  *shard
	index  int // in shard.subs; of shard.mu

	// Of the client's deliverer, once the client was admitted.
	at    *message // the last one that the client was given
	skip  uint64   // messages up to this one it has from elsewhere
	grace int64    // how far behind it may be beyond the limit, as it had to catch up
}

// shard is the part of a channel's clients that one deliverer serves.
type shard struct {
	ch *channel
	d  *deliverer

	queued   bool         // of d.mu
	retained atomic.Int64 // what of the chain is kept for its slowest client; written by d

	slowest *subscription // that client's place at the last pass, nil if none was behind; d's own

	mu      sync.Mutex
	subs    []*subscription
	passing bool // a pass over subs is under way
	moved   bool // one may have been passed over meanwhile
}

func (sh *shard) add(s *subscription) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.index = len(sh.subs)
	sh.subs = append(sh.subs, s)
}

// remove fills the gap with the last one, so that it costs the same however
// many there are.
func (sh *shard) remove(s *subscription) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	last := len(sh.subs) - 1
	moved := sh.subs[last]
	sh.subs[s.index], moved.index = moved, s.index
	sh.subs[last] = nil
	sh.subs = sh.subs[:last]
	sh.moved = sh.passing
	if sh.retained.Load() != 0 { // it may have been for this one
		sh.d.post(sh)
	}
}

// each calls f for every client of the channel. f must not wait.
func (ch *channel) each(f func(*client)) {
	for i := range ch.shards {
		sh := &ch.shards[i]
		sh.mu.Lock()
		for _, s := range sh.subs {
			f(s.client)
		}
		sh.mu.Unlock()
	}
}
