package relay_test

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsfront/proxy/frame"
	"wsfront/proxy/relay"
)

// message is a WebSocket message of a client, as large as size in all.
func message(size int) []byte {
	m := []byte{0x82, 0x80 | byte(size-6)}
	if size > 131 {
		m = []byte{0x82, 0x80 | 126, byte((size - 8) >> 8), byte(size - 8)}
	}
	return append(m, bytes.Repeat([]byte{'x'}, size-len(m))...)
}

// echo answers every read by what was read, until c ends. Its frames stay
// masked: the rules of the benchmarks do not mind.
func echo(c net.Conn) chan struct{} {
	done := make(chan struct{})
	go func() { // ends with c; done tells
		defer close(done)
		buf := make([]byte, 32<<10)
		for {
			n, err := c.Read(buf)
			if err == nil {
				_, err = c.Write(buf[:n])
			}
			if err != nil {
				c.Close()
				return
			}
		}
	}()
	return done
}

func BenchmarkEcho(b *testing.B) {
	makes := map[string]func(testing.TB) *relay.Engine{"loops": loops, "goroutines": goroutines}
	followed := &relay.Frames{}
	for _, c := range []struct {
		name, client string
		size         int
		frames       *relay.Frames
	}{
		{"plain-125B", "tcp", 125, nil},
		{"plain-125B-frames", "tcp", 125, followed},
		{"tls-125B", "tls", 125, nil},
		{"tls-125B-frames", "tls", 125, followed},
		{"tls-16KiB", "tls", 16 << 10, followed},
	} {
		for _, engine := range []string{"loops", "goroutines"} {
			b.Run(c.name+"/"+engine, func(b *testing.B) {
				bed := open(b, makes[engine](b), c.client, "tcp", relay.Options{IdleTimeout: time.Hour, Frames: c.frames})
				bed.client.SetDeadline(time.Time{})
				bed.backend.SetDeadline(time.Time{})
				echoed := echo(bed.backend)
				msg := message(c.size)
				got := make([]byte, c.size)
				b.SetBytes(int64(c.size))
				b.ReportAllocs()
				before := cpu(b)
				for b.Loop() {
					if _, err := bed.client.Write(msg); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(bed.client, got); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
				bed.client.Close()
				<-echoed
			})
		}
	}
}

// cpu is the time that the process has used, the far ends' part included.
func cpu(b *testing.B) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkIdle tells what an idle tunnel holds, sockets and the far ends not
// counted: what becomes free when it ends.
func BenchmarkIdle(b *testing.B) {
	for _, size := range []int{125, 16 << 10} {
		for _, engine := range []string{"loops", "goroutines"} {
			b.Run(engine+"/"+map[int]string{125: "after 125 B", 16 << 10: "after 16 KiB"}[size], func(b *testing.B) {
				makes := map[string]func(testing.TB) *relay.Engine{"loops": loops, "goroutines": goroutines}
				idle(b, makes[engine](b), size)
			})
		}
	}
}

func idle(b *testing.B, e *relay.Engine, size int) {
	const tunnels = 500
	rules := relay.Options{IdleTimeout: time.Hour, Ping: time.Hour, Frames: &relay.Frames{FromClient: frame.Rules{Validate: true}}}
	msg, got := message(size), make([]byte, size)
	beds := make([]*bed, tunnels)
	for i := range beds {
		beds[i] = open(b, e, "tls", "tcp", rules)
	}
	for _, bed := range beds {
		for _, way := range [][2]net.Conn{{bed.client, bed.backend}, {bed.backend, bed.client}} {
			if _, err := way[0].Write(msg); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(way[1], got); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ResetTimer()
	for b.Loop() { // nothing: the figure is not a time
	}
	with := inUse()
	for _, bed := range beds {
		bed.tunnel.Cut()
		<-bed.done
		bed.tunnel, bed.near = nil, [2]net.Conn{}
	}
	b.ReportMetric(float64(with-inUse())/tunnels, "B/tunnel")
	b.ReportMetric(0, "ns/op")
}

// inUse is the heap and the stacks, once what the pools hold is given back.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
