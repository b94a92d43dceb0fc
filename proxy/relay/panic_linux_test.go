package relay

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"wsfront/proxy/frame"
)

// pair is a connection of TCP, and its far end.
func pair(t *testing.T, l net.Listener) (near, far net.Conn) {
	t.Helper()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	near, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

// wantPanic wants a tunnel to have ended by a fault in its follower.
func wantPanic(t *testing.T, r Result) {
	t.Helper()
	var fault *Panic
	if r.Reason != Failed || !errors.As(r.Err, &fault) || !strings.Contains(string(fault.Stack), "Feed") {
		t.Errorf("got %+v, want a panic that tells where it was", r)
	}
}

func TestLoop_PanicEndsOnlyItsTunnel(t *testing.T) {
	e, err := NewEngine()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }() // stopped and waited for below
	defer func() { cancel(); <-ended }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	type tunnel struct {
		far  [2]net.Conn
		over chan Result
		t    *Tunnel
	}
	var tunnels [4]tunnel // more than one on a loop, if there are no more than two
	for i := range tunnels {
		c, farC := pair(t, l)
		b, farB := pair(t, l)
		over := make(chan Result, 1)
		tn := e.Start(c, b, &Options{Frames: &Frames{}}, Early{}, tell(func(r Result) { over <- r }))
		tunnels[i] = tunnel{[2]net.Conn{farC, farB}, over, tn}
	}
	broken := tunnels[0]
	broken.t.mu.Lock()
	broken.t.ways[client].follower = frame.Follower{} // which has no rules
	broken.t.mu.Unlock()
	if _, err := broken.far[0].Write([]byte("\x81\x85keysHELLO")); err != nil {
		t.Fatal(err)
	}
	wantPanic(t, <-broken.over)
	for _, other := range tunnels[1:] {
		const frame = "\x81\x85keysHELLO"
		if _, err := other.far[0].Write([]byte(frame)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(frame))
		if _, err := other.far[1].Read(got); err != nil || string(got) != frame {
			t.Errorf("another tunnel carried %q, %v", got, err)
		}
	}
}

// bare is a connection that no loop can carry.
type bare struct{ net.Conn }

// A panic under the tunnel's lock must not leave it locked, nor one in a read
// end the process.
func TestGoing_PanicEndsOnlyItsTunnel(t *testing.T) {
	e, err := NewEngine()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }() // stopped and waited for below
	defer func() { cancel(); <-ended }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for s := range []side{client, backend} {
		near, far := [2]net.Conn{}, [2]net.Conn{}
		for i := range near {
			near[i], far[i] = pair(t, l)
		}
		over := make(chan Result, 1)
		tn := e.Start(bare{near[client]}, bare{near[backend]}, &Options{Frames: &Frames{}}, Early{}, tell(func(r Result) { over <- r }))
		tn.mu.Lock()
		tn.ways[s].follower = frame.Follower{} // which has no rules
		tn.mu.Unlock()
		if _, err := far[s].Write([]byte("\x81\x85keysHELLO")); err != nil {
			t.Fatal(err)
		}
		wantPanic(t, <-over)
		for i := range far {
			if _, err := far[i].Read(make([]byte, 1)); err == nil {
				t.Errorf("the %s was told something", side(i))
			}
		}
	}
}
