package pusher

import (
	"cmp"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

// The events that Webhooks tells of.
const (
	// HookConnect: a client has joined its channels.
	HookConnect = "connect"
	// HookMessage: a client has sent a message; the app says what becomes of it.
	HookMessage = "message"
	// HookDisconnect: a client's connection has ended.
	HookDisconnect = "disconnect"
	// HookOccupy: a channel has its first client.
	HookOccupy = "occupy"
	// HookVacate: the last client of a channel has left it, LeaveDelay ago.
	HookVacate = "vacate"
)

var hookEvents = []string{HookConnect, HookMessage, HookDisconnect, HookOccupy, HookVacate}

// Webhooks is what the application is told of its clients, and how. The zero
// value tells it nothing; with a URL and a SecretFile every other zero field
// stands for the default its comment names.
type Webhooks struct {
	// URL is where the application is told, by POST: an address of http or
	// https. Redirects are not followed.
	URL string `yaml:"url"`

	// Events lists what it is told of: connect, message, disconnect, occupy,
	// vacate. Default: all of them.
	Events []string `yaml:"events"`

	// SecretFile holds the secret that requests are signed with. It is created
	// when it does not exist; the application reads it too, to check them.
	SecretFile string `yaml:"secret_file"`

	// Timeout is how long the application may take for one answer, and how long
	// a client's message waits for it in all. Default 5s.
	Timeout time.Duration `yaml:"timeout"`

	// RetryFor is for how long an event is told again and again to an
	// application that is away, fails or asks for time. Default 24h.
	RetryFor time.Duration `yaml:"retry_for"`

	// LeaveDelay is for how long a channel must be without clients before the
	// application is told: a page that is reloaded does not count. Default 3s.
	LeaveDelay time.Duration `yaml:"leave_delay"`

	// Concurrency is how many requests are under way at once. Default 16.
	Concurrency int `yaml:"concurrency"`

	// Queue is how many events may wait to be told. In a full queue the oldest
	// connect, occupy and vacate give way, and the oldest disconnect only when
	// there are none of these. Default 10000.
	Queue int `yaml:"queue"`

	// QueueBytes is how much memory they may take. Default 16MiB.
	QueueBytes int64 `yaml:"queue_bytes,size"`

	// MaxAnswer is the length of the longest message with which the application
	// may answer a client's. Default 1MiB.
	MaxAnswer int64 `yaml:"max_answer,size"`
}

const (
	defaultHookTimeout     = 5 * time.Second
	defaultHookRetryFor    = 24 * time.Hour
	defaultHookLeaveDelay  = 3 * time.Second
	defaultHookConcurrency = 16
	defaultHookQueue       = 10_000
	defaultHookQueueBytes  = 16 << 20
	defaultHookMaxAnswer   = 1 << 20
	minHookTime            = time.Millisecond
)

// Validate reports everything that is wrong with w as FieldErrors, or nil.
func (w Webhooks) Validate() error {
	var errs FieldErrors
	if !reflect.ValueOf(w).IsZero() {
		if problem := hookURLProblem(w.URL); problem != "" {
			errs.add("url", "%s", problem)
		}
		if w.SecretFile == "" {
			errs.add("secret_file", "is empty; write where the secret is, or is to be made, such as /var/lib/wsfront/webhook.secret")
		}
	}
	for i, event := range w.Events {
		if !slices.Contains(hookEvents, event) {
			errs.add(fmt.Sprintf("events[%d]", i), "%q is none of %s; write one of them, or leave events out for all",
				event, strings.Join(hookEvents, ", "))
		}
	}
	for _, d := range []struct {
		field   string
		value   time.Duration
		example string
	}{{"timeout", w.Timeout, "5s"}, {"retry_for", w.RetryFor, "24h"}, {"leave_delay", w.LeaveDelay, "3s"}} {
		if d.value < 0 {
			errs.add(d.field, "%s is negative; write a time such as %s", d.value, d.example)
		} else if d.value > 0 && d.value < minHookTime {
			errs.add(d.field, "%s is too short; write at least %s, such as %s (a number needs its unit)", d.value, minHookTime, d.example)
		}
	}
	for _, n := range []struct {
		field   string
		value   int64
		example string
	}{{"concurrency", int64(w.Concurrency), "16"}, {"queue", int64(w.Queue), "10000"},
		{"queue_bytes", w.QueueBytes, "16MiB"}, {"max_answer", w.MaxAnswer, "1MiB"}} {
		if n.value < 0 {
			errs.add(n.field, "%d is negative; write a value such as %s, or leave it out", n.value, n.example)
		}
	}
	return errs.orNil()
}

// hookURLProblem says what is wrong with Webhooks.URL and what to write instead;
// empty when it is right. It does not repeat a password.
func hookURLProblem(address string) string {
	const example = "http://127.0.0.1:8000/push/events"
	if address == "" {
		return "is empty; write the application's address for events, such as " + example
	}
	u, err := url.Parse(address)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return "is no address of http:// or https://; write one such as " + example
	case u.User != nil:
		return "has a user or password in it; take them out: the application knows these requests by their signature"
	case u.Fragment != "":
		return fmt.Sprintf("ends in #%s, which is never sent; take it out", u.Fragment)
	}
	return ""
}

// withDefaults fills what is zero.
func (w Webhooks) withDefaults() Webhooks {
	if len(w.Events) == 0 {
		w.Events = hookEvents
	}
	w.Timeout = cmp.Or(w.Timeout, defaultHookTimeout)
	w.RetryFor = cmp.Or(w.RetryFor, defaultHookRetryFor)
	w.LeaveDelay = cmp.Or(w.LeaveDelay, defaultHookLeaveDelay)
	w.Concurrency = cmp.Or(w.Concurrency, defaultHookConcurrency)
	w.Queue = cmp.Or(w.Queue, defaultHookQueue)
	w.QueueBytes = cmp.Or(w.QueueBytes, defaultHookQueueBytes)
	w.MaxAnswer = cmp.Or(w.MaxAnswer, defaultHookMaxAnswer)
	return w
}
