package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"wsfront/proxy/http1"
)

const (
	// maxInterim is how many interim answers (1xx) may come before the final
	// one: they cost a backend nothing, and may be endless.
	maxInterim = 10
	// slowAnswer is after how long without a word from the backend the client
	// is watched: most answers come sooner, and a watch costs a goroutine.
	slowAnswer = 250 * time.Millisecond
	// continueTimeout is how long a backend may take to ask for a body whose
	// client waits to be asked, before it is sent unasked (RFC 9110 §10.1.1).
	continueTimeout = time.Second
)

// Deadlines: one that makes what waits fail at once, and none.
var (
	aLongTimeAgo = time.Unix(1, 0)
	noDeadline   time.Time
)

// What is wrong with answers, beside their syntax.
var (
	errTooManyInterim = fmt.Errorf("more than %d interim answers (1xx) before the final one", maxInterim)
	errHeadTooLong    = errors.New("the head of the answer is too long")
	errSpeaksTLS      = errors.New("it answered with TLS")
	errSwitchUnasked  = errors.New("it answered 101 Switching Protocols, which nobody asked for")
)

// errAnswerTimeout says that response_timeout is over.
var errAnswerTimeout = fmt.Errorf("no answer: %w", os.ErrDeadlineExceeded)

// forwarder sends requests to an app.
type forwarder struct{}

// serve asks the backend and passes its answer on.
func (forwarder) serve(x *exchange) {
	if !x.takeBody() {
		return
	}
	defer x.payload.release()
	t := &x.attempt
	defer x.choice.leave()
	for fresh := false; ; fresh = true {
		b, err := x.connect(x.server.cutting, fresh)
		switch {
		case err != nil && x.server.cutting.Err() != nil:
			x.abort() // as its client's connection is
			return
		case err != nil:
			x.backendFailed(err)
			return
		}
		*t = attempt{x: x, b: b, body: &x.payload}
		err = t.ask()
		if err == errStale || err != nil && b.used && !b.heard && x.payload.replayable() && !b.gone.Load() && !isTimeout(err) {
			// The backend closed the kept connection, before the request was
			// sent or while it was on its way: one more try, on a connection of
			// its own.
			t.end()
			b.close()
			*t = attempt{}
			continue
		}
		if err != nil {
			t.end()
			b.close()
			t.failed(err)
			return
		}
		t.pass()
		t.end()
		reusable := t.reusable()
		*t = attempt{}
		// Before the end of the answer goes out: the client's next request finds
		// the connection, and a client that reads slowly does not hold it, nor its
		// place at the backend.
		if reusable {
			x.choice.member.keep(b)
		} else {
			b.close()
		}
		x.choice.leave()
		if !x.aborted {
			x.down.finish()
		}
		return
	}
}

// attempt is one request on one connection to a backend.
type attempt struct {
	x         *exchange
	b         *backendConn
	body      *requestBody
	upload    *upload // nil while none was begun
	unwatch   func()  // ends the watch over the client; nil for none
	began     time.Time
	tunnel    bool // a handshake, whose answer may be 101
	interims  int
	refused   bool // the body was not sent: nobody asked for it, or not even the head was taken
	completed bool // the answer has been passed on whole
}

// ask sends the request and reads the head of the answer.
func (t *attempt) ask() error {
	b := t.b
	b.client = nil // until there is an answer to flush
	if t.tunnel {
		b.out = t.x.appendHandshake(b.out[:0])
	} else {
		b.out = t.x.appendRequest(b.out[:0], t.body)
	}
	if t.body.inHead() {
		b.out = append(b.out, t.body.whole...)
	}
	if err := b.send(t.body.inHead(), t.x.route.ResponseTimeout); err != nil {
		if err == errStale {
			return err
		}
		// A backend that refuses early may have answered before it closed.
		if !isTimeout(err) {
			if answered := t.readAnswer(); answered == nil || errors.Is(answered, errClientGone) {
				t.refused = true
				return answered
			}
		}
		return fmt.Errorf("send the request: %w", err)
	}
	if !t.body.inHead() && !t.body.asked {
		t.upload = t.body.startUpload(b)
	}
	return t.readAnswer()
}

// appendRequest is the head of the client's request as the backend gets it.
func (x *exchange) appendRequest(b []byte, body *requestBody) []byte {
	b = append(b, x.req.Method...)
	b = append(b, ' ')
	b = x.appendBackendPath(b)
	b = x.appendQuery(b)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = x.appendBackendHost(b)
	b = append(b, "\r\n"...)
	switch {
	case body.length >= 0:
		b = append(b, "Content-Length: "...)
		b = appendInt(b, body.length)
		b = append(b, "\r\n"...)
	case body.length == lengthUnknown:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		for _, f := range x.req.Fields {
			if f.Known == http1.Trailer {
				b = appendFieldLine(b, f.Name, f.Value)
			}
		}
	}
	if hasToken(x.req.Fields, http1.TE, "trailers") {
		// It is about one connection, but says what the client can take
		// (RFC 9110 §10.1.4).
		b = append(b, "TE: trailers\r\nConnection: TE\r\n"...)
	}
	b = x.appendFields(b, body.asked)
	return append(b, "\r\n"...)
}

func (x *exchange) appendQuery(b []byte) []byte {
	if x.req.HasQuery {
		b = append(b, '?')
		b = append(b, x.req.Query...)
	}
	return b
}

// readAnswer reads heads until the final one.
func (t *attempt) readAnswer() error {
	b := t.b
	t.began = time.Now()
	limit := t.x.route.ResponseTimeout
	first := min(slowAnswer, limit)
	if t.body.asked {
		first = min(continueTimeout, limit)
	}
	if err := b.wait(t.began.Add(first)); err != nil {
		return err
	}
	b.answer.Reset()
	for {
		n, err := b.answer.Parse(b.reader.Buffered(), answerLimits)
		if err != nil {
			return b.explainHead(err)
		}
		if n > 0 {
			b.reader.Discard(n)
			final, err := t.head()
			if final && err == nil {
				t.x.choice.member.backend.account.answered(time.Since(t.began))
			}
			if final || err != nil {
				return err
			}
			b.answer.Reset()
			continue
		}
		err = b.reader.Fill()
		if isTimeout(err) {
			err = t.slow(limit)
		}
		if err != nil {
			return err
		}
	}
}

// head deals with a head that has been read, and reports whether it is the
// final one.
func (t *attempt) head() (final bool, err error) {
	status := t.b.answer.Status
	switch {
	case status >= 200:
		t.refused = t.body.asked && t.upload == nil
		return true, nil
	case status == http.StatusSwitchingProtocols && !t.tunnel:
		return true, errSwitchUnasked
	case status == http.StatusSwitchingProtocols:
		return true, nil
	}
	if t.interims++; t.interims > maxInterim {
		return false, errTooManyInterim
	}
	switch {
	case status == http.StatusContinue:
		if t.body.asked && t.upload == nil {
			t.x.down.proceed()
			t.upload = t.body.startUpload(t.b)
		}
	case t.tunnel: // many clients of WebSocket take the first answer for the last
	default:
		t.x.interim(&t.b.answer)
	}
	return false, nil
}

// slow is called when the backend was silent until the deadline. It sets the
// next one.
func (t *attempt) slow(limit time.Duration) error {
	if t.b.gone.Load() {
		return errClientGone
	}
	if t.body.asked && t.upload == nil {
		t.x.down.proceed()
		t.upload = t.body.startUpload(t.b)
	}
	uploading := t.upload != nil && t.upload.running()
	if uploading {
		t.began = time.Now() // the time that the client takes is not the backend's
		return t.b.wait(t.began.Add(min(slowAnswer, limit)))
	}
	if time.Since(t.began) >= limit || t.upload != nil && t.upload.stuck {
		return errAnswerTimeout
	}
	t.watch()
	return t.b.wait(t.began.Add(limit))
}

// watch begins to look whether the client is still there.
func (t *attempt) watch() {
	if t.unwatch == nil && (t.upload == nil || !t.upload.running()) {
		t.unwatch = t.x.down.watch(t.b.clientGone)
	}
}

// end stops what runs beside the exchange.
func (t *attempt) end() {
	if t.upload != nil {
		t.upload.stop()
	}
	if t.unwatch != nil {
		t.unwatch()
		t.unwatch = nil
	}
}

// reusable reports whether the connection can carry another exchange.
func (t *attempt) reusable() bool {
	return t.completed && !t.b.answer.Close && !t.refused && (t.upload == nil || t.upload.ended)
}

// failed answers a request that the backend gave no answer to.
func (t *attempt) failed(err error) {
	x := t.x
	switch {
	case t.upload != nil && t.upload.client != nil:
		x.bodyFailed(t.upload.client)
	case errors.Is(err, errClientGone):
		x.abort()
	default:
		if t.upload != nil && !t.upload.ended || t.body.streams && t.upload == nil {
			x.down.closeAfter() // the rest of the body is not read
		}
		x.backendFailed(err)
	}
}

// backendFailed answers for a backend that did not.
func (x *exchange) backendFailed(err error) {
	if x.attempt.b != nil { // else no connection came about, which dial has counted
		x.choice.member.backend.account.failures.add(answerFailure(err))
	}
	status, reason := x.choice.member.backend.explain(err)
	if x.choice.exhausted() {
		reason = fmt.Sprintf("no backend of pool %s can be reached; of the last one: %s", x.choice.pool.name, reason)
	}
	if status == http.StatusGatewayTimeout && !isDial(err) {
		x.server.hits.add(limitResponseTimeout, x.client)
	}
	x.fail(status, reason, hint(status))
}

func isTimeout(err error) bool {
	if err == nil {
		return false // the common case, without what errors.As allocates
	}
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}
