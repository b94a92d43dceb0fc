package relay_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wsfront/proxy/frame"
	"wsfront/proxy/relay"
)

// The opcodes of RFC 6455 §5.2 that the tests use.
const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// A peer of WebSocket is one far end of a tunnel.
type wsPeer struct {
	t    testing.TB
	c    net.Conn
	r    *bufio.Reader
	mask bool // it is the client
}

func wsPeers(b *bed) (client, backend wsPeer) {
	return wsPeer{b.t, b.client, bufio.NewReader(b.client), true},
		wsPeer{b.t, b.backend, bufio.NewReader(b.backend), false}
}

// frame is one frame, masked as this peer has to.
func (p wsPeer) frame(op byte, payload string) []byte {
	b := []byte{0x80 | op, 0}
	switch n := len(payload); {
	case n < 126:
		b[1] = byte(n)
	case n < 1<<16:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if p.mask {
		b[1] |= 0x80
		b = append(b, 0, 0, 0, 0) // a key that changes nothing
	}
	return append(b, payload...)
}

func (p wsPeer) send(op byte, payload string) {
	p.t.Helper()
	if _, err := p.c.Write(p.frame(op, payload)); err != nil {
		p.t.Fatal(err)
	}
}

// read returns the next frame.
func (p wsPeer) read() (op byte, payload string) {
	p.t.Helper()
	op, payload, err := p.tryRead()
	if err != nil {
		p.t.Fatalf("read a frame: %v", err)
	}
	return op, payload
}

func (p wsPeer) tryRead() (op byte, payload string, err error) {
	var head [14]byte
	if _, err := io.ReadFull(p.r, head[:2]); err != nil {
		return 0, "", err
	}
	rest := map[byte]int{126: 2, 127: 8}[head[1]&0x7f]
	masked := head[1]&0x80 != 0
	if masked == p.mask {
		return 0, "", errors.New("it is masked for the wrong side")
	}
	if masked {
		rest += 4
	}
	if _, err := io.ReadFull(p.r, head[2:2+rest]); err != nil {
		return 0, "", err
	}
	n := uint64(head[1] & 0x7f)
	switch n {
	case 126:
		n = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		n = binary.BigEndian.Uint64(head[2:])
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(p.r, body); err != nil {
		return 0, "", err
	}
	for i := range body {
		if masked {
			body[i] ^= head[2+rest-4+i%4]
		}
	}
	return head[0] & 0xf, string(body), nil
}

func (p wsPeer) want(op byte, payload string) {
	p.t.Helper()
	if gotOp, got := p.read(); gotOp != op || got != payload {
		p.t.Fatalf("read opcode %d with %.60q, want %d with %.60q", gotOp, got, op, payload)
	}
}

// closePayload is that of a Close frame.
func closePayload(code uint16, text string) string {
	return string(binary.BigEndian.AppendUint16(nil, code)) + text
}

func TestFrames_MessagesAndCloseAreAccounted(t *testing.T) {
	eachPair(t, func(t *testing.T, e *relay.Engine, client, backend string) {
		b := open(t, e, client, backend, relay.Options{Frames: &relay.Frames{}})
		c, d := wsPeers(b)
		for range 3 {
			c.send(opText, "up")
			d.want(opText, "up")
		}
		d.send(opText, strings.Repeat("down", 1000))
		c.want(opText, strings.Repeat("down", 1000))
		c.send(opPing, "theirs")
		d.want(opPing, "theirs")
		if s := b.tunnel.Stats(); s.FromClient.Messages != 3 || s.FromBackend.Messages != 1 {
			t.Errorf("the account is %+v while the tunnel lives, want 3 messages up, 1 down", s)
		}
		c.send(opClose, closePayload(4711, "enough"))
		d.want(opClose, closePayload(4711, "enough"))
		d.send(opClose, closePayload(4711, ""))
		c.want(opClose, closePayload(4711, ""))
		d.c.Close()
		c.c.Close()
		r := b.wait()
		if r.FromClient.Messages != 3 || r.FromBackend.Messages != 1 || r.CloseCode != 4711 || r.ClosedBy != "client" || r.CloseReason != "enough" {
			t.Errorf("got %+v, want 3 messages up, 1 down, closed by the client with 4711 and its reason", r)
		}
	})
}

// The pongs that answer the front's pings must not reach the other side, which
// asked for none; the peers' own do.
func TestFrames_PingsGoToBothSidesAndTheirPongsAreTakenOut(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		b := open(t, e, "tls", "tcp", relay.Options{Frames: &relay.Frames{}, Ping: 60 * time.Millisecond})
		c, d := wsPeers(b)
		answer := func(p wsPeer) {
			op, payload := p.read()
			if op != opPing || len(payload) == 0 {
				t.Fatalf("read opcode %d with %q, want a ping", op, payload)
			}
			p.send(opPong, payload)
		}
		for range 3 {
			answer(c)
			answer(d)
		}
		c.send(opPong, "nobody asked")
		for {
			op, payload := d.read()
			if op == opPing {
				d.send(opPong, payload)
				continue
			}
			if op != opPong || payload != "nobody asked" {
				t.Errorf("the backend read opcode %d with %q, want only the client's own pong", op, payload)
			}
			break
		}
		b.tunnel.Cut()
		if r := b.wait(); r.FromClient.Bytes != int64(len(c.frame(opPong, "nobody asked"))) || r.FromBackend.Bytes != 0 {
			t.Errorf("counted %+v, want nothing but the client's own pong", r)
		}
	})
}

func TestFrames_SideThatDoesNotAnswerIsDead(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		for _, dead := range []string{"client", "backend"} {
			b := open(t, e, "tcp", "tls", relay.Options{Frames: &relay.Frames{}, Ping: 30 * time.Millisecond})
			c, d := wsPeers(b)
			alive, want := c, relay.BackendSilent
			if dead == "client" {
				alive, want = d, relay.ClientSilent
			}
			for {
				op, payload, err := alive.tryRead()
				if err != nil {
					break
				}
				if op == opPing {
					alive.c.Write(alive.frame(opPong, payload))
				}
			}
			b.wantReason(want)
		}
	})
}

// drainBed is a tunnel with a message of 1 MiB on its way up, of which half has
// arrived.
func drainBed(t *testing.T, e *relay.Engine, client, backend string) (b *bed, c, d wsPeer, rest func()) {
	b = open(t, e, client, backend, relay.Options{Frames: &relay.Frames{}})
	c, d = wsPeers(b)
	big := c.frame(opText, strings.Repeat("x", 1<<20))
	half := len(big) / 2
	sent := make(chan error, 1)
	go func() { // ends with its write; waited for below
		_, err := c.c.Write(big[:half])
		sent <- err
	}()
	if _, err := d.r.Peek(d.r.Size()); err != nil {
		t.Fatal(err)
	}
	return b, c, d, func() {
		// What follows the message at once must not pass any more.
		go func() { // ends with its write, or the tunnel; waited for through sent
			_, err := c.c.Write(append(big[half:], c.frame(opText, "too late")...))
			sent <- err
		}()
		d.want(opText, strings.Repeat("x", 1<<20))
		for range 2 {
			if err := <-sent; err != nil {
				t.Error(err)
			}
		}
	}
}

func TestFrames_CloseComesAfterTheMessageOnItsWay(t *testing.T) {
	eachPair(t, func(t *testing.T, e *relay.Engine, client, backend string) {
		b, c, d, rest := drainBed(t, e, client, backend)
		b.tunnel.Close(1012, "restart")
		c.want(opClose, closePayload(1012, "restart")) // at once, as the way down is quiet
		rest()
		d.want(opClose, closePayload(1012, "restart"))
		c.send(opClose, closePayload(1012, ""))
		d.send(opClose, closePayload(1012, ""))
		r := b.wantReason(relay.Closed)
		if r.CloseCode != 1012 || r.ClosedBy != "front" || r.CloseReason != "restart" || r.FromClient.Messages < 1 {
			t.Errorf("got %+v, want a close by the front with 1012 after the message", r)
		}
		if _, _, err := c.tryRead(); err != io.EOF {
			t.Errorf("the client read %v after the Close, want an end", err)
		}
	})
}

func TestFrames_DrainClosesEveryTunnel(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		b, c, d, rest := drainBed(t, e, "tls", "tcp")
		quiet := open(t, e, "tcp", "tcp", relay.Options{Frames: &relay.Frames{}})
		qc, qd := wsPeers(quiet)
		bytesOnly := open(t, e, "tcp", "tls", relay.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		drained := make(chan error, 1)
		go func() { drained <- e.Shutdown(ctx) }() // ends with ctx; waited for below
		for _, p := range []wsPeer{qc, qd} {
			p.want(opClose, closePayload(1001, "drained"))
			p.send(opClose, closePayload(1001, ""))
		}
		c.want(opClose, closePayload(1001, "drained"))
		rest()
		c.send(opClose, closePayload(1001, ""))
		d.want(opClose, closePayload(1001, "drained"))
		d.send(opClose, closePayload(1001, ""))
		wantEOF(t, bytesOnly.client)
		if err := <-drained; err != nil {
			t.Error(err)
		}
		for _, bed := range []*bed{b, quiet, bytesOnly} {
			bed.wantReason(relay.Drained)
		}
		if n := e.Tunnels(); n != 0 {
			t.Errorf("%d tunnels are left", n)
		}
	})
}

func TestFrames_DrainThatRunsOutOfTimeCutsTheRest(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		b := open(t, e, "tls", "tcp", relay.Options{Frames: &relay.Frames{}})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := e.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline's error", err)
		}
		if n := e.Tunnels(); n != 0 {
			t.Errorf("%d tunnels are left", n)
		}
		b.wait()
	})
}

// A stream without a pause ends hardly any read between two frames.
func TestFrames_CloseFindsItsWayIntoAStreamWithoutAPause(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		b := open(t, e, "tls", "tcp", relay.Options{Frames: &relay.Frames{}})
		c, d := wsPeers(b)
		stream := bytes.Repeat(d.frame(opText, strings.Repeat("y", 1000)), 1000)
		flooded := make(chan struct{})
		go func() { // ends with the tunnel; waited for below
			defer close(flooded)
			for {
				if _, err := d.c.Write(stream); err != nil {
					return
				}
			}
		}()
		c.want(opText, strings.Repeat("y", 1000))
		b.tunnel.Close(4000, "that will do")
		for {
			op, payload := c.read()
			if op == opText && len(payload) == 1000 {
				continue
			}
			if op != opClose || payload != closePayload(4000, "that will do") {
				t.Errorf("read opcode %d with %.60q, want the Close", op, payload)
			}
			break
		}
		b.tunnel.Cut()
		b.wantReason(relay.Closed)
		<-flooded
	})
}

func TestFrames_ViolationGetsItsCodeAndTheOtherSideACleanClose(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules frame.Rules
		sent  []byte
		code  uint16
	}{
		{"too big", frame.Rules{MaxMessage: 100}, wsPeer{mask: true}.frame(opText, strings.Repeat("z", 101)), 1009},
		{"unmasked", frame.Rules{Validate: true}, wsPeer{}.frame(opText, "hello"), 1002},
		{"too often", frame.Rules{MessageRate: 0.001}, bytes.Repeat(wsPeer{mask: true}.frame(opPing, ""), 2), 1008},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, e *relay.Engine) {
				b := open(t, e, "tls", "tcp", relay.Options{Frames: &relay.Frames{FromClient: c.rules}})
				client, backend := wsPeers(b)
				write(t, b.client, string(c.sent))
				if op, payload := client.read(); op != opClose || binary.BigEndian.Uint16([]byte(payload)) != c.code {
					t.Errorf("the client read opcode %d with %q, want a Close with %d", op, payload, c.code)
				}
				op, payload := backend.read()
				if op == opPing {
					op, payload = backend.read()
				}
				if op != opClose || payload != closePayload(1001, "") {
					t.Errorf("the backend read opcode %d with %q, want a Close with 1001", op, payload)
				}
				backend.send(opClose, closePayload(1001, ""))
				client.c.Close()
				r := b.wait()
				v := &frame.Violation{}
				if r.Reason != relay.ClientViolated || !errors.As(r.Err, &v) || r.CloseCode != c.code || r.ClosedBy != "front" || r.CloseReason != v.Reason {
					t.Errorf("got %+v, want a violation of the client, closed with %d", r, c.code)
				}
			})
		})
	}
}

func TestFrames_LostFramesAreCutWithoutAClose(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		b := open(t, e, "tcp", "tcp", relay.Options{Frames: &relay.Frames{}})
		write(t, b.client, "these are no frames")
		write(t, b.backend, "nor are these")
		wantRead(t, b.backend, "these are no frames")
		wantRead(t, b.client, "nor are these")
		b.tunnel.Close(1001, "")
		b.wantReason(relay.Closed)
		wantEOF(t, b.client)
		wantEOF(t, b.backend)
	})
}

func TestFrames_LifetimeAndSilenceEndWithAClose(t *testing.T) {
	for _, c := range []struct {
		o    relay.Options
		want relay.Reason
	}{
		{relay.Options{MaxLifetime: 30 * time.Millisecond}, relay.LifetimeOver},
		{relay.Options{IdleTimeout: 30 * time.Millisecond}, relay.IdleTimedOut},
	} {
		onBoth(t, func(t *testing.T, e *relay.Engine) {
			c.o.Frames = &relay.Frames{}
			b := open(t, e, "tls", "tcp", c.o)
			client, backend := wsPeers(b)
			for _, p := range []wsPeer{client, backend} {
				p.want(opClose, closePayload(1001, string(c.want)))
				p.send(opClose, closePayload(1001, ""))
			}
			b.wantReason(c.want)
		})
	}
}

func TestFrames_PingsAreNoMovement(t *testing.T) {
	o := relay.Options{IdleTimeout: time.Minute, Ping: 25 * time.Second, Frames: &relay.Frames{}}
	r := onFakeClock(t, o, func(client, backend duplex) {
		for _, p := range []wsPeer{
			{t, client, bufio.NewReader(client), true},
			{t, backend, bufio.NewReader(backend), false},
		} {
			go func() { // ends with the tunnel; synctest.Test waits for it
				for {
					op, payload, err := p.tryRead()
					if err != nil {
						return
					}
					answer := map[byte]byte{opPing: opPong, opClose: opClose}[op]
					p.c.Write(p.frame(answer, payload))
				}
			}()
		}
	})
	wantCut(t, r, relay.IdleTimedOut, time.Minute)
	if r.CloseCode != 1001 || r.FromClient.Bytes+r.FromBackend.Bytes != 0 {
		t.Errorf("got %+v, want a close with 1001, and no byte counted", r)
	}
}

func TestFrames_DeadSideIsCutAfterTwoIntervals(t *testing.T) {
	o := relay.Options{Ping: 30 * time.Second, Frames: &relay.Frames{}}
	r := onFakeClock(t, o, func(client, backend duplex) {
		go io.Copy(io.Discard, client) // both end with the tunnel; synctest.Test waits for them
		go io.Copy(io.Discard, backend)
	})
	wantCut(t, r, relay.ClientSilent, time.Minute) // the first that is looked at
}

// A stream that says something all the time needs no ping for its own sake, but
// the way to its source is silent, and a timeout there counts that.
func TestFrames_SideThatIsNotSpokenToIsPinged(t *testing.T) {
	pings := 0
	o := relay.Options{Ping: 30 * time.Second, MaxLifetime: 5 * time.Minute, Frames: &relay.Frames{}}
	onFakeClock(t, o, func(client, backend duplex) {
		go func() { // ends before the tunnel; synctest.Test waits for it
			for range 29 {
				time.Sleep(10 * time.Second)
				backend.Write(wsPeer{}.frame(opText, "news"))
			}
		}()
		for _, p := range []wsPeer{
			{t, client, bufio.NewReader(client), true},
			{t, backend, bufio.NewReader(backend), false},
		} {
			go func() { // likewise
				for {
					op, payload, err := p.tryRead()
					if err != nil {
						return
					}
					if op == opPing {
						if !p.mask {
							pings++
						}
						p.c.Write(p.frame(opPong, payload))
					}
				}
			}()
		}
	})
	if pings < 8 {
		t.Errorf("the backend got %d pings in 5 minutes, want one every 30 s", pings)
	}
}

func TestFrames_CloseWaitsForABoundaryAndForAnswersOnlySoLong(t *testing.T) {
	for _, c := range []struct {
		name string
		sent string
		want time.Duration
	}{
		{"within a frame", string(wsPeer{mask: true}.frame(opText, "unfinished")[:9]), 5 * time.Second},
		{"no answers", "", 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nearClient, client := newDuplex()
				nearBackend, backend := newDuplex()
				go io.Copy(io.Discard, client) // both end with the tunnel; synctest.Test waits for them
				go io.Copy(io.Discard, backend)
				results := make(chan relay.Result, 1)
				tunnel := goroutines(t).Start(nearClient, nearBackend, &relay.Options{Frames: &relay.Frames{}}, relay.Early{FromClient: []byte(c.sent)},
					tell(func(r relay.Result) { results <- r }))
				synctest.Wait()
				tunnel.Close(1001, "")
				wantCut(t, <-results, relay.Closed, c.want)
				client.Close()
				backend.Close()
			})
		})
	}
}
