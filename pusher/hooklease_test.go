package pusher

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a network within the process, whose waiting a synctest bubble sees.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// hookCluster is processes on one store, and one app, in a bubble.
type hookCluster struct {
	*hookApp
	kv    KV
	pipes *pipes
	cfg   Webhooks
}

// bubble runs f with a cluster whose clock is synctest's.
func bubble(t *testing.T, f func(t *testing.T, c *hookCluster)) {
	secret := filepath.Join(t.TempDir(), "secret")
	synctest.Test(t, func(t *testing.T) {
		c := &hookCluster{
			hookApp: &hookApp{t: t}, kv: NewMemory(History{}).KV(),
			pipes: &pipes{conns: make(chan net.Conn), closed: make(chan struct{})},
			cfg:   Webhooks{URL: "http://app.test/push/events", SecretFile: secret, Events: []string{HookDisconnect}},
		}
		server := &http.Server{Handler: c.hookApp}
		served := make(chan struct{})
		go func() { defer close(served); _ = server.Serve(c.pipes) }()
		f(t, c)
		_ = server.Close()
		<-served
	})
}

// start is a new process. kill ends it as SIGKILL does.
func (c *hookCluster) start() (k *Hooks, kill func()) {
	k, err := NewHooks(c.cfg, c.kv, slog.New(&journal{}))
	if err != nil {
		c.t.Fatal(err)
	}
	k.client.Transport.(*http.Transport).DialContext = c.pipes.dial
	ctx, cancel := context.WithCancel(c.t.Context())
	ran := make(chan struct{})
	go func() { defer close(ran); _ = k.Run(ctx) }()
	synctest.Wait()
	return k, func() { cancel(); <-ran }
}

func (c *hookCluster) keys(prefix string) []string {
	keys, err := c.kv.Keys(c.t.Context(), prefix)
	if err != nil {
		c.t.Fatal(err)
	}
	return keys
}

// wants compares what was told so far, in any order.
func (c *hookCluster) wants(when string, want ...string) {
	c.t.Helper()
	synctest.Wait()
	got := c.has()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		c.t.Errorf("%s: told %q, want %q", when, got, want)
	}
}

func TestHooksLease_OthersTellOnceWhoLeftByAKill(t *testing.T) {
	bubble(t, func(t *testing.T, c *hookCluster) {
		first, killFirst := c.start()
		_, killSecond := c.start()
		_, killThird := c.start()
		for _, id := range []string{"A1", "A2", "A3", "A4"} {
			first.Connect(aClient(id))
		}
		first.Disconnect(aClient("A4"), 1000, "") // in the ordinary way
		time.Sleep(10 * time.Minute)
		c.wants("while all live", "disconnect A4")
		if n := len(c.keys("conn/")); n != 3 {
			t.Errorf("%d clients in the store", n)
		}
		killFirst()
		time.Sleep(leaseTTL - leaseBeat - time.Second)
		c.wants("while the lease stands", "disconnect A4")
		time.Sleep(leaseBeat + sweepBeat + time.Second)
		c.wants("after it", "disconnect A1", "disconnect A2", "disconnect A3", "disconnect A4")
		for _, r := range c.taken {
			if r.id != r.Client.ID+".disconnect" || r.Client.ID != "A4" && (r.Reason != stoppedReason || r.Client.Remote != "192.0.2.1:5") {
				t.Errorf("told %s", r.body)
			}
		}
		time.Sleep(10 * time.Minute)
		if n := len(c.asked()); n != 4 {
			t.Errorf("told %d times", n)
		}
		if left := c.keys("conn/"); len(left) > 0 || len(c.keys("life/")) != 2 || len(c.keys("node/")) != 2 {
			t.Errorf("left in the store: %q %q %q", left, c.keys("life/"), c.keys("node/"))
		}
		killSecond()
		killThird()
	})
}

func TestHooksLease_OfManyThatTakeARecordOneHasIt(t *testing.T) {
	const nodes, records = 8, 500
	ctx, kv := t.Context(), NewMemory(History{}).KV()
	cfg := newHookApp(t, nil).config()
	var keys []string
	for i := range records {
		c := aClient(fmt.Sprint("A", i))
		keys = append(keys, recordKey("gone", c.ID))
		if _, err := kv.Put(ctx, keys[i], clientRecord{Client: c}.encode(), 0); err != nil {
			t.Fatal(err)
		}
	}
	var all [nodes]*Hooks
	var taking sync.WaitGroup
	begin := make(chan struct{})
	for i := range all {
		k, err := NewHooks(cfg, kv, nil)
		if err != nil {
			t.Fatal(err)
		}
		k.renew(ctx)
		all[i] = k
		taking.Go(func() {
			<-begin
			for _, key := range keys {
				if err := k.take(ctx, key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	close(begin)
	taking.Wait()
	taken := 0
	for _, k := range all {
		taken += k.queue.left()
	}
	if taken != records {
		t.Errorf("%d records were taken %d times", records, taken)
	}
}

func TestHooksLease_ARestartedProcessTellsWhatItsPredecessorCouldNot(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		t.Run(fmt.Sprintf("ordered=%t", ordered), func(t *testing.T) {
			bubble(t, func(t *testing.T, c *hookCluster) {
				away := true
				c.reply = func(w http.ResponseWriter, _ told) bool {
					if away {
						w.WriteHeader(503)
					}
					return away
				}
				first, kill := c.start()
				first.Connect(aClient("A1"))
				first.Connect(aClient("A2"))
				synctest.Wait()
				first.Disconnect(aClient("A1"), 1001, "going away")
				time.Sleep(time.Second)
				if ordered {
					first.Disconnect(aClient("A2"), 1012, "service restart")
					ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
					if err := first.Shutdown(ctx); err == nil {
						t.Error("all was told to an app that is away")
					}
					cancel()
				}
				kill()
				away = false
				_, kill = c.start()
				if ordered { // nobody need wait for the lease
					c.wants("at the next start", "disconnect A1", "disconnect A2")
				}
				time.Sleep(leaseTTL + sweepBeat)
				c.wants("after the lease", "disconnect A1", "disconnect A2")
				if left := c.keys("conn/"); len(left) > 0 {
					t.Errorf("left in the store: %q", left)
				}
				kill()
			})
		})
	}
}

func TestHooksLease_WhoTakesOverMayBeKilledToo(t *testing.T) {
	bubble(t, func(t *testing.T, c *hookCluster) {
		away := true
		c.reply = func(w http.ResponseWriter, _ told) bool {
			if away {
				w.WriteHeader(503)
			}
			return away
		}
		first, kill := c.start()
		for i := range 20 {
			first.Connect(aClient(fmt.Sprint("A", i)))
		}
		synctest.Wait()
		kill()
		_, kill = c.start()
		time.Sleep(leaseTTL + sweepBeat)
		if len(c.asked()) < 20 {
			t.Fatal("nothing taken over")
		}
		kill()
		away = false
		_, kill = c.start()
		time.Sleep(leaseTTL + sweepBeat)
		if got := c.has(); len(got) != 20 || len(slices.Compact(slices.Sorted(slices.Values(got)))) != 20 {
			t.Errorf("told %q", got)
		}
		time.Sleep(sweepBeat)
		if left := append(c.keys("conn/"), c.keys("life/")...); len(left) != 1 {
			t.Errorf("left in the store: %q", left)
		}
		kill()
	})
}

func TestHooksLease_TakesOverNoMoreThanTheQueueHasRoomFor(t *testing.T) {
	bubble(t, func(t *testing.T, c *hookCluster) {
		const clients = 300
		first, kill := c.start()
		for i := range clients {
			first.Connect(aClient(fmt.Sprint("A", i)))
		}
		synctest.Wait()
		kill()
		c.cfg.Queue = 20
		second, kill := c.start()
		for range 100 {
			time.Sleep(sweepBeat)
		}
		synctest.Wait()
		if got := c.has(); len(got) != clients || len(slices.Compact(slices.Sorted(slices.Values(got)))) != clients {
			t.Errorf("told %d", len(got))
		}
		if second.queue.left() > 0 {
			t.Error("events are left")
		}
		kill()
	})
}

func TestHooksLease_RecordIsThereBeforeTheConnectIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, c *hookCluster) {
		c.cfg.Events = []string{HookConnect, HookDisconnect}
		c.reply = func(_ http.ResponseWriter, r told) bool {
			recorded := slices.ContainsFunc(c.keys("conn/"), func(key string) bool { return strings.HasSuffix(key, "/"+r.Client.ID) })
			if !recorded {
				t.Errorf("%s is told without a record", r)
			}
			return false
		}
		k, kill := c.start()
		for i := range 100 {
			k.Connect(aClient(fmt.Sprint("A", i)))
			k.Disconnect(aClient(fmt.Sprint("A", i)), 1000, "")
		}
		synctest.Wait()
		if n := len(c.has()); n != 200 {
			t.Errorf("told %d", n)
		}
		if left := c.keys("conn/"); len(left) > 0 {
			t.Errorf("left in the store: %q", left)
		}
		kill()
	})
}

// A disconnect that overtook its own record would leave it there for good.
func TestHooksLease_ConnectIsNotDroppedBeforeItsRecordIsThere(t *testing.T) {
	bubble(t, func(t *testing.T, c *hookCluster) {
		c.cfg.Events, c.cfg.Queue = []string{HookConnect, HookDisconnect}, 2
		k, err := NewHooks(c.cfg, c.kv, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"A1", "A2", "A3"} { // not running yet: nothing is recorded
			k.Connect(aClient(id))
		}
		k.queue.mu.Lock()
		defer k.queue.mu.Unlock()
		if len(k.queue.lanes) != 2 || k.queue.lanes["A1"] == nil || k.queue.minor.Len() != 0 {
			t.Errorf("waiting: %v", k.queue.lanes)
		}
		if len(k.queue.ready[0]) > 0 {
			t.Error("ready to be told without a record")
		}
	})
}

func TestHooksLease_RecordsThatNobodyCanReadAreRemoved(t *testing.T) {
	bubble(t, func(t *testing.T, c *hookCluster) {
		for key, value := range map[string]string{"life/X": "{}", "conn/X/1": "{", "conn/X/2": "{}"} {
			if _, err := c.kv.Put(t.Context(), key, []byte(value), 0); err != nil {
				t.Fatal(err)
			}
		}
		_, kill := c.start()
		time.Sleep(2 * sweepBeat)
		c.wants("of nothing")
		if left := append(c.keys("conn/"), c.keys("life/X")...); len(left) > 0 {
			t.Errorf("left in the store: %q", left)
		}
		kill()
	})
}

func TestHooks_BackoffOfADayAgainstTheClock(t *testing.T) {
	bubble(t, func(t *testing.T, c *hookCluster) {
		c.reply = func(w http.ResponseWriter, _ told) bool { w.WriteHeader(500); return true }
		k, kill := c.start()
		k.Disconnect(aClient("A1"), 1000, "")
		time.Sleep(time.Hour)
		if n := len(c.asked()); n < 60 || n > 130 {
			t.Errorf("asked %d times in an hour, want one to two in a minute", n)
		}
		time.Sleep(23*time.Hour + time.Minute)
		n := len(c.asked())
		time.Sleep(time.Hour)
		if len(c.asked()) != n || k.queue.left() > 0 {
			t.Error("told after a day as well")
		}
		kill()
	})
}
