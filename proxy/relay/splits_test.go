package relay_test

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wsfront/proxy/frame"
	"wsfront/proxy/relay"
)

// However the stream was cut into reads, and whatever of it is held back for a
// moment, it goes on as it was.
func TestFrames_WhereReadsEndMakesNoDifference(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var stream []byte
	for range 500 {
		op := []byte{opText, opPing, opPong}[rng.IntN(3)]
		stream = append(stream, wsPeer{mask: true}.frame(op, strings.Repeat("0123456789", rng.IntN(12)))...)
	}
	near, client := newDuplex() // each write of which is one read
	nearBackend, backend := newDuplex()
	o := relay.Options{Frames: &relay.Frames{FromClient: frame.Rules{Validate: true}}}
	tunnel := goroutines(t).Start(near, nearBackend, &o, relay.Early{}, tell(func(relay.Result) {}))
	defer tunnel.Cut()
	go func() { // ends with the stream, which is read below
		for rest := stream; len(rest) > 0; {
			n := min(1+rng.IntN(60), len(rest))
			client.Write(rest[:n])
			rest = rest[n:]
		}
	}()
	got := make([]byte, len(stream))
	if _, err := io.ReadFull(backend, got); err != nil || !bytes.Equal(got, stream) {
		t.Errorf("what arrived is not what was sent (%v)", err)
	}
}

// A frame that its source does not complete is not swallowed.
func TestFrames_PartOfAHeaderPassesWhenItsSourceEnds(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		b := open(t, e, "tls", "tcp", relay.Options{Frames: &relay.Frames{FromClient: frame.Rules{Validate: true}}})
		part := string(wsPeer{mask: true}.frame(opText, "hello")[:4])
		write(t, b.client, part)
		closeWrite(t, b.client)
		wantRead(t, b.backend, part)
		wantEOF(t, b.backend)
	})
}

// While the backend takes its time with what the client said, the client's pong
// stays unread behind that. It is no sign of death.
func TestFrames_PongBehindAStalledReaderIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nearClient, client := newDuplex()
		nearBackend, backend := newDuplex()
		o := relay.Options{Ping: 10 * time.Second, Frames: &relay.Frames{}}
		e := goroutines(t)
		tunnel := e.Start(nearClient, nearBackend, &o, relay.Early{}, tell(func(relay.Result) {}))
		c := wsPeer{t, client, bufio.NewReader(client), true}
		d := wsPeer{t, backend, bufio.NewReader(backend), false}
		for _, p := range []wsPeer{c, d} {
			go func() { // ends with the tunnel; synctest.Test waits for it
				if p == d {
					time.Sleep(time.Minute)
				}
				for {
					op, payload, err := p.tryRead()
					if err != nil {
						return
					}
					if op == opPing {
						p.c.Write(p.frame(opPong, payload))
					}
				}
			}()
		}
		c.send(opText, "nobody reads this for a minute")
		time.Sleep(2 * time.Minute)
		if s := tunnel.Stats(); e.Tunnels() != 1 || s.FromClient.Messages != 1 {
			t.Errorf("%d tunnels live, %+v; want this one, with the message", e.Tunnels(), s)
		}
		tunnel.Cut()
		backend.Close()
		client.Close()
	})
}

// corked holds back what is written to it while it is corked.
type corked struct {
	net.Conn
	held *bytes.Buffer // nil while it is not
}

func (c *corked) Write(p []byte) (int, error) {
	if c.held != nil {
		return c.held.Write(p)
	}
	return c.Conn.Write(p)
}

func (c *corked) uncork() error {
	held := c.held
	c.held = nil
	_, err := c.Conn.Write(held.Bytes())
	return err
}

// One read may give many records of TLS, each with a part of a frame's header.
func TestFrames_WhereRecordsEndMakesNoDifference(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		rng := rand.New(rand.NewPCG(5, 6))
		b := connectBoth(t, "tcp", "tcp")
		cork := &corked{Conn: b.client}
		client, near := secure(t, cork, b.near[0], "tls", true)
		b.near[0] = near
		b.start(e, relay.Options{Frames: &relay.Frames{FromClient: frame.Rules{Validate: true}}}, relay.Early{})
		for range 50 {
			var sent []byte
			for range 20 {
				op := []byte{opText, opPing, opPong}[rng.IntN(3)]
				sent = append(sent, wsPeer{mask: true}.frame(op, strings.Repeat("x", rng.IntN(3)))...)
			}
			cork.held = new(bytes.Buffer)
			for rest := sent; len(rest) > 0; {
				n := min(1+rng.IntN(5), len(rest))
				write(t, client, string(rest[:n]))
				rest = rest[n:]
			}
			if err := cork.uncork(); err != nil {
				t.Fatal(err)
			}
			wantRead(t, b.backend, string(sent))
		}
	})
}
