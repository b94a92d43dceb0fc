package relay_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
	"time"

	"wsfront/proxy/relay"
)

func TestRelay_BothDirectionsAtOnceArriveWhole(t *testing.T) {
	const size = 3 << 20
	eachPair(t, func(t *testing.T, e *relay.Engine, client, backend string) {
		b := open(t, e, client, backend, relay.Options{})
		sums := make(chan [2][sha256.Size]byte, 2)
		for i, ends := range [][2]net.Conn{{b.client, b.backend}, {b.backend, b.client}} {
			data := make([]byte, size)
			rand.NewChaCha8([32]byte{byte(i)}).Read(data)
			go func() { // ends with its write, which the far end's deadline bounds
				if _, err := ends[0].Write(data); err != nil {
					t.Error(err)
				}
				closeWrite(t, ends[0])
			}()
			go func() { // likewise; waited for through sums
				got, err := io.ReadAll(ends[1])
				if err != nil {
					t.Error(err)
				}
				sums <- [2][sha256.Size]byte{sha256.Sum256(data), sha256.Sum256(got)}
			}()
		}
		for range 2 {
			if s := <-sums; s[0] != s[1] {
				t.Error("what arrived is not what was sent")
			}
		}
		if r := b.wait(); r.FromClient.Bytes != size || r.FromBackend.Bytes != size || r.Err != nil {
			t.Errorf("got %+v, want %d bytes each way", r, size)
		}
	})
}

func TestRelay_EarlyBytesArriveFirst(t *testing.T) {
	eachPair(t, func(t *testing.T, e *relay.Engine, client, backend string) {
		b := openEarly(t, e, client, backend, relay.Options{}, relay.Early{
			FromClient:  []byte("read with the request, "),
			FromBackend: []byte("read with the 101, "),
		})
		write(t, b.client, "then sent")
		write(t, b.backend, "then answered")
		wantRead(t, b.backend, "read with the request, then sent")
		wantRead(t, b.client, "read with the 101, then answered")
		b.client.Close()
		b.backend.Close()
		if r := b.wait(); r.FromClient.Bytes != 32 || r.FromBackend.Bytes != 32 {
			t.Errorf("counted %d and %d bytes, want 32 and 32", r.FromClient.Bytes, r.FromBackend.Bytes)
		}
	})
}

func TestRelay_ClientHalfCloseStillReceivesReply(t *testing.T) {
	eachPair(t, func(t *testing.T, e *relay.Engine, client, backend string) {
		b := open(t, e, client, backend, relay.Options{})
		write(t, b.client, "question")
		closeWrite(t, b.client)
		wantRead(t, b.backend, "question")
		wantEOF(t, b.backend)
		write(t, b.backend, "reply")
		b.backend.Close()
		wantRead(t, b.client, "reply")
		wantEOF(t, b.client)
		b.wantReason(relay.ClientClosed)
	})
}

func TestRelay_BackendHalfCloseStillReceivesReply(t *testing.T) {
	eachPair(t, func(t *testing.T, e *relay.Engine, client, backend string) {
		b := open(t, e, client, backend, relay.Options{})
		write(t, b.backend, "question")
		closeWrite(t, b.backend)
		wantRead(t, b.client, "question")
		wantEOF(t, b.client)
		write(t, b.client, "reply")
		b.client.Close()
		wantRead(t, b.backend, "reply")
		wantEOF(t, b.backend)
		b.wantReason(relay.BackendClosed)
	})
}

func TestRelay_AbortTravelsAsAbort(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		for _, client := range []string{"tcp", "tls", "tls12"} {
			for _, backend := range []string{"tcp", "tls", "tls12"} {
				t.Run(client+"-"+backend, func(t *testing.T) {
					b := open(t, e, client, backend, relay.Options{})
					abort(b.client)
					wantReset(t, b.backend)
					b.wantReason(relay.ClientAborted)

					b = open(t, e, client, backend, relay.Options{})
					abort(b.backend)
					wantReset(t, b.client)
					b.wantReason(relay.BackendAborted)
				})
			}
		}
	})
}

func TestRelay_EndWithinARecordIsAnAbort(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		b := open(t, e, "tls", "tcp", relay.Options{})
		write(t, b.client, "half of it")
		wantRead(t, b.backend, "half of it")
		write(t, raw(b.client), "\x17\x03\x03\x00\x20 and then")
		closeWrite(t, raw(b.client))
		wantReset(t, b.backend)
		b.wantReason(relay.ClientAborted)
	})
}

func TestRelay_ForgedRecordIsReported(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		b := open(t, e, "tls", "tcp", relay.Options{})
		write(t, raw(b.client), "\x17\x03\x03\x00\x20 thirty-two bytes nobody sealed.")
		wantReset(t, b.backend)
		if r := b.wait(); r.Reason != relay.ClientAborted || r.Err == nil {
			t.Errorf("got %+v, want an abort of the client with its error", r)
		}
	})
}

func wantReset(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %d bytes, %v; want a reset", n, err)
	}
}

// A client that closed altogether looks half-closed until something is written
// to it; that is no abort of its.
func TestRelay_FullCloseIsNoAbort(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		b := open(t, e, "tcp", "tcp", relay.Options{})
		b.client.Close()
		wantEOF(t, b.backend)
		for {
			if _, err := b.backend.Write([]byte("is anybody there?")); err != nil {
				break
			}
		}
		b.wantReason(relay.ClientClosed)
	})
}

func TestRelay_CutClosesBothAtOnce(t *testing.T) {
	eachPair(t, func(t *testing.T, e *relay.Engine, client, backend string) {
		b := open(t, e, client, backend, relay.Options{})
		// The other way, a write to the backend might not quite have returned.
		write(t, b.backend, "hello")
		wantRead(t, b.client, "hello")
		b.tunnel.Cut()
		b.wantReason(relay.Canceled)
		if _, err := b.client.Read(make([]byte, 1)); err == nil {
			t.Error("the client's end is still open")
		}
		// Below TLS, where a close_notify would be seen as bytes.
		wantEOF(t, raw(b.backend))
	})
}

// The peer that stopped reading in the middle of a message must not take what
// it has of it for the whole.
func TestRelay_CutWhileWritingIsAReset(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		b := open(t, e, "tcp", "tcp", relay.Options{})
		f := startFlood(b.client, 64<<20)
		f.waitUntilStuck(t)
		b.tunnel.Cut()
		b.wantReason(relay.Canceled)
		if _, err := io.Copy(io.Discard, b.backend); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the backend read its part to %v, want a reset", err)
		}
		<-f.done
	})
}

func TestRelay_EngineWhoseTimeIsOverCutsWhatBegins(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		b := open(t, e, "tcp", "tcp", relay.Options{Frames: &relay.Frames{}})
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := e.Shutdown(over); err == nil {
			t.Error("nothing had to be cut")
		}
		b.wait()
		for _, client := range []string{"tls", "tcp"} {
			b := open(t, e, client, "tcp", relay.Options{Frames: &relay.Frames{}})
			b.wantReason(relay.Canceled)
		}
	})
}

func TestRelay_DeadlinesOfTheHandshakeAreLifted(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		for _, client := range kinds {
			b := connectBoth(t, client, "tcp")
			for _, c := range b.near {
				c.SetReadDeadline(time.Unix(1, 0))
			}
			b.start(e, relay.Options{}, relay.Early{})
			write(t, b.client, "hello")
			wantRead(t, b.backend, "hello")
		}
	})
}

func TestReason_TextsDiffer(t *testing.T) {
	seen := map[relay.Reason]bool{"": true}
	for _, r := range []relay.Reason{
		relay.ClientClosed, relay.BackendClosed, relay.ClientAborted, relay.BackendAborted,
		relay.IdleTimedOut, relay.LingerTimedOut, relay.ClientSilent, relay.BackendSilent, relay.LifetimeOver,
		relay.ClientViolated, relay.BackendViolated, relay.Drained, relay.Closed, relay.Canceled, relay.Failed,
	} {
		if seen[r] {
			t.Errorf("%q stands for nothing or for two reasons", r)
		}
		seen[r] = true
	}
}
