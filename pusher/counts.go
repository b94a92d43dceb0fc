package pusher

import (
	"cmp"
	"context"
	"maps"
	"slices"
)

// Counts are what a Hub has counted since it was made, and how much there is of
// what comes and goes. Counters never become less.
type Counts struct {
	// Clients are the connections that are open, by transport: websocket,
	// event-stream and poll.
	Clients map[string]int
	// Channels are those with a client.
	Channels int
	// Publishes are the messages that were published by this process, by the publish
	// API and all else, and PublishedBytes their data; Duplicates are not among them:
	// those that had been published before, by their Idempotency-Key. PublishFailures
	// are those that the store did not take.
	Publishes, PublishedBytes, Duplicates, PublishFailures uint64
	// Deliveries are the messages that were written to clients, and DeliveredBytes
	// what they took, frames and events included.
	Deliveries, DeliveredBytes uint64
	// Inbound are the messages that came from clients, whatever became of them.
	Inbound uint64
	// QueueBytes are those that are kept for clients that are behind, of what they
	// have sent and is not dealt with as well: what Config.QueueTotal bounds.
	QueueBytes int64
	// Ended are the clients that have gone, by why: closed (by the client, or it
	// went away), answered (a poll), slow (cut off since it did not read), silent
	// (no pong), expired (not admitted any longer), dismissed (by the publish API),
	// violation, shutdown and other.
	Ended map[string]uint64
	// Refused are the requests that were answered by an error, by their status; of
	// event streams those that are to come back, by the status that others get.
	Refused map[int]uint64
	// Joins are the streams that began, and polls, by how: new, resumed and gap.
	Joins map[string]uint64
	// HistoryMessages and HistoryBytes are what the store keeps, -1 where it
	// cannot tell.
	HistoryMessages, HistoryBytes int64
	// WebhooksSent are the requests of webhooks that the application has taken, and
	// questions about clients' messages that it has answered; WebhooksRetried those
	// that had to be sent again, and WebhooksLost those that it will not get.
	WebhooksSent, WebhooksRetried, WebhooksLost uint64
	// AppQuestions are the times that the application was asked whether a client
	// may listen, by what came of it: allowed, refused and failed (no answer, or
	// none that can be used).
	AppQuestions map[string]uint64
}

// Counts tells what was counted so far. It asks the store how much it keeps, and
// waits for that as long as ctx allows; all else is at hand. What happens meanwhile
// may be in a part of it. It may be called concurrently.
func (h *Hub) Counts(ctx context.Context) Counts {
	k := h.counts
	c := Counts{
		Publishes:       k.published.Load(),
		PublishedBytes:  k.publishedBytes.Load(),
		Duplicates:      k.duplicates.Load(),
		PublishFailures: k.unstored.Load(),
		Inbound:         k.inbound.Load(),
		QueueBytes:      h.retained.Load(),
		Ended:           k.ended.all(),
		Refused:         k.refusals(),
		Joins:           k.joins.all(),
		AppQuestions:    k.asked.all(),
	}
	for _, d := range h.deliverers {
		c.Deliveries += d.delivered.Load()
		c.DeliveredBytes += d.deliveredBytes.Load()
	}
	if h.hooks != nil {
		c.WebhooksSent, c.WebhooksRetried, c.WebhooksLost = h.hooks.sent.Load(), h.hooks.retried.Load(), h.hooks.lost.Load()
	}
	h.mu.Lock()
	c.Channels = len(h.channels)
	h.mu.Unlock()
	c.Clients = h.Clients()
	var err error
	if c.HistoryMessages, c.HistoryBytes, err = h.broker.Size(ctx); err != nil {
		c.HistoryMessages, c.HistoryBytes = -1, -1
	}
	return c
}

// Clients are those of Counts, by transport, for who asks for nothing else. It may
// be called concurrently.
func (h *Hub) Clients() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return map[string]int{
		"websocket":    h.there[formToken.transport()],
		"event-stream": h.there[formEvent.transport()],
		"poll":         h.there[formLine.transport()],
	}
}

// ChannelState is a channel that has clients or stored messages.
type ChannelState struct {
	Name        string `json:"name"`
	Subscribers int    `json:"subscribers"`
	// Messages are those that are stored.
	Messages int `json:"messages"`
	// Position is that of its newest message since it has clients, or "".
	Position string `json:"position,omitempty"`
}

// ChannelStates tells of the channels that have clients or stored messages: of up to
// limit, those with most clients first, and by name where they have as many. more
// says that there are others. The error is the store's. It goes through all
// channels, here and in the store, and is meant for who looks at them, not for
// every second. It may be called concurrently.
func (h *Hub) ChannelStates(ctx context.Context, limit int) (states []ChannelState, more bool, err error) {
	stored, err := h.broker.Channels(ctx, maxListed)
	if err != nil {
		return nil, false, err
	}
	rows := slices.SortedFunc(maps.Values(h.channelRows(stored)), func(a, b channelRow) int {
		return cmp.Or(cmp.Compare(b.Subscribers, a.Subscribers), cmp.Compare(a.Name, b.Name))
	})
	shown := max(0, min(limit, len(rows)))
	states = make([]ChannelState, shown)
	for i, row := range rows[:shown] {
		states[i] = ChannelState{Name: row.Name, Subscribers: row.Subscribers, Messages: row.Messages}
		if row.newest > 0 {
			states[i].Position = Position{h.epoch, row.newest}.String()
		}
	}
	return states, shown < len(rows) || len(stored) == maxListed, nil
}
