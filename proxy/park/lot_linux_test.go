package park

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience is how long a test waits for what is to happen at once.
const patience = 20 * time.Second

// pairs makes connections: what one end says, the other reads.
func pairs(t testing.TB, count int) (near, far []net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	t.Cleanup(func() {
		for i := range near {
			near[i].Close()
			far[i].Close()
		}
	})
	for range count {
		f, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		n, err := listener.Accept()
		if err != nil {
			f.Close()
			t.Fatal(err)
		}
		near, far = append(near, n), append(far, f)
	}
	return near, far
}

func pair(t testing.TB) (near, far net.Conn) {
	n, f := pairs(t, 1)
	return n[0], f[0]
}

// newLot is closed when its test ends.
func newLot(t testing.TB) *Lot {
	l := new(Lot)
	t.Cleanup(l.Close)
	return l
}

func mustPark(t testing.TB, l *Lot, conn net.Conn, d time.Duration) <-chan bool {
	t.Helper()
	woken := make(chan bool, 2) // a second one must be seen, not waited for
	if !l.Park(conn, time.Now().Add(d), func(ready bool) { woken <- ready }) {
		t.Fatal("not parked")
	}
	return woken
}

func expect(t testing.TB, woken <-chan bool, want bool) {
	t.Helper()
	select {
	case ready := <-woken:
		if ready != want {
			t.Fatalf("woken with %v, want %v", ready, want)
		}
	case <-time.After(patience):
		t.Fatal("not woken")
	}
}

func say(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// until waits for what another goroutine brings about.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for late := time.Now().Add(patience); !is(); {
		if time.Now().After(late) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(time.Millisecond) // between two looks
	}
}

func TestPark_ReadableWakes(t *testing.T) {
	l := newLot(t)
	near, far := pair(t)
	woken := mustPark(t, l, near, time.Hour)
	if n := l.Len(); n != 1 {
		t.Errorf("%d parked", n)
	}
	say(t, far, "x")
	expect(t, woken, true)
	if n := l.Len(); n != 0 {
		t.Errorf("%d parked after it was woken", n)
	}
	var p [2]byte
	if n, err := near.Read(p[:]); n != 1 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
}

func TestPark_WhatWasReadableBeforeWakes(t *testing.T) {
	l := newLot(t)
	near, far := pair(t)
	first := mustPark(t, l, near, time.Hour)
	say(t, far, "x")
	expect(t, first, true)
	// Nothing was read, so nothing new comes for the poller to tell.
	for range 100 {
		expect(t, mustPark(t, l, near, time.Hour), true)
	}
}

// Bytes that arrive in the very moment of parking wake as well.
func TestPark_ReadableWhileParkingWakes(t *testing.T) {
	l := newLot(t)
	near, far := pair(t)
	var p [1]byte
	for range 3000 {
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = far.Write([]byte("x")) }) // at once: the socket has room; awaited below
		woken := mustPark(t, l, near, time.Hour)
		expect(t, woken, true)
		wg.Wait()
		if _, err := io.ReadFull(near, p[:]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPark_EndOfPeerWakes(t *testing.T) {
	l := newLot(t)
	for _, how := range []func(*net.TCPConn){
		func(c *net.TCPConn) { c.Close() },
		func(c *net.TCPConn) { _ = c.CloseWrite() },
		func(c *net.TCPConn) { _ = c.SetLinger(0); c.Close() },
	} {
		near, far := pair(t)
		woken := mustPark(t, l, near, time.Hour)
		how(far.(*net.TCPConn))
		expect(t, woken, true)
		if _, err := near.Read(make([]byte, 1)); err == nil {
			t.Error("read something")
		}
	}
}

func TestPark_TimesInOrder(t *testing.T) {
	l := newLot(t)
	const count = 6
	near, _ := pairs(t, count)
	var mu sync.Mutex
	var order []int
	done := make(chan struct{})
	begin := time.Now()
	for _, i := range []int{3, 5, 0, 4, 1, 2} {
		at := begin.Add(time.Duration(i+1) * (clockGrain + 1))
		if !l.Park(near[i], at, func(ready bool) {
			if ready || time.Now().Before(at) {
				t.Errorf("connection %d: ready %v, %v too soon", i, ready, time.Until(at))
			}
			mu.Lock()
			defer mu.Unlock()
			if order = append(order, i); len(order) == count {
				close(done)
			}
		}) {
			t.Fatal("not parked")
		}
	}
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("not all were woken")
	}
	if !slices.IsSorted(order) {
		t.Errorf("woken in the order %v", order)
	}
}

func TestPark_TimePastWakes(t *testing.T) {
	l := newLot(t)
	near, _ := pair(t)
	expect(t, mustPark(t, l, near, -time.Hour), false)
	expect(t, mustPark(t, l, near, 0), false)
	woken := make(chan bool, 1)
	l.Park(near, time.Time{}, func(ready bool) { woken <- ready })
	expect(t, woken, false)
}

// The clock stands still while nothing is parked.
func TestPark_NothingTicksWhenNothingIsParked(t *testing.T) {
	l := newLot(t)
	near, far := pair(t)
	woken := mustPark(t, l, near, time.Millisecond)
	say(t, far, "x")
	<-woken
	until(t, "the clock is off", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.rings == 0
	})
}

func TestPark_ClosedMeanwhileWakesInTime(t *testing.T) {
	l := newLot(t)
	near, _ := pairs(t, 2)
	woken := mustPark(t, l, near[0], 10*time.Millisecond)
	near[0].Close()
	// This one may well have the descriptor of the other.
	again, far := pair(t)
	other := mustPark(t, l, again, time.Hour)
	expect(t, woken, false)
	say(t, far, "x")
	expect(t, other, true)
}

func TestPark_WakeMayParkAgain(t *testing.T) {
	l := newLot(t)
	near, far := pair(t)
	woken := make(chan bool, 1)
	if !l.Park(near, time.Now(), func(bool) {
		if !l.Park(near, time.Now().Add(time.Hour), func(ready bool) { woken <- ready }) {
			t.Error("not parked again")
		}
	}) {
		t.Fatal("not parked")
	}
	say(t, far, "x")
	select {
	case <-woken: // by the first, or else the second Park
	case <-time.After(patience):
		t.Fatal("not woken")
	}
}

func TestPark_OnlySockets(t *testing.T) {
	l := newLot(t)
	never := func(bool) { t.Error("woken") }
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	near, _ := pair(t)
	closed, _ := pair(t)
	closed.Close()
	for name, conn := range map[string]net.Conn{"pipe": a, "wrapped": struct{ net.Conn }{near}, "closed": closed} {
		if l.Park(conn, time.Now(), never) {
			t.Errorf("%s was parked", name)
		}
	}
	if n := l.Len(); n != 0 {
		t.Errorf("%d parked", n)
	}
}

func TestPark_UnixSocket(t *testing.T) {
	l := newLot(t)
	listener, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	far, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	woken := mustPark(t, l, near, time.Hour)
	say(t, far, "x")
	expect(t, woken, true)
}

func TestClose_WakesAllAndParksNoMore(t *testing.T) {
	l := new(Lot)
	near, _ := pairs(t, 50)
	opened := descriptors(t)
	var count atomic.Int32
	for i, conn := range near {
		if !l.Park(conn, time.Now().Add(time.Hour), func(ready bool) {
			if ready {
				t.Errorf("connection %d is ready", i)
			}
			count.Add(1)
		}) {
			t.Fatal("not parked")
		}
	}
	if n := descriptors(t); n != opened+1 {
		t.Errorf("%d descriptors for the lot", n-opened)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { // ends with Close
			l.Close()
			if n := count.Load(); n != 50 {
				t.Errorf("%d woken after Close", n)
			}
		})
	}
	wg.Wait()
	if l.Park(near[0], time.Now(), func(bool) { t.Error("woken") }) {
		t.Error("parked after Close")
	}
	if n := descriptors(t); n != opened {
		t.Errorf("%d descriptors before, %d after Close", opened, n)
	}
	if n := l.Len(); n != 0 {
		t.Errorf("%d parked after Close", n)
	}
}

func TestClose_OfAnUnusedLot(t *testing.T) {
	l := new(Lot)
	l.Close()
	near, _ := pair(t)
	if l.Park(near, time.Now(), func(bool) { t.Error("woken") }) {
		t.Error("parked after Close")
	}
}

// Close and the events it meets wake each connection once.
func TestClose_WhileEventsCome(t *testing.T) {
	for range 20 {
		l := new(Lot)
		near, far := pairs(t, 40)
		var wakes [40]atomic.Int32
		for i, conn := range near {
			if !l.Park(conn, time.Now().Add(time.Hour), func(bool) { wakes[i].Add(1) }) {
				t.Fatal("not parked")
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { // at once: the sockets have room; awaited below
			for _, conn := range far {
				_, _ = conn.Write([]byte("x"))
			}
		})
		l.Close()
		for i := range wakes {
			if n := wakes[i].Load(); n != 1 {
				t.Errorf("connection %d was woken %d times", i, n)
			}
		}
		wg.Wait()
		for i := range near {
			near[i].Close()
			far[i].Close()
		}
	}
}

// Thousands are parked, and woken at random in each of the ways; each one once
// for each time, and with all that was said to it.
func TestPark_Thousands(t *testing.T) {
	const count, rounds = 5000, 3
	before := descriptors(t)
	l := new(Lot)
	near, far := pairs(t, count)
	var all sync.WaitGroup
	var ready, due atomic.Int32
	rng := rand.New(rand.NewPCG(1, 2))
	var parkIt func(i, round int, at time.Time)
	parkIt = func(i, round int, at time.Time) {
		var wakes atomic.Int32
		if !l.Park(near[i], at, func(r bool) {
			if wakes.Add(1) != 1 {
				t.Errorf("connection %d was woken twice", i)
			}
			if !r {
				due.Add(1)
				all.Done()
				return
			}
			ready.Add(1)
			go func() { // ends with what it reads, which is there; counted by all
				_ = near[i].SetReadDeadline(time.Now().Add(patience))
				var p [1]byte
				if n, err := near[i].Read(p[:]); n != 1 || int(p[0]) != round {
					t.Errorf("connection %d: read %d byte, %d, want %d, %v", i, n, p[0], round, err)
				}
				if round+1 < rounds {
					parkIt(i, round+1, at)
					_, _ = near[i].Write([]byte("x")) // let the other side speak
				} else {
					all.Done()
				}
			}()
		}) {
			t.Errorf("connection %d was not parked", i)
			all.Done()
		}
	}
	order := rng.Perm(count)
	silent := make([]bool, count)
	all.Add(count)
	for _, i := range order {
		silent[i] = rng.IntN(4) == 0
		at := time.Now().Add(time.Hour)
		if silent[i] {
			at = time.Now().Add(time.Duration(rng.IntN(1000)) * time.Millisecond)
		}
		parkIt(i, 0, at)
	}
	var wg sync.WaitGroup
	for part := range 8 {
		wg.Go(func() { // ends with what it says
			for k := part; k < count; k += 8 {
				i := order[k]
				if silent[i] {
					continue
				}
				for round := range rounds {
					if round > 0 {
						_ = far[i].SetReadDeadline(time.Now().Add(patience))
						if _, err := far[i].Read(make([]byte, 1)); err != nil {
							t.Errorf("connection %d: %v", i, err)
							return
						}
					}
					_, _ = far[i].Write([]byte{byte(round)})
				}
			}
		})
	}
	wg.Wait()
	all.Wait()
	t.Logf("%d woken by bytes, %d by the time", ready.Load(), due.Load())
	if n := l.Len(); n != 0 {
		t.Errorf("%d are still parked", n)
	}
	l.Close()
	for i := range near {
		near[i].Close()
		far[i].Close()
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors before, %d after", before, n)
	}
}

func descriptors(t testing.TB) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
