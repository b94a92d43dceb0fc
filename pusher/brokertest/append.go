package brokertest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"wsfront/pusher"
)

func numbersRise(b *broker) {
	var before uint64
	prev := map[string]uint64{}
	for i := range 20 {
		channel := []string{"a", "b", "c"}[i%3]
		seq := b.text(channel, fmt.Sprint(i))
		if seq <= before {
			b.Fatalf("number %d follows %d", seq, before)
		}
		before = seq
		list := b.last(channel, 1, all)
		b.wantData(list, fmt.Sprint(i))
		b.chain(list, prev[channel])
		prev[channel] = seq
	}
}

func keepsMessages(b *broker) {
	began := time.Now().Add(-time.Second)
	big := bytes.Repeat([]byte{0, 255, '\r', '\n'}, 128<<10)
	for _, d := range []pusher.Draft{
		{Text: true, Data: []byte("text")}, {Data: []byte{0, 1, 2, 255}}, {Text: true, Data: []byte{}}, {Data: big},
		{Text: true, Data: []byte("NATS/1.0\r\n\r\n"), ID: "id", TTL: time.Hour},
	} {
		a := b.append("board", d)
		list := b.last("board", 1, all)
		if len(list) != 1 {
			b.Fatalf("there are %d last messages", len(list))
		}
		e := list[0]
		if e.Channel != "board" || e.Seq != a.Seq || e.Text != d.Text || !bytes.Equal(e.Data, d.Data) {
			b.Errorf("got %s %d text=%v %.40q, want board %d text=%v %.40q", e.Channel, e.Seq, e.Text, e.Data, a.Seq, d.Text, d.Data)
		}
		if e.Time.Before(began) || e.Time.After(time.Now().Add(time.Second)) {
			b.Errorf("stored at %v, but it is %v", e.Time, time.Now())
		}
		if left := time.Until(e.Expires); d.TTL == 0 != e.Expires.IsZero() || d.TTL > 0 && (left < d.TTL-time.Minute || left > d.TTL) {
			b.Errorf("expires at %v with a TTL of %s", e.Expires, d.TTL)
		}
	}
}

func namesStayApart(b *broker) {
	names := []string{
		"a", "A", "a.b", "a..b", ".", "..", ".a", "a.", "a,b", "a;b", "a:b", "a=b", "a@b", "a-b", "a_b", "b.a", "-", "=",
		strings.Repeat(".", 164), strings.Repeat("x", 164),
	}
	for _, name := range names {
		b.text(name, name)
	}
	for _, name := range names {
		b.wantData(b.next(name, 0, 10, all), name)
		if head := b.head(name); head.Count != 1 {
			b.Errorf("%s has %d messages", name, head.Count)
		}
	}
	list, err := b.Channels(b.Context(), 1000)
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range names {
		if list[name] != 1 {
			b.Errorf("Channels has %d messages of %s", list[name], name)
		}
	}
	if len(list) != len(names) {
		b.Errorf("Channels lists %d, want %d", len(list), len(names))
	}
}

func oneChannel(b *broker) {
	const publishers, each = 8, 50
	together(publishers, func(p int) {
		for i := range each {
			if _, err := b.Append(background, "one", pusher.Draft{Text: true, Data: fmt.Appendf(nil, "%d-%d", p, i)}); err != nil {
				b.Error(err)
			}
		}
	})
	list := b.next("one", 0, 1000, all)
	if len(list) != publishers*each {
		b.Fatalf("%d messages are stored", len(list))
	}
	b.chain(list, 0)
	b.inPublishersOrder(list)
}

func manyChannels(b *broker) {
	const publishers, each = 8, 60
	w := b.watch()
	together(publishers, func(p int) {
		for i := range each {
			channel := fmt.Sprintf("c%d", (p+i)%7)
			if _, err := b.Append(background, channel, pusher.Draft{Text: true, Data: fmt.Appendf(nil, "%d-%d", p, i)}); err != nil {
				b.Error(err)
			}
		}
	})
	watched := w.await(publishers * each)
	b.inPublishersOrder(watched)
	for c := range 7 {
		channel := fmt.Sprintf("c%d", c)
		stored := b.next(channel, 0, 1000, all)
		b.chain(stored, 0)
		live := slices.DeleteFunc(slices.Clone(watched), func(e *pusher.Entry) bool { return e.Channel != channel })
		b.chain(live, 0)
		if len(live) != len(stored) {
			b.Errorf("%s: %d watched, %d stored", channel, len(live), len(stored))
		}
	}
}

// inPublishersOrder checks messages "publisher-i" of publishers that wait for
// each one's Append: each publisher's are in order, none twice.
func (b *broker) inPublishersOrder(list []*pusher.Entry) {
	b.Helper()
	next := map[string]int{}
	for _, e := range list {
		publisher, i, _ := strings.Cut(string(e.Data), "-")
		if i != fmt.Sprint(next[publisher]) {
			b.Fatalf("publisher %s: message %s where %d is due", publisher, i, next[publisher])
		}
		next[publisher]++
	}
}

func sameID(b *broker) {
	w := b.watch()
	first := b.append("a", pusher.Draft{Data: []byte("1"), ID: "id"})
	b.text("a", "2")
	again := b.append("a", pusher.Draft{Data: []byte("1"), ID: "id"})
	if first.Duplicate || !again.Duplicate || again.Seq != first.Seq {
		b.Errorf("first %+v, again %+v", first, again)
	}
	if other := b.append("b", pusher.Draft{Data: []byte("3"), ID: "id"}); other.Duplicate {
		b.Error("an ID of another channel makes a duplicate")
	}
	if empty := b.append("b", pusher.Draft{Data: []byte("4")}); empty.Duplicate {
		b.Error("no ID makes a duplicate")
	}
	b.text("a", "5")
	list := b.next("a", 0, 10, all)
	b.wantData(list, "1", "2", "5")
	b.chain(list, 0)
	b.wantData(w.await(5), "1", "2", "3", "4", "5")
}

func sameIDAtOnce(b *broker) {
	const attempts = 8
	for round := range 20 {
		id := fmt.Sprint(round)
		var got [attempts]pusher.Appended
		together(attempts, func(i int) {
			var err error
			if got[i], err = b.Append(background, "a", pusher.Draft{Data: []byte(id), ID: id}); err != nil {
				b.Error(err)
			}
		})
		stored := 0
		for _, a := range got {
			if a.Seq != got[0].Seq {
				b.Fatalf("one ID has the numbers %d and %d", a.Seq, got[0].Seq)
			}
			if !a.Duplicate {
				stored++
			}
		}
		if stored != 1 {
			b.Fatalf("stored %d times", stored)
		}
	}
	b.chain(b.next("a", 0, 100, all), 0)
}

func anyID(b *broker) {
	for _, id := range []string{"x", "x ", " x", "X", "x\r\nNats-TTL: 1s", "ü", "\x00", strings.Repeat("x", 4096), "b\x00id"} {
		if b.append("a", pusher.Draft{Data: []byte(id), ID: id}).Duplicate {
			b.Errorf("%.20q is taken for another ID", id)
		}
		if !b.append("a", pusher.Draft{Data: []byte(id), ID: id}).Duplicate {
			b.Errorf("%.20q is not known again", id)
		}
	}
}
