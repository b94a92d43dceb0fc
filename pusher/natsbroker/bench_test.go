package natsbroker

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"wsfront/pusher"
)

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchAppend appends messages of 128 bytes, eight at a time, to so many
// channels, while a Watch is there.
func benchAppend(b *testing.B, broker pusher.Broker, channels int) {
	names := make([]string, channels)
	for i := range names {
		names[i] = fmt.Sprintf("bench-%d", i)
		if _, err := broker.Append(context.Background(), names[i], draft("first")); err != nil {
			b.Fatal(err)
		}
	}
	var watched atomic.Int64
	if _, err := broker.Watch(func(*pusher.Entry) { watched.Add(1) }); err != nil {
		b.Fatal(err)
	}
	data := bytes.Repeat([]byte("x"), 128)
	var next atomic.Int64
	b.ReportAllocs()
	before := cpuTime()
	b.ResetTimer()
	done := make(chan struct{})
	for range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if _, err := broker.Append(context.Background(), names[n%int64(channels)], pusher.Draft{Data: data}); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	for range 8 {
		<-done
	}
	for deadline := time.Now().Add(testPatience); watched.Load() < int64(b.N) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	b.StopTimer()
	if watched.Load() != int64(b.N) {
		b.Errorf("%d of %d watched", watched.Load(), b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

func BenchmarkAppend(b *testing.B) {
	for _, channels := range []int{1, 1000} {
		b.Run(fmt.Sprintf("memory/%d", channels), func(b *testing.B) {
			broker := pusher.NewMemory(pusher.History{})
			defer broker.Close()
			benchAppend(b, broker, channels)
		})
		b.Run(fmt.Sprintf("embedded/%d", channels), func(b *testing.B) {
			benchAppend(b, open(b, Options{Dir: b.TempDir()}), channels)
		})
	}
}
