package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// tlsWait is how long a test waits for what must come.
const tlsWait = 20 * time.Second

// tlsFront is a Server that serves on loopback until its test ends.
type tlsFront struct {
	*Server
	t             *testing.T
	events        *tlsEvents
	secure, plain string
	stop          func()
}

// newTLSFront makes and binds a Server; serve begins. Sites without routes get
// some, where the certificates are what is tested.
func newTLSFront(t *testing.T, cfg Config) *tlsFront {
	t.Helper()
	if cfg.State == "" {
		cfg.State = t.TempDir()
	}
	if cfg.Listen == nil {
		cfg.Listen = Addresses{"127.0.0.1:0"}
	}
	if cfg.HTTPListen == nil {
		cfg.HTTPListen = Addresses{"127.0.0.1:0"}
	}
	for i := range cfg.Sites {
		if cfg.Sites[i].Routes == nil {
			cfg.Sites[i].Routes = streamRoutes()
		}
	}
	events := &tlsEvents{changed: make(chan struct{})}
	s, err := New(cfg, slog.New(events), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	f := &tlsFront{Server: s, t: t, events: events}
	secure, plain := s.Addrs()
	if len(secure) > 0 {
		f.secure = secure[0].String()
	}
	if len(plain) > 0 {
		f.plain = plain[0].String()
	}
	return f
}

func (f *tlsFront) serve() *tlsFront {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }() // ended by cancel, awaited by stop
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("Run: %v", err)
		}
	})
	f.t.Cleanup(f.stop)
	return f
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}

// shake does one TLS handshake and returns what it showed.
func (f *tlsFront) shake(config *tls.Config) (tls.ConnectionState, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: tlsWait}, "tcp", f.secure, config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.ConnectionState(), nil
}

// certFor is the certificate that a client of that name gets, whoever signed it.
func (f *tlsFront) certFor(name string) (*x509.Certificate, error) {
	state, err := f.shake(&tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	return state.PeerCertificates[0], nil
}

// waitForCert waits until a client that trusts roots accepts the certificate
// of name, and want as well.
func (f *tlsFront) waitForCert(name string, roots *x509.CertPool, want func(*x509.Certificate) bool) *x509.Certificate {
	f.t.Helper()
	deadline := time.Now().Add(tlsWait)
	for {
		state, err := f.shake(&tls.Config{ServerName: name, RootCAs: roots})
		if err == nil && (want == nil || want(state.PeerCertificates[0])) {
			return state.PeerCertificates[0]
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("no certificate for %s: %v; events:\n%s", name, err, f.events)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// internalRoots trusts the internal CA of the front's state folder.
func (f *tlsFront) internalRoots() *x509.CertPool {
	f.t.Helper()
	root, _, err := InternalCA(f.cfg.State)
	if err != nil {
		f.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(root)
	return pool
}

// streamRoutes has one route that answers "hello" to event streams.
func streamRoutes() []Route {
	return []Route{{Path: "/", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })}}
}

// tlsEvents is a slog.Handler that tests can wait on.
type tlsEvents struct {
	mu      sync.Mutex
	records []string // "LEVEL event key=value …"
	changed chan struct{}
}

func (e *tlsEvents) Enabled(context.Context, slog.Level) bool { return true }
func (e *tlsEvents) WithAttrs([]slog.Attr) slog.Handler       { return e }
func (e *tlsEvents) WithGroup(string) slog.Handler            { return e }

func (e *tlsEvents) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", r.Level, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	e.records = append(e.records, b.String())
	close(e.changed)
	e.changed = make(chan struct{})
	return nil
}

func (e *tlsEvents) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.records, "\n")
}

// find returns the first line of an event that holds every part.
func (e *tlsEvents) find(event string, parts ...string) (line string, changed chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
records:
	for _, line := range e.records {
		if _, rest, _ := strings.Cut(line, " "); !strings.HasPrefix(rest+" ", event+" ") {
			continue
		}
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue records
			}
		}
		return line, nil
	}
	return "", e.changed
}

func (e *tlsEvents) wait(t *testing.T, event string, parts ...string) string {
	t.Helper()
	deadline := time.After(tlsWait)
	for {
		line, changed := e.find(event, parts...)
		if changed == nil {
			return line
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("no event %s with %q; events:\n%s", event, parts, e)
		}
	}
}

func (e *tlsEvents) count(event string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, line := range e.records {
		if _, rest, _ := strings.Cut(line, " "); strings.HasPrefix(rest+" ", event+" ") {
			n++
		}
	}
	return n
}

// pemPair makes a self-signed certificate; its serial number tells it apart.
func pemPair(t testing.TB, notAfter time.Time, names ...string) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: newSerial(), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: notAfter.Add(-24 * time.Hour), NotAfter: notAfter}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// writePair puts a pair into a folder as cert.pem and key.pem.
func writePair(t testing.TB, dir string, certPEM, keyPEM []byte) TLS {
	t.Helper()
	files := TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for path, content := range map[string][]byte{files.Cert: certPEM, files.Key: keyPEM} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// freshPair is a pair of files that is good for the names.
func freshPair(t testing.TB, names ...string) TLS {
	t.Helper()
	certPEM, keyPEM := pemPair(t, time.Now().Add(time.Hour), names...)
	return writePair(t, t.TempDir(), certPEM, keyPEM)
}
