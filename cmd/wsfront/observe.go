package main

import (
	"context"
	"os"
	"sync"
	"time"

	"wsfront/cmd/internal/admin"
	"wsfront/cmd/internal/config"
	"wsfront/cmd/internal/metrics"
	"wsfront/pusher"
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
func (s *service) observed(file *config.File) admin.Sources {
	return admin.Sources{
		Config:  s.configText,
		Pprof:   file.Admin.Pprof,
		Status:  s.status,
		Metrics: metrics.Handler(s.sources()),
		Reload:  s.reloadLogged,
		Upgrade: s.upgrade,
	}
}

// sources are the parts that metrics tell of.
func (s *service) sources() metrics.Sources {
	return metrics.Sources{
		Version: version(),
		Config:  s.life.metrics,
		Limits:  map[string]func() map[string]uint64{"front": s.front.LimitHits, "push": s.pushLimits},
		Panics:  map[string]func() uint64{"front": s.front.Panics, "push": s.pushPanics, "publish": s.counts.Panics.Load},
	}
}

// status is GET /status.
func (s *service) status(context.Context) admin.Status {
	return admin.Status{
		Version: version(), PID: os.Getpid(), Started: s.started, Time: time.Now(),
		State:  s.state(),
		Config: s.life.status(),
		Limits: s.limitsReached(),
	}
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

// hub is that of the push service that runs, or nil.
func (s *service) hub() *pusher.Hub {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.push == nil {
		return nil
	}
	return s.push.hub
}

// pushLimits are those of the file's section push.
func (s *service) pushLimits() map[string]uint64 {
	hub := s.hub()
	if hub == nil {
		return nil
	}
	all := hub.LimitHits()
	all["publish.max_connections"] = s.counts.Refused.Load()
	return all
}

func (s *service) pushPanics() uint64 {
	hub := s.hub()
	if hub == nil {
		return 0
	}
	return hub.Panics()
}
