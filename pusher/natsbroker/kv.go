package natsbroker

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"wsfront/pusher"
)

// kvTotal is how much disk all values may take; one more is refused.
const kvTotal = 64 << 20

// kv is the pusher.KV: a stream with one message per key.
type kv struct{ b *Broker }

func (b *Broker) valuesConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              b.names.kvStream,
		Subjects:          []string{b.names.keys + "*"},
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardNew, // no value may give way to another
		MaxMsgsPerSubject: 1,
		MaxBytes:          kvTotal,
		AllowDirect:       true,
		AllowMsgTTL:       true,
	}
}

func (kv *kv) subject(key string) string { return kv.b.names.keys + keyToken(key) }

func (kv *kv) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	m, err := kv.b.request(ctx, nats.NewMsg("$JS.API.DIRECT.GET."+kv.b.names.kvStream+"."+kv.subject(key)))
	if err != nil {
		return nil, 0, err
	}
	switch status := m.Header.Get(headerStatus); status {
	case "":
	case "404":
		return nil, 0, fmt.Errorf("%w: %s", pusher.ErrNotFound, key)
	default:
		return nil, 0, fmt.Errorf("store: read key: status %s of the NATS server", status)
	}
	if revision, err = strconv.ParseUint(m.Header.Get(headerSeq), 10, 64); err != nil {
		return nil, 0, fmt.Errorf("store: a value without revision: %w", err)
	}
	return m.Data, revision, nil
}

func (kv *kv) Put(ctx context.Context, key string, value []byte, ttl time.Duration) (revision uint64, err error) {
	revision, _, err = kv.set(ctx, key, value, ttl, "")
	return revision, err
}

func (kv *kv) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (revision uint64, err error) {
	revision, conflict, err := kv.set(ctx, key, value, ttl, "0")
	if conflict {
		err = fmt.Errorf("%w: %s", pusher.ErrExists, key)
	}
	return revision, err
}

func (kv *kv) Update(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (newRevision uint64, err error) {
	if revision == 0 {
		return 0, fmt.Errorf("%w: %s", pusher.ErrRevision, key) // to the server it would mean that there is none
	}
	newRevision, conflict, err := kv.set(ctx, key, value, ttl, strconv.FormatUint(revision, 10))
	if conflict {
		err = fmt.Errorf("%w: %s", pusher.ErrRevision, key)
	}
	return newRevision, err
}

// set stores a value, if the key's revision is the expected one or that is empty.
func (kv *kv) set(ctx context.Context, key string, value []byte, ttl time.Duration, expected string) (revision uint64, conflict bool, err error) {
	m := nats.NewMsg(kv.subject(key))
	m.Data = value
	if ttl > 0 {
		m.Header.Set(headerTTL, seconds(ttl))
	}
	if expected != "" {
		m.Header.Set(headerExpected, expected)
	}
	answer, err := kv.b.request(ctx, m)
	if err != nil {
		return 0, false, err
	}
	ack, conflict, err := kv.b.readAck(answer)
	return ack.Seq, conflict, err
}

func (kv *kv) Delete(ctx context.Context, key string) error {
	return kv.b.purge(ctx, kv.b.names.kvStream, kv.subject(key), 0)
}

func (kv *kv) Keys(ctx context.Context, prefix string) ([]string, error) {
	subjects, err := kv.b.subjectCounts(ctx, kv.b.names.kvStream, kv.b.names.keys+"*", math.MaxInt)
	if err != nil {
		return nil, err
	}
	var keys []string
	for subject := range subjects {
		if key := tokenKey(strings.TrimPrefix(subject, kv.b.names.keys)); strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}
