package pusher

import (
	"context"
	"crypto/rand"
	"math/big"
	"strings"
	"sync"
	"time"
)

const (
	// duplicateWindow is for how long an Idempotency-Key is remembered.
	duplicateWindow = 5 * time.Minute
	// maxDuplicates is how many of them are, the oldest give way.
	maxDuplicates = 100_000
	// maxForgettable is of how many channels without stored messages the last
	// number is remembered.
	maxForgettable = 10_000
	// entryBytes is what a stored message costs besides its data, about.
	entryBytes = 256
)

// Memory is the Broker that keeps everything in memory: its life is that of the
// process, and whoever comes back after that is told of a gap.
type Memory struct {
	limits History
	epoch  string
	kv     *memoryKV

	mu       sync.Mutex
	closed   bool
	deliver  func(*Entry)
	seq      uint64
	count    int64 // of the stored messages
	bytes    int64 // what they cost
	channels map[string]*memoryChannel
	empty    int    // channels without stored messages
	certain  uint64 // no channel that is not in channels had a message above it
	// All stored messages, oldest first.
	oldest, newest *memoryEntry

	ids     map[channelID]uint64
	idOrder []seenID // oldest first
}

// memoryChannel is what is stored of a channel.
type memoryChannel struct {
	name    string         // of its own: the publisher's may be a part of a whole request
	entries []*memoryEntry // oldest first
	bytes   int64
	last    uint64
}

// memoryEntry is a stored message in its place among those of all channels.
type memoryEntry struct {
	Entry
	older, newer *memoryEntry
}

func (e *memoryEntry) cost() int64 { return int64(len(e.Data)) + entryBytes }

type channelID struct{ channel, id string }

type seenID struct {
	channelID
	until time.Time
}

// NewMemory makes one. Zero fields of limits stand for their defaults.
func NewMemory(limits History) *Memory {
	return &Memory{
		limits:   limits.withDefaults(),
		epoch:    NewEpoch(),
		kv:       &memoryKV{values: map[string]kvValue{}},
		channels: map[string]*memoryChannel{},
		ids:      map[channelID]uint64{},
	}
}

// NewEpoch makes a name for a life of a store, of eight random letters and
// digits.
func NewEpoch() string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, 8)
	for i := range b {
		n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(letters)))) // never fails
		b[i] = letters[n.Int64()]
	}
	return string(b)
}

// Append is that of Broker, as are the methods below.
func (m *Memory) Append(_ context.Context, channel string, d Draft) (Appended, error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return Appended{}, ErrBrokerClosed
	}
	m.forgetIDs(now)
	if seq, known := m.ids[channelID{channel, d.ID}]; known {
		return Appended{Seq: seq, Duplicate: true}, nil
	}
	m.seq++
	ch := m.channels[channel]
	if ch == nil {
		// It may have had messages up to certain: nobody can tell any more.
		ch = &memoryChannel{name: strings.Clone(channel), last: m.certain}
		m.channels[ch.name] = ch
		m.empty++
	}
	e := &memoryEntry{Entry: Entry{
		Channel: ch.name, Seq: m.seq, Prev: ch.last, Time: now, Text: d.Text, Data: d.Data, frame: d.frame,
	}}
	if d.TTL > 0 {
		e.Expires = now.Add(max(d.TTL, time.Second))
	}
	if d.ID != "" {
		m.rememberID(channelID{ch.name, d.ID}, now)
	}
	ch.last = m.seq
	m.store(ch, e)
	m.trim(ch, now)
	if m.deliver != nil {
		m.deliver(&e.Entry)
	}
	return Appended{Seq: m.seq}, nil
}

func (m *Memory) store(ch *memoryChannel, e *memoryEntry) {
	if len(ch.entries) == 0 {
		m.empty--
	}
	ch.entries = append(ch.entries, e)
	ch.bytes += e.cost()
	m.bytes += e.cost()
	m.count++
	if e.older = m.newest; e.older != nil {
		e.older.newer = e
	} else {
		m.oldest = e
	}
	m.newest = e
}

// trim keeps to the limits: of the channel that has a new message, and of all.
func (m *Memory) trim(ch *memoryChannel, now time.Time) {
	for len(ch.entries) > m.limits.Messages || ch.bytes > m.limits.Bytes && len(ch.entries) > 1 {
		m.drop(ch)
	}
	m.expire(now)
	for m.bytes > m.limits.Total && m.oldest != m.newest {
		m.drop(m.channels[m.oldest.Channel])
	}
	if m.empty > maxForgettable {
		m.forget()
	}
}

// expire drops what is too old.
func (m *Memory) expire(now time.Time) {
	for m.oldest != nil && now.Sub(m.oldest.Time) >= m.limits.Age {
		m.drop(m.channels[m.oldest.Channel])
	}
}

// drop forgets the oldest message of a channel.
func (m *Memory) drop(ch *memoryChannel) {
	e := ch.entries[0]
	ch.entries[0] = nil
	if ch.entries = ch.entries[1:]; len(ch.entries) == 0 {
		ch.entries = nil // let go of the memory
		m.empty++
	}
	ch.bytes -= e.cost()
	m.bytes -= e.cost()
	m.count--
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		m.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		m.newest = e.older
	}
	e.older, e.newer = nil, nil // a reader may hold on to it for long
}

// forget gives up what is known of channels without messages.
func (m *Memory) forget() {
	for name, ch := range m.channels {
		if len(ch.entries) == 0 {
			m.certain = max(m.certain, ch.last)
			delete(m.channels, name)
		}
	}
	m.empty = 0
}

func (m *Memory) rememberID(id channelID, now time.Time) {
	if len(m.idOrder) >= maxDuplicates {
		m.dropID()
	}
	m.ids[id] = m.seq
	m.idOrder = append(m.idOrder, seenID{id, now.Add(duplicateWindow)})
}

func (m *Memory) forgetIDs(now time.Time) {
	for len(m.idOrder) > 0 && now.After(m.idOrder[0].until) {
		m.dropID()
	}
}

func (m *Memory) dropID() {
	delete(m.ids, m.idOrder[0].channelID)
	m.idOrder[0] = seenID{}
	m.idOrder = m.idOrder[1:]
}

// stored is what a channel has that is not too old.
func (m *Memory) stored(channel string, now time.Time) []*memoryEntry {
	m.expire(now)
	if ch := m.channels[channel]; ch != nil {
		return ch.entries
	}
	return nil
}

func (e *memoryEntry) gone(now time.Time) bool { return !e.Expires.IsZero() && !now.Before(e.Expires) }

func (m *Memory) Next(_ context.Context, channel string, after uint64, maxCount int, maxBytes int64) ([]*Entry, error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrBrokerClosed
	}
	all := m.stored(channel, now)
	from, to := 0, len(all)
	for from < to { // the first one above after
		if mid := (from + to) / 2; all[mid].Seq > after {
			to = mid
		} else {
			from = mid + 1
		}
	}
	var list []*Entry
	for _, e := range all[from:] {
		if e.gone(now) {
			continue
		}
		if maxBytes -= int64(len(e.Data)); len(list) > 0 && (len(list) >= maxCount || maxBytes < 0) {
			break
		}
		list = append(list, &e.Entry)
	}
	return list, nil
}

func (m *Memory) Last(_ context.Context, channel string, maxCount int, maxBytes int64) ([]*Entry, error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrBrokerClosed
	}
	all := m.stored(channel, now)
	from := len(all)
	for from > 0 && len(all)-from < maxCount {
		e := all[from-1]
		if e.gone(now) || from < len(all) && all[from].Prev != e.Seq {
			break
		}
		if maxBytes -= int64(len(e.Data)); from < len(all) && maxBytes < 0 {
			break
		}
		from--
	}
	list := make([]*Entry, 0, len(all)-from)
	for _, e := range all[from:] {
		list = append(list, &e.Entry)
	}
	return list, nil
}

func (m *Memory) Head(_ context.Context, channel string) (Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return Head{}, ErrBrokerClosed
	}
	head := Head{Certain: m.certain, Count: len(m.stored(channel, time.Now()))}
	if ch := m.channels[channel]; ch != nil {
		head.Last = ch.last
	}
	return head, nil
}

func (m *Memory) Watch(deliver func(*Entry)) (position uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, ErrBrokerClosed
	}
	m.deliver = deliver
	return m.seq, nil
}

func (m *Memory) Purge(_ context.Context, channel string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrBrokerClosed
	}
	if ch := m.channels[channel]; ch != nil {
		for len(ch.entries) > 0 {
			m.drop(ch)
		}
	}
	return nil
}

func (m *Memory) Channels(_ context.Context, limit int) (map[string]int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrBrokerClosed
	}
	m.expire(time.Now())
	list := map[string]int{}
	for name, ch := range m.channels {
		if len(list) == limit {
			break
		}
		if len(ch.entries) > 0 {
			list[name] = len(ch.entries)
		}
	}
	return list, nil
}

func (m *Memory) Size(context.Context) (messages, bytes int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, 0, ErrBrokerClosed
	}
	m.expire(time.Now())
	return m.count, m.bytes, nil
}

func (m *Memory) Epoch() string { return m.epoch }

func (m *Memory) Reaches(_ context.Context, p Position) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return p.Epoch == m.epoch && p.Seq <= m.seq, nil
}

func (m *Memory) KV() KV { return m.kv }

func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.deliver = true, nil
	return nil
}
