package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"wsfront/proxy/http1"
)

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

// answerFields are an answer's fields as the client gets them: without those
// that are about the backend's connection, links and cookies in the client's
// view. python websockets says Upgrade in its 426; handed on over HTTP/2, that
// is a protocol error of ours (RFC 9113 §8.2.2). Framing is downstream's.
func (x *exchange) answerFields(a *http1.Response) {
	listed := listedFields(a.Fields, nil)
	x.fields = x.fields[:0]
	for i := range a.Fields {
		f := &a.Fields[i]
		if isHopByHop(f.Known) || f.Known == http1.ContentLength || isListed(listed, f.Name) {
			continue
		}
		x.fields = append(x.fields, http1.Field{Known: f.Known, Name: f.Name, Value: x.rewrite(f)})
	}
}

// interim passes on an answer before the answer, such as 103 Early Hints.
// HTTP/1.0 knows none (RFC 9110 §15.2).
func (x *exchange) interim(a *http1.Response) {
	if x.req.Minor == 0 {
		return
	}
	x.answerFields(a)
	x.down.interim(a.Status, x.fields)
	x.fields = x.fields[:0]
}

// pass sends the backend's answer on as it comes: what has been read is written
// before more is waited for, so that events and chunks arrive when they were
// sent. An answer that breaks off is cut for the client too, and never ended
// cleanly.
func (t *attempt) pass() {
	x, b := t.x, t.b
	head := x.isHead()
	framing := b.answer.Framing(head)
	length := int64(lengthUnknown)
	switch {
	case framing == http1.Length:
		length = b.answer.ContentLength
	case framing == http1.NoBody:
		length = lengthNone
		if b.answer.ContentLength >= 0 && b.answer.Status != http.StatusNoContent {
			length = b.answer.ContentLength // of the body that a GET would have got
		}
	}
	if t.refused || t.upload != nil && !t.upload.taken.Load() {
		// Nobody knows whether the client will send the rest of its body.
		x.down.closeAfter()
	}
	x.answerFields(&b.answer)
	if framing == http1.ChunkedBody {
		for i := range b.answer.Fields {
			if f := &b.answer.Fields[i]; f.Known == http1.Trailer {
				x.fields = append(x.fields, *f)
			}
		}
	}
	x.stick()
	b.client = x.down
	x.start(b.answer.Status, b.answer.Reason, length)
	b.body.Reset(&b.reader, framing, b.answer.ContentLength, answerLimits)
	if err := t.passBody(); err != nil {
		x.abort()
		if x.down.err() == nil && !b.gone.Load() {
			x.choice.member.backend.account.failures.add(answerBrokenOff)
			x.reason = fmt.Sprintf("the answer of backend %s broke off after %d bytes (%v); the client's was cut as well", x.choice.member.backend.written, x.sent, err)
		}
		return
	}
	t.completed = framing != http1.UntilClose
	x.down.end(b.body.Trailer)
}

// passBody copies until the end.
func (t *attempt) passBody() error {
	for {
		piece, err := t.b.body.Next()
		if len(piece) > 0 {
			t.x.sent += int64(len(piece))
			t.x.gave(int64(len(piece)))
			t.x.down.write(piece)
			if err := t.x.down.err(); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case isTimeout(err) && t.b.gone.Load():
			return errClientGone
		case isTimeout(err) && t.upload != nil && t.upload.running():
			err = t.b.wait(time.Now().Add(slowAnswer)) // it sees by itself whether the client is there
		case isTimeout(err):
			// The time until the answer is over; its body may take longer.
			t.watch()
			err = t.b.wait(noDeadline)
		}
		if err != nil {
			return err
		}
	}
}
