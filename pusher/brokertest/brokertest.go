// Package brokertest is the suite that every pusher.Broker passes.
package brokertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"wsfront/pusher"
)

// NewBroker makes an empty broker for one test. A field of limits that is not
// zero must be obeyed. The suite closes the broker; what else there is to clean
// up is the function's.
type NewBroker func(t *testing.T, limits pusher.History) pusher.Broker

// Run tests the broker that newBroker makes, each part of the contract with a
// fresh one, several at a time.
func Run(t *testing.T, newBroker NewBroker) {
	for _, test := range []struct {
		name   string
		limits pusher.History
		run    func(*broker)
	}{
		{"Append_NumbersRiseOverAllChannels", pusher.History{}, numbersRise},
		{"Append_KeepsWhatWasPublished", pusher.History{}, keepsMessages},
		{"Append_NamesStayApart", pusher.History{}, namesStayApart},
		{"Append_ConcurrentlyToOneChannel", pusher.History{}, oneChannel},
		{"Append_ConcurrentlyToManyChannels", pusher.History{}, manyChannels},
		{"Append_SameIDIsStoredOnce", pusher.History{}, sameID},
		{"Append_SameIDAtOnceIsStoredOnce", pusher.History{}, sameIDAtOnce},
		{"Append_AnyIDWillDo", pusher.History{}, anyID},
		{"Next_StopsAtItsLimits", pusher.History{}, nextLimits},
		{"Next_GoesThroughALongChannel", pusher.History{Messages: 2000}, longChannel},
		{"Last_StopsAtItsLimits", pusher.History{}, lastLimits},
		{"Limits_Messages", pusher.History{Messages: 5}, limitMessages},
		{"Limits_Bytes", pusher.History{Bytes: 64 << 10}, limitBytes},
		{"Limits_OneMessageAboveBytes", pusher.History{Bytes: 1 << 10}, oneAboveBytes},
		{"Limits_Age", pusher.History{Age: time.Second}, limitAge},
		{"TTL_MessageIsGoneAndMissed", pusher.History{}, ttl},
		{"Head_OfChannelWithoutMessages", pusher.History{}, headOfNothing},
		{"Purge_IsMissedByWhoHadNotSeen", pusher.History{}, purge},
		{"Purge_OfNothing", pusher.History{}, purgeNothing},
		{"Watch_BeginsAtItsPosition", pusher.History{}, watchPosition},
		{"Watch_OnceAndInOrder", pusher.History{}, watchOrder},
		{"Channels_ListsThoseWithMessages", pusher.History{}, channels},
		{"Size_OfWhatIsStored", pusher.History{}, size},
		{"Size_WithinLimits", pusher.History{Messages: 5}, sizeWithinLimits},
		{"Reaches_WhatWasStored", pusher.History{}, reaches},
		{"Close_EndsEverything", pusher.History{}, closing},
		{"KV_Values", pusher.History{}, kvValues},
		{"KV_Keys", pusher.History{}, kvKeys},
		{"KV_OneCreates", pusher.History{}, kvOneCreates},
		{"KV_TTL", pusher.History{}, kvTTL},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := &broker{newBroker(t, test.limits), t}
			t.Cleanup(func() {
				if err := b.Close(); err != nil {
					t.Error("Close:", err)
				}
			})
			test.run(b)
		})
	}
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// broker is the one under test, with shorthands that end the test on an error.
type broker struct {
	pusher.Broker
	*testing.T
}

func (b *broker) append(channel string, d pusher.Draft) pusher.Appended {
	b.Helper()
	a, err := b.Append(b.Context(), channel, d)
	if err != nil {
		b.Fatalf("Append to %s: %v", channel, err)
	}
	return a
}

// text appends a text message and gives its number.
func (b *broker) text(channel, data string) uint64 {
	b.Helper()
	a := b.append(channel, pusher.Draft{Text: true, Data: []byte(data)})
	if a.Duplicate {
		b.Fatal("a message without ID is a duplicate")
	}
	return a.Seq
}

const all = 1 << 30

func (b *broker) next(channel string, after uint64, maxCount int, maxBytes int64) []*pusher.Entry {
	b.Helper()
	list, err := b.Next(b.Context(), channel, after, maxCount, maxBytes)
	if err != nil {
		b.Fatalf("Next of %s: %v", channel, err)
	}
	return list
}

func (b *broker) last(channel string, maxCount int, maxBytes int64) []*pusher.Entry {
	b.Helper()
	list, err := b.Last(b.Context(), channel, maxCount, maxBytes)
	if err != nil {
		b.Fatalf("Last of %s: %v", channel, err)
	}
	return list
}

func (b *broker) head(channel string) pusher.Head {
	b.Helper()
	head, err := b.Head(b.Context(), channel)
	if err != nil {
		b.Fatalf("Head of %s: %v", channel, err)
	}
	return head
}

// eventually polls until done says so.
func (b *broker) eventually(what string, done func() bool) {
	b.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func (b *broker) wantData(list []*pusher.Entry, want ...string) {
	b.Helper()
	var got []string
	for _, e := range list {
		got = append(got, string(e.Data))
	}
	if !slices.Equal(got, want) {
		b.Fatalf("got the messages %.200q, want %.200q", got, want)
	}
}

// missed tells what a client is told that has seen everything of a channel up to
// a number, and now gets what Next has: whether it has missed anything. This is
// the rule by which the Hub goes.
func (b *broker) missed(channel string, seen uint64) bool {
	b.Helper()
	if list := b.next(channel, seen, 1, all); len(list) > 0 {
		return list[0].Prev > seen
	}
	head := b.head(channel)
	return head.Last > seen || head.Certain > seen
}

func (b *broker) wantMissed(channel string, seen uint64, want bool) {
	b.Helper()
	if got := b.missed(channel, seen); got != want {
		b.Errorf("who has seen %s up to %d is told of a gap: %v, want %v (head %+v)", channel, seen, got, want, b.head(channel))
	}
}

// chain checks that each message's Prev is the one before it.
func (b *broker) chain(list []*pusher.Entry, prev uint64) {
	b.Helper()
	for _, e := range list {
		if e.Prev != prev || e.Seq <= prev {
			b.Fatalf("message %d of %s has Prev %d, want %d", e.Seq, e.Channel, e.Prev, prev)
		}
		prev = e.Seq
	}
}

// watcher keeps what Watch hands out.
type watcher struct {
	b        *broker
	position uint64
	mu       sync.Mutex
	entries  []*pusher.Entry
	busy     bool
}

func (b *broker) watch() *watcher {
	b.Helper()
	w := &watcher{b: b}
	var err error
	if w.position, err = b.Watch(w.deliver); err != nil {
		b.Fatal("Watch:", err)
	}
	return w
}

func (w *watcher) deliver(e *pusher.Entry) {
	w.enter(true)
	w.mu.Lock()
	w.entries = append(w.entries, e)
	w.mu.Unlock()
	w.enter(false)
}

func (w *watcher) enter(busy bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy && busy {
		w.b.Error("deliver is called while it runs")
	}
	w.busy = busy
}

func (w *watcher) seen() []*pusher.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.entries)
}

// await waits for n messages and checks that they are in order.
func (w *watcher) await(n int) []*pusher.Entry {
	w.b.Helper()
	w.b.eventually(fmt.Sprintf("%d messages watched", n), func() bool { return len(w.seen()) >= n })
	list := w.seen()
	if len(list) != n {
		w.b.Fatalf("watched %d messages, want %d", len(list), n)
	}
	before := w.position
	for _, e := range list {
		if e.Seq <= before {
			w.b.Fatalf("watched message %d after %d", e.Seq, before)
		}
		before = e.Seq
	}
	return list
}

// together runs f n times at once and waits for all.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// background is for what goroutines of a test do: its own context has ended
// when they clean up.
var background = context.Background()
