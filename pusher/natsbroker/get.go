package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"wsfront/pusher"
)

// stored is a message as it was read from the stream.
type stored struct {
	record
	subject string
	seq     uint64
	time    time.Time
	data    []byte
}

func readStored(m *nats.Msg) (s stored, err error) {
	s.subject, s.data = m.Header.Get(headerSubject), m.Data
	if s.seq, err = strconv.ParseUint(m.Header.Get(headerSeq), 10, 64); err != nil {
		return s, fmt.Errorf("store: a message without number: %w", err)
	}
	if s.time, err = time.Parse(time.RFC3339Nano, m.Header.Get(headerTime)); err != nil {
		return s, fmt.Errorf("store: message %d: %w", s.seq, err)
	}
	s.record, _ = parseRecord(m.Header.Get(headerRecord))
	return s, nil
}

// foreign says that it was not stored by us: on servers of their own, others may
// write to the stream. Such a message is passed over, but who had not seen it is
// told of a gap.
func (s stored) foreign() bool { return s.kind == 0 }

func (s stored) entry(channel string) *pusher.Entry {
	return &pusher.Entry{
		Channel: channel, Seq: s.seq, Prev: s.prev, Time: s.time, Expires: s.expires,
		Text: s.kind == kindText, Data: s.data,
	}
}

func (s stored) expired(now time.Time) bool { return !s.expires.IsZero() && !now.Before(s.expires) }

// getLast reads the newest message of a subject; found says whether there is one.
func (b *Broker) getLast(ctx context.Context, subject string) (s stored, found bool, err error) {
	return b.getOne(ctx, nats.NewMsg("$JS.API.DIRECT.GET."+b.names.stream+"."+subject))
}

// getSeq reads one message by its number.
func (b *Broker) getSeq(ctx context.Context, seq uint64) (s stored, found bool, err error) {
	m := nats.NewMsg("$JS.API.DIRECT.GET." + b.names.stream)
	m.Data = fmt.Appendf(nil, `{"seq":%d}`, seq)
	return b.getOne(ctx, m)
}

func (b *Broker) getOne(ctx context.Context, m *nats.Msg) (s stored, found bool, err error) {
	reply, err := b.request(ctx, m)
	if err != nil {
		return s, false, err
	}
	switch status := reply.Header.Get(headerStatus); status {
	case "":
		s, err = readStored(reply)
		return s, err == nil, err
	case "404":
		return s, false, nil
	default:
		return s, false, fmt.Errorf("store: read: status %s of the NATS server", status)
	}
}

// maxBatch is how many messages are asked for at once.
const maxBatch = 256

// maxBatchBytes is about how much; the last message may go beyond it.
const maxBatchBytes = 1 << 20

// getFrom reads messages of a subject, which may be a pattern, from a number on:
// at most count, and as many as make bytes full, at most maxBatch and
// maxBatchBytes. more says that there are others behind them.
func (b *Broker) getFrom(ctx context.Context, subject string, seq uint64, count int, bytes int64) (list []stored, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	inbox, answers, done := b.replies.add(maxBatch + 1) // and the line that ends them
	defer done()
	request := fmt.Appendf(nil, `{"seq":%d,"next_by_subj":%q,"batch":%d,"max_bytes":%d}`,
		seq, subject, min(max(count, 1), maxBatch), min(max(bytes, 1), maxBatchBytes))
	if err := b.conn.PublishRequest("$JS.API.DIRECT.GET."+b.names.stream, inbox, request); err != nil {
		return nil, false, b.failed(err)
	}
	for {
		var m *nats.Msg
		select {
		case m = <-answers:
		case <-ctx.Done():
			return nil, false, b.failed(ctx.Err())
		case <-b.ctx.Done():
			return nil, false, pusher.ErrBrokerClosed
		}
		switch status := m.Header.Get(headerStatus); status {
		case "":
			s, err := readStored(m)
			if err != nil {
				return nil, false, err
			}
			list = append(list, s)
		case "204": // the end
			return list, m.Header.Get(headerPending) != "0", nil
		case "404":
			return nil, false, nil
		default:
			return nil, false, fmt.Errorf("store: read: status %s of the NATS server", status)
		}
	}
}

// replies brings the answers of requests that have several to who asked, all
// over one subscription.
type replies struct {
	prefix string
	last   atomic.Uint64
	mu     sync.Mutex
	wait   map[string]chan *nats.Msg
}

func newReplies(conn *nats.Conn) (*replies, error) {
	r := &replies{prefix: conn.NewInbox() + ".", wait: map[string]chan *nats.Msg{}}
	sub, err := conn.Subscribe(r.prefix+"*", r.pass)
	if err != nil {
		return nil, err
	}
	// What comes here was asked for, and counted: nothing may be dropped.
	return r, sub.SetPendingLimits(-1, -1)
}

// add makes an inbox for up to n answers; done ends it.
func (r *replies) add(n int) (inbox string, answers <-chan *nats.Msg, done func()) {
	token := strconv.FormatUint(r.last.Add(1), 36)
	c := make(chan *nats.Msg, n)
	r.mu.Lock()
	r.wait[token] = c
	r.mu.Unlock()
	return r.prefix + token, c, func() {
		r.mu.Lock()
		delete(r.wait, token)
		r.mu.Unlock()
	}
}

func (r *replies) pass(m *nats.Msg) {
	r.mu.Lock()
	c := r.wait[strings.TrimPrefix(m.Subject, r.prefix)]
	r.mu.Unlock()
	select {
	case c <- m: // a nil channel, of who waits no more, is never ready
	default:
	}
}

var errConflict = errors.New("store: other messages keep getting in front of this one; try again")
