//go:build e2e

package record

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// opensslSuites are the names by which openssl can be told to use one suite,
// as crypto/tls cannot.
var opensslSuites = []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}

// TestE2E_OpenSSLClient lets openssl s_client talk to a Conn in every suite,
// with KeyUpdates from its side: k is one, K is one that asks for ours.
func TestE2E_OpenSSLClient(t *testing.T) {
	for _, suite := range opensslSuites {
		t.Run(suite, func(t *testing.T) {
			l := listen(t)
			s := startOpenSSL(t, "s_client", "-connect", l.Addr().String(), "-tls1_3", "-ciphersuites", suite, "-servername", "front.test")
			nc, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(patience))
			c, state, err := NewAccepter(serverConfig()).Handshake(t.Context(), nc)
			if err != nil {
				t.Fatal(err)
			}
			if state.CipherSuite != suites[slices.Index(opensslSuites, suite)] {
				t.Fatalf("the suite is %x", state.CipherSuite)
			}
			s.converse(t, taken(t, c))
		})
	}
}

// TestE2E_OpenSSLServer is the same towards openssl s_server, which sends two
// session tickets.
func TestE2E_OpenSSLServer(t *testing.T) {
	cert, key := writeCert(t)
	for _, suite := range opensslSuites {
		t.Run(suite, func(t *testing.T) {
			l := listen(t)
			address := l.Addr().String()
			l.Close() // s_server binds it instead
			s := startOpenSSL(t, "s_server", "-accept", address, "-tls1_3", "-ciphersuites", suite, "-cert", cert, "-key", key)
			s.expect(t, "ACCEPT")
			nc, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(patience))
			c, err := Client(t.Context(), nc, clientConfig())
			if err != nil {
				t.Fatal(err)
			}
			s.converse(t, taken(t, c))
		})
	}
}

// An openssl is one of its processes, with what it has printed so far.
type openssl struct {
	in io.WriteCloser

	mu   sync.Mutex
	more *sync.Cond
	out  strings.Builder
	over bool
}

func startOpenSSL(t *testing.T, args ...string) *openssl {
	t.Helper()
	s := &openssl{}
	s.more = sync.NewCond(&s.mu)
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.in = in
	cmd.Stdout, cmd.Stderr = s, s
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	ended := make(chan struct{})
	go func() { // ended by the process, which the cleanup kills, and awaited there
		defer close(ended)
		cmd.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.over = true
		s.more.Broadcast()
	}()
	t.Cleanup(func() {
		timer.Stop()
		cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("openssl said:\n%s", s.out.String())
		}
	})
	return s
}

func (s *openssl) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.more.Broadcast()
	return s.out.Write(p)
}

// expect waits until openssl has printed text.
func (s *openssl) expect(t *testing.T, text string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !strings.Contains(s.out.String(), text) {
		if s.over {
			t.Fatalf("openssl ended and did not print %q", text)
		}
		s.more.Wait()
	}
}

// converse talks both ways over c, with KeyUpdates of all kinds between.
func (s *openssl) converse(t *testing.T, c *Conn) {
	t.Helper()
	for i, command := range "kKKk" {
		say(t, s.in, string(command)+"\n")
		// Only once it has come, or openssl might take the command and the
		// line for one.
		for old := c.keys.in.secret; c.keys.in.secret == old; {
			if plain, err := c.next(nil); err != nil || len(plain) > 0 {
				t.Fatalf("instead of a KeyUpdate: %q, %v", plain, err)
			}
		}
		// It must not begin with a letter that is a command.
		question := fmt.Sprintf("line %d\n", i)
		say(t, s.in, question)
		hear(t, c, question)
		if i == 3 { // and one of ours, which asks for openssl's
			if _, err := c.NetConn().Write(requestUpdate(c.keys, nil)); err != nil {
				t.Fatal(err)
			}
		}
		answer := fmt.Sprintf("answer %d", i)
		say(t, c, answer+"\n")
		s.expect(t, answer)
	}
	say(t, s.in, "line by the key we asked for\n")
	hear(t, c, "line by the key we asked for\n")
	large := strings.Repeat("0123456789abcde\n", 10_000)
	say(t, c, large+"the end\n")
	s.expect(t, "the end")
	s.mu.Lock()
	out := s.out.String()
	s.mu.Unlock()
	if got := strings.Count(out, "0123456789abcde\n"); got != 10_000 {
		t.Errorf("openssl printed %d of 10,000 lines", got)
	}
	say(t, s.in, "Q\n")
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after Q: %v", err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func writeCert(t *testing.T) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(testCert().PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: testCert().Certificate[0]},
		key:  {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
