package relay_test

import (
	"io"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsfront/proxy/frame"
	"wsfront/proxy/relay"
)

// BenchmarkFollow tells what it costs the engine to follow frames: the CPU time
// of its loop per message that a client on TLS sends and gets back, with frames
// followed, with rules for them, and without, in turns over as many tunnels. The
// far ends do not count. The figures are medians of the turns, and of how much more
// a turn cost than the one without beside it.
func BenchmarkFollow(b *testing.B) {
	const tunnels = 100
	runtime.LockOSThread() // the clock is the thread's
	defer runtime.UnlockOSThread()
	e, step, err := relay.NewStillEngine()
	if err != nil {
		b.Fatal(err)
	}
	rules := frame.Rules{Validate: true, MaxMessage: 1 << 20, MaxFragments: 100, MessageRate: 1e9, Burst: 1e6}
	variants := []struct {
		name   string
		frames *relay.Frames
		beds   []*bed
		turns  []float64
	}{
		{name: "without"},
		{name: "followed", frames: &relay.Frames{}},
		{name: "ruled", frames: &relay.Frames{FromClient: rules, FromBackend: rules}},
	}
	for i := range variants {
		for range tunnels {
			bed := open(b, e, "tls", "tcp", relay.Options{IdleTimeout: time.Hour, Frames: variants[i].frames})
			bed.client.SetDeadline(time.Time{})
			bed.backend.SetDeadline(time.Time{})
			variants[i].beds = append(variants[i].beds, bed)
		}
		step()
	}
	var payload [119]byte
	question := wsPeer{mask: true}.frame(opText, string(payload[:]))
	answer := wsPeer{}.frame(opText, string(payload[:]))
	for turn := 0; b.Loop(); turn++ {
		for i := range variants {
			v := &variants[(i+turn)%len(variants)]
			used := pass(b, v.beds, question, step, func(bed *bed) (from, to net.Conn) { return bed.client, bed.backend }) +
				pass(b, v.beds, answer, step, func(bed *bed) (from, to net.Conn) { return bed.backend, bed.client })
			v.turns = append(v.turns, float64(used)/tunnels)
		}
	}
	b.StopTimer()
	keepRunning(b, e) // so that the tunnels can end
	for _, v := range variants {
		more := make([]float64, len(v.turns))
		for i, ns := range v.turns {
			more[i] = 100 * (ns/variants[0].turns[i] - 1)
		}
		if v.frames != nil {
			b.ReportMetric(median(more), v.name+"-%more")
		}
		b.ReportMetric(median(v.turns), v.name+"-ns/msg")
	}
	b.ReportMetric(0, "ns/op")
}

func median(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

// pass has a message go one way through each tunnel, and returns the CPU time of
// the loop.
func pass(b *testing.B, beds []*bed, msg []byte, step func(), way func(*bed) (from, to net.Conn)) int64 {
	for _, bed := range beds {
		from, _ := way(bed)
		if _, err := from.Write(msg); err != nil {
			b.Fatal(err)
		}
	}
	before := threadCPU(b)
	step()
	used := threadCPU(b) - before
	got := make([]byte, len(msg))
	for _, bed := range beds {
		_, to := way(bed)
		if _, err := io.ReadFull(to, got); err != nil {
			b.Fatal(err)
		}
	}
	return used
}

func threadCPU(b *testing.B) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		b.Fatal(err)
	}
	return ts.Nano()
}
