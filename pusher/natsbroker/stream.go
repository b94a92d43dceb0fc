package natsbroker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"wsfront/pusher"
)

// epochKey is the metadata of a stream that holds the epoch of a store which
// several processes share: it lives and dies with the stream.
const epochKey = "wsfront-epoch"

// ensureStreams makes the two streams, or sets the limits of those that are
// there. It returns the epoch that the stream was made with, and its state.
func (b *Broker) ensureStreams(ctx context.Context) (epoch string, state streamState, err error) {
	js, err := jetstream.New(b.conn)
	if err != nil {
		return "", state, fmt.Errorf("JetStream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := ensureStream(ctx, js, b.valuesConfig()); err != nil {
		return "", state, err
	}
	config := b.messagesConfig()
	config.Metadata = map[string]string{epochKey: pusher.NewEpoch()}
	if err := ensureStream(ctx, js, config); err != nil {
		return "", state, err
	}
	info, err := b.info(ctx, b.names.stream, "", 0)
	if err != nil {
		return "", state, err
	}
	epoch = info.Config.Metadata[epochKey]
	if _, valid := pusher.ParsePosition(epoch + ".0"); !valid {
		return "", state, fmt.Errorf("JetStream: the stream %s is not one of ours (its metadata has no %s); "+
			"give the store another name", b.names.stream, epochKey)
	}
	return epoch, info.State, nil
}

// ensureStream keeps the metadata of a stream that exists.
func ensureStream(ctx context.Context, js jetstream.JetStream, config jetstream.StreamConfig) error {
	_, err := js.CreateStream(ctx, config)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		config.Metadata, err = metadata(ctx, js, config.Name)
		if err == nil {
			_, err = js.UpdateStream(ctx, config)
		}
	}
	if err != nil {
		return fmt.Errorf("JetStream: stream %s: %w", config.Name, err)
	}
	return nil
}

func metadata(ctx context.Context, js jetstream.JetStream, stream string) (map[string]string, error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	return s.CachedInfo().Config.Metadata, nil
}

// messagesConfig is the stream of all channels. When it is full the oldest
// messages give way: whoever misses them is told of a gap, whereas a refusal of
// new ones would stop everybody until the old ones are old enough.
//
// Of a channel the newest message is the last to go, and then only with
// everything that is older than it in the stream: Head relies on that.
func (b *Broker) messagesConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              b.names.stream,
		Subjects:          []string{b.names.messages + "*", b.names.purges + "*"},
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardOld,
		MaxMsgsPerSubject: int64(b.options.Messages),
		MaxAge:            b.options.Age,
		MaxBytes:          b.options.Total,
		Duplicates:        b.options.Duplicates,
		AllowDirect:       true,
		RePublish:         &jetstream.RePublish{Source: b.names.messages + "*", Destination: b.names.live + "{{wildcard(1)}}"},
	}
}

// apiError is the error that the JetStream API answers with.
type apiError struct {
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

const (
	errNoResources       = 10023
	errWrongLastSequence = 10071
	errStoreFailed       = 10077 // a limit is reached
)

// streamState is what the server tells of a stream.
type streamState struct {
	Messages    int64          `json:"messages"`
	Bytes       int64          `json:"bytes"`
	FirstSeq    uint64         `json:"first_seq"`
	LastSeq     uint64         `json:"last_seq"`
	NumSubjects int            `json:"num_subjects"`
	Subjects    map[string]int `json:"subjects"`
}

type streamInfo struct {
	Error  *apiError   `json:"error"`
	State  streamState `json:"state"`
	Total  int         `json:"total"` // of the subjects, State has one page
	Config struct {
		Metadata map[string]string `json:"metadata"`
	} `json:"config"`
}

// state tells of a stream, and of the number of messages of the subject.
func (b *Broker) state(ctx context.Context, stream, subject string) (streamState, error) {
	info, err := b.info(ctx, stream, subject, 0)
	if err != nil {
		return streamState{}, err
	}
	return info.State, nil
}

func (b *Broker) info(ctx context.Context, stream, subjects string, offset int) (*streamInfo, error) {
	m := nats.NewMsg("$JS.API.STREAM.INFO." + stream)
	if subjects != "" {
		m.Data = fmt.Appendf(nil, `{"subjects_filter":%q,"offset":%d}`, subjects, offset)
	}
	info := new(streamInfo)
	if err := b.call(ctx, m, info); err != nil {
		return nil, err
	}
	if info.Error != nil {
		return nil, fmt.Errorf("store: %s", info.Error.Description)
	}
	return info, nil
}

// subjectCounts lists the subjects of a stream, with their messages, until there
// are limit of them.
func (b *Broker) subjectCounts(ctx context.Context, stream, subjects string, limit int) (map[string]int, error) {
	all := map[string]int{}
	for offset := 0; len(all) < limit; {
		info, err := b.info(ctx, stream, subjects, offset)
		if err != nil {
			return nil, err
		}
		for subject, n := range info.State.Subjects {
			if len(all) == limit {
				break
			}
			all[subject] = n
		}
		if offset += len(info.State.Subjects); len(info.State.Subjects) == 0 || offset >= info.Total {
			break
		}
	}
	return all, nil
}

// purge takes the messages of a subject below a number away, or all for 0.
func (b *Broker) purge(ctx context.Context, stream, subject string, below uint64) error {
	m := nats.NewMsg("$JS.API.STREAM.PURGE." + stream)
	m.Data = fmt.Appendf(nil, `{"filter":%q,"seq":%d}`, subject, below)
	var answer struct {
		Error *apiError `json:"error"`
	}
	if err := b.call(ctx, m, &answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return fmt.Errorf("store: purge: %s", answer.Error.Description)
	}
	return nil
}

func (b *Broker) call(ctx context.Context, m *nats.Msg, answer any) error {
	reply, err := b.request(ctx, m)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(reply.Data, answer); err != nil {
		return fmt.Errorf("store: answer of the NATS server: %w", err)
	}
	return nil
}

const (
	headerExpected    = "Nats-Expected-Last-Subject-Sequence"
	headerExpectedOf  = "Nats-Expected-Last-Subject-Sequence-Subject"
	headerExpectedAll = "Nats-Expected-Last-Sequence"
	headerID          = "Nats-Msg-Id"
	headerTTL         = "Nats-TTL"
	headerSubject     = "Nats-Subject"
	headerSeq         = "Nats-Sequence"
	headerTime        = "Nats-Time-Stamp"
	headerPending     = "Nats-Num-Pending"
	headerStatus      = "Status"
)

// seconds is a time to live as the server takes it.
func seconds(ttl time.Duration) string { return ttl.Round(time.Second).String() }
