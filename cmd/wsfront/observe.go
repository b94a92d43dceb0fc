package main

import (
	"context"
	"net/http"
	"os"
	"sync"
	"time"

	"wsfront/cmd/internal/admin"
	"wsfront/cmd/internal/config"
	"wsfront/cmd/internal/metrics"
	"wsfront/proxy"
)

// configLife is which configuration is in effect, and what came of orders to
// change it. It may be used concurrently.
type configLife struct {
	mu               sync.Mutex
	version          string
	file             string
	loaded           time.Time
	applied, refused uint64
	lastRefused      string // why, "" if it was not
	refusedAt        time.Time
}

// begin notes the first configuration.
func (l *configLife) begin(file *config.File) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file, l.version, l.loaded = file.Name(), file.Version(), time.Now()
}

// apply notes another one, which is in effect.
func (l *configLife) apply(file *config.File) {
	l.begin(file)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.applied++
	l.lastRefused, l.refusedAt = "", time.Time{}
}

// refuse notes why one is not.
func (l *configLife) refuse(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused++
	l.lastRefused, l.refusedAt = err.Error(), time.Now()
}

func (l *configLife) status() admin.ConfigStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	return admin.ConfigStatus{File: l.file, Version: l.version, Loaded: l.loaded, Refused: l.lastRefused, RefusedAt: l.refusedAt}
}

func (l *configLife) metrics() metrics.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	return metrics.Config{Version: l.version, Loaded: l.loaded, Applied: l.applied, Refused: l.refused, LastRefused: l.lastRefused != ""}
}

// observed is what the admin listener tells of this service, and does for it.
func (s *service) observed(file *config.File, page http.Handler) admin.Sources {
	return admin.Sources{
		Status:       s.status,
		NotReady:     s.notReady,
		Tunnels:      s.front.Tunnels,
		CloseTunnel:  s.front.CloseTunnel,
		Channels:     s.channels,
		Certificates: s.front.Certificates,
		Failures:     s.front.Failures,
		Config:       s.configText,
		Metrics:      metrics.Handler(s.sources()),
		Page:         page,
		Pprof:        file.Admin.Pprof,
		Reload:       s.reloadLogged,
		Upgrade:      s.upgrade,
	}
}

// sources are the parts that metrics tell of.
func (s *service) sources() metrics.Sources {
	return metrics.Sources{
		Version:      version(),
		Config:       s.life.metrics,
		Front:        s.frontCounts,
		Certificates: s.front.Certificates,
		Push:         s.pushCounts,
		Ready:        func(ctx context.Context) bool { return len(s.notReady(ctx)) == 0 },
		Draining:     func() bool { return s.state() == admin.StateDraining },
		Limits:       map[string]func() map[string]uint64{"front": s.front.LimitHits, "push": s.pushLimits},
		Capacity:     map[string]func() map[string]int64{"front": s.front.Capacity, "push": s.pushCapacity},
		Panics:       map[string]func() uint64{"front": s.front.Panics, "push": s.pushPanics, "publish": s.counts.Panics.Load},
	}
}

// notReady are the reasons for GET /readyz to be 503.
func (s *service) notReady(ctx context.Context) []string {
	s.reloading.Lock()
	backends := s.file.Admin.Ready.Backends
	s.reloading.Unlock()
	return s.front.NotReady(ctx, backends)
}

// lastFailures is how many of them GET /status tells.
const lastFailures = 10

// status is GET /status.
func (s *service) status(ctx context.Context) admin.Status {
	counts, failures := s.frontCounts(), s.front.Failures()
	tunnels, requests := totals(counts)
	return admin.Status{
		Version: version(), PID: os.Getpid(), Started: s.started, Time: time.Now(),
		State:        s.state(),
		NotReady:     s.notReady(ctx),
		Config:       s.life.status(),
		Sites:        s.sites(),
		Connections:  counts.Connections,
		Tunnels:      tunnels,
		Requests:     requests,
		Push:         s.pushStatus(ctx),
		Certificates: s.front.Certificates(),
		Failures:     failures[:min(len(failures), lastFailures)],
		Limits:       s.limitsReached(),
	}
}

// frontCounts are those of the front. It has given the connections of WebSockets
// that listen to the push service away, and knows nothing of them any more.
func (s *service) frontCounts() proxy.Counts {
	counts := s.front.Counts()
	if hub := s.hub(); hub != nil {
		counts.Connections["push"] += hub.Clients()["websocket"]
	}
	return counts
}

// sites are those of the file, with its routes: the script that each push route
// brings along is nobody's to look after. Those stand behind the others.
func (s *service) sites() []proxy.SiteState {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	sites := s.front.Sites()
	for i := range sites {
		sites[i].Routes = sites[i].Routes[:len(s.file.Sites[i].Routes)]
	}
	return sites
}

// totals adds the routes up.
func totals(counts proxy.Counts) (t admin.TunnelTotals, r admin.RequestTotals) {
	for _, route := range counts.Routes {
		for status, n := range route.Requests {
			r.Total += n
			if status >= http.StatusInternalServerError || status == 499 { // which was cut before its answer
				r.Failed += n
			}
		}
		r.BytesIn += route.BytesIn
		r.BytesOut += route.BytesOut
		t.Open += route.Tunnels.Open
		t.Opened += route.Tunnels.Opened
		for _, n := range route.Tunnels.Refused {
			t.Refused += n
		}
		t.BytesIn += route.Tunnels.BytesIn
		t.BytesOut += route.Tunnels.BytesOut
		t.MessagesIn += route.Tunnels.MessagesIn
		t.MessagesOut += route.Tunnels.MessagesOut
	}
	return t, r
}

// configText is GET /config.
func (s *service) configText() []byte {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	return s.file.Redacted()
}

// state is draining once the service is about to end, or another process has taken
// its place.
func (s *service) state() string {
	if s.parts.Err() != nil || s.main.Err() != nil {
		return admin.StateDraining
	}
	return admin.StateServing
}

// limitsReached are those that were, of all parts.
func (s *service) limitsReached() map[string]uint64 {
	reached := map[string]uint64{}
	for part, hits := range s.sources().Limits {
		for limit, n := range hits() {
			if n > 0 {
				reached[part+"."+limit] = n
			}
		}
	}
	return reached
}
