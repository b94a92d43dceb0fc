package record

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for something that must happen.
const patience = 30 * time.Second

// testCert is the certificate of most tests.
var testCert = sync.OnceValue(newCert)

// newCert is a self-signed certificate for front.test.
func newCert() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"front.test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
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
}

func serverConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{testCert()}}
}

func clientConfig() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(testCert().Leaf)
	return &tls.Config{
		RootCAs:            roots,
		ServerName:         "front.test",
		ClientSessionCache: tls.NewLRUClientSessionCache(1), // without it crypto/tls asks for no tickets
	}
}

// socketPair is both ends of one TCP connection, closed with the test.
func socketPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{client, server} {
		// What hangs fails by itself instead of by the test's time limit.
		c.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { c.Close() })
	}
	return client, server
}

// accepted is a crypto/tls client and what Handshake made of the other side.
type accepted struct {
	client *tls.Conn
	server net.Conn
	state  tls.ConnectionState
}

// accept does one handshake of a over two sockets.
func accept(t testing.TB, a *Accepter, config *tls.Config, client, server net.Conn) accepted {
	t.Helper()
	c := tls.Client(client, config)
	failed := make(chan error, 1)
	go func() { failed <- c.HandshakeContext(t.Context()) }() // ended by the socket's deadline, awaited below
	s, state, err := a.Handshake(t.Context(), server)
	if err := <-failed; err != nil {
		t.Fatal("client's handshake:", err)
	}
	if err != nil {
		t.Fatal("Handshake:", err)
	}
	return accepted{c, s, state}
}

// tls13 is an accepted pair of which the server's side was taken over.
func tls13(t testing.TB) (*tls.Conn, *Conn) {
	t.Helper()
	client, server := socketPair(t)
	p := accept(t, NewAccepter(serverConfig()), clientConfig(), client, server)
	return p.client, taken(t, p.server)
}

// dialed is a crypto/tls server and a taken over client.
func dialed(t testing.TB, config *tls.Config) (server *tls.Conn, client net.Conn) {
	t.Helper()
	c, s := socketPair(t)
	server = tls.Server(s, config)
	failed := make(chan error, 1)
	go func() { failed <- server.HandshakeContext(t.Context()) }() // as in accept
	client, err := Client(t.Context(), c, clientConfig())
	if err := <-failed; err != nil {
		t.Fatal("server's handshake:", err)
	}
	if err != nil {
		t.Fatal("Client:", err)
	}
	return server, client
}

// A holdConn keeps back what is written while it holds, so that it goes out in
// one packet.
type holdConn struct {
	net.Conn
	holds bool
	kept  []byte
}

func (c *holdConn) Write(p []byte) (int, error) {
	if !c.holds {
		return c.Conn.Write(p)
	}
	c.kept = append(c.kept, p...)
	return len(p), nil
}

// letGo writes what was kept. crypto/tls, after a CloseWrite, has left a write
// deadline in the past.
func (c *holdConn) letGo() error {
	c.holds = false
	c.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.Conn.Write(c.kept)
	c.kept = nil
	return err
}

// A holdAnswer is a holdConn that holds from the first read on: a client's
// answer to the server's first flight goes out together with what follows it.
type holdAnswer struct{ holdConn }

func (c *holdAnswer) Read(p []byte) (int, error) {
	c.holds = true
	return c.Conn.Read(p)
}

// pair is two taken over ends.
func pair(t testing.TB) (client, server *Conn) {
	t.Helper()
	c, s := socketPair(t)
	return over(t, c, s)
}

// over is pair over given sockets.
func over(t testing.TB, client, server net.Conn) (*Conn, *Conn) {
	t.Helper()
	type result struct {
		c   net.Conn
		err error
	}
	done := make(chan result, 1)
	go func() { // as in accept
		c, err := Client(context.Background(), client, clientConfig())
		done <- result{c, err}
	}()
	s, _, err := NewAccepter(serverConfig()).Handshake(t.Context(), server)
	r := <-done
	if err != nil || r.err != nil {
		t.Fatal("handshake:", err, r.err)
	}
	return taken(t, r.c), taken(t, s)
}

func taken(t testing.TB, c net.Conn) *Conn {
	t.Helper()
	rc, ok := c.(*Conn)
	if !ok {
		t.Fatalf("a TLS 1.3 connection was not taken over: %T", c)
	}
	return rc
}

// say writes text to c; it is short enough not to block.
func say(t testing.TB, c io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("write %q: %v", text, err)
	}
}

// hear reads exactly text from c.
func hear(t testing.TB, c io.Reader, text string) {
	t.Helper()
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatalf("read %q: %v", text, err)
	}
	if string(b) != text {
		t.Fatalf("read %q, want %q", b, text)
	}
}
