package proxy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"wsfront/proxy/diagnosis"
	"wsfront/proxy/http1"
)

const (
	// diagnosedBody is how much of a refusal's body is looked at: the pages that
	// give their server away do so at their beginning.
	diagnosedBody = 4 << 10
	// diagnosisTime is how long the look may hold the refusal up. What sends a
	// small page sends it with its head, or right behind.
	diagnosisTime = 250 * time.Millisecond
)

// diagnose names the cause of an answer to a handshake other than 101, and adds
// it to the answer, which is passed on as it is but for that field.
func (t *attempt) diagnose() {
	x, a := t.x, &t.b.answer
	for i := range a.Fields { // the look at the body reuses their memory
		f := &a.Fields[i]
		f.Name, f.Value = bytes.Clone(f.Name), bytes.Clone(f.Value)
	}
	a.Reason = bytes.Clone(a.Reason)
	answer := diagnosis.Answer{
		Status: a.Status,
		Proto:  fmt.Sprintf("HTTP/1.%d", a.Minor),
		Header: func(name string) string { return fieldText(a.Fields, name) },
		Sent: diagnosis.Sent{
			Scheme: "ws", Host: string(x.host), Path: string(x.req.Target), ToBackend: true,
			Origin: fieldText(x.req.Fields, "Origin"),
		},
	}
	if x.https() {
		answer.Sent.Scheme = "wss"
	}
	if answer.Header("Content-Encoding") == "" {
		answer.Body = t.bodyAhead()
	}
	var evidence string
	x.cause, evidence = diagnosis.OfAnswer(answer)
	if a.Status < http.StatusBadRequest {
		answer.Body = nil // a page may hold what is for its reader alone
		evidence = answer.Evidence()
	}
	x.reason = fmt.Sprintf("%s Backend %s answered %s. %s.", x.cause.Sentence(), x.choice.member.backend.written, evidence, adviceFor(x.cause))
	a.Fields = append(slices.DeleteFunc(a.Fields, func(f http1.Field) bool { return equalFold(f.Name, diagnosis.Field) }),
		http1.Field{Name: []byte(diagnosis.Field), Value: []byte(diagnosed(x.cause))})
}

// diagnosed is a cause as diagnosis.Field tells it.
func diagnosed(c diagnosis.Cause) string { return string(c) + "; " + c.Sentence() }

// adviceFor is the first line of what to do about a cause at the application, or
// here.
func adviceFor(c diagnosis.Cause) string {
	advice := ""
	for _, fix := range c.Fixes() {
		if fix.For == diagnosis.ForApp || fix.For == diagnosis.ForWsfront && advice == "" {
			advice, _, _ = strings.Cut(fix.Text, "\n")
		}
	}
	return strings.TrimRight(advice, ":.")
}

// fieldText is the first value of a field by its name, or "".
func fieldText(fields []http1.Field, name string) string {
	for i := range fields {
		if equalFold(fields[i].Name, name) {
			return string(fields[i].Value)
		}
	}
	return ""
}

// bodyAhead is the beginning of the answer's body, which stays in the reader: as
// much of it as comes soon.
func (t *attempt) bodyAhead() []byte {
	b := t.b
	framing := b.answer.Framing(false)
	most := int64(diagnosedBody)
	switch framing {
	case http1.NoBody:
		return nil
	case http1.Length:
		most = min(most, b.answer.ContentLength)
	}
	until := time.Now().Add(diagnosisTime)
	for int64(len(b.reader.Buffered())) < most {
		if framing == http1.ChunkedBody && bytes.HasSuffix(b.reader.Buffered(), []byte("0\r\n\r\n")) {
			break
		}
		if b.wait(until) != nil || b.reader.Fill() != nil {
			break // whoever passes the body on meets that again
		}
	}
	ahead := b.reader.Buffered()
	ahead = ahead[:min(int64(len(ahead)), most)]
	if framing == http1.ChunkedBody {
		return unchunked(ahead)
	}
	return ahead
}

// unchunked is the payload at the beginning of a chunked body.
func unchunked(raw []byte) []byte {
	var chunks http1.Chunks
	chunks.Reset(answerLimits)
	var payload []byte
	for {
		piece, n, done, err := chunks.Next(raw)
		payload, raw = append(payload, piece...), raw[n:]
		if done || err != nil || n == 0 {
			return payload
		}
	}
}

// cause is why a handshake got no answer.
func (b *backend) cause(err error) diagnosis.Cause {
	var malformed *http1.Error
	switch {
	case isTimeout(err) && !isDial(err):
		return diagnosis.BackendSilent
	case errors.Is(err, errSpeaksTLS), errors.As(err, &malformed):
		return diagnosis.BackendScheme
	case errors.Is(err, errTooManyInterim), errors.Is(err, errHeadTooLong):
		return diagnosis.AppFailed
	}
	c := diagnosis.OfError(err, nil)
	if c == diagnosis.AnswerMissing {
		return c // says more than what it may mean
	}
	return cmp.Or(c.AtBackend(), diagnosis.BackendDown)
}
