package relay_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wsfront/proxy/record"
	"wsfront/proxy/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is what a test allows for something that should happen at once.
const patience = 20 * time.Second

// kinds are the transports that a tunnel joins: "tls" is TLS 1.3 of package
// record, "tls12" a *tls.Conn, which no event loop carries.
var kinds = []string{"tcp", "tls", "tls12", "unix"}

// onBoth runs f with an engine of either make.
func onBoth(t *testing.T, f func(t *testing.T, e *relay.Engine)) {
	t.Run("loops", func(t *testing.T) { f(t, loops(t)) })
	t.Run("goroutines", func(t *testing.T) { f(t, goroutines(t)) })
}

// loops returns a running engine with event loops, where there are any.
func loops(t testing.TB) *relay.Engine {
	t.Helper()
	e, err := relay.NewEngine()
	if err != nil {
		t.Fatal(err)
	}
	keepRunning(t, e)
	return e
}

// goroutines returns a running engine without event loops.
func goroutines(t testing.TB) *relay.Engine {
	e := relay.NewGoingEngine()
	keepRunning(t, e)
	return e
}

// keepRunning runs e until the test's end.
func keepRunning(t testing.TB, e *relay.Engine) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }() // stopped and waited for by the test's end
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// eachPair runs f for every kind of client with every kind of backend, on
// either engine.
func eachPair(t *testing.T, f func(t *testing.T, e *relay.Engine, client, backend string)) {
	onBoth(t, func(t *testing.T, e *relay.Engine) {
		for _, client := range kinds {
			for _, backend := range kinds {
				t.Run(client+"-"+backend, func(t *testing.T) { f(t, e, client, backend) })
			}
		}
	})
}

// connect makes a connection through a listener. near is the accepted end if
// serve is set, as for a tunnel's client, or else the dialed one.
func connect(t testing.TB, kind string, serve bool) (near, far net.Conn) {
	t.Helper()
	dialed, accepted := dial(t, kind == "unix")
	if kind == "tls" || kind == "tls12" {
		dialed, accepted = secure(t, dialed, accepted, kind, serve)
	}
	below := [2]net.Conn{raw(dialed), raw(accepted)} // nothing more is to be held till then
	t.Cleanup(func() { below[0].Close(); below[1].Close() })
	deadline := time.Now().Add(patience)
	if serve {
		dialed.SetDeadline(deadline)
		return accepted, dialed
	}
	accepted.SetDeadline(deadline)
	return dialed, accepted
}

// dial makes a connection of TCP or of a unix socket.
func dial(t testing.TB, unix bool) (dialed, accepted net.Conn) {
	t.Helper()
	l := listener()
	if unix {
		var err error
		if l, err = net.Listen("unix", filepath.Join(t.TempDir(), "s")); err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	oneDials.Lock()
	defer oneDials.Unlock()
	dialed, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return dialed, accepted
}

// All connections of TCP are made by one listener: to find a free port among
// those that ended connections still occupy takes longer than most tests. It is
// open until the process ends.
var (
	listener = sync.OnceValue(func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		return l
	})
	oneDials sync.Mutex // so that each accepts what it has dialed
)

// secure puts TLS onto both ends of a connection. The near one is of package
// record, the far one of crypto/tls.
func secure(t testing.TB, dialed, accepted net.Conn, kind string, serve bool) (client, server net.Conn) {
	t.Helper()
	// The cheapest of key exchanges: there are thousands, and none is the matter here.
	curves := []tls.CurveID{tls.X25519}
	serving := &tls.Config{Certificates: []tls.Certificate{certificate()}, CurvePreferences: curves}
	dialing := &tls.Config{RootCAs: roots(), ServerName: "relay.test", CurvePreferences: curves}
	if kind == "tls12" {
		serving.MaxVersion, dialing.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	}
	var wg sync.WaitGroup
	wg.Go(func() { // ends with the handshake
		var err error
		if serve {
			server, _, err = record.NewAccepter(serving).Handshake(t.Context(), accepted)
		} else {
			tc := tls.Server(accepted, serving)
			server, err = tc, tc.Handshake()
		}
		if err != nil {
			t.Error(err)
		}
	})
	var err error
	if serve {
		tc := tls.Client(dialed, dialing)
		client, err = tc, tc.Handshake()
	} else {
		client, err = record.Client(t.Context(), dialed, dialing)
	}
	wg.Wait()
	if err != nil || t.Failed() {
		t.Fatal(err)
	}
	return client, server
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "relay.test"},
		DNSNames:     []string{"relay.test"},
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
})

func roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(certificate().Leaf)
	return pool
}

// raw is the connection below TLS.
func raw(c net.Conn) net.Conn {
	for {
		t, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = t.NetConn()
	}
}

// abort resets the connection without a word at the TLS layer.
func abort(c net.Conn) {
	if tcp, ok := raw(c).(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	raw(c).Close()
}

func closeWrite(t testing.TB, c net.Conn) {
	t.Helper()
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// tell is an owner that is a function.
type tell func(relay.Result)

func (f tell) Over(r relay.Result) { f(r) }

// A bed is a running tunnel with the far ends of both its connections.
type bed struct {
	t               testing.TB
	client, backend net.Conn    // far ends, the test's
	near            [2]net.Conn // the tunnel's
	tunnel          *relay.Tunnel
	done            chan struct{}
	result          relay.Result
}

func open(t testing.TB, e *relay.Engine, client, backend string, o relay.Options) *bed {
	t.Helper()
	return openEarly(t, e, client, backend, o, relay.Early{})
}

func openEarly(t testing.TB, e *relay.Engine, client, backend string, o relay.Options, early relay.Early) *bed {
	t.Helper()
	b := connectBoth(t, client, backend)
	b.start(e, o, early)
	return b
}

func connectBoth(t testing.TB, client, backend string) *bed {
	t.Helper()
	b := &bed{t: t, done: make(chan struct{})}
	b.near[0], b.client = connect(t, client, true)
	b.near[1], b.backend = connect(t, backend, false)
	return b
}

// start starts the tunnel. The test's end cuts it and waits for it.
func (b *bed) start(e *relay.Engine, o relay.Options, early relay.Early) {
	b.tunnel = e.Start(b.near[0], b.near[1], &o, early, tell(func(r relay.Result) {
		b.result = r
		close(b.done)
	}))
	b.t.Cleanup(func() {
		if b.tunnel != nil {
			b.tunnel.Cut()
			<-b.done
		}
	})
}

// wait returns the tunnel's result, having seen that it closed both ends.
func (b *bed) wait() relay.Result {
	b.t.Helper()
	select {
	case <-b.done:
	case <-time.After(patience):
		b.t.Fatal("the tunnel does not end")
	}
	for i, side := range []string{"client", "backend"} {
		if err := raw(b.near[i]).SetDeadline(time.Time{}); err == nil {
			b.t.Errorf("the tunnel is over, but its %s connection is still open", side)
		}
	}
	return b.result
}

func (b *bed) wantReason(want relay.Reason) relay.Result {
	b.t.Helper()
	got := b.wait()
	if got.Reason != want || got.Err != nil {
		b.t.Errorf("ended with reason %q, error %v; want %q without error", got.Reason, got.Err, want)
	}
	wantEnder(b.t, got)
	return got
}

// wantEnder wants that a tunnel without a Close tells who ended it all the same.
func wantEnder(t testing.TB, r relay.Result) {
	t.Helper()
	if r.CloseCode != 0 || r.Reason == relay.LingerTimedOut {
		return // see who sent it, and who had ended its half
	}
	want := "front"
	switch r.Reason {
	case relay.ClientClosed, relay.ClientAborted, relay.ClientSilent:
		want = "client"
	case relay.BackendClosed, relay.BackendAborted, relay.BackendSilent:
		want = "backend"
	}
	if r.ClosedBy != want || r.CloseReason != "" {
		t.Errorf("%s: closed by %q with the reason %q, want by %s without one", r.Reason, r.ClosedBy, r.CloseReason, want)
	}
}

func write(t testing.TB, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

// wantRead expects exactly s next.
func wantRead(t testing.TB, c net.Conn, s string) {
	t.Helper()
	got := make([]byte, len(s))
	n, err := io.ReadFull(c, got)
	if err != nil || !bytes.Equal(got, []byte(s)) {
		t.Fatalf("read %q, %v; want %q", got[:n], err, s)
	}
}

func wantEOF(t testing.TB, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("read %d bytes, %v; want a clean end", n, err)
	}
}
