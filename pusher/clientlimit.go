package pusher

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

// turnedAway is why a client cannot be served just now, and may come back.
type turnedAway struct {
	limit  string // that was reached; "": none
	status int
	reason string        // for the log
	text   string        // for the client
	after  time.Duration // when to come back
}

// crowdedRetry is when a client that is beyond a limit may come back.
const crowdedRetry = 10 * time.Second

// enter counts a connection before anything is started for it, so that Shutdown
// cannot overlook it. It says why it cannot, as admits does; else the connection
// needs one exit. remote is the client's address.
func (h *Hub) enter(remote string) *turnedAway {
	from := addressGroup(remote)
	h.mu.Lock()
	defer h.mu.Unlock()
	if away := h.admits(from); away != nil {
		return away
	}
	h.count(from)
	h.starting.Do(h.start)
	return nil
}

// stay counts what is left of a request whose client is about to exit. It needs an
// exit of its own.
func (h *Hub) stay(remote string) {
	from := addressGroup(remote)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count(from)
}

// count is undone by exit. h.mu is held.
func (h *Hub) count(from netip.Prefix) {
	h.active.Add(1)
	if from.IsValid() {
		h.from[from]++
	}
}

func (h *Hub) exit(remote string) {
	from := addressGroup(remote)
	h.mu.Lock()
	defer h.mu.Unlock()
	if from.IsValid() {
		if h.from[from]--; h.from[from] == 0 {
			delete(h.from, from)
		}
	}
	if h.active.Add(-1) == 0 && h.parting.Load() {
		close(h.idle)
	}
}

// hasRoom says why a client that comes from remote would not be served. It is asked
// before the application is: a crowd that cannot be served is not to crowd that too.
func (h *Hub) hasRoom(remote string) *turnedAway {
	from := addressGroup(remote)
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.admits(from)
}

// admits says why another client is not served; nil if it is. h.mu is held.
func (h *Hub) admits(from netip.Prefix) *turnedAway {
	switch there := h.active.Load(); {
	case h.parting.Load():
		return goingDown()
	case there >= int64(h.cfg.MaxClients):
		return &turnedAway{
			limit: limitClients, status: http.StatusServiceUnavailable,
			reason: fmt.Sprintf("%d clients are there; raise push.max_clients, and the limit of open files with it", there),
			text:   "this service has as many clients as it may; connect again in a moment", after: crowdedRetry,
		}
	case from.IsValid() && h.from[from] >= h.cfg.MaxClientsPerAddress:
		return &turnedAway{
			limit: limitAddress, status: http.StatusTooManyRequests,
			reason: fmt.Sprintf("%s has %d clients; raise push.max_clients_per_address, or name it in trusted_proxies if it is a proxy of yours", groupName(from), h.from[from]),
			text:   "your network has as many connections as it may; close some, or connect again in a moment", after: crowdedRetry,
		}
	}
	return nil
}

// goingDown is what comes during Shutdown is told.
func goingDown() *turnedAway {
	return &turnedAway{
		status: http.StatusServiceUnavailable, reason: "shutting down",
		text: "this service is restarting; connect again in a second", after: time.Second,
	}
}

// turnAway answers a client that may come back. An event stream gets one that ends
// at once: upon any status but 200 a browser gives up for good (HTML standard
// §9.2.2), and so would the page that is behind it.
func (e *endpoint) turnAway(w http.ResponseWriter, r *http.Request, away *turnedAway) {
	if away.limit != "" {
		e.hub.hits.add(away.limit)
	}
	if wantsEvents(r) && !websocket.IsWebSocketUpgrade(r) {
		e.hub.counts.refuse(away.status)
		e.hub.logRefused(r, away.status, away.reason)
		header := w.Header()
		header.Set("Content-Type", "text/event-stream")
		header.Set("Cache-Control", "no-store")
		e.shareWith(w, r)
		_, _ = w.Write(retryField(away.after)) // who left does not want it
		return
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(away.after/time.Second)))
	e.shareWith(w, r)
	e.hub.refuse(w, r, away.status, away.reason, away.text)
}

// retryField has a browser connect again after a time, or up to twice of it: they
// are not all to come back in the same moment.
func retryField(d time.Duration) []byte {
	ms := int(d / time.Millisecond)
	return fmt.Appendf(nil, "retry: %d\n", ms+rand.IntN(ms))
}

// addressGroup is what one client is known by: its address, or the /64 network
// that is one customer's in IPv6. Loopback, where another proxy is, stands for
// nobody in particular, and neither does what is no address.
func addressGroup(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	a := at.Addr().Unmap()
	if a.IsLoopback() {
		return netip.Prefix{}
	}
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits) // fails only for bits out of range
	return p
}

// groupName is an addressGroup in the words of the log: an address or a network.
func groupName(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
