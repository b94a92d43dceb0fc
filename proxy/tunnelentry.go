package proxy

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"time"
	"unique"

	"wsfront/proxy/relay"
)

// tunnelEntry is what is kept of a tunnel for its end.
type tunnelEntry struct {
	server *Server
	site   *site
	route  *route
	member *member // the backend
	id     [16]byte
	client netip.Addr
	took   time.Duration // from the request to the 101
	access accessEntry
	place  tunnelPlace

	userAgent unique.Handle[string] // few programs open many tunnels
	names     traceNames
	over      bool // it is counted as closed; the lock of tunnelAccounts guards it
}

func (t *tunnelEntry) attributes() []any {
	return append([]any{"id", string(t.id[:]), "client", t.client, "site", t.site.name, "route", t.route.name, "backend", t.member.backend.written}, t.names.nameAttributes()...)
}

// carryMessages is the life of a tunnel of mode message.
func (t *tunnelEntry) carryMessages(run *messageRun) {
	of, leave := t.server.messageTunnel(t.route.tenures[0].over)
	defer leave()
	t.Over(run.carry(of))
}

// messageTunnel counts a tunnel of mode message until leave is called. The
// context is that in which it lives: it is done in a moment of its own after
// over is, as the relay's tunnels each end in one.
func (s *Server) messageTunnel(over context.Context) (of context.Context, leave func()) {
	s.messagesOpen.Add(1)
	of, end := context.WithCancelCause(context.Background())
	stop := context.AfterFunc(over, func() {
		spread := relay.Spread(int(s.messagesOpen.Load()), s.drainTimeout()/2)
		time.AfterFunc(rand.N(spread+1), func() { end(context.Cause(over)) }) // later it does nothing
	})
	return of, func() {
		stop()
		end(nil)
		s.messagesOpen.Add(-1)
	}
}

// Over is called when both connections are closed.
func (t *tunnelEntry) Over(r relay.Result) {
	t.place.leave()
	t.route.pool.left(t.member, openTunnel)
	t.server.accounts.end(t, r)
	reason := string(r.Reason)
	var fault *relay.Panic
	if errors.As(r.Err, &fault) {
		t.server.notePanic(string(t.id[:]), t.names, fault.Value, fault.Stack)
	}
	if r.Err != nil {
		reason += ": " + r.Err.Error()
	}
	attributes := append(t.attributes(), "bytes_in", r.FromClient.Bytes, "bytes_out", r.FromBackend.Bytes,
		"messages_in", r.FromClient.Messages, "messages_out", r.FromBackend.Messages, "duration", r.Duration, "reason", reason)
	if r.CloseCode != 0 {
		attributes = append(attributes, "close_code", r.CloseCode)
	}
	attributes = append(attributes, "closed_by", r.ClosedBy)
	if r.CloseReason != "" {
		attributes = append(attributes, "close_reason", r.CloseReason)
	}
	t.server.log.Info(eventTunnelClose, attributes...)
	t.server.access.finish(t.access, figures{status: http.StatusSwitchingProtocols, received: r.FromClient.Bytes, sent: r.FromBackend.Bytes, duration: t.took + r.Duration})
}
