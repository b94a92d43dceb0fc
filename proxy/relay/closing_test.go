package relay_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wsfront/proxy/frame"
	"wsfront/proxy/relay"
)

// A side that breaks a rule behind a message that nobody takes is told of it at
// once, and the tunnel ends in its time.
func TestFrames_ViolationBehindAStalledReaderEndsTheTunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nearClient, client := newDuplex()
		nearBackend, backend := newDuplex()
		o := relay.Options{Frames: &relay.Frames{FromClient: frame.Rules{MaxMessage: 100}}}
		results := make(chan relay.Result, 1)
		goroutines(t).Start(nearClient, nearBackend, &o, relay.Early{}, tell(func(r relay.Result) { results <- r }))
		c := wsPeer{t, client, bufio.NewReader(client), true}
		write(t, client, string(c.frame(opText, "hello"))+string(c.frame(opText, strings.Repeat("x", 101))))
		c.want(opClose, closePayload(1009, "message too big"))
		r := <-results
		if r.Reason != relay.ClientViolated || r.Duration != 5*time.Second {
			t.Errorf("ended by %q after %v, want %q after 5 s", r.Reason, r.Duration, relay.ClientViolated)
		}
		client.Close()
		backend.Close()
	})
}

// A client that goes on talking after its Close, to a backend that takes nothing
// any more, does not keep the tunnel from ending.
func TestFrames_TalkAfterTheCloseDoesNotKeepTheTunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nearClient, client := newDuplex()
		nearBackend, backend := newDuplex()
		results := make(chan relay.Result, 1)
		tunnel := goroutines(t).Start(nearClient, nearBackend, &relay.Options{Frames: &relay.Frames{}}, relay.Early{},
			tell(func(r relay.Result) { results <- r }))
		c := wsPeer{t, client, bufio.NewReader(client), true}
		d := wsPeer{t, backend, bufio.NewReader(backend), false}
		go c.send(opClose, closePayload(1000, "")) // ends with the next line
		d.want(opClose, closePayload(1000, ""))
		tunnel.Close(1001, "")
		c.want(opClose, closePayload(1001, ""))
		synctest.Wait() // until both have had their Close
		c.send(opText, "one more thing")
		select {
		case r := <-results:
			wantCut(t, r, relay.Closed, 2*time.Second)
		case <-time.After(time.Minute):
			t.Error("the tunnel does not end")
		}
		client.Close()
		backend.Close()
	})
}

// counted counts what is read from a connection.
type counted struct {
	net.Conn
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// Bytes that turn out to be no frames pass as they came, also where a Close had
// been waiting for the end of one.
func TestFrames_LostWhileClosingIsNotCutUp(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		const size = 64 << 10
		b := connectBoth(t, "tcp", "tcp")
		var sealed atomic.Int64
		client, near := secure(t, counted{b.client, &sealed}, b.near[0], "tls", true)
		b.near[0] = near
		b.start(e, relay.Options{Frames: &relay.Frames{}}, relay.Early{})
		write(t, b.backend, "\x82")
		wantRead(t, client, "\x82")
		b.tunnel.Close(1001, "")
		wsPeer{t, b.backend, bufio.NewReader(b.backend), false}.want(opClose, closePayload(1001, ""))
		before := sealed.Load()
		write(t, b.backend, strings.Repeat("\xff", size))
		if _, err := io.ReadFull(client, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if got := sealed.Load() - before; got > 2*size {
			t.Errorf("%d bytes on the wire for %d", got, size)
		}
	})
}
