package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"wsfront/pusher"
)

// patience is how long a single request to the server may take, when the
// caller's context does not end it before. Servers at a URL may be away for so
// long unnoticed.
const patience = 15 * time.Second

// Broker is a pusher.Broker on NATS JetStream. Its methods may be called
// concurrently.
type Broker struct {
	options  Options
	log      *slog.Logger
	names    subjects
	server   *embedded // nil for servers at a URL
	conn     *nats.Conn
	replies  *replies
	epochs   epochs
	channels channels
	order    order
	watch    watch
	kv       *kv
	size     size

	ctx  context.Context // ends with Close
	stop context.CancelFunc

	// newcomers counts messages under way to channels that have nothing stored.
	newcomers atomic.Int64
	// stored is the highest number that the stream is known to have given.
	stored atomic.Uint64

	closing sync.Once
	mending sync.WaitGroup
}

var _ pusher.Broker = (*Broker)(nil)

// Open starts the server of the store in o.Dir, or connects to those at o.URL,
// and makes the store there if there is none. Before it returns, the new life of
// a store in a folder is recorded on the disk. ctx bounds this alone. The error of
// wrong options is pusher.FieldErrors. log gets the events of pusher that begin
// with push.store.
func Open(ctx context.Context, o Options, log *slog.Logger) (*Broker, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	b := &Broker{options: o, log: log, names: newSubjects(o.Name)}
	b.ctx, b.stop = context.WithCancel(context.Background())
	b.channels.init(o.Channels)
	if err := b.open(ctx); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Broker) open(ctx context.Context) (err error) {
	if b.options.Dir != "" {
		if b.server, err = startEmbedded(b.options, b.log); err != nil {
			return err
		}
		b.mending.Go(func() { b.server.mend(b.ctx) }) // ended by Close, awaited there
	}
	if b.conn, err = b.connect(); err != nil {
		return err
	}
	if b.replies, err = newReplies(b.conn); err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	b.kv = &kv{b}
	id, state, err := b.ensureStreams(ctx)
	if err != nil {
		return err
	}
	b.stored.Store(state.LastSeq)
	if !b.sole() {
		b.epochs = epochs{{id, 0}}
		return nil
	}
	b.epochs, err = newEpoch(b.options.Dir, state.FirstSeq, state.LastSeq)
	return err
}

// connect makes the one connection that everything goes over.
func (b *Broker) connect() (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name("wsfront"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if b.ctx.Err() == nil {
				b.log.Warn(pusher.EventStoreDown, "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { b.log.Info(pusher.EventStoreUp) }),
		// The one thing reported here is a reader that is too slow, and watch
		// tells of what that has cost.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}
	if b.server != nil {
		// A pipe in memory needs no deadline for each write.
		options = append(options, nats.InProcessServer(b.server), nats.FlusherTimeout(0))
	}
	conn, err := nats.Connect(b.options.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return conn, nil
}

// Epoch is that of Broker, as are the methods below.
func (b *Broker) Epoch() string { return b.epochs[len(b.epochs)-1].id }

func (b *Broker) Reaches(ctx context.Context, p pusher.Position) (bool, error) {
	// Most need no question to the stream.
	if last := b.stored.Load(); p.Seq <= last && b.epochs.reaches(p, last) {
		return true, nil
	}
	state, err := b.state(ctx, b.names.stream, "")
	if err != nil {
		return false, err
	}
	return b.epochs.reaches(p, state.LastSeq), nil
}

func (b *Broker) KV() pusher.KV { return b.kv }

func (b *Broker) Close() error {
	b.closing.Do(func() {
		b.stop()
		if b.conn != nil {
			b.conn.Close()
		}
		b.watch.end()
		b.mending.Wait()
		b.server.stop()
	})
	return nil
}

// request asks the server for one answer.
func (b *Broker) request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := b.conn.RequestMsgWithContext(ctx, m)
	if err != nil {
		return nil, b.failed(err)
	}
	return answer, nil
}

// failed says what went wrong with a request, in the broker's own words.
func (b *Broker) failed(err error) error {
	switch {
	case b.ctx.Err() != nil:
		return pusher.ErrBrokerClosed
	case errors.Is(err, nats.ErrNoResponders):
		return errors.New("store: the NATS server has no JetStream stream for it at the moment")
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("store: the message is too long; with its headers it may have %d bytes (max_payload of the NATS server)",
			b.conn.MaxPayload())
	}
	return fmt.Errorf("store: %w", err)
}

// channelOf is the channel of a message's subject.
func (b *Broker) channelOf(subject, prefix string) (string, bool) {
	token, ok := strings.CutPrefix(subject, prefix)
	return tokenChannel(token), ok
}
