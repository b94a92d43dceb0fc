package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"wsfront/pusher"
)

// push is what the push service has counted.
type push struct {
	clients, channels, queueBytes                          family
	publishes, publishedBytes, duplicates, publishFailures family
	deliveries, deliveredBytes, inbound                    family
	ended, refused, joins                                  family
	historyMessages, historyBytes                          family
	webhooks, webhookRetries, webhooksLost, questions      family
}

func newPush() push {
	return push{
		clients:         gauge("wsfront_push_clients", "Push clients that are connected.", "transport"),
		channels:        gauge("wsfront_push_channels", "Channels with a client."),
		queueBytes:      gauge("wsfront_push_queue_bytes", "Bytes that are kept for clients that are behind."),
		publishes:       counter("wsfront_push_publishes_total", "Messages that were published."),
		publishedBytes:  counter("wsfront_push_published_bytes_total", "Data of the messages that were published."),
		duplicates:      counter("wsfront_push_duplicates_total", "Messages that had been published before, by their Idempotency-Key."),
		publishFailures: counter("wsfront_push_publish_failures_total", "Messages that could not be stored."),
		deliveries:      counter("wsfront_push_deliveries_total", "Messages that were written to clients."),
		deliveredBytes:  counter("wsfront_push_delivered_bytes_total", "Bytes that messages took on their way to clients."),
		inbound:         counter("wsfront_push_inbound_messages_total", "Messages that came from clients."),
		ended:           counter("wsfront_push_clients_ended_total", "Push clients that have gone: slow are those that were cut off since they did not read.", "reason"),
		refused:         counter("wsfront_push_refused_total", "Requests to the push service that were answered by an error.", "code"),
		joins:           counter("wsfront_push_joins_total", "Streams that began: new, resumed where the client was, or with a gap.", "result"),
		historyMessages: gauge("wsfront_push_history_messages", "Messages that the history keeps; missing while the store does not tell."),
		historyBytes:    gauge("wsfront_push_history_bytes", "Bytes that the history takes; missing while the store does not tell."),
		webhooks:        counter("wsfront_push_webhooks_sent_total", "Webhooks that the application has taken."),
		webhookRetries:  counter("wsfront_push_webhook_retries_total", "Webhooks that had to be sent again."),
		webhooksLost:    counter("wsfront_push_webhooks_lost_total", "Webhooks that the application will not get."),
		questions:       counter("wsfront_push_app_questions_total", "Questions to the application whether a client may listen, by what came of them.", "result"),
	}
}

func (f push) collect(to chan<- prometheus.Metric, c pusher.Counts) {
	sendEach(f.clients, to, c.Clients)
	f.channels.send(to, float64(c.Channels))
	f.queueBytes.send(to, float64(c.QueueBytes))
	f.publishes.send(to, float64(c.Publishes))
	f.publishedBytes.send(to, float64(c.PublishedBytes))
	f.duplicates.send(to, float64(c.Duplicates))
	f.publishFailures.send(to, float64(c.PublishFailures))
	f.deliveries.send(to, float64(c.Deliveries))
	f.deliveredBytes.send(to, float64(c.DeliveredBytes))
	f.inbound.send(to, float64(c.Inbound))
	sendEach(f.ended, to, c.Ended)
	for status, n := range c.Refused {
		f.refused.send(to, float64(n), strconv.Itoa(status))
	}
	sendEach(f.joins, to, c.Joins)
	if c.HistoryMessages >= 0 {
		f.historyMessages.send(to, float64(c.HistoryMessages))
	}
	if c.HistoryBytes >= 0 {
		f.historyBytes.send(to, float64(c.HistoryBytes))
	}
	f.webhooks.send(to, float64(c.WebhooksSent))
	f.webhookRetries.send(to, float64(c.WebhooksRetried))
	f.webhooksLost.send(to, float64(c.WebhooksLost))
	sendEach(f.questions, to, c.AppQuestions)
}
