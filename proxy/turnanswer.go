package proxy

import (
	"net/http"
	"sync/atomic"
	"time"

	"wsfront/proxy/http1"
)

// The answer, as downstream.

func (t *turn) interim(status int, fields []http1.Field) {
	t.appendStatus(status, nil)
	for i := range fields {
		t.out = appendFieldLine(t.out, fields[i].Name, fields[i].Value)
	}
	t.out = append(t.out, "\r\n"...)
	t.flush()
}

func (t *turn) appendStatus(status int, reason []byte) {
	t.out = append(t.out, "HTTP/1.1 "...)
	t.out = appendInt(t.out, int64(status))
	t.out = append(t.out, ' ')
	if len(reason) > 0 {
		t.out = append(t.out, reason...)
	} else {
		t.out = append(t.out, http.StatusText(status)...)
	}
	t.out = append(t.out, "\r\n"...)
}

func (t *turn) start(status int, reason []byte, fields []http1.Field, length int64) {
	t.appendStatus(status, reason)
	dated := false
	for i := range fields {
		switch fields[i].Known {
		case http1.Date:
			dated = true
		case http1.Trailer:
			if t.request.Minor == 0 {
				continue
			}
		}
		t.out = appendFieldLine(t.out, fields[i].Name, fields[i].Value)
	}
	if !dated { // RFC 9110 §6.6.1
		t.out = append(t.out, "Date: "...)
		t.out = append(t.out, t.server.date.now()...)
		t.out = append(t.out, "\r\n"...)
	}
	switch {
	case length >= 0 && !statusWithoutBody(status):
		t.out = append(t.out, "Content-Length: "...)
		t.out = appendInt(t.out, length)
		t.out = append(t.out, "\r\n"...)
	case length == lengthUnknown && t.request.Minor > 0:
		t.chunked = true
		t.out = append(t.out, "Transfer-Encoding: chunked\r\n"...)
	case length == lengthUnknown:
		t.closing = true // the end of the connection is that of the body
	}
	switch {
	case t.closing || t.server.draining.Load() || t.leavesBody():
		t.closing = true
		t.out = append(t.out, "Connection: close\r\n"...)
	case t.request.Minor == 0:
		t.out = append(t.out, "Connection: keep-alive\r\n"...)
	}
	t.out = append(t.out, "\r\n"...)
}

func (t *turn) write(p []byte) {
	switch {
	case t.chunked:
		t.out = http1.AppendChunkSize(t.out, len(p))
		t.out = append(t.out, p...)
		t.out = append(t.out, "\r\n"...)
	case len(t.out)+len(p) <= answerBuffer:
		t.out = append(t.out, p...)
		return
	default:
		t.flush()
		if t.failure == nil {
			_, t.failure = t.c.Write(p)
		}
		return
	}
	if len(t.out) >= answerBuffer {
		t.flush()
	}
}

func (t *turn) flush() {
	if len(t.out) > 0 && t.failure == nil {
		_, t.failure = t.c.Write(t.out)
	}
	if t.out = t.out[:0]; cap(t.out) > maxWatchedBuffer && t.watched.Load() {
		t.out = nil // nobody knows how long it would lie about
	}
}

func (t *turn) end(trailer []http1.Field) {
	if t.chunked {
		t.out = append(t.out, "0\r\n"...)
		for i := range trailer {
			t.out = appendFieldLine(t.out, trailer[i].Name, trailer[i].Value)
		}
		t.out = append(t.out, "\r\n"...)
	}
}

func (t *turn) finish() { t.flush() }

func (t *turn) err() error { return t.failure }

func (t *turn) closeAfter() { t.closing = true }

// dateCache is the Date of answers whose backend gave none, made once a second.
type dateCache struct{ last atomic.Pointer[date] }

type date struct {
	second int64
	text   []byte
}

func (d *dateCache) now() []byte {
	now := time.Now()
	last := d.last.Load()
	if last == nil || last.second != now.Unix() {
		last = &date{now.Unix(), now.UTC().AppendFormat(nil, http.TimeFormat)}
		d.last.Store(last)
	}
	return last.text
}
