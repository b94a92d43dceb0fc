package pusher

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// board is text as an application's pages get it, n bytes of it.
func board(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	states := []string{"pending", "delivered", "shipped", "cancelled"}
	var text []byte
	for len(text) < n {
		text = fmt.Appendf(text, `{"id":%d,"time":"2026-11-%02dT%02d:%02d:00Z","state":"%s","amount":%d.%02d,"note":"order of table %d"},`,
			random.IntN(1e6), 1+random.IntN(28), random.IntN(24), random.IntN(60), states[random.IntN(4)], random.IntN(10000), random.IntN(100), random.IntN(40))
	}
	return text[:n]
}

func inflated(t testing.TB, packed []byte, limit int64) ([]byte, error) {
	i := inflaters.Get().(*inflater)
	defer i.release()
	out, err := i.inflate(packed, limit)
	return slices.Clone(out), err
}

func TestDeflated_ShortensAndComesBack(t *testing.T) {
	for _, n := range []int{128, 200, 1 << 10, 16 << 10, 200 << 10, 3 << 20} {
		want := board(n)
		dst, ok := deflated([]byte("before"), want)
		packed, found := bytes.CutPrefix(dst, []byte("before"))
		if !ok || !found || len(packed) >= n {
			t.Errorf("%d bytes became %d, %t", n, len(packed), ok)
		}
		if got, err := inflated(t, packed, int64(n)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back as %d, %v", n, len(got), err)
		}
		if _, err := inflated(t, packed, int64(n)-1); err == nil {
			t.Errorf("%d bytes came back within a limit of one less", n)
		}
	}
}

func TestDeflated_AppendsNothingThatIsNotShorter(t *testing.T) {
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for _, payload := range [][]byte{nil, []byte("short"), bytes.Repeat([]byte("a"), minDeflated-1), noise, noise[:300]} {
		if dst, ok := deflated([]byte("before"), payload); ok || string(dst) != "before" {
			t.Errorf("%d bytes: %t, %d appended", len(payload), ok, len(dst)-6)
		}
	}
}

func TestDeflated_KeepsTwoCompressorsAndNoLongBuffers(t *testing.T) {
	var done sync.WaitGroup
	want := board(300 << 10)
	for range 8 {
		done.Go(func() {
			packed, ok := deflated(nil, want)
			if got, err := inflated(t, packed, int64(len(want))); !ok || err != nil || !bytes.Equal(got, want) {
				t.Errorf("%t, %v", ok, err)
			}
		})
	}
	done.Wait()
	if n := len(deflaters); n < 1 || n > 2 {
		t.Errorf("%d compressors kept, want 1 or 2", n)
	}
	for range len(deflaters) {
		if d := <-deflaters; cap(d.out) > keptBuffer {
			t.Errorf("a buffer of %d is kept", cap(d.out))
		}
	}
}

func TestInflate_WhatASenderMayDo(t *testing.T) {
	want := board(3000)
	for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
		for _, end := range []string{"flush", "final block", "final block alone"} {
			var b bytes.Buffer
			w, _ := flate.NewWriter(&b, level)
			for part := range slices.Chunk(want, 700) {
				_, _ = w.Write(part)
				_ = w.Flush()
			}
			packed := bytes.TrimSuffix(b.Bytes(), []byte(flateEnd))
			if end != "flush" {
				_ = w.Close()
				packed = b.Bytes()
			}
			if end == "final block" {
				packed = append(packed, 0) // RFC 7692 §7.2.3.4
			}
			if got, err := inflated(t, packed, 3000); err != nil || !bytes.Equal(got, want) {
				t.Errorf("level %d, %s: %d bytes, %v", level, end, len(got), err)
			}
		}
	}
}

// FuzzInflate wants what compress/flate makes of the message by itself, if it is
// one stream, and never more than the limit.
func FuzzInflate(f *testing.F) {
	packed, _ := deflated(nil, board(500))
	f.Add(packed, 500)
	f.Add(packed, 499)
	f.Add([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), 5)
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), 100)
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), 100)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, packed []byte, limit int) {
		limit &= 0xffff
		got, err := inflated(t, packed, int64(limit))
		if len(got) > limit {
			t.Fatalf("%d bytes, limit %d", len(got), limit)
		}
		want, plainErr := io.ReadAll(io.LimitReader(flate.NewReader(io.MultiReader(bytes.NewReader(packed), strings.NewReader(flateEnd+flateFinal))), int64(limit)+1))
		var e *frameError
		switch {
		case err == nil && (plainErr != nil || !bytes.HasPrefix(got, want)):
			t.Errorf("%x: %q, compress/flate says %q, %v", packed, got, want, plainErr)
		case err != nil && (!errors.As(err, &e) || e.code != 1007 && e.code != 1009):
			t.Errorf("%x: %v", packed, err)
		case len(want) > limit && err == nil:
			t.Errorf("%x: no error though more than %d", packed, limit)
		}
	})
}

// FuzzDeflated wants back what went in.
func FuzzDeflated(f *testing.F) {
	f.Add(board(150), 1)
	f.Add([]byte("short"), 100)
	f.Add(make([]byte, 200), 400) // more than a window, and than a block
	f.Fuzz(func(t *testing.T, payload []byte, times int) {
		payload = bytes.Repeat(payload, times&0x1ff)
		packed, ok := deflated(nil, payload)
		if !ok {
			return
		}
		if got, err := inflated(t, packed, int64(len(payload))); err != nil || !bytes.Equal(got, payload) || len(packed) >= len(payload) {
			t.Errorf("%q: %x came back as %q, %v", payload, packed, got, err)
		}
	})
}
