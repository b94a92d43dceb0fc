package pusher

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrBrokerClosed is in the chain of errors of a Broker after its Close.
	ErrBrokerClosed = errors.New("broker closed")
	// ErrStoreFull is in the chain of Append's error when a limit of the store,
	// its size or its number of channels, leaves no room.
	ErrStoreFull = errors.New("store full")
	// ErrExists is in the chain of KV.Create's error when the key has a value.
	ErrExists = errors.New("key exists")
	// ErrNotFound is in the chain of KV's errors about a key that has no value.
	ErrNotFound = errors.New("key not found")
	// ErrRevision is in the chain of KV.Update's error when the key's value is
	// another one than the caller has seen.
	ErrRevision = errors.New("key changed meanwhile")
)

// Broker stores what is published, and tells of it live. All channels share one
// sequence of numbers, so that one number is a position in all of them. Its
// methods may be called concurrently. NewMemory and package natsbroker
// make the two that there are, and brokertest.Run is the suite that each passes.
type Broker interface {
	// Append stores d as the newest message of channel. It returns when the
	// message is as safe as the broker promises, and Watch's function may have
	// been called with it before. A d.ID that channel has seen within the
	// broker's window of duplicates stores nothing and gives the position of the
	// first one, marked as a duplicate. The channel's name is valid and d is not
	// changed from then on. An error means that it is not known whether the
	// message is stored: the caller may try again with the same ID.
	Append(ctx context.Context, channel string, d Draft) (Appended, error)

	// Next returns stored messages of channel whose Seq is above after, oldest
	// first: as many as fit into maxCount and maxBytes, but one at least if
	// there is one. Messages that were trimmed, purged or have expired are not
	// among them; their absence shows in Prev of the message behind them.
	Next(ctx context.Context, channel string, after uint64, maxCount int, maxBytes int64) ([]*Entry, error)

	// Last returns the newest stored messages of channel, oldest first: at most
	// maxCount, and as many as fit into maxBytes, but one at least if there is
	// one. Of these each one's Prev is the Seq of the one before it.
	Last(ctx context.Context, channel string, maxCount int, maxBytes int64) ([]*Entry, error)

	// Head tells about the stored messages of channel.
	Head(ctx context.Context, channel string) (Head, error)

	// Watch calls deliver for each message stored from now on, of all channels,
	// in the order of Seq, none left out, from one goroutine at a time: what the
	// way between store and watcher lost is read from the store before what
	// follows it. The position is the Seq before the first one that deliver
	// gets. deliver must not wait for long and must not call the broker. There is
	// one Watch in a broker's life; Close ends it.
	Watch(deliver func(*Entry)) (position uint64, err error)

	// Purge removes the stored messages of channel. Whoever has not seen them is
	// told of a gap.
	Purge(ctx context.Context, channel string) error

	// Channels lists channels that have stored messages, with their number, at
	// most limit and in no order.
	Channels(ctx context.Context, limit int) (map[string]int, error)

	// Size tells how many messages are stored, of all channels together, and how
	// many bytes they take, what it costs to keep them included: as nearly as can
	// be told at little cost, and as it was a moment ago.
	Size(ctx context.Context) (messages, bytes int64, err error)

	// Epoch is this life of the store; it goes into the tokens that clients get.
	Epoch() string

	// Reaches tells whether a position of a token can be continued in this store:
	// its epoch is known, and no message up to and including seq has vanished
	// that an older life of the store has acknowledged. It says nothing about
	// messages after seq.
	Reaches(ctx context.Context, p Position) (bool, error)

	// KV is a small store of keys and values beside the messages, as safe as
	// these.
	KV() KV

	// Close ends Watch, refuses what comes after it, and returns when what was
	// acknowledged is as safe as it can be.
	Close() error
}

// Draft is a message to be stored.
type Draft struct {
	// Text tells a text message from a binary one.
	Text bool
	// Data is the message.
	Data []byte
	// ID is the publisher's Idempotency-Key; empty means none.
	ID string
	// TTL is how long the message is kept at most; 0 means as long as the
	// channel's limits allow. Less than a second counts as one.
	TTL time.Duration

	// frame is a whole WebSocket frame whose end Data is, or nil.
	frame []byte
}

// Appended is what Append tells.
type Appended struct {
	// Seq is the message's number.
	Seq uint64
	// Duplicate says that the message had been stored before, by its ID.
	Duplicate bool
}

// Entry is a stored message. It is shared and must not be changed.
type Entry struct {
	// Channel is where it was published.
	Channel string
	// Seq is its number, above 0, and above those of all messages stored before
	// it in any channel.
	Seq uint64
	// Prev is the Seq of the message before it in the same channel, whether
	// that is still stored or not; 0 means that there was none.
	Prev uint64
	// Time is when it was stored.
	Time time.Time
	// Expires is when it is no longer kept, as its publisher said; zero means
	// that it did not.
	Expires time.Time
	// Text tells a text message from a binary one.
	Text bool
	// Data is the message.
	Data []byte

	// frame is a whole WebSocket frame whose end Data is, or nil.
	frame []byte
}

// Head is what a Broker knows of a channel.
type Head struct {
	// Last is the Seq of the newest message that is known to have been published
	// to the channel, whether it is still stored or not. 0: none is known.
	Last uint64
	// Certain is the Seq from which on the broker is sure that the channel had no
	// message besides those it has stored and Last: whoever has seen everything
	// up to a Seq at or above both Last and Certain has missed nothing.
	Certain uint64
	// Count is how many messages are stored, as nearly as can be told at little
	// cost.
	Count int
}

// KV is a small store of keys and values. Keys are 1 to 250 bytes of printable
// ASCII without space; any value up to 64 KiB. Its methods may be called
// concurrently.
type KV interface {
	// Get returns the value and its revision, or ErrNotFound.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Put sets the value, whatever was there. A ttl above 0, of whole seconds,
	// has it vanish by itself.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) (revision uint64, err error)
	// Create sets the value of a key that has none, or gives ErrExists.
	Create(ctx context.Context, key string, value []byte, ttl time.Duration) (revision uint64, err error)
	// Update sets the value of a key that still has the revision, or gives
	// ErrRevision.
	Update(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (newRevision uint64, err error)
	// Delete takes the value away, if there is one.
	Delete(ctx context.Context, key string) error
	// Keys lists the keys that begin with prefix, in no order.
	Keys(ctx context.Context, prefix string) ([]string, error)
}
