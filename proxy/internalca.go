package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Lifetimes of what the internal CA signs. A leaf is renewed when a third of
// its time is left; both begin an hour in the past, for clients whose clocks
// are behind.
const (
	rootLifetime = 10 * 365 * 24 * time.Hour
	leafLifetime = 7 * 24 * time.Hour
	backdated    = time.Hour
)

// maxLeaves bounds the certificates kept in memory: with hosts ["*"] it is
// the client who chooses the names.
const maxLeaves = 1000

// internalCA signs certificates for sites with tls: internal.
type internalCA struct {
	root *x509.Certificate
	key  *ecdsa.PrivateKey

	mu     sync.Mutex
	leaves map[string]*tls.Certificate // by name
}

// InternalCA returns the root certificate of the CA for sites with tls:
// internal, as PEM, and the file it is in, below the state folder. The CA is
// made where there is none yet; programs that do so at the same time agree on
// one.
func InternalCA(state string) (certPEM []byte, path string, err error) {
	ca, err := openInternalCA(state)
	if err != nil {
		return nil, "", err
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.root.Raw})
	return certPEM, filepath.Join(internalCADir(state), "root.crt"), nil
}

// InternalCARoot returns the root certificate of that CA, as PEM, and makes
// nothing where there is none.
func InternalCARoot(state string) (certPEM []byte, err error) {
	return os.ReadFile(filepath.Join(internalCADir(state), "root.crt"))
}

func internalCADir(state string) string { return filepath.Join(state, "internal-ca") }

func openInternalCA(state string) (*internalCA, error) {
	if err := makeStateDir(state); err != nil {
		return nil, err
	}
	dir := internalCADir(state)
	ca, err := loadInternalCA(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = createInternalCA(dir); err == nil {
			ca, err = loadInternalCA(dir)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the internal CA: %w", err)
	}
	return ca, nil
}

func loadInternalCA(dir string) (*internalCA, error) {
	remedy := fmt.Sprintf("restore the files, or remove %s to have a new CA, which every client must then trust anew", dir)
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "root.crt"), filepath.Join(dir, "root.key"))
	if err != nil {
		// %v: half a CA is not a missing one, and must not be replaced unasked.
		return nil, fmt.Errorf("%v; %s", err, remedy)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("%s holds a certificate that is not ours; %s", dir, remedy)
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("the root certificate expired on %s; %s", pair.Leaf.NotAfter.Format(time.DateOnly), remedy)
	}
	return &internalCA{root: pair.Leaf, key: key, leaves: map[string]*tls.Certificate{}}, nil
}

// createInternalCA makes root and key in a folder of its own and renames the
// folder: there is never one file without the other, and of several processes
// the first wins.
func createInternalCA(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial := newSerial()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: fmt.Sprintf("wsfront internal CA %x", serial.Bytes()[:4])},
		NotBefore:             time.Now().Add(-backdated),
		NotAfter:              time.Now().Add(rootLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), ".internal-ca-*") // 0700
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	write := func(name, kind string, der []byte) error {
		return os.WriteFile(filepath.Join(temporary, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
	}
	if err := write("root.key", "PRIVATE KEY", keyDER); err != nil {
		return err
	}
	if err := write("root.crt", "CERTIFICATE", der); err != nil {
		return err
	}
	if err := os.Rename(temporary, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// certificate returns a leaf for the name, signed now or lately.
func (ca *internalCA) certificate(_ *tls.ClientHelloInfo, name string) (*tls.Certificate, error) {
	ip, err := netip.ParseAddr(name)
	isIP := err == nil
	if !isIP && !isHostname(name) {
		return nil, fmt.Errorf("%q is no host name", name)
	}
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if leaf := ca.leaves[name]; leaf != nil && time.Until(leaf.Leaf.NotAfter) > leafLifetime/3 {
		return leaf, nil
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(),
		NotBefore:    time.Now().Add(-backdated),
		NotAfter:     time.Now().Add(leafLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if isIP {
		template.IPAddresses = append(template.IPAddresses, ip.AsSlice())
	} else {
		template.DNSNames = []string{name}
	}
	leaf, err := ca.sign(template)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	if len(ca.leaves) >= maxLeaves {
		clear(ca.leaves)
	}
	ca.leaves[name] = leaf
	return leaf, nil
}

func (ca *internalCA) sign(template *x509.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.root, key.Public(), ca.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// newSerial is positive and of 128 bits, its first bit set so that its length
// never varies.
func newSerial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b) // never fails: see its documentation
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}

// isHostname reports whether a name from a TLS handshake, in lower case, is
// one that DNS could have (RFC 1123 §2.1), an underscore allowed. An IP
// address is none.
func isHostname(name string) bool {
	if len(name) == 0 || len(name) > 253 {
		return false
	}
	digits := false
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		digits = true
		for _, c := range []byte(label) {
			switch {
			case c >= '0' && c <= '9':
			case c >= 'a' && c <= 'z', c == '-', c == '_':
				digits = false
			default:
				return false
			}
		}
	}
	return !digits // no top-level domain is a number, but an address ends in one
}
