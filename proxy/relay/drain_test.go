package relay_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"wsfront/proxy/relay"
)

// drained starts as many tunnels on a fake clock, drains them in the time that
// is given, and returns when the first and the last of them ended.
func drained(t *testing.T, tunnels int, timeout time.Duration) (first, last time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := goroutines(t)
		results := make(chan relay.Result, tunnels)
		for range tunnels {
			client, _ := newDuplex()
			backend, _ := newDuplex()
			e.Start(client, backend, &relay.Options{}, relay.Early{}, tell(func(r relay.Result) { results <- r }))
		}
		ctx := t.Context()
		if timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		if err := e.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		first = 24 * time.Hour
		for range tunnels {
			r := <-results
			if r.Reason != relay.Drained {
				t.Errorf("ended by %q, want %q", r.Reason, relay.Drained)
			}
			first, last = min(first, r.Duration), max(last, r.Duration)
		}
	})
	return first, last
}

func TestShutdown_OneTunnelIsToldAtOnce(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Hour} {
		if _, last := drained(t, 1, timeout); last != 0 {
			t.Errorf("with %v to drain, the only tunnel ended after %v", timeout, last)
		}
	}
}

func TestShutdown_SpreadGrowsWithTheTunnels(t *testing.T) {
	for _, c := range []struct {
		tunnels       int
		timeout, want time.Duration // want is the time within which all are told
	}{
		{2, time.Hour, 10 * time.Millisecond},
		{100, time.Hour, 990 * time.Millisecond},
		{100, time.Second, 500 * time.Millisecond},
		{600, 0, 5 * time.Second},
	} {
		first, last := drained(t, c.tunnels, c.timeout)
		if last > c.want {
			t.Errorf("%d tunnels with %v to drain: the last ended after %v, want %v at most", c.tunnels, c.timeout, last, c.want)
		}
		if c.tunnels >= 100 && last-first < c.want/2 {
			t.Errorf("%d tunnels with %v to drain ended between %v and %v, want them spread over %v", c.tunnels, c.timeout, first, last, c.want)
		}
	}
}

// The event loops tell one tunnel at once, too, whatever time they have.
func TestShutdown_DoesNotWaitForItsTime(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		b := open(t, e, "tls", "tcp", relay.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		if err := e.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		b.wantReason(relay.Drained)
	})
}

// A tunnel whose handshake was just being answered begins when the others have
// been told. It hears the same, and a second Shutdown waits for it.
func TestShutdown_TellsWhatBeginsAfterIt(t *testing.T) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		if err := e.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"tls", "tcp", "tls12"} {
			b := open(t, e, kind, "tcp", relay.Options{Frames: &relay.Frames{}})
			waited := make(chan error, 1)
			go func() { waited <- e.Shutdown(t.Context()) }() // ends with the tunnel, awaited below
			client, backend := wsPeers(b)
			for _, p := range []wsPeer{client, backend} {
				p.want(opClose, closePayload(1001, "drained"))
				p.send(opClose, closePayload(1001, ""))
			}
			b.wantReason(relay.Drained)
			if err := <-waited; err != nil {
				t.Error(err)
			}
		}
	})
}
