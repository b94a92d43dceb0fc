package proxy

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"syscall"
	"time"
)

// choice is the backend of a pool that serves an exchange. It counts as open
// there from next to leave. Only the exchange's own goroutine uses it.
//
// A Pool's exchanges go where the fewest are open, by weight: backends need not
// be alike, and one that has become slow, or holds more tunnels than the others
// after these were restarted, gets less. Tunnels are compared with tunnels, and
// plain requests with plain ones: a backend that comes back without any tunnel
// would else get every request until it had as many as the others. Among those
// that are loaded alike, as all are when there is little to do, it goes round by
// weight, in the smooth order that nginx has: a a b a, not a a a b.
//
// Nothing that the choice hears of asks the backends how they are. One to which no connection comes
// about, or no TLS, is down for the pool's failTimeout; after that one exchange
// at a time tries it, and it is up again when it can be reached. What it answers
// does not count: a page that fails everywhere must not take all backends away.
type choice struct {
	pool   *pool
	kind   int     // plainRequest or openTunnel
	named  *member // by the client's cookie; nil for none
	member *member // nil before next
	open   bool    // counted at member
	trial  bool    // member is down, and this exchange finds out whether it still is
	failed []*member
}

// next chooses a member that was not chosen before. Where all are down, it is
// the one whose failure is the longest ago, if desperate. It reports false when
// there is none, and leaves what was chosen before.
func (c *choice) next(desperate bool) bool {
	p := c.pool
	if p.name == "" {
		c.member = p.members[0]
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	m := c.best(now)
	if m == nil && desperate {
		m = c.longestDown()
	}
	if m == nil {
		return false
	}
	c.member, c.open, c.trial = m, true, m.down
	m.load[c.kind].open++
	m.trying = m.trying || m.down
	return true
}

// best is the member to choose of those that are up, or nil.
func (c *choice) best(now time.Time) *member {
	for _, backup := range [...]bool{false, true} {
		if m := c.named; m != nil && m.backup == backup && c.usable(m, now) {
			return m
		}
		if m := c.leastLoaded(backup, now); m != nil {
			return m
		}
	}
	return nil
}

// usable reports whether a member is up, or it is time to try it.
func (c *choice) usable(m *member, now time.Time) bool {
	return !slices.Contains(c.failed, m) && (!m.down || !m.trying && now.Sub(m.failed) >= c.pool.failTimeout)
}

func (c *choice) leastLoaded(backup bool, now time.Time) *member {
	var least, best *member
	total := 0
	for _, m := range c.pool.members {
		if m.backup == backup && c.usable(m, now) && (least == nil || m.loaded(c.kind, least) < 0) {
			least = m
		}
	}
	for _, m := range c.pool.members {
		if m.backup != backup || !c.usable(m, now) || m.loaded(c.kind, least) > 0 {
			continue
		}
		m.load[c.kind].turn += m.weight
		total += m.weight
		if best == nil || m.load[c.kind].turn > best.load[c.kind].turn {
			best = m
		}
	}
	if best != nil {
		best.load[c.kind].turn -= total
	}
	return best
}

// loaded is negative when a member has less to do by its weight than another
// one, and positive when it has more.
func (m *member) loaded(kind int, other *member) int {
	return m.load[kind].open*other.weight - other.load[kind].open*m.weight
}

func (c *choice) longestDown() *member {
	var oldest *member
	for _, m := range c.pool.members {
		if !slices.Contains(c.failed, m) && (oldest == nil || m.failed.Before(oldest.failed)) {
			oldest = m
		}
	}
	return oldest
}

// reached says that a connection to the member came about.
func (c *choice) reached(log *slog.Logger) {
	if !c.trial {
		return
	}
	c.trial = false
	p, m := c.pool, c.member
	p.mu.Lock()
	was := m.down
	m.down, m.trying = false, false
	p.mu.Unlock()
	if was {
		log.Info(eventBackendUp, "pool", p.name, "backend", m.backend.written)
	}
}

// unreachable says that no connection to the member came about, and reports
// whether another member has been chosen in its place.
func (c *choice) unreachable(ctx context.Context, err error, log *slog.Logger) bool {
	p, m := c.pool, c.member
	if p.name == "" || ctx.Err() != nil || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return false // that is nothing about the member
	}
	p.mu.Lock()
	was := m.down
	m.down, m.failed = true, time.Now()
	p.mu.Unlock()
	if !was {
		_, reason := m.backend.explain(err)
		log.Warn(eventBackendDown, "pool", p.name, "backend", m.backend.written, "reason", reason, "for", p.failTimeout)
	}
	c.leave()
	c.failed = append(c.failed, m)
	// One that is down is worth the wait for a refusal, not that for no answer at
	// all: of five such, the client would wait for each.
	return c.next(!isTimeout(err))
}

// leave ends what next began; member stays, for the log. It may be called
// again.
func (c *choice) leave() {
	if !c.open {
		return
	}
	c.pool.left(c.member, c.kind)
	if c.trial {
		c.pool.mu.Lock()
		c.member.trying = false
		c.pool.mu.Unlock()
	}
	c.open, c.trial = false, false
}

// left says that an exchange is over, which may have outlived its choice.
func (p *pool) left(m *member, kind int) {
	if p.name == "" {
		return
	}
	p.mu.Lock()
	m.load[kind].open--
	p.mu.Unlock()
}

// exhausted reports whether no member could be reached.
func (c *choice) exhausted() bool { return slices.Contains(c.failed, c.member) }

// connect chooses a backend, and returns a connection to it: one that was kept,
// unless fresh. Nothing of the request was sent while backends cannot be
// reached, so that the next one gets it whole.
func (x *exchange) connect(ctx context.Context, fresh bool) (*backendConn, error) {
	c, log := &x.choice, x.server.log
	if c.member == nil {
		*c = choice{pool: x.route.pool, named: x.route.pool.named(x.req.Fields)}
		if x.upgrade {
			c.kind = openTunnel
		}
		c.next(true)
	}
	for {
		b, err := c.member.take(ctx, fresh || c.trial)
		if err == nil {
			c.reached(log)
			return b, nil
		}
		if !c.unreachable(ctx, err, log) {
			return nil, err
		}
	}
}
