package pusher

import (
	"context"
	"log/slog"
	"sync"
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
	limitHookQueue      = "webhooks.queue"
	limitHookBytes      = "webhooks.queue_bytes"
)

// limitNames is all of them.
var limitNames = [...]string{
	limitClients, limitAddress, limitChannelsTotal, limitChannels, limitQueue, limitQueueTotal,
	limitMessage, limitInbound, limitInboundRate, limitReplayMessages, limitReplayBytes, limitPublishTotal,
	limitHookQueue, limitHookBytes,
}

// limitInterval is the time between two lines about one limit: who runs into one
// does it again and again.
const limitInterval = 10 * time.Second

// limitHits counts how often each limit was reached, and logs it, many in one
// line. It may be used concurrently.
type limitHits struct {
	log   *slog.Logger
	hits  tallies
	mu    sync.Mutex
	lines map[string]limitLine
}

// limitLine is the newest line about a limit.
type limitLine struct {
	at    time.Time
	total uint64 // how often the limit had been reached by then
}

func newLimitHits(log *slog.Logger) *limitHits {
	return &limitHits{log: log, hits: newTallies(limitNames[:]...), lines: map[string]limitLine{}}
}

// add counts that a limit was reached.
func (l *limitHits) add(name string) {
	total := l.hits.add(name)
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
func (h *Hub) LimitHits() map[string]uint64 { return h.hits.hits.all() }
