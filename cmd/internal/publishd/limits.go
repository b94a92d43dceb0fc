package publishd

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Counts is what became of connections and requests since the start. It outlasts a
// Server, and may be read at any time.
type Counts struct {
	// Refused is how many connections were beyond the limit.
	Refused atomic.Uint64
	// Panics is how many faults in this program ended a connection.
	Panics atomic.Uint64
}

// limitLogged is the time between two lines about the limit of connections.
const limitLogged = 10 * time.Second

// busy is the answer to a connection beyond the limit.
const busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"Content-Length: 110\r\n\r\n503 Service Unavailable: the publish API has as many connections as push.publish.max_connections lets it have\n"

// room holds connections to their limit. It belongs to accept, but for open.
type room struct {
	most   int64
	open   atomic.Int64
	counts *Counts
	log    *slog.Logger
	logged time.Time // when the limit was last logged
	unsaid uint64    // how often it was reached since then
}

// enter gives a place to a connection, which its Close gives back, or answers and
// closes it.
func (r *room) enter(conn net.Conn) (*placed, bool) {
	if r.open.Add(1) <= r.most {
		return &placed{Conn: conn, room: r}, true
	}
	r.open.Add(-1)
	r.counts.Refused.Add(1)
	r.unsaid++
	if now := time.Now(); now.Sub(r.logged) >= limitLogged {
		r.log.Warn(eventLimit, "limit", "publish.max_connections", "count", r.unsaid)
		r.logged, r.unsaid = now, 0
	}
	// A fresh socket takes this at once, and nobody waits for one that does not. Nor
	// for what it sends, so that a reset may overtake the answer.
	_ = conn.SetWriteDeadline(time.Now().Add(acceptPause))
	_, _ = conn.Write([]byte(busy))
	conn.Close()
	return nil, false
}

// placed is a connection that has a place, whichever way it is served.
type placed struct {
	net.Conn
	room  *room
	leave sync.Once
}

// Close closes the connection and gives its place back.
func (p *placed) Close() error {
	err := p.Conn.Close()
	p.leave.Do(func() { p.room.open.Add(-1) })
	return err
}
