package pusher

import (
	"testing"
	"time"
)

func TestWebhooks_ValidateSaysWhatToWrite(t *testing.T) {
	for _, c := range []struct {
		given Webhooks
		want  string
	}{
		{Webhooks{}, ``},
		{Webhooks{URL: "https://app.test/events", SecretFile: "s"}, ``},
		{Webhooks{Events: []string{"connect", "leave"}, Timeout: 5, RetryFor: -time.Second, Concurrency: -1, QueueBytes: -2},
			`url: is empty; write the application's address for events, such as http://127.0.0.1:8000/push/events
secret_file: is empty; write where the secret is, or is to be made, such as /var/lib/wsfront/webhook.secret
events[1]: "leave" is none of connect, message, disconnect, occupy, vacate; write one of them, or leave events out for all
timeout: 5ns is too short; write at least 1ms, such as 5s (a number needs its unit)
retry_for: -1s is negative; write a time such as 24h
concurrency: -1 is negative; write a value such as 16, or leave it out
queue_bytes: -2 is negative; write a value such as 16MiB, or leave it out`},
		{Webhooks{URL: "127.0.0.1:8000/events", SecretFile: "s"},
			`url: is no address of http:// or https://; write one such as http://127.0.0.1:8000/push/events`},
		{Webhooks{URL: "ws://app.test", SecretFile: "s"},
			`url: is no address of http:// or https://; write one such as http://127.0.0.1:8000/push/events`},
		{Webhooks{URL: "http://me:secret@app.test", SecretFile: "s"},
			`url: has a user or password in it; take them out: the application knows these requests by their signature`},
		{Webhooks{URL: "http://app.test/#top", SecretFile: "s"}, `url: ends in #top, which is never sent; take it out`},
	} {
		got := ""
		if err := c.given.Validate(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", c.given, got, c.want)
		}
	}
}
