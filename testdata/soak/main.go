// Soak runs a wsfront for a long time under all that it does at once: pages by
// HTTP/1.1 and HTTP/2, uploads, files, tunnels, push clients that come and go,
// reloads, and backends that die. At the end nothing may be left: goroutines,
// descriptors and heap are back where they began, and no client lost anything
// but pages of a dead backend. testdata/soak.sh builds and runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"
)

// options are the load.
type options struct {
	binary      string
	duration    time.Duration
	tunnels     int
	pushClients int
	reload      time.Duration // between two
	kill        time.Duration // between two deaths of a backend
	settle      time.Duration // at the end, at most; the runtime collects garbage each two minutes
	logFile     string
}

func main() {
	var o options
	flag.StringVar(&o.binary, "wsfront", "", "the `BINARY` to run")
	flag.DurationVar(&o.duration, "duration", 20*time.Minute, "how long the load lasts")
	flag.IntVar(&o.tunnels, "tunnels", 5000, "tunnels that stay open")
	flag.IntVar(&o.pushClients, "push", 2000, "push clients, each of which lives for some seconds")
	flag.DurationVar(&o.reload, "reload", 5*time.Second, "time between two reloads")
	flag.DurationVar(&o.kill, "kill", 10*time.Second, "time between two deaths of a backend")
	flag.DurationVar(&o.settle, "settle", 5*time.Minute, "how long the end may take to settle")
	flag.StringVar(&o.logFile, "log", "soak.log", "`FILE` for wsfront's log")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := soak(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// soak reports whether nothing was lost and nothing is left.
func soak(ctx context.Context, o options) (bool, error) {
	steady, err := newBackend()
	if err != nil {
		return false, err
	}
	defer steady.close()
	mortal, err := newBackend()
	if err != nil {
		return false, err
	}
	defer mortal.close()
	f, err := startFront(o, steady.address, mortal.address)
	if err != nil {
		return false, err
	}
	defer f.stop()
	c := &counts{}

	// What is made once, pools and caches, is made before the start is measured.
	warm, cancel := lasting(ctx, 10*time.Second)
	load(warm, f, &counts{}, nil, options{tunnels: 20, pushClients: 20, reload: time.Second, kill: time.Hour})
	cancel()
	steady.cut()
	mortal.cut()
	start, err := f.settled(ctx, usage{}, o.settle)
	if err != nil {
		return false, err
	}
	fmt.Printf("start: %v\n", start)

	under, cancel := lasting(ctx, o.duration)
	defer cancel()
	var peak usage
	var wg sync.WaitGroup
	wg.Go(func() { peak = watch(under, f, c) }) // ended by under, awaited below
	load(under, f, c, mortal, o)
	wg.Wait()
	steady.cut()
	mortal.cut()
	end, err := f.settled(ctx, start, o.settle)
	if err != nil {
		return false, err
	}
	fmt.Print(table(start, peak, end))
	fmt.Print(c)
	return end.backAt(start) && c.clean(o), ctx.Err()
}

// lasting is a context that ends after d, and has no deadline: net.Dialer would
// report its end as a time-out before ctx.Err tells why.
func lasting(ctx context.Context, d time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	end := time.AfterFunc(d, cancel)
	return ctx, func() { end.Stop(); cancel() }
}

// watch asks the front for its usage each second, and returns the most of each.
func watch(ctx context.Context, f *front, c *counts) (peak usage) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return peak
		case <-tick.C:
		}
		u, err := f.usage()
		if err != nil {
			c.note(&c.unmeasured, "metrics: %v", err)
			continue
		}
		peak = peak.most(u)
		if n%30 == 0 {
			fmt.Printf("%v: %v; %d pages, %d tunnels open, %d push clients, %d messages\n",
				time.Duration(n)*time.Second, u, c.pages.Load(), c.tunnelsOpen.Load(), c.pushOpen.Load(), c.messages.Load())
		}
	}
}

// load runs everything until ctx is done, and waits for its end.
func load(ctx context.Context, f *front, c *counts, mortal *backend, o options) {
	var wg sync.WaitGroup
	start := func(n int, work func(i int)) {
		for i := range n {
			wg.Go(func() { work(i) }) // ended by ctx, awaited below
		}
	}
	start(4, func(i int) { f.pages(ctx, c, i%2 == 0) })
	start(2, func(i int) { f.mortalPages(ctx, c, i%2 == 0) })
	start(2, func(i int) { f.uploads(ctx, c, i%2 == 0, i) })
	start(2, func(i int) { f.downloads(ctx, c, i%2 == 0) })
	start(o.tunnels, func(i int) { f.tunnel(ctx, c, i) })
	start(min(o.tunnels, 50), func(int) { f.mortalTunnel(ctx, c) })
	start(o.pushClients, func(int) { f.pushClient(ctx, c) })
	start(1, func(int) { f.publishNumbers(ctx, c) })
	start(1, func(int) { f.reloads(ctx, c, o.reload) })
	if mortal != nil {
		start(1, func(int) { mortal.die(ctx, c, o.kill) })
	}
	wg.Wait()
}

// pause waits, and reports whether there is still work to do.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
