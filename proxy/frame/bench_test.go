package frame

import (
	"bytes"
	"testing"
	"time"
)

// benchmarkFeed feeds pieces of a stream over and over, all of which must pass as
// they are.
func benchmarkFeed(b *testing.B, rules *Rules, pieces ...[]byte) {
	var f Follower
	f.Init(FromClient, rules)
	f.ExpectPong([8]byte{1})
	size := 0
	for _, p := range pieces {
		size += len(p)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	now := int64(0)
	for b.Loop() {
		for _, p := range pieces {
			now += int64(time.Second)
			pass, rest, err := f.Feed(p, now)
			if len(pass) != len(p) || len(rest) != 0 || err != nil {
				b.Fatalf("passed %d of %d, %d left, %v", len(pass), len(p), len(rest), err)
			}
		}
	}
}

func allRules() *Rules {
	return &Rules{Compression: true, Validate: true, MaxMessage: 1 << 24, MaxFragments: 1000, MessageRate: 1e6, Burst: 1 << 20}
}

// BenchmarkFeed is the cost of following, without rules and with all of them.
func BenchmarkFeed(b *testing.B) {
	small := data(FromClient, fin|opText, bytes.Repeat([]byte("a"), 125))
	var piece []byte
	for range 100 {
		piece = append(piece, data(FromClient, fin|opText, bytes.Repeat([]byte("a"), 158))...)
	}
	large := data(FromClient, fin|opBinary, make([]byte, 1<<20))
	var pieces [][]byte
	for len(large) > 0 {
		n := min(16<<10, len(large))
		pieces = append(pieces, large[:n])
		large = large[n:]
	}
	for _, c := range []struct {
		name  string
		rules *Rules
	}{{"none", &Rules{}}, {"all", allRules()}} {
		b.Run("125B/rules="+c.name, func(b *testing.B) { benchmarkFeed(b, c.rules, small) })
		b.Run("16KiBof100/rules="+c.name, func(b *testing.B) { benchmarkFeed(b, c.rules, piece) })
		b.Run("1MiBin16KiB/rules="+c.name, func(b *testing.B) { benchmarkFeed(b, c.rules, pieces...) })
	}
}

// BenchmarkFeedSplit is a message whose header comes in two reads.
func BenchmarkFeedSplit(b *testing.B) {
	message := data(FromClient, fin|opText, bytes.Repeat([]byte("a"), 125))
	var f Follower
	f.Init(FromClient, allRules())
	b.ReportAllocs()
	for b.Loop() {
		for rest := message[:3]; len(rest) > 0; {
			_, rest, _ = f.Feed(rest, 0)
		}
		for rest := message[3:]; len(rest) > 0; {
			_, rest, _ = f.Feed(rest, 0)
		}
		f.due = 0
	}
}

// BenchmarkAppendPing is a ping towards a backend.
func BenchmarkAppendPing(b *testing.B) {
	buf := make([]byte, 0, 64)
	payload := []byte("12345678")
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendPing(buf[:0], FromClient, payload)
	}
}
