package pusher

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"
)

// Authorizer decides who may listen. Its methods may be called concurrently.
// NewAppAuth and NewTokenAuth make them.
type Authorizer interface {
	// Authorize decides about r, which asks for the channels want; none: those
	// of the endpoint. A name that the client wrote into the URL's path is asked
	// for as well. It waits for as long as r's context allows.
	Authorize(r *http.Request, want []string) (Admission, *Refusal)

	// Again asks once more for a client that was admitted, r being the request by
	// which it came; r's body and context are not used. A Refusal that is not
	// Final leaves the client as it is: it is no answer, and has been logged.
	Again(ctx context.Context, r *http.Request, want []string) (Admission, *Refusal)

	// Recheck is how often to call Again; 0: never.
	Recheck() time.Duration
}

// Admission is what a client was granted. It belongs to whoever got it.
type Admission struct {
	// Channels is what the client listens to; nil: what it asked for, or else
	// what the endpoint says.
	Channels []string
	// User is who the client is; "": nobody in particular.
	User string
	// Info is shown in presence beside User; nil: nothing.
	Info json.RawMessage
	// Expires is when the connection is to be closed with code 4401; zero: never.
	Expires time.Time
	// Greeting is a text sent to this client alone as its first message; "": none.
	Greeting string
}

// Refusal is why a client was not admitted, and what it is answered. It belongs
// to whoever got it.
type Refusal struct {
	// Status, Header and Body are the answer; Header has no Content-Length.
	Status int
	Header http.Header
	Body   []byte

	// Reason and Attrs are for our own log; they hold no secrets.
	Reason string
	Attrs  []slog.Attr
}

// Final reports whether r is a decision about the client. Otherwise it could
// not be had: the application is down, is starting, or has no time.
func (r *Refusal) Final() bool {
	switch r.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return r.Status < 500
}

// refuse makes a Refusal that says text to the client.
func refuse(status int, reason, text string, attrs ...slog.Attr) *Refusal {
	r := &Refusal{Status: status, Reason: reason, Attrs: attrs, Header: http.Header{
		"Content-Type":           {"text/plain; charset=utf-8"},
		"X-Content-Type-Options": {"nosniff"},
		"Cache-Control":          {"no-store"},
	}}
	r.Body = fmt.Appendf(nil, "%d %s: %s\n", status, http.StatusText(status), text)
	if !r.Final() {
		r.Header.Set("Retry-After", "1")
	}
	return r
}

// copied keeps what one client does to its Admission from another's.
func (a Admission) copied() Admission {
	a.Channels, a.Info = slices.Clone(a.Channels), slices.Clone(a.Info)
	return a
}

func (r *Refusal) copied() *Refusal {
	if r == nil {
		return nil
	}
	c := *r
	c.Header, c.Body, c.Attrs = r.Header.Clone(), slices.Clone(r.Body), slices.Clone(r.Attrs)
	return &c
}

const (
	// maxUser is the length of the longest Admission.User in bytes.
	maxUser = 256
	// maxInfo is the length of the longest Admission.Info in bytes: it goes to
	// everybody who asks who is there.
	maxInfo = 4 << 10
	// maxGreeting is the length of the longest Admission.Greeting in bytes.
	maxGreeting = 16 << 10
	// maxGranted is how many channels an Admission names at most.
	maxGranted = 100
)

// userProblem says what is wrong with a name; "": nothing.
func userProblem(user string) string {
	switch {
	case len(user) > maxUser:
		return fmt.Sprintf("has %d bytes; write at most %d, such as the user's number", len(user), maxUser)
	case !utf8.ValidString(user):
		return "is not UTF-8; write the user's number, or the name in UTF-8"
	}
	for _, r := range user {
		if unicode.IsControl(r) {
			return "holds a control character; write the user's number, or a plain name"
		}
	}
	return ""
}

// infoProblem says what is wrong with the JSON for presence; "": nothing.
func infoProblem(info []byte) string {
	switch {
	case len(info) > maxInfo:
		return fmt.Sprintf("has %d bytes; write at most %d, as everybody in the channel gets it", len(info), maxInfo)
	case !json.Valid(info):
		return `is no JSON; write such as {"name":"Ann"}`
	}
	return ""
}

// compactInfo is valid JSON on one line.
func compactInfo(info []byte) json.RawMessage {
	var line bytes.Buffer
	_ = json.Compact(&line, info) // fails for what is not valid alone
	return line.Bytes()
}

// greetingProblem says what is wrong with a greeting; "": nothing.
func greetingProblem(greeting string) string {
	switch {
	case len(greeting) > maxGreeting:
		return fmt.Sprintf("has %d bytes; write at most %d, and let the page fetch the rest", len(greeting), maxGreeting)
	case !utf8.ValidString(greeting):
		return "is not UTF-8"
	}
	return ""
}
