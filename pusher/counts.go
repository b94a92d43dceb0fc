package pusher

// Counts are what a Hub has counted since it was made, and how much there is of
// what comes and goes. Counters never become less.
type Counts struct {
	// Clients are the connections that are open, by transport: websocket,
	// event-stream and poll.
	Clients map[string]int
	// Channels are those with a client.
	Channels int
	// Publishes are the messages that were published, by the publish API and all
	// else, and PublishedBytes their data; Duplicates those that had been published
	// before, by their Idempotency-Key; PublishFailures those that were not stored.
	Publishes, PublishedBytes, Duplicates, PublishFailures uint64
	// Deliveries are the messages that were written to clients, and DeliveredBytes
	// what they took, frames and events included.
	Deliveries, DeliveredBytes uint64
	// Inbound are the messages that came from clients.
	Inbound uint64
	// QueueBytes are those that are kept for clients that are behind.
	QueueBytes int64
	// Ended are the clients that have gone, by why: closed (by the client, or it
	// went away), answered (a poll), slow (cut off since it did not read), silent
	// (no pong), expired (not admitted any longer), dismissed (by the publish API),
	// violation, shutdown and other.
	Ended map[string]uint64
	// Refused are the requests that were answered by an error, by their status.
	Refused map[int]uint64
	// Joins are the streams that began, by how: new, resumed and gap.
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

// ChannelState is a channel that has clients or stored messages.
type ChannelState struct {
	Name        string `json:"name"`
	Subscribers int    `json:"subscribers"`
	// Messages are those that are stored.
	Messages int `json:"messages"`
	// Position is that of its newest message since it has clients, or "".
	Position string `json:"position,omitempty"`
}
