package relay_test

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"wsfront/proxy/relay"
)

// duplex is a connection of two net.Pipes, one each way, so that it can be
// half-closed. It lives on the fake clock of synctest, which sockets do not.
type duplex struct {
	net.Conn // what it reads from
	w        net.Conn
}

func newDuplex() (near, far duplex) {
	a, b := net.Pipe()
	c, d := net.Pipe()
	return duplex{a, d}, duplex{c, b}
}

func (d duplex) Write(p []byte) (int, error) { return d.w.Write(p) }
func (d duplex) CloseWrite() error           { return d.w.Close() }
func (d duplex) Close() error                { d.w.Close(); return d.Conn.Close() }

// onFakeClock runs play beside a tunnel whose far ends it gets, and returns the
// tunnel's result. play must leave the tunnel to its clock.
func onFakeClock(t *testing.T, o relay.Options, play func(client, backend duplex)) relay.Result {
	t.Helper()
	var r relay.Result
	synctest.Test(t, func(t *testing.T) {
		nearClient, client := newDuplex()
		nearBackend, backend := newDuplex()
		go play(client, backend) // ends with what it does; synctest.Test waits for it
		r = run(t, nearClient, nearBackend, o)
		client.Close()
		backend.Close()
	})
	return r
}

// run carries one tunnel by goroutines, the only engine that a fake clock can
// drive.
func run(t *testing.T, client, backend net.Conn, o relay.Options) relay.Result {
	results := make(chan relay.Result, 1)
	goroutines(t).Start(client, backend, &o, relay.Early{}, tell(func(r relay.Result) { results <- r }))
	return <-results
}

func wantCut(t *testing.T, got relay.Result, reason relay.Reason, after time.Duration) {
	t.Helper()
	if got.Reason != reason || got.Duration != after || got.Err != nil {
		t.Errorf("ended by %q after %v, error %v; want %q after %v", got.Reason, got.Duration, got.Err, reason, after)
	}
	wantEnder(t, got)
}

func TestRelay_IdleTimeoutCutsASilentTunnel(t *testing.T) {
	r := onFakeClock(t, relay.Options{IdleTimeout: time.Minute}, func(_, _ duplex) {})
	wantCut(t, r, relay.IdleTimedOut, time.Minute)
}

func TestRelay_TrafficInOneDirectionKeepsBothAlive(t *testing.T) {
	for _, direction := range []string{"up", "down"} {
		t.Run(direction, func(t *testing.T) {
			o := relay.Options{IdleTimeout: time.Minute}
			r := onFakeClock(t, o, func(client, backend duplex) {
				from, to := client, backend
				if direction == "down" {
					from, to = backend, client
				}
				for range 10 {
					time.Sleep(59 * time.Second)
					from.Write([]byte("x"))
					to.Read(make([]byte, 1))
				}
			})
			wantCut(t, r, relay.IdleTimedOut, 590*time.Second+time.Minute)
			if r.FromClient.Bytes+r.FromBackend.Bytes != 10 {
				t.Errorf("%d bytes arrived, want 10", r.FromClient.Bytes+r.FromBackend.Bytes)
			}
		})
	}
}

func TestRelay_BlockedWriteIsNoMovement(t *testing.T) {
	o := relay.Options{IdleTimeout: time.Minute}
	r := onFakeClock(t, o, func(client, _ duplex) {
		time.Sleep(30 * time.Second)
		client.Write([]byte("nobody reads this"))
		client.Write([]byte("nor is this even taken"))
	})
	wantCut(t, r, relay.IdleTimedOut, 90*time.Second)
	if r.FromClient.Bytes != 0 {
		t.Errorf("%d bytes counted, want 0: none arrived", r.FromClient.Bytes)
	}
}

// A byte that was read in time may be taken late, and that counts as well.
func TestRelay_BytesOnTheirWayKeepTheTunnelAlive(t *testing.T) {
	o := relay.Options{IdleTimeout: time.Minute}
	r := onFakeClock(t, o, func(client, backend duplex) {
		time.Sleep(50 * time.Second)
		client.Write([]byte("x"))
		time.Sleep(50 * time.Second)
		backend.Read(make([]byte, 1))
	})
	wantCut(t, r, relay.IdleTimedOut, 160*time.Second)
}

func TestRelay_WithoutIdleTimeoutSilenceIsFine(t *testing.T) {
	r := onFakeClock(t, relay.Options{}, func(client, backend duplex) {
		time.Sleep(30 * 24 * time.Hour)
		client.Close()
		io.Copy(io.Discard, backend)
		backend.Close()
	})
	wantCut(t, r, relay.ClientClosed, 30*24*time.Hour)
}

func TestRelay_LingerCutsTheSilentOtherSide(t *testing.T) {
	cases := []struct {
		name string
		o    relay.Options
		want relay.Reason
		at   time.Duration
	}{
		{"default", relay.Options{}, relay.LingerTimedOut, relay.DefaultLinger},
		{"shorter than idle", relay.Options{Linger: time.Second, IdleTimeout: time.Minute}, relay.LingerTimedOut, time.Second},
		{"idle is shorter", relay.Options{Linger: time.Hour, IdleTimeout: time.Minute}, relay.IdleTimedOut, time.Minute},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := onFakeClock(t, c.o, func(client, _ duplex) {
				time.Sleep(20 * time.Second)
				client.CloseWrite()
			})
			wantCut(t, r, c.want, 20*time.Second+c.at)
			if c.want == relay.LingerTimedOut && r.ClosedBy != "client" {
				t.Errorf("closed by %q, want by the client, who had ended its half", r.ClosedBy)
			}
		})
	}
}

func TestRelay_ReplyLongerThanLingerArrivesWhole(t *testing.T) {
	o := relay.Options{Linger: 10 * time.Second}
	r := onFakeClock(t, o, func(client, backend duplex) {
		client.CloseWrite()
		go func() { // ends with the backend's end; synctest.Test waits for it
			io.Copy(io.Discard, client)
		}()
		for range 20 {
			time.Sleep(9 * time.Second)
			backend.Write([]byte("part of a long reply"))
		}
		backend.Close()
	})
	wantCut(t, r, relay.ClientClosed, 180*time.Second)
	if r.FromBackend.Bytes != 400 {
		t.Errorf("%d bytes of the reply arrived, want 400", r.FromBackend.Bytes)
	}
}

// A net.Pipe has no CloseWrite, so the backend cannot be told of the client's
// end. What it says in the meantime still arrives.
func TestRelay_WithoutCloseWriteTheReplyIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nearClient, client := newDuplex()
		nearBackend, backend := net.Pipe()
		client.CloseWrite()
		go func() { // ends with its close; the tunnel ends only after that
			time.Sleep(5 * time.Second)
			io.WriteString(backend, "reply")
			backend.Close()
		}()
		reply := make(chan []byte, 1)
		go func() { // ends with the tunnel; the receive below waits for it
			got, _ := io.ReadAll(client)
			reply <- got
		}()
		r := run(t, nearClient, nearBackend, relay.Options{})
		wantCut(t, r, relay.ClientClosed, 5*time.Second)
		if got := <-reply; string(got) != "reply" {
			t.Errorf("the client received %q, want the reply", got)
		}
		client.Close()
	})
}

func TestRelay_WithoutCloseWriteLingerClosesWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nearClient, client := newDuplex()
		nearBackend, backend := net.Pipe()
		client.CloseWrite()
		r := run(t, nearClient, nearBackend, relay.Options{})
		wantCut(t, r, relay.LingerTimedOut, relay.DefaultLinger)
		wantEOF(t, backend)
		client.Close()
	})
}
