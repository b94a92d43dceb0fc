package relay_test

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"wsfront/proxy/relay"
)

// A flood writes size pseudo-random bytes as fast as they are taken, and then
// ends its half.
type flood struct {
	sent atomic.Int64
	done chan struct{}
	sum  [sha256.Size]byte // once done
	err  error             // once done
}

func startFlood(c net.Conn, size int64) *flood {
	f := &flood{done: make(chan struct{})}
	go func() { // ends with size, or with c, which has a deadline; done tells
		defer close(f.done)
		src := rand.NewChaCha8([32]byte{7})
		digest := sha256.New()
		chunk := make([]byte, 32<<10)
		for f.sent.Load() < size && f.err == nil {
			src.Read(chunk)
			digest.Write(chunk)
			var n int
			n, f.err = c.Write(chunk)
			f.sent.Add(int64(n))
		}
		if h, ok := c.(interface{ CloseWrite() error }); ok && f.err == nil {
			f.err = h.CloseWrite()
		}
		digest.Sum(f.sum[:0])
	}()
	return f
}

// waitUntilStuck returns once no byte was accepted for a while. A machine that
// pauses for that long makes the test weaker, never red.
func (f *flood) waitUntilStuck(t *testing.T) int64 {
	t.Helper()
	const while = 100 * time.Millisecond
	tick := time.NewTicker(while)
	defer tick.Stop()
	for last := int64(-1); ; {
		select {
		case <-f.done:
			t.Fatalf("all %d bytes were taken though nobody reads them (%v)", f.sent.Load(), f.err)
		case <-tick.C:
		}
		now := f.sent.Load()
		if now == last {
			return now
		}
		last = now
	}
}

func TestRelay_SlowReaderHoldsUpTheWriterInBoundedMemory(t *testing.T) {
	const (
		size = 24 << 20
		// What the kernel may hold for the two hops: four socket buffers, whose
		// sizes the test sets, and what the kernel adds to each on its own.
		inFlight = 8 << 20
		heap     = 1 << 20
	)
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		for _, c := range []struct {
			client, backend string
			want            relay.Reason // tells who floods: that side is the first to end
		}{
			{"tcp", "tcp", relay.ClientClosed},
			{"tls", "tcp", relay.ClientClosed},
			{"tls", "tcp", relay.BackendClosed},
			{"tls", "tls", relay.ClientClosed},
			{"tls", "tls", relay.BackendClosed},
			{"tls", "unix", relay.BackendClosed},
			{"unix", "unix", relay.ClientClosed},
		} {
			t.Run(c.client+"-"+c.backend+" "+string(c.want), func(t *testing.T) {
				b := connectBoth(t, c.client, c.backend)
				for _, c := range []net.Conn{b.client, b.near[0], b.near[1], b.backend} {
					s := raw(c).(interface {
						SetReadBuffer(int) error
						SetWriteBuffer(int) error
					})
					if err := s.SetReadBuffer(64 << 10); err != nil {
						t.Fatal(err)
					}
					if err := s.SetWriteBuffer(64 << 10); err != nil {
						t.Fatal(err)
					}
				}
				b.start(e, relay.Options{}, relay.Early{})
				writer, reader := b.client, b.backend
				if c.want == relay.BackendClosed {
					writer, reader = b.backend, b.client
				}
				// The other direction is warmed, so that only the flood adds memory.
				write(t, reader, "hello")
				wantRead(t, writer, "hello")

				before := heapInUse()
				f := startFlood(writer, size)
				if taken := f.waitUntilStuck(t); taken > inFlight {
					t.Errorf("%d bytes were taken though nobody reads them, want at most %d", taken, inFlight)
				}
				if grown := heapInUse() - before; grown > heap {
					t.Errorf("the heap grew by %d bytes, want at most %d", grown, heap)
				}

				// The stuck direction does not hold up the other one.
				write(t, reader, "still here")
				wantRead(t, writer, "still here")

				digest := sha256.New()
				n, err := io.Copy(digest, reader)
				if err != nil || n != size {
					t.Fatalf("read %d bytes, %v; want %d", n, err, size)
				}
				<-f.done
				if f.err != nil || [sha256.Size]byte(digest.Sum(nil)) != f.sum {
					t.Errorf("what arrived is not what was sent (%v)", f.err)
				}
				reader.Close()
				b.wantReason(c.want)
			})
		}
	})
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
