package http1

import (
	"strings"
	"testing"
)

func BenchmarkRequest(b *testing.B) {
	benchmarkRequest(b, chromium)
}

func BenchmarkRequest_Handshake(b *testing.B) {
	benchmarkRequest(b, handshake)
}

// A head of nearly 32 KiB that comes a byte at a time: its cost grows with its
// length, and not with the square of it.
func BenchmarkRequest_ByteByByte(b *testing.B) {
	raw := []byte(get + strings.Repeat("X: "+strings.Repeat("y", 3000)+"\r\n", 10) + "\r\n")
	var r Request
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		r.Reset()
		for i := range raw {
			if n, err := r.Parse(raw[:i+1], Limits{}); err != nil || (n > 0) != (i+1 == len(raw)) {
				b.Fatal(i, n, err)
			}
		}
	}
}

func benchmarkRequest(b *testing.B, head string) {
	raw := []byte(head)
	var r Request
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		r.Reset()
		if n, err := r.Parse(raw, Limits{}); n != len(raw) || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkResponse(b *testing.B) {
	raw := []byte(django)
	var r Response
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		r.Reset()
		if n, err := r.Parse(raw, Limits{}); n != len(raw) || err != nil {
			b.Fatal(n, err)
		}
	}
}

// 8 KiB of payload in chunks of 1 KiB.
func BenchmarkChunks(b *testing.B) {
	raw := []byte(strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 8) + "0\r\n\r\n")
	var c Chunks
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		c.Reset(Limits{})
		for at, done := 0, false; !done; {
			_, n, end, err := c.Next(raw[at:])
			if err != nil || n == 0 {
				b.Fatal(n, err)
			}
			at, done = at+n, end
		}
	}
}

// A kept-alive connection: a head comes, is parsed, and the buffer goes back.
func BenchmarkReader(b *testing.B) {
	src := &endless{head: []byte(chromium)}
	var reader Reader
	reader.Reset(src)
	var r Request
	b.ReportAllocs()
	for b.Loop() {
		if err := reader.Fill(); err != nil {
			b.Fatal(err)
		}
		r.Reset()
		n, err := r.Parse(reader.Buffered(), Limits{})
		if n == 0 {
			b.Fatal(n, err)
		}
		reader.Discard(n)
		reader.Release()
	}
}

// endless sends a head with each Read.
type endless struct{ head []byte }

func (e *endless) Read(p []byte) (int, error) { return copy(p, e.head), nil }
