package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func ExampleInternalCA() {
	state, err := os.MkdirTemp("", "wsfront")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(state)
	root, path, err := InternalCA(state)
	if err != nil {
		panic(err)
	}
	fmt.Println(strings.SplitN(string(root), "\n", 2)[0])
	fmt.Println(strings.TrimPrefix(path, state))
	// Output:
	// -----BEGIN CERTIFICATE-----
	// /internal-ca/root.crt
}

func TestInternalCA_RootOutlivesRestart(t *testing.T) {
	state := filepath.Join(t.TempDir(), "not", "there", "yet")
	first, path, err := InternalCA(state)
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := InternalCA(state)
	if err != nil || string(first) != string(second) {
		t.Errorf("another root after a restart (error %v)", err)
	}
	if written, err := os.ReadFile(path); err != nil || string(written) != string(first) {
		t.Errorf("%s does not hold the root (error %v)", path, err)
	}
	for path, want := range map[string]os.FileMode{
		state: 0o700, filepath.Dir(path): 0o700, filepath.Join(filepath.Dir(path), "root.key"): 0o600,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %v", path, info.Mode(), err, want)
		}
	}
	left, err := os.ReadDir(state)
	if err != nil || len(left) != 1 {
		t.Errorf("the state folder holds %v, want internal-ca alone", left)
	}
}

func TestInternalCA_ProcessesThatRaceAgree(t *testing.T) {
	state := t.TempDir()
	roots := make([]string, 8)
	var wg sync.WaitGroup
	for i := range roots {
		wg.Go(func() {
			root, _, err := InternalCA(state)
			if err != nil {
				t.Error(err)
			}
			roots[i] = string(root)
		})
	}
	wg.Wait()
	for _, root := range roots {
		if root != roots[0] {
			t.Fatal("two roots")
		}
	}
}

func TestInternalCA_HalfOfOneIsNotReplaced(t *testing.T) {
	state := t.TempDir()
	_, path, err := InternalCA(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(path), "root.key")); err != nil {
		t.Fatal(err)
	}
	if _, _, err = InternalCA(state); err == nil || !strings.Contains(err.Error(), "restore the files, or remove "+filepath.Dir(path)) {
		t.Errorf("got error %v, want one that says what to do", err)
	}
}

func TestInternalCA_LeafIsVerifiedByNameAndAddress(t *testing.T) {
	ca, err := openInternalCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.root)
	for _, name := range []string{"app.test", "localhost", "127.0.0.1", "::1"} {
		leaf, err := ca.certificate(nil, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		host := name
		if strings.Contains(name, ":") {
			host = "[" + name + "]"
		}
		if _, err := leaf.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: pool}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "a b", "*.test", "-x.test", "1.2.3", strings.Repeat("a", 64) + ".test"} {
		if _, err := ca.certificate(nil, name); err == nil {
			t.Errorf("a certificate for %q", name)
		}
	}
}

func TestInternalCA_LeafIsRenewedBeforeItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, err := openInternalCA(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		leaf := func() *tls.Certificate {
			t.Helper()
			leaf, err := ca.certificate(nil, "app.test")
			if err != nil {
				t.Fatal(err)
			}
			if now := time.Now(); now.Before(leaf.Leaf.NotBefore.Add(backdated)) || now.After(leaf.Leaf.NotAfter) {
				t.Fatalf("at %v a leaf from %v to %v", now, leaf.Leaf.NotBefore, leaf.Leaf.NotAfter)
			}
			return leaf
		}
		first := leaf()
		time.Sleep(24 * time.Hour)
		if leaf() != first {
			t.Error("a new leaf after a day")
		}
		time.Sleep(leafLifetime)
		if leaf() == first {
			t.Error("the same leaf after its lifetime")
		}
	})
}

func TestInternalCA_MemoryIsBounded(t *testing.T) {
	ca, err := openInternalCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxLeaves + 10 {
		if _, err := ca.certificate(nil, fmt.Sprintf("host%d.test", i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(ca.leaves) > maxLeaves {
		t.Errorf("%d leaves in memory", len(ca.leaves))
	}
}

func FuzzIsHostname(f *testing.F) {
	for _, seed := range []string{"app.test", "xn--bcher-kva.example", "_dmarc.example.com", "127.0.0.1", "1.2.3.4.in-addr.arpa", "a..b", "-a", "*", "", "::1", "a.b."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !isHostname(name) {
			return
		}
		// What passes goes into a certificate, a URL and a file name.
		if strings.ContainsAny(name, "/\\%:*@ \x00") || strings.Contains(name, "..") || strings.ToLower(name) != name {
			t.Errorf("%q passes as a host name", name)
		}
		if (&x509.Certificate{DNSNames: []string{name}}).VerifyHostname(name) != nil {
			t.Errorf("no certificate can be verified for %q", name)
		}
	})
}
