package pusher

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// Verdict is what becomes of a client's message. The zero value drops it.
type Verdict struct {
	// Publish says whether anything is published.
	Publish bool
	// Channel is where; empty means where the client's messages go anyway.
	Channel string
	// Text tells a text message from a binary one.
	Text bool
	// Data is what is published: the message as it came, or the app's instead.
	Data []byte
}

// hookQuestion is a client's message on its way to the app.
type hookQuestion struct {
	ctx    context.Context
	client ClientInfo
	text   bool
	data   []byte
	answer chan hookRuling // has room for the one answer
}

type hookRuling struct {
	verdict Verdict
	err     error
}

var errHooksClosed = errors.New("webhooks are shut down")

// Message asks the app what becomes of a message of c, and waits for it, at most
// Webhooks.Timeout. The request's body is the message, its Content-Type
// text/plain or application/octet-stream. Who sent it is in headers:
// X-Push-Client (the ID), X-Push-Channels (separated by spaces), X-Push-User
// (percent-encoded), X-Push-Info (JSON in ASCII), X-Push-Remote and
// X-Push-Transport; the last two of what is empty are left out. The answers:
//
//	200 with a body        publish that body instead; its Content-Type says
//	                       whether it is text, as in the publish API
//	200 without, or 202    publish the message as it came
//	204, 403               publish nothing
//
// Of the first two a header X-Push-Channel names another channel to publish to.
// Any other answer, or none in time, publishes nothing and is an error: it is
// never silent, as all of them are counted in EventHookLost, and the caller has
// no need to log it. The message is not asked again, as its sender would see it
// published at a time when nobody thinks of it any more; net/http alone repeats a
// request, with the same X-Push-ID, if the app closes an idle connection on it.
//
// The question waits until the client's connect was told. There is one at a time
// for a client. data must not be changed from then on. Where
// the app does not want messages (see Wants), the verdict is to drop them.
func (k *Hooks) Message(ctx context.Context, c ClientInfo, text bool, data []byte) (Verdict, error) {
	if !k.Wants(HookMessage) {
		return Verdict{}, nil
	}
	v, err := k.question(ctx, c, text, data)
	if err != nil {
		k.lost.Add(1)
		k.tally.note(EventHookLost, HookMessage, "no verdict", err)
		return v, err
	}
	k.sent.Add(1)
	return v, nil
}

func (k *Hooks) question(ctx context.Context, c ClientInfo, text bool, data []byte) (Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.Timeout)
	defer cancel()
	ask := &hookQuestion{ctx: ctx, client: c, text: text, data: data, answer: make(chan hookRuling, 1)}
	e := &hookEvent{kind: HookMessage, id: c.ID + "." + HookMessage + "." + rand.Text(), ask: ask, born: time.Now()}
	if !k.queue.add(c.ID, e) {
		return Verdict{}, errHooksClosed
	}
	select {
	case r := <-ask.answer:
		return r.verdict, r.err
	case <-k.finished:
		return Verdict{}, errHooksClosed
	case <-ctx.Done():
	}
	if k.queue.withdraw(e) {
		return Verdict{}, fmt.Errorf("its turn did not come: %w", context.Cause(ctx))
	}
	// It is under way, and data in use until that ends, as it does with ctx.
	r := <-ask.answer
	return r.verdict, r.err
}

// answer asks the app for the verdict on a message.
func (k *Hooks) answer(ctx context.Context, e *hookEvent) {
	asking, cancel := context.WithCancel(e.ask.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	v, err := k.ask(asking, e)
	k.queue.done(e)
	e.ask.answer <- hookRuling{v, err}
}

func (k *Hooks) ask(ctx context.Context, e *hookEvent) (Verdict, error) {
	answer, err := k.post(ctx, e, e.ask.header(), e.ask.data)
	if err != nil {
		return Verdict{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, k.cfg.MaxAnswer+1))
	if err != nil {
		return Verdict{}, fmt.Errorf("read the app's answer: %w", err)
	}
	if int64(len(body)) > k.cfg.MaxAnswer {
		return Verdict{}, fmt.Errorf("the app answered with more than %d bytes; raise max_answer, or answer with less", k.cfg.MaxAnswer)
	}
	return e.ask.rule(answer, body)
}

// rule reads the app's answer.
func (q *hookQuestion) rule(answer *http.Response, body []byte) (Verdict, error) {
	switch answer.StatusCode {
	case http.StatusNoContent, http.StatusForbidden:
		return Verdict{}, nil
	case http.StatusAccepted:
		body = nil
	case http.StatusOK:
	default:
		return Verdict{}, answered(answer)
	}
	v := Verdict{Publish: true, Channel: answer.Header.Get("X-Push-Channel"), Text: q.text, Data: q.data}
	if v.Channel != "" && !validChannel(v.Channel) {
		return Verdict{}, fmt.Errorf("the app answered with X-Push-Channel: %s", channelProblem(v.Channel))
	}
	if len(body) > 0 {
		v.Text, v.Data = bodyKind(answer.Header.Get("Content-Type")) == bodyText, body
	}
	if v.Text && !utf8.Valid(v.Data) {
		return Verdict{}, errors.New("the app answered with text that is not UTF-8; " +
			"answer in UTF-8, or with Content-Type: application/octet-stream for a binary message")
	}
	return v, nil
}

// header is what says who has sent the message. What people or apps have chosen
// is encoded, so that it cannot break out of its header.
func (q *hookQuestion) header() http.Header {
	c := q.client.sound()
	h := http.Header{
		"Content-Type":     {"application/octet-stream"},
		"X-Push-Client":    {c.ID},
		"X-Push-Channels":  {strings.Join(c.Channels, " ")},
		"X-Push-Remote":    {c.Remote},
		"X-Push-Transport": {c.Transport},
	}
	if q.text {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	if c.User != "" {
		h.Set("X-Push-User", url.PathEscape(c.User))
	}
	if len(c.Info) > 0 {
		h.Set("X-Push-Info", asciiJSON(c.Info))
	}
	return h
}

// asciiJSON is text, which is JSON, in one line of ASCII. Outside of strings JSON
// has no other characters.
func asciiJSON(text []byte) string {
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return "null"
	}
	var ascii strings.Builder
	for _, r := range line.String() {
		switch {
		case r < 0x7f:
			ascii.WriteRune(r)
		case r > 0xffff: // a pair of surrogates, as JSON has it (RFC 8259 §7)
			fmt.Fprintf(&ascii, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			fmt.Fprintf(&ascii, `\u%04x`, r)
		}
	}
	return ascii.String()
}
