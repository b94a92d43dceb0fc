package pusher

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// hookPause and hookPauseMax are how long an event waits before it is sent
	// the second time, and at most before any other; each time in between
	// doubles it.
	hookPause    = time.Second
	hookPauseMax = time.Minute
	// maxRetryAfter is the longest time that an app's Retry-After is heeded.
	maxRetryAfter = time.Hour
	// maxIgnored is how much of an answer that nobody reads is read, so that
	// its connection can be used again.
	maxIgnored = 64 << 10
)

// work sends what is ready until there is nothing.
func (k *Hooks) work(ctx context.Context) {
	for e := k.queue.next(); e != nil; e = k.queue.next() {
		if e.ask != nil {
			k.answer(ctx, e)
			continue
		}
		k.tell(ctx, e)
	}
}

// tell sends an event once.
func (k *Hooks) tell(ctx context.Context, e *hookEvent) {
	after, again, err := k.deliver(ctx, e)
	left := k.cfg.RetryFor - time.Since(e.born)
	switch {
	case err == nil:
		k.sent.Add(1)
	case again && left > 0:
		if ctx.Err() == nil {
			k.tally.note(EventHookRetry, e.kind, "failed", err)
		}
		k.retried.Add(1)
		k.queue.again(e, min(k.pause(e.tries, after), left))
		return
	case again:
		k.lose(e, "retried for long enough", err)
	default:
		k.lose(e, "refused", err)
	}
	if e.kind == HookDisconnect && e.key != "" {
		k.forget(ctx, e)
	}
	k.queue.done(e)
}

// deliver sends an event. An error says that the app has not taken it, and again
// whether it may another time: after a while of at least after.
func (k *Hooks) deliver(ctx context.Context, e *hookEvent) (after time.Duration, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.Timeout)
	defer cancel()
	header := http.Header{"Content-Type": {"application/json"}}
	answer, err := k.post(ctx, e, header, e.body)
	if err != nil {
		return 0, true, err
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, maxIgnored) // what counts is the status
	switch status := answer.StatusCode; {
	case status >= 200 && status < 300:
		return 0, false, nil
	case status >= 500, status == http.StatusTooManyRequests:
		return retryAfter(answer.Header.Get("Retry-After"), time.Now()), true, answered(answer)
	}
	return 0, false, answered(answer)
}

// answered is the error that an answer is.
func answered(answer *http.Response) error {
	if answer.StatusCode >= 300 && answer.StatusCode < 400 {
		return fmt.Errorf("the app answered %s to another address, which is not followed; write the final one in url", answer.Status)
	}
	return fmt.Errorf("the app answered %s", answer.Status)
}

// post sends body as the event e, signed.
func (k *Hooks) post(ctx context.Context, e *hookEvent, header http.Header, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, k.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	header.Set("User-Agent", "wsfront")
	header.Set("X-Push-Event", e.kind)
	header.Set("X-Push-ID", e.id)
	header.Set("X-Push-Signature", hookSignature(k.secret, time.Now(), e.id, body))
	// Not sent, but it lets net/http try once more when the app has closed an
	// idle connection at just this moment. The id tells the app if it was not.
	header["Idempotency-Key"] = nil
	r.Header = header
	answer, err := k.client.Do(r)
	var failed *url.Error
	if errors.As(err, &failed) {
		return nil, failed.Err // without the address, whose query may be a secret
	}
	return answer, err
}

// hookSignature is the value of X-Push-Signature.
func hookSignature(secret []byte, now time.Time, id string, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "." + id + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// pause is how long to wait after the sending number tries, from 0. Half of it is
// left to chance, so that what failed together does not come back together; so is
// a part of what the app has asked for.
func (k *Hooks) pause(tries int, after time.Duration) time.Duration {
	longest := hookPauseMax
	if tries < 10 {
		longest = min(longest, k.firstPause<<tries)
	}
	wait := longest/2 + rand.N(longest/2)
	if after > 0 {
		wait = max(wait, after+rand.N(after/4+1))
	}
	return wait
}

// retryAfter reads a Retry-After (RFC 9110 §10.2.3): seconds, or a date. What is
// neither, or has passed, is 0.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), maxRetryAfter)
}
