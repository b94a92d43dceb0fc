package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// singleAddress counts addresses of loopback like all others.
func singleAddress(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// crowdedFront has clients counted by their addresses, all of which are of
// loopback. It is served by TLS with a certificate of its own, if secure.
func crowdedFront(t *testing.T, cfg Config, secure bool, routes ...Route) *front {
	t.Helper()
	site := Site{Hosts: []string{"app.test"}, TLS: TLS{Mode: TLSOff}, Routes: routes}
	if secure {
		site.TLS = freshPair(t, "app.test")
	}
	cfg.Sites = []Site{site}
	f := newFront(t, cfg)
	f.addressGroup = singleAddress
	if secure {
		f.clientTLS = &tls.Config{ServerName: "app.test", InsecureSkipVerify: true}
	}
	f.run()
	return f
}

// dialFrom connects from an address of loopback, without TLS.
func (f *front) dialFrom(addr, text string) (net.Conn, *bufio.Reader) {
	f.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	conn, err := d.Dial("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, text) // it may be closed by now, which reading tells
	return conn, bufio.NewReader(conn)
}

// wantServed wants that somebody's request is answered.
func (f *front) wantServed(addr string) {
	f.t.Helper()
	conn, r := f.dialFrom(addr, "")
	if f.clientTLS != nil {
		conn = tls.Client(conn, f.clientTLS)
		r = bufio.NewReader(conn)
	}
	askAgain(f.t, conn, r)
	conn.Close()
}

// wantTurnedAway wants that a connection is closed without a word.
func (f *front) wantTurnedAway(addr string) {
	f.t.Helper()
	_, r := f.dialFrom(addr, "")
	if b, err := r.ReadByte(); err == nil || isTimeout(err) {
		f.t.Errorf("%s: %q, %v; want the end", addr, b, err)
	}
}

func (f *front) wantConnections(n int) {
	f.t.Helper()
	until(f.t, "connections are forgotten", func() bool {
		f.conns.mu.Lock()
		defer f.conns.mu.Unlock()
		return f.conns.count == n && len(f.conns.from) <= n
	})
}

const partOfARequest = "GET / HTTP/1.1\r\n"

func TestMaxConnections_ThoseThatAreBusyStay(t *testing.T) {
	app, _ := answering(t, okAnswer)
	f := crowdedFront(t, Config{Limits: Limits{MaxConnections: 3}}, false, Route{Path: "/", App: app})
	first, _ := f.dialFrom("127.0.0.2", partOfARequest)
	f.dialFrom("127.0.0.2", partOfARequest)
	third, r := f.dialFrom("127.0.0.2", partOfARequest)
	f.wantConnections(3)
	f.wantTurnedAway("127.0.0.3")
	f.wantHits(limitMaxConnections, 1)
	first.Close()
	f.wantConnections(2)
	f.wantServed("127.0.0.3")
	f.wantConnections(2)
	_, _ = io.WriteString(third, "Host: app.test\r\n\r\n")
	if res, _ := readAnswer(t, r, "GET"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
}

func TestMaxConnectionsPerAddress_HoldsUpNobodyElse(t *testing.T) {
	app, _ := answering(t, okAnswer)
	f := crowdedFront(t, Config{Limits: Limits{MaxConnectionsPerAddress: 2}}, false, Route{Path: "/", App: app})
	first, _ := f.dialFrom("127.0.0.2", partOfARequest)
	second, r := f.dialFrom("127.0.0.2", partOfARequest)
	f.wantConnections(2)
	f.wantTurnedAway("127.0.0.2")
	f.wantHits(limitMaxConnectionsPerAddress, 1)
	f.log.await(t, "limit.reached", "client=127.0.0.2")
	f.wantServed("127.0.0.3")
	_, _ = io.WriteString(second, "Host: app.test\r\n\r\n")
	if res, _ := readAnswer(t, r, "GET"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
	first.Close()
	f.wantConnections(1)
	f.wantServed("127.0.0.2")
}

func TestMaxConnectionsPerAddress_ProxiesAndLoopbackAreNotCounted(t *testing.T) {
	app, _ := answering(t, okAnswer)
	trusting := Config{Limits: Limits{MaxConnectionsPerAddress: 1}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}
	for name, f := range map[string]*front{
		"trusted":  crowdedFront(t, trusting, false, Route{Path: "/", App: app}),
		"loopback": limitedFront(t, Limits{MaxConnectionsPerAddress: 1}, Route{Path: "/", App: app}),
	} {
		for range 3 {
			f.dialFrom("127.0.0.2", partOfARequest)
		}
		f.wantServed("127.0.0.2")
		if len(f.conns.from) != 0 {
			t.Errorf("%s: counted %v", name, f.conns.from)
		}
	}
}

func TestMaxHandshakes_TheNewestIsClosed(t *testing.T) {
	app, _ := answering(t, okAnswer)
	f := crowdedFront(t, Config{Limits: Limits{MaxHandshakes: 2}}, true, Route{Path: "/", App: app})
	served, r := f.dial("")
	askAgain(t, served, r)
	first, _ := f.dialFrom("127.0.0.2", "")
	f.dialFrom("127.0.0.2", "")
	until(t, "both handshakes are under way", func() bool { return f.handshakes.open.Load() == 2 })
	f.wantTurnedAway("127.0.0.3")
	f.wantHits(limitMaxHandshakes, 1)
	askAgain(t, served, r) // its handshake is over
	first.Close()
	until(t, "one handshake is over", func() bool { return f.handshakes.open.Load() == 1 })
	f.wantServed("127.0.0.3")
	until(t, "it has given its place back", func() bool { return f.handshakes.open.Load() == 1 })
}

func TestMaxHandshakesPerSecond_OfOneAddress(t *testing.T) {
	app, _ := answering(t, okAnswer)
	f := crowdedFront(t, Config{Limits: Limits{MaxHandshakesPerSecond: 1}}, true, Route{Path: "/", App: app})
	for tries := 0; f.LimitHits()[limitMaxHandshakesPerSecond] == 0; tries++ {
		if tries == 1000 {
			t.Fatal("nobody was turned away")
		}
		conn, _ := f.dialFrom("127.0.0.2", "")
		conn.Close()
	}
	f.log.await(t, "limit.reached", "limit=max_handshakes_per_second", "client=127.0.0.2")
	f.wantServed("127.0.0.3")
}

func TestAddressRates_ABucketHoldsASecond(t *testing.T) {
	var r addressRates
	one, two := netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("203.0.113.8/32")
	now := time.Now()
	want := func(from netip.Prefix, n int) {
		t.Helper()
		got := 0
		for r.take(from, 10, now) {
			got++
		}
		if got != n {
			t.Errorf("%d, want %d", got, n)
		}
	}
	want(one, 10)
	want(two, 10)
	now = now.Add(rateSpan / 2)
	want(one, 5)
	now = now.Add(rateSpan / 2) // a new generation
	want(one, 5)
	now = now.Add(10 * rateSpan) // forgotten
	want(one, 10)
}

func TestAddressRates_KnowOnlySoManyAddresses(t *testing.T) {
	var r addressRates
	now := time.Now()
	for i := range 5 * ratedAddresses {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if !r.take(netip.PrefixFrom(a, 32), 1, now) {
			t.Fatalf("%v was turned away", a)
		}
	}
	if n := len(r.young) + len(r.old); n > 2*ratedAddresses {
		t.Errorf("%d are known", n)
	}
}
