package pusher

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// BenchmarkFrameReader is the cost of reading what lies in a read of the
// connection: one small frame, many, one in two reads, and a compressed one. That
// of copying them there is in it.
func BenchmarkFrameReader(b *testing.B) {
	text := clientFrame(finBit|opText, 0x12345678, board(125))
	packed, _ := deflated(nil, board(1024))
	compressed := clientFrame(finBit|rsv1Bit|opText, 0x12345678, packed)
	for _, c := range []struct {
		name   string
		pieces [][]byte
	}{
		{"125B", [][]byte{text}},
		{"125Bx100", [][]byte{bytes.Repeat(text, 100)}},
		{"125B/header in two", [][]byte{text[:3], text[3:]}},
		{"125B/payload in two", [][]byte{text[:30], text[30:]}},
		{"64KiB", [][]byte{clientFrame(finBit|opBinary, 0x12345678, make([]byte, 64<<10))}},
		{"64KiB in 4KiB", slices.Collect(slices.Chunk(clientFrame(finBit|opBinary, 0x12345678, make([]byte, 64<<10)), 4<<10))},
		{"1KiB/compressed", [][]byte{compressed}},
	} {
		b.Run(c.name, func(b *testing.B) {
			size := len(bytes.Join(c.pieces, nil))
			buf := make([]byte, size)
			var r frameReader
			var sum counter
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for _, piece := range c.pieces {
					if err := r.feed(buf[:copy(buf, piece)], 1<<16, true, &sum); err != nil {
						b.Fatal(err)
					}
				}
			}
			if !r.idle() || sum.messages < b.N {
				b.Fatalf("%+v after %d", sum, b.N)
			}
		})
	}
}

// BenchmarkDeflated is the cost of compressing one message for all its receivers,
// and what is left of it.
func BenchmarkDeflated(b *testing.B) {
	for _, n := range []int{128, 200, 1 << 10, 4 << 10, 16 << 10} {
		b.Run(fmt.Sprintf("%dB", n), func(b *testing.B) {
			text := board(n)
			var dst []byte
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = deflated(dst[:0], text)
			}
			b.ReportMetric(float64(len(dst))/float64(n), "left")
		})
	}
}
