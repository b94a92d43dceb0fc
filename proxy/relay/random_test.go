package relay_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"wsfront/proxy/relay"
)

// 500 tunnels whose two peers talk, listen, half-close, close and reset in a
// random order. Whatever they do, the tunnel ends, both its connections are
// closed, no byte is invented, lost in the middle or changed, and (TestMain)
// no goroutine stays.
func TestRelay_RandomSchedules(t *testing.T) {
	e := loops(t)
	const seed = 20261122
	for i := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, i))
		client, backend := kinds[rng.IntN(len(kinds))], kinds[rng.IntN(len(kinds))]
		ok := t.Run(fmt.Sprintf("%d-%s-%s", i, client, backend), func(t *testing.T) {
			b := open(t, e, client, backend, relay.Options{Linger: 20 * time.Millisecond})

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
		})
		if !ok {
			return
		}
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
	buf := make([]byte, 256<<10)
	for range p.rng.IntN(6) {
		b := buf[:1+p.rng.IntN(len(buf))]
		if p.rng.IntN(2) == 0 {
			for i := range b {
				b[i] = place(p.sent + int64(i))
			}
			// What a failed write handed over is not known: count all of it.
			p.sent += int64(len(b))
			p.conn.SetWriteDeadline(time.Now().Add(5 * time.Millisecond))
			if _, err := p.conn.Write(b); err != nil {
				// It may have stopped within a TLS record, into which a
				// close_notify must not be written now.
				abort(p.conn)
				return
			}
			continue
		}
		p.conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		n, err := p.conn.Read(b)
		for i, c := range b[:n] {
			if c != place(p.got+int64(i)) {
				t.Errorf("byte %d is not the one that was sent there", p.got+int64(i))
				return
			}
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

// place has a period that no buffer size shares.
func place(i int64) byte { return byte(i % 251) }
