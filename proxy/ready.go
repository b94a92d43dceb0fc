package proxy

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Readiness is what a Server's backends have to do with whether it is ready.
type Readiness string

// The values of Readiness.
const (
	// ReadyAnyBackend asks that of each app and tunnel route one backend at least
	// can be reached. The empty value stands for it.
	ReadyAnyBackend Readiness = "any"
	// ReadyAllBackends asks that all backends can be.
	ReadyAllBackends Readiness = "all"
	// ReadyWithoutBackends asks for none: a front whose app is down still has
	// something to say, be it an error page.
	ReadyWithoutBackends Readiness = "off"
)

const (
	// probeTimeout is how long a backend may take to be connected to where only
	// readiness asks.
	probeTimeout = time.Second
	// probePause is for how long what was found out then holds.
	probePause = 5 * time.Second
	// probesAtOnce bounds the connections that are tried at a time.
	probesAtOnce = 64
)

// Draining reports whether the server is about to end. It may be called
// concurrently.
func (s *Server) Draining() bool { return s.closing.Load() }

// NotReady returns the reasons for which the server should get no traffic, each a
// sentence that says what to do, or none: it is about to end, a name of a site
// with tls: auto has no certificate, or backends cannot be reached. A backend that
// has given no answer of late is connected to, by TLS where it has that, and sent
// nothing: so that it is known before the first visitor comes, and again once it
// is back. That happens at most once in five seconds for each, whoever asks, and
// takes a second at most, or until ctx is done. It changes nothing about where
// requests go. NotReady may be called concurrently.
func (s *Server) NotReady(ctx context.Context, backends Readiness) []string {
	var reasons []string
	if s.Draining() {
		reasons = append(reasons, "the server is shutting down; send traffic to another one")
	}
	for _, c := range s.Certificates() {
		if c.Source == certAuto && c.NotAfter.Before(time.Now()) {
			reasons = append(reasons, fmt.Sprintf("the certificate of %s: %s (%s)", c.Names[0], c.Problem, c.Hint))
		}
	}
	if backends == ReadyWithoutBackends {
		return reasons
	}
	t := s.table.Load()
	t.pools.probe(ctx)
	told := map[string]bool{}
	for _, site := range t.sites {
		for _, rt := range site.routes {
			if rt.pool == nil || told[rt.pool.written] {
				continue
			}
			if reason := rt.pool.unreachable(backends); reason != "" {
				told[rt.pool.written] = true
				reasons = append(reasons, fmt.Sprintf("route %s: %s", rt.name, reason))
			}
		}
	}
	return reasons
}

// unreachable says why the pool's backends do not do for a Readiness, or is "".
func (p *pool) unreachable(asked Readiness) string {
	reason, out := "", 0
	for _, m := range p.members {
		if a := m.backend.account; a.out.Load() {
			out++
			reason = a.failure.Load().reason
		}
	}
	switch {
	case out == 0, out < len(p.members) && asked != ReadyAllBackends:
		return ""
	case p.name == "":
		return reason
	case out < len(p.members):
		return fmt.Sprintf("%d of %d backends of pool %s cannot be reached; of the last one: %s", out, len(p.members), p.name, reason)
	}
	return fmt.Sprintf("no backend of pool %s can be reached; of the last one: %s", p.name, reason)
}

// probe finds out which backends can be reached, as far as it is not known.
func (s *pools) probe(ctx context.Context) {
	var wg sync.WaitGroup
	places := make(chan struct{}, probesAtOnce)
	begun := map[*backendAccount]bool{}
	for _, p := range s.all {
		for _, m := range p.members {
			if b := m.backend; !begun[b.account] {
				begun[b.account] = true
				places <- struct{}{}
				wg.Go(func() { // ended by probeTimeout or ctx, awaited below
					defer func() { <-places }()
					b.probe(ctx)
				})
			}
		}
	}
	wg.Wait()
}

// probe connects to a backend that has given no answer since it was last looked
// after, or could not be reached then.
func (b *backend) probe(ctx context.Context) {
	a := b.account
	a.probing.Lock()
	defer a.probing.Unlock()
	if time.Since(a.probed) < probePause || ctx.Err() != nil {
		return
	}
	heard := a.answers.Distribution().Count()
	answered := heard > a.heard && !a.out.Load()
	a.probed, a.heard = time.Now(), heard
	if answered {
		return
	}
	within, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := b.reach(within)
	switch {
	case err == nil:
		_ = conn.Close()
		a.reached()
	case ctx.Err() == nil: // else whoever asked has no more time for it
		a.unreached(b, err)
	default:
		a.probed = time.Time{}
	}
}
