package acmetest

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// Validity is how long certificates are valid unless NewShortLived says
// otherwise.
const Validity = 90 * 24 * time.Hour

// CA is a certificate authority that speaks ACME (RFC 8555). Its methods may
// not be called concurrently; requests may come at any time.
type CA struct {
	t         testing.TB
	log       *log.Logger
	store     *db.MemoryStore
	authority *ca.CAImpl
	resolver  string
	server    *httptest.Server
	address   string
	trust     []byte
	front     atomic.Pointer[http.Handler]
	stopped   bool
}

// New starts a CA that ends with the test. Its HTTP-01 challenge goes to
// 127.0.0.1:httpPort and its TLS-ALPN-01 challenge to 127.0.0.1:tlsPort; ports
// not known yet are 0 and given later by Validate.
//
// It sets environment variables for pebble, so the test cannot be parallel.
func New(t testing.TB, httpPort, tlsPort int) *CA {
	t.Helper()
	return NewShortLived(t, httpPort, tlsPort, Validity)
}

// NewShortLived is New for certificates that are valid for a time of the
// test's choice, in whole seconds.
//
// A test that waits for a renewal should begin anew when the first certificate's
// serial number has a BitLen divisible by 8 (one in 512): pebble does not know
// those again when ARI names them, and refuses the order.
func NewShortLived(t testing.TB, httpPort, tlsPort int, validity time.Duration) *CA {
	t.Helper()
	// Without these pebble waits at random before each validation, refuses good
	// nonces at random, and takes names it has once validated without asking again.
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	t.Setenv("PEBBLE_AUTHZREUSE", "0")
	c := &CA{t: t, log: log.New(io.Discard, "", 0), store: db.NewMemoryStore(), resolver: startResolver(t)}
	profiles := map[string]ca.Profile{"default": {ValidityPeriod: uint64(validity / time.Second)}}
	c.authority = ca.New(c.log, c.store, "", "ecdsa", 0, 1, profiles)
	c.Validate(httpPort, tlsPort)
	c.serve("127.0.0.1:0")
	c.trust = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.server.Certificate().Raw})
	t.Cleanup(c.Stop)
	return c
}

// Validate says at which ports of 127.0.0.1 challenges are answered from now
// on.
func (c *CA) Validate(httpPort, tlsPort int) {
	checker := va.New(c.log, httpPort, tlsPort, true, c.resolver, c.store)
	front := wfe.New(c.log, c.store, checker, c.authority, []string{"pebble.test"}, true, false, 0, 0)
	handler := front.Handler()
	c.front.Store(&handler)
}

// URL is the directory, as a client wants it.
func (c *CA) URL() string { return "https://" + c.address + wfe.DirectoryPath }

// TrustPEM is the root by which the CA's own https server is verified.
func (c *CA) TrustPEM() []byte { return c.trust }

// TrustFile writes TrustPEM to a file of the test's and returns its path.
func (c *CA) TrustFile() string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "acme-root.pem")
	if err := os.WriteFile(path, c.trust, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// RootPEM is the root of the certificates that the CA issues.
func (c *CA) RootPEM() []byte { return c.authority.GetRootCert(0).PEM() }

// Roots verifies the certificates that the CA issues.
func (c *CA) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.RootPEM())
	return pool
}

// Stop takes the CA off the network. It can come back by Restart.
func (c *CA) Stop() {
	if !c.stopped {
		c.stopped = true
		c.server.CloseClientConnections()
		c.server.Close()
	}
}

// Restart brings a stopped CA back at the same URL, with all it knew.
func (c *CA) Restart() {
	c.t.Helper()
	c.Stop()
	c.serve(c.address)
	c.stopped = false
}

func (c *CA) serve(address string) {
	c.t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		c.t.Fatalf("start the test CA: %v", err)
	}
	c.address = l.Addr().String()
	c.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*c.front.Load()).ServeHTTP(w, r)
	}))
	c.server.Listener.Close()
	c.server.Listener = l
	c.server.Config.ErrorLog = c.log
	c.server.StartTLS()
}
