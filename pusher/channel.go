package pusher

import (
	"errors"
	"fmt"
	"sync"
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

// channel is who listens to one name.
type channel struct {
	// members counts the clients that are, or are about to be, in clients. It
	// belongs to Hub.mu, so that a channel is dropped from the hub only when
	// nobody holds on to it, while publishing needs no more than the lock below.
	members int

	mu      sync.Mutex
	clients []*client
}

// publish hands m to every client. The lock is held throughout: it is what
// makes the order of messages the same for all of them. Nothing under it waits.
func (ch *channel) publish(m *message) (reached int) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, c := range ch.clients {
		if c.push(m) {
			reached++
		}
	}
	return reached
}

func (ch *channel) add(c *client) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	c.index = len(ch.clients)
	ch.clients = append(ch.clients, c)
}

// remove fills the gap with the last client, so that it costs the same however
// many there are.
func (ch *channel) remove(c *client) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	last := len(ch.clients) - 1
	moved := ch.clients[last]
	ch.clients[c.index], moved.index = moved, c.index
	ch.clients[last] = nil
	ch.clients = ch.clients[:last]
}

// each calls f for every client. f must not wait.
func (ch *channel) each(f func(*client)) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, c := range ch.clients {
		f(c)
	}
}
