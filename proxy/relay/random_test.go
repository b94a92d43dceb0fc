package relay_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wsfront/proxy/relay"
)

// Tunnels whose two peers talk, listen, half-close, close and reset in a random
// order, many at a time. Whatever they do, the tunnel ends, both its connections
// are closed, no byte is invented, lost in the middle or changed, and no
// goroutine (TestMain) and no descriptor stays.
func TestRelay_RandomSchedules(t *testing.T) {
	const (
		seed   = 20261122
		atOnce = 192
	)
	for name, c := range map[string]struct {
		start     func(testing.TB) *relay.Engine
		schedules int64
	}{
		"loops":      {loops, 10_000},
		"goroutines": {goroutines, 1_000},
	} {
		listener() // which stays
		before := descriptors(t)
		t.Run(name, func(t *testing.T) {
			e := c.start(t)
			var next atomic.Int64
			var wg sync.WaitGroup
			for range atOnce {
				wg.Go(func() { // ends with the schedules; waited for below
					for i := next.Add(1); i <= c.schedules && !t.Failed(); i = next.Add(1) {
						rng := rand.New(rand.NewPCG(seed, uint64(i)))
						t.Run(fmt.Sprint(i), func(t *testing.T) { playSchedule(t, e, rng) })
					}
				})
			}
			wg.Wait()
		})
		if after := descriptors(t); after > before {
			t.Errorf("%s: %d descriptors are open, %d were before", name, after, before)
		}
	}
}

// descriptors is how many this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	dir, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(dir)
}

// randomKind is mostly cheap.
func randomKind(rng *rand.Rand) string {
	if n := rng.IntN(20); n < len(kinds) {
		return kinds[n]
	}
	return "tcp"
}

func playSchedule(t *testing.T, e *relay.Engine, rng *rand.Rand) {
	o := relay.Options{Linger: 20 * time.Millisecond}
	if rng.IntN(2) == 0 {
		o.Frames = &relay.Frames{} // which the bytes are not, at some place
	}
	b := open(t, e, randomKind(rng), randomKind(rng), o)
	var peers [2]peer
	var wg sync.WaitGroup
	for side, c := range []net.Conn{b.client, b.backend} {
		peers[side] = peer{conn: c, rng: rand.New(rand.NewPCG(rng.Uint64(), 0)), cut: b.tunnel.Cut}
		// Every schedule is finite, and c has a deadline.
		wg.Go(func() { peers[side].play(t) })
	}
	wg.Wait()
	r := b.wait()
	for _, way := range []struct{ sent, counted, got int64 }{
		{peers[0].sent, r.FromClient.Bytes, peers[1].got},
		{peers[1].sent, r.FromBackend.Bytes, peers[0].got},
	} {
		if way.got > way.counted || way.counted > way.sent {
			t.Errorf("sent %d, counted %d, received %d", way.sent, way.counted, way.got)
		}
	}
	if r.Err != nil {
		t.Errorf("%s: %v", r.Reason, r.Err)
	}
}

// A peer sends bytes of which each tells its place, and checks those it gets.
type peer struct {
	conn      net.Conn
	rng       *rand.Rand
	cut       func()
	sent, got int64
}

// play takes some random steps and ends the connection, one way or another.
// Errors are the other peer's doing and end the play.
func (p *peer) play(t *testing.T) {
	defer p.end()
	for range p.rng.IntN(6) {
		n := 1 + p.rng.IntN(4<<10)
		if p.rng.IntN(8) == 0 {
			n += p.rng.IntN(maxStep - 4<<10) // more than is taken at once
		}
		if p.rng.IntN(2) == 0 {
			// What a failed write handed over is not known: count all of it.
			said := placed(p.sent, n)
			p.sent += int64(n)
			p.conn.SetWriteDeadline(time.Now().Add(5 * time.Millisecond))
			if _, err := p.conn.Write(said); err != nil {
				// It may have stopped within a TLS record, into which a
				// close_notify must not be written now.
				abort(p.conn)
				return
			}
			continue
		}
		p.conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		heard := make([]byte, n)
		n, err := p.conn.Read(heard)
		if !bytes.Equal(heard[:n], placed(p.got, n)) {
			t.Errorf("bytes %d to %d are not those that were sent there", p.got, p.got+int64(n))
			return
		}
		p.got += int64(n)
		if ne, ok := err.(net.Error); err != nil && !(ok && ne.Timeout()) {
			return
		}
	}
}

func (p *peer) end() {
	switch p.rng.IntN(8) {
	case 0:
		p.cut()
		p.conn.Close()
	case 1, 2:
		abort(p.conn)
	case 3, 4, 5:
		p.conn.(interface{ CloseWrite() error }).CloseWrite()
		// The linger or the other peer ends the rest.
	default:
		p.conn.Close()
	}
}

const (
	maxStep = 256 << 10
	period  = 251 // which no buffer's size shares
)

// places holds bytes that tell their place in it, within a period.
var places = func() []byte {
	b := make([]byte, maxStep+period)
	for i := range b {
		b[i] = byte(i % period)
	}
	return b
}()

// placed are n bytes from a place on.
func placed(at int64, n int) []byte { return places[at%period:][:n] }
