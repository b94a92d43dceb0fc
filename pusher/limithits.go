package pusher

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// The limits that are counted, by their keys in the configuration file.
const (
	limitClients        = "max_clients"
	limitAddress        = "max_clients_per_address"
	limitChannelsTotal  = "channels_total"
	limitChannels       = "max_channels"
	limitQueue          = "queue"
	limitQueueTotal     = "queue_total"
	limitMessage        = "max_message"
	limitInbound        = "max_inbound"
	limitInboundRate    = "inbound_rate"
	limitReplayMessages = "replay_messages"
	limitReplayBytes    = "replay_bytes"
	limitPublishTotal   = "publish_total"
)

// limitNames is all of them.
var limitNames = [...]string{
	limitClients, limitAddress, limitChannelsTotal, limitChannels, limitQueue, limitQueueTotal,
	limitMessage, limitInbound, limitInboundRate, limitReplayMessages, limitReplayBytes, limitPublishTotal,
}

// limitInterval is the time between two lines about one limit: who runs into one
// does it again and again.
const limitInterval = 10 * time.Second

// limitHits counts how often each limit was reached, and logs it, many in one
// line. It may be used concurrently.
type limitHits struct {
	log   *slog.Logger
	hits  map[string]*atomic.Uint64 // never changes
	mu    sync.Mutex
	lines map[string]limitLine
}

// limitLine is the newest line about a limit.
type limitLine struct {
	at    time.Time
	total uint64 // how often the limit had been reached by then
}

func newLimitHits(log *slog.Logger) *limitHits {
	l := &limitHits{log: log, hits: map[string]*atomic.Uint64{}, lines: map[string]limitLine{}}
	for _, name := range limitNames {
		l.hits[name] = new(atomic.Uint64)
	}
	return l
}

// add counts that a limit was reached.
func (l *limitHits) add(name string) {
	total := l.hits[name].Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	now, last := time.Now(), l.lines[name]
	if total <= last.total || !last.at.IsZero() && now.Sub(last.at) < limitInterval {
		return
	}
	l.lines[name] = limitLine{now, total}
	l.log.LogAttrs(context.Background(), slog.LevelWarn, EventLimitReached,
		slog.String("limit", name), slog.Uint64("count", total-last.total))
}

// LimitHits tells how often each limit was reached since the hub was made, by the
// limit's key in the configuration file below push, such as max_clients. Every
// limit is in it from the start.
func (h *Hub) LimitHits() map[string]uint64 {
	all := make(map[string]uint64, len(limitNames))
	for name, hits := range h.hits.hits {
		all[name] = hits.Load()
	}
	return all
}
