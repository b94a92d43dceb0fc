package relay_test

import (
	"bufio"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"wsfront/proxy/relay"
)

// How long a client takes to answer is told of the tunnel and of them all, also
// where it says something else before. A backend's answers are not in it.
func TestPing_RoundTripOfTheClientIsKept(t *testing.T) {
	for _, chatty := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			nearClient, client := newDuplex()
			nearBackend, backend := newDuplex()
			e := goroutines(t)
			results := make(chan relay.Result, 1)
			tunnel := e.Start(nearClient, nearBackend, &relay.Options{Ping: 30 * time.Second, Frames: &relay.Frames{}}, relay.Early{},
				tell(func(r relay.Result) { results <- r }))
			answer := func(c net.Conn, client bool, after time.Duration) { // ends with the tunnel; synctest.Test waits for it
				p := wsPeer{t, c, bufio.NewReader(c), client}
				for {
					op, payload, err := p.tryRead()
					if err != nil {
						return
					}
					if op != opPing {
						continue
					}
					time.Sleep(after)
					if chatty && client {
						p.c.Write(p.frame(opText, "I am busy"))
						time.Sleep(time.Second)
					}
					p.c.Write(p.frame(opPong, payload))
				}
			}
			go answer(client, true, 3*time.Second)
			go answer(backend, false, 500*time.Millisecond)
			time.Sleep(29 * time.Second)
			if s := tunnel.Stats(); !s.Ponged.IsZero() || s.PingRoundTrip != 0 {
				t.Errorf("before the first ping: %+v", s)
			}
			begin := time.Now()
			time.Sleep(10 * time.Second)
			want := 3 * time.Second
			if chatty {
				want += time.Second
			}
			s := tunnel.Stats()
			if s.PingRoundTrip != want || !s.Ponged.Equal(begin.Add(time.Second+want)) {
				t.Errorf("chatty %v: answered at %v within %v, want at %v within %v", chatty, s.Ponged, s.PingRoundTrip, begin.Add(time.Second+want), want)
			}
			if d := e.PingRoundTrip().Distribution(); d.Count() != 1 || d.Sum != want {
				t.Errorf("chatty %v: counted %d of %v, want the client's alone", chatty, d.Count(), d.Sum)
			}
			tunnel.Cut()
			<-results
			client.Close()
			backend.Close()
		})
	}
}

func TestPing_RoundTripIsKeptByAnyEngine(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		b := open(t, e, "tls", "tcp", relay.Options{Frames: &relay.Frames{}, Ping: 20 * time.Millisecond})
		c, d := wsPeers(b)
		op, payload := c.read()
		if op != opPing {
			t.Fatalf("read opcode %d, want a ping", op)
		}
		before := time.Now()
		c.send(opPong, "another") // asked for by nobody, it passes
		c.send(opPong, payload)
		c.send(opText, "behind it")
		for op, payload := d.read(); op != opText; op, payload = d.read() {
			if op == opPing {
				d.send(opPong, payload)
			}
		}
		if s := b.tunnel.Stats(); s.PingRoundTrip <= 0 || s.Ponged.Before(before.Add(-time.Second)) || e.PingRoundTrip().Distribution().Count() == 0 {
			t.Errorf("answered at %v within %v, %d counted", s.Ponged, s.PingRoundTrip, e.PingRoundTrip().Distribution().Count())
		}
	})
}
