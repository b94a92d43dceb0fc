package brokertest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"wsfront/pusher"
)

func nextLimits(b *broker) {
	var seqs []uint64
	for i := range 10 {
		seqs = append(seqs, b.text("a", strings.Repeat(fmt.Sprint(i), 100)))
		b.text("b", "other")
	}
	for _, test := range []struct {
		name     string
		after    uint64
		maxCount int
		maxBytes int64
		from, to int // of the ten messages
	}{
		{"all", 0, 100, all, 0, 10},
		{"after one of them", seqs[4], 100, all, 5, 10},
		{"after one of another channel", seqs[4] + 1, 100, all, 5, 10},
		{"after the last", seqs[9], 100, all, 10, 10},
		{"far after the last", seqs[9] + 1000, 100, all, 10, 10},
		{"three", seqs[1], 3, all, 2, 5},
		{"exactly what there is", 0, 10, 1000, 0, 10},
		{"three by bytes", 0, 100, 300, 0, 3},
		{"not quite four by bytes", 0, 100, 399, 0, 3},
		{"one at least", seqs[2], 100, 1, 3, 4},
	} {
		list := b.next("a", test.after, test.maxCount, test.maxBytes)
		if len(list) != test.to-test.from {
			b.Errorf("%s: %d messages, want %d", test.name, len(list), test.to-test.from)
			continue
		}
		for i, e := range list {
			if e.Seq != seqs[test.from+i] {
				b.Errorf("%s: message %d is %d, want %d", test.name, i, e.Seq, seqs[test.from+i])
			}
		}
	}
	if list := b.next("nothing", 0, 10, all); len(list) != 0 {
		b.Errorf("a channel without messages has %d", len(list))
	}
}

func longChannel(b *broker) {
	const n = 700
	for i := range n {
		b.text("long", fmt.Sprint(i))
	}
	list := b.next("long", 0, 2*n, all)
	if len(list) != n {
		b.Fatalf("%d of %d messages", len(list), n)
	}
	b.chain(list, 0)
	if list := b.next("long", 0, 600, all); len(list) != 600 {
		b.Errorf("%d of 600 messages", len(list))
	}
	if list := b.last("long", 600, all); len(list) != 600 || string(list[0].Data) != "100" {
		b.Errorf("the last 600 are %d and begin with %s", len(list), list[0].Data)
	}
}

func lastLimits(b *broker) {
	for i := range 6 {
		b.text("a", strings.Repeat(fmt.Sprint(i), 10))
		b.text("b", "other")
	}
	five, four, three := strings.Repeat("5", 10), strings.Repeat("4", 10), strings.Repeat("3", 10)
	b.wantData(b.last("a", 2, all), four, five)
	b.wantData(b.last("a", 100, 30), three, four, five)
	b.wantData(b.last("a", 100, 29), four, five)
	b.wantData(b.last("a", 100, 1), five)
	b.wantData(b.last("nothing", 10, all))
	list := b.last("a", 100, all)
	if len(list) != 6 {
		b.Fatalf("%d messages", len(list))
	}
	b.chain(list, 0)
}

func limitMessages(b *broker) {
	var seqs []uint64
	for i := range 12 {
		seqs = append(seqs, b.text("a", fmt.Sprint(i)))
		b.text("b", "other")
	}
	list := b.next("a", 0, 100, all)
	b.wantData(list, "7", "8", "9", "10", "11")
	b.chain(list, seqs[6])
	if head := b.head("a"); head.Last != seqs[11] || head.Count != 5 {
		b.Errorf("head %+v, want last %d and 5 messages", head, seqs[11])
	}
	b.wantMissed("a", seqs[8], false)
	b.wantMissed("a", seqs[6], false) // its own last message is gone, but it has all after it
	b.wantMissed("a", seqs[5], true)
}

func limitBytes(b *broker) {
	b.text("other", "stays")
	const n = 200
	data := strings.Repeat("x", 1000)
	var seqs []uint64
	for range n {
		seqs = append(seqs, b.text("a", data))
	}
	list := b.next("a", 0, n, all)
	if size := len(list) * len(data); size > 64<<10 || size < 32<<10 {
		b.Errorf("%d bytes are stored, of at most %d", size, 64<<10)
	}
	oldest := n - len(list)
	b.chain(list, seqs[oldest-1])
	if list[len(list)-1].Seq != seqs[n-1] {
		b.Error("the newest is not among them")
	}
	b.wantMissed("a", seqs[oldest-1], false)
	b.wantMissed("a", seqs[oldest-2], true)
	b.wantData(b.next("other", 0, 10, all), "stays")
}

func oneAboveBytes(b *broker) {
	big := strings.Repeat("x", 10_000)
	first := b.text("a", big)
	b.wantData(b.next("a", 0, 10, all), big)
	b.text("a", big)
	list := b.next("a", 0, 10, all)
	b.wantData(list, big)
	b.chain(list, first)
}

func limitAge(b *broker) {
	first := b.text("a", "old")
	last := b.text("a", "old as well")
	b.eventually("the messages are too old", func() bool { return len(b.next("a", 0, 10, all)) == 0 })
	if list := b.last("a", 10, all); len(list) != 0 {
		b.Errorf("%d last messages", len(list))
	}
	b.wantMissed("a", first, true)
	b.wantMissed("a", last, false)
	later := b.text("a", "new")
	b.wantMissed("a", first, true)
	b.wantMissed("a", last, false)
	b.wantMissed("a", later, false)
}

func ttl(b *broker) {
	before := b.text("a", "stays")
	short := b.append("a", pusher.Draft{Text: true, Data: []byte("short"), TTL: time.Millisecond}).Seq
	b.wantData(b.next("a", 0, 10, all), "stays", "short")
	b.eventually("the message has expired", func() bool { return len(b.next("a", before, 10, all)) == 0 })
	b.wantMissed("a", before, true)
	b.wantMissed("a", short, false)
	b.wantData(b.last("a", 10, all))
	after := b.text("a", "after")
	list := b.next("a", 0, 10, all)
	b.wantData(list, "stays", "after")
	b.wantMissed("a", before, true)
	b.wantMissed("a", short, false)
	b.wantData(b.last("a", 10, all), "after")
	if list[1].Prev != short || list[1].Seq != after {
		b.Errorf("the message after it has Prev %d, want %d", list[1].Prev, short)
	}
}

func headOfNothing(b *broker) {
	if head := b.head("nothing"); head != (pusher.Head{}) {
		b.Errorf("head of an empty store: %+v", head)
	}
	seq := b.text("a", "1")
	if head := b.head("nothing"); head != (pusher.Head{}) {
		b.Errorf("head of a channel that never was: %+v", head)
	}
	b.wantMissed("nothing", 0, false)
	if head := b.head("a"); head.Last != seq || head.Count != 1 {
		b.Errorf("head %+v, want last %d and 1 message", head, seq)
	}
}

func purge(b *broker) {
	w := b.watch()
	first := b.text("a", "1")
	last := b.text("a", "2")
	other := b.text("b", "other")
	if err := b.Purge(b.Context(), "a"); err != nil {
		b.Fatal(err)
	}
	b.wantData(b.next("a", 0, 10, all))
	b.wantData(b.last("a", 10, all))
	if head := b.head("a"); head.Count != 0 || head.Last != last {
		b.Errorf("head %+v, want last %d and no message", head, last)
	}
	if list, err := b.Channels(b.Context(), 10); err != nil || len(list) != 1 || list["b"] != 1 {
		b.Errorf("channels %v, %v", list, err)
	}
	b.wantMissed("a", first, true)
	b.wantMissed("a", last, false)
	b.wantMissed("a", other, false)
	after := b.text("a", "3")
	list := b.next("a", 0, 10, all)
	b.wantData(list, "3")
	b.chain(list, last)
	b.wantMissed("a", first, true)
	b.wantMissed("a", last, false)
	b.text("a", "4")
	b.chain(b.next("a", 0, 10, all), last)
	b.chain(b.last("a", 10, all), last)
	if err := b.Purge(b.Context(), "a"); err != nil {
		b.Fatal(err)
	}
	b.wantMissed("a", after, true)
	b.wantData(w.await(5), "1", "2", "other", "3", "4")
}

func purgeNothing(b *broker) {
	if err := b.Purge(b.Context(), "nothing"); err != nil {
		b.Error(err)
	}
	b.wantMissed("nothing", 0, false)
}

func channels(b *broker) {
	if list, err := b.Channels(b.Context(), 10); err != nil || len(list) != 0 {
		b.Errorf("an empty store has the channels %v, %v", list, err)
	}
	for i := range 10 {
		for range i {
			b.text(fmt.Sprintf("c.%d", i), "x")
		}
	}
	list, err := b.Channels(b.Context(), 100)
	if err != nil || len(list) != 9 {
		b.Fatalf("channels %v, %v", list, err)
	}
	for i := range 10 {
		if n := list[fmt.Sprintf("c.%d", i)]; n != i {
			b.Errorf("channel %d has %d messages", i, n)
		}
	}
	if list, err := b.Channels(b.Context(), 3); err != nil || len(list) != 3 {
		b.Errorf("three channels are %v, %v", list, err)
	}
}

func watchPosition(b *broker) {
	last := b.text("a", "before")
	w := b.watch()
	if w.position < last {
		b.Errorf("position %d, but %d is stored", w.position, last)
	}
	b.text("a", "1")
	b.text("b", "2")
	b.wantData(w.await(2), "1", "2")
}

func watchOrder(b *broker) {
	w := b.watch()
	const publishers, each = 6, 200
	data := bytes.Repeat([]byte("x"), 4<<10)
	together(publishers, func(p int) {
		for range each {
			if _, err := b.Append(background, fmt.Sprintf("c%d", p), pusher.Draft{Data: data}); err != nil {
				b.Error(err)
			}
		}
	})
	prev := map[string]uint64{}
	for _, e := range w.await(publishers * each) {
		b.chain([]*pusher.Entry{e}, prev[e.Channel])
		if prev[e.Channel] = e.Seq; len(e.Data) != len(data) {
			b.Fatalf("message %d has %d bytes", e.Seq, len(e.Data))
		}
	}
}

func reaches(b *broker) {
	seq := b.text("a", "1")
	epoch := b.Epoch()
	if _, ok := pusher.ParsePosition(epoch + ".0"); !ok {
		b.Errorf("epoch %q cannot be in a token", epoch)
	}
	for _, test := range []struct {
		pusher.Position
		want bool
	}{
		{pusher.Position{Epoch: epoch, Seq: 0}, true},
		{pusher.Position{Epoch: epoch, Seq: seq}, true},
		{pusher.Position{Epoch: epoch, Seq: seq + 1}, false},
		{pusher.Position{Epoch: "zzzzzzzz", Seq: 0}, false},
		{pusher.Position{Epoch: "", Seq: 0}, false},
	} {
		if got, err := b.Reaches(b.Context(), test.Position); err != nil || got != test.want {
			b.Errorf("Reaches(%s) = %v, %v", test.Position, got, err)
		}
	}
}

func closing(b *broker) {
	w := b.watch()
	b.text("a", "1")
	w.await(1)
	if _, _, err := b.Size(b.Context()); err != nil {
		b.Error(err)
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // until it is refused
		defer close(done)
		for {
			if _, err := b.Append(background, "a", pusher.Draft{Data: []byte("x")}); err != nil {
				if !errors.Is(err, pusher.ErrBrokerClosed) {
					b.Error("an Append that Close ends:", err)
				}
				return
			}
			select {
			case <-stop:
				b.Error("Append goes on after Close")
				return
			default:
			}
		}
	}()
	if err := b.Close(); err != nil {
		b.Error(err)
	}
	watched := len(w.seen())
	_, err := b.Append(b.Context(), "a", pusher.Draft{Data: []byte("x")})
	_, nextErr := b.Next(b.Context(), "a", 0, 1, 1)
	_, lastErr := b.Last(b.Context(), "a", 1, 1)
	_, headErr := b.Head(b.Context(), "a")
	_, channelsErr := b.Channels(b.Context(), 1)
	_, _, sizeErr := b.Size(b.Context())
	_, watchErr := b.Watch(func(*pusher.Entry) {})
	for _, err := range []error{err, nextErr, lastErr, headErr, channelsErr, sizeErr, watchErr, b.Purge(b.Context(), "a")} {
		if !errors.Is(err, pusher.ErrBrokerClosed) {
			b.Errorf("after Close: %v", err)
		}
	}
	time.AfterFunc(patience, func() { close(stop) })
	<-done
	if n := len(w.seen()); n != watched {
		b.Errorf("%d messages were watched after Close", n-watched)
	}
}
