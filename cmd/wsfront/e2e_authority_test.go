//go:build e2e

package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"testing"
	"time"
)

// authority is a CA for certificates that an operator would have bought.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // the root as PEM
}

// pair names the PEM files of a certificate and its key.
type pair struct{ cert, key string }

func newAuthority(t testing.TB, folder string) *authority {
	t.Helper()
	return (*authority)(nil).subordinate(t, folder, "wsfront end-to-end root")
}

// subordinate makes an authority whose certificate a has signed; where a is nil,
// its own.
func (a *authority) subordinate(t testing.TB, folder, name string) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber:          newSerial(t),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	if a == nil {
		a = &authority{cert: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert: cert, key: key, file: writeFile(t, filepath.Join(folder, "root.pem"), pemText("CERTIFICATE", der))}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue writes a certificate for names and its key to folder, over an older
// pair there.
func (a *authority) issue(t testing.TB, folder string, names ...string) pair {
	t.Helper()
	return a.issueUntil(t, time.Now().Add(24*time.Hour), folder, names...)
}

// issueUntil is issue for a certificate that ends at a time; where a is nil, the
// certificate is signed by its own key.
func (a *authority) issueUntil(t testing.TB, end time.Time, folder string, names ...string) pair {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: newSerial(t),
		Subject:      pkix.Name{CommonName: names[0]},
		DNSNames:     names,
		NotBefore:    end.Add(-25 * time.Hour),
		NotAfter:     end,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	switch {
	case a == nil:
		a = &authority{cert: template, key: key}
	case a.cert.Issuer.CommonName != a.cert.Subject.CommonName:
		template.IssuingCertificateURL = []string{"http://ca.test/ca.der"} // as a public CA's have it; nobody fetches it
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		cert: writeFile(t, filepath.Join(folder, "site.pem"), pemText("CERTIFICATE", der)),
		key:  writeFile(t, filepath.Join(folder, "site.key"), pemText("PRIVATE KEY", secret)),
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newSerial(t testing.TB) *big.Int {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	return serial
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
