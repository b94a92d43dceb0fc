package natsbroker

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
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
	b.ReportAllocs()
	before := cpuTime()
	b.ResetTimer()
	eight(b.N, appendTo(broker, func(n int) string { return names[n%channels] }))
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

// memory is what this process has of the machine's memory, and of that in use
// by Go, both in MiB and after a collection.
func memory() (rss, heap float64) {
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		panic(err)
	}
	return float64(resident*os.Getpagesize()) / (1 << 20), float64(stats.HeapInuse) / (1 << 20)
}

func userChannel(i int) string { return fmt.Sprintf("channel-of-user-%d", i) }

// BenchmarkScale is what a store of so many channels costs, with three messages
// each: run it with -benchtime 1x. The figures are those of a process that opens
// it, and then appends to all of its channels. It ends as after a SIGKILL: with
// 2x the start is one after that.
func BenchmarkScale(b *testing.B) {
	for _, channels := range []int{1000, 10_000, 100_000} {
		dir := b.TempDir()
		broker := open(b, Options{Dir: dir})
		began := time.Now()
		eight(3*channels, appendTo(broker, func(n int) string { return userChannel(n % channels) }))
		fill := float64(3*channels) / time.Since(began).Seconds()
		broker.Close()
		b.Run(fmt.Sprint(channels), func(b *testing.B) {
			self, err := os.Executable()
			if err != nil {
				b.Fatal(err)
			}
			for range b.N {
				cmd := exec.Command(self)
				cmd.Env = append(os.Environ(), childDir+"="+dir, childChannels+"="+fmt.Sprint(channels))
				cmd.Stderr = os.Stderr
				out, err := cmd.Output()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(fill, "fill/s")
				for line := range strings.Lines(string(out)) {
					var unit string
					var value float64
					if _, err := fmt.Sscan(line, &unit, &value); err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(value, unit)
				}
			}
		})
	}
}

// childChannels has the child measure instead.
const childChannels = "WSFRONT_TEST_CHANNELS"

func childMeasures(dir string, channels int) int {
	rss, heap := memory()
	fmt.Println("process-rss-MiB", rss)
	fmt.Println("process-heap-MiB", heap)
	began := time.Now()
	broker, err := Open(context.Background(), Options{Dir: dir}, slog.Default())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("start-ms", float64(time.Since(began).Microseconds())/1000)
	rss, heap = memory()
	fmt.Println("open-rss-MiB", rss)
	fmt.Println("open-heap-MiB", heap)
	cpu, began := cpuTime(), time.Now()
	eight(channels, appendTo(broker, userChannel))
	fmt.Println("appends/s", float64(channels)/time.Since(began).Seconds())
	fmt.Println("cpu-µs/append", float64((cpuTime()-cpu).Microseconds())/float64(channels))
	rss, heap = memory()
	fmt.Println("used-rss-MiB", rss)
	fmt.Println("used-heap-MiB", heap)
	return 0
}

// appendTo appends message n to the channel of that number.
func appendTo(broker pusher.Broker, channel func(n int) string) func(n int) {
	data := bytes.Repeat([]byte("x"), 128)
	return func(n int) {
		if _, err := broker.Append(context.Background(), channel(n), pusher.Draft{Data: data}); err != nil {
			panic(err)
		}
	}
}

// eight calls f with 0 to n-1, eight at a time.
func eight(n int, f func(int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				f(int(i - 1))
			}
		})
	}
	wg.Wait()
}

// BenchmarkRead is what a client that comes back costs: a channel with 1,000
// messages in a store of 20,000, of which it has missed ten.
func BenchmarkRead(b *testing.B) {
	broker := open(b, Options{Dir: b.TempDir()})
	data := bytes.Repeat([]byte("x"), 128)
	var seqs []uint64
	for range 1000 {
		seqs = append(seqs, mustAppend(b, broker, "a", pusher.Draft{Data: data}))
		for i := range 19 {
			mustAppend(b, broker, fmt.Sprintf("other-%d", i), pusher.Draft{Data: data})
		}
	}
	ctx := context.Background()
	for _, read := range []struct {
		name string
		want int
		f    func() ([]*pusher.Entry, error)
	}{
		{"next10", 10, func() ([]*pusher.Entry, error) { return broker.Next(ctx, "a", seqs[989], 100, 1<<20) }},
		{"next100", 100, func() ([]*pusher.Entry, error) { return broker.Next(ctx, "a", seqs[499], 100, 1<<20) }},
		{"next0", 0, func() ([]*pusher.Entry, error) { return broker.Next(ctx, "a", seqs[999], 100, 1<<20) }},
		{"last20", 20, func() ([]*pusher.Entry, error) { return broker.Last(ctx, "a", 20, 1<<20) }},
		{"head", 0, func() ([]*pusher.Entry, error) { _, err := broker.Head(ctx, "a"); return nil, err }},
		{"headOfNothing", 0, func() ([]*pusher.Entry, error) { _, err := broker.Head(ctx, "nothing"); return nil, err }},
	} {
		b.Run(read.name, func(b *testing.B) {
			for b.Loop() {
				if list, err := read.f(); err != nil || len(list) != read.want {
					b.Fatal(len(list), err)
				}
			}
		})
	}
}
