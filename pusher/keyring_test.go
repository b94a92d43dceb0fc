package pusher

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// replaceFile puts another file in place, as careful people and programs do.
func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

func TestTokenKeys_AFileThatChangesIsReadAgain(t *testing.T) {
	first, second := strings.Repeat("1", 32), strings.Repeat("2", 32)
	path := fileOf(t, "secret", "\n "+first+" \r\n", 0o640)
	g := newGate(t, TokenAuth{Keys: []TokenKey{{Alg: "HS256", SecretFile: path}}})
	by := func(secret string) string { return signed(t, jose.HS256, "", []byte(secret), nil) }
	g.admits(bearing(by(first)))
	g.refuses(bearing(by(second)))
	if lines := g.log.find(EventKeys); len(lines) != 0 {
		t.Errorf("nothing has changed, but the log has %q", lines)
	}

	replaceFile(t, path, second)
	g.refuses(bearing(by(first)))
	g.admits(bearing(by(second)))
	g.log.await(t, EventKeys, "INFO source="+path+" keys=1")

	replaceFile(t, path, "s3cr3t")
	g.admits(bearing(by(second)))
	g.admits(bearing(by(second)))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	g.admits(bearing(by(second)))
	g.admits(bearing(by(second)))
	lines := g.log.find(EventKeys)
	if len(lines) != 3 || !strings.Contains(lines[1], "the secret has 6 bytes") || !strings.Contains(lines[1], "hint=the keys read before stay in use") ||
		!strings.Contains(lines[2], "no such file") {
		t.Errorf("each change once: %q", lines)
	}
	for _, line := range lines {
		if strings.Contains(line, "s3cr3t") || strings.Contains(line, second) {
			t.Errorf("a secret shows: %s", line)
		}
	}

	replaceFile(t, path, first)
	g.admits(bearing(by(first)))
}

func TestTokenKeys_ALinkThatIsSwappedIsReadAgain(t *testing.T) {
	first, second := strings.Repeat("1", 32), strings.Repeat("2", 32)
	dir := t.TempDir()
	for name, text := range map[string]string{"a": first, "b": second} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "secret")
	if err := os.Symlink("a", link); err != nil {
		t.Fatal(err)
	}
	g := newGate(t, TokenAuth{Keys: []TokenKey{{Alg: "HS256", SecretFile: link}}})
	if err := os.Symlink("b", link+".next"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".next", link); err != nil {
		t.Fatal(err)
	}
	g.admits(bearing(signed(t, jose.HS256, "", []byte(second), nil)))
}

func TestTokenKeys_FilesThatAreNotWhatTheySay(t *testing.T) {
	k := testKeys()
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k.ec)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&k.rs.PublicKey)})
	for _, c := range []struct {
		key  TokenKey
		want string
	}{
		{TokenKey{Alg: "HS256", SecretFile: fileOf(t, "f", testSecret, 0o644)}, "may be read by everybody, or written by others (mode 0644); run chmod 640"},
		{TokenKey{Alg: "HS256", SecretFile: fileOf(t, "f", testSecret, 0o660)}, "may be read by everybody, or written by others (mode 0660)"},
		{TokenKey{Alg: "HS256", SecretFile: fileOf(t, "f", "short", 0o600)}, "the secret has 5 bytes"},
		{TokenKey{Alg: "HS256", SecretFile: fileOf(t, "f", strings.Repeat("x", maxKeyFile+1), 0o600)}, "has more than 4096 bytes, far more than keys have; name another file"},
		{TokenKey{Alg: "HS256", SecretFile: "missing"}, "keys[0].secret_file: open missing: no such file or directory"},
		{TokenKey{Alg: "ES256", PublicKeyFile: pemFile(t, "f", k.ed.Public())}, "holds a key for EdDSA; write alg: EdDSA, or name another file for ES256"},
		{TokenKey{Alg: "ES256", PublicKeyFile: pemFile(t, "f", p384.Public())}, "holds a key of another curve than P-256"},
		{TokenKey{Alg: "RS256", PublicKeyFile: pemFile(t, "f", weak.Public())}, "holds an RSA key of 1024 bits, which can be broken; make one of at least 2048"},
		{TokenKey{Alg: "ES256", PublicKeyFile: fileOf(t, "f", "ssh-ed25519 AAAA", 0o644)}, "is no PEM file; write one that begins with -----BEGIN PUBLIC KEY-----"},
		{TokenKey{Alg: "ES256", PublicKeyFile: fileOf(t, "f", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), 0o600)},
			"holds a private key, which belongs to the signer alone; write its public key: openssl pkey -in FILE -pubout"},
		{TokenKey{Alg: "RS256", PublicKeyFile: fileOf(t, "f", string(pkcs1), 0o644)}, `holds no public key that can be read, but "RSA PUBLIC KEY"`},
	} {
		_, err := NewTokenAuth(TokenAuth{Keys: []TokenKey{c.key}}, nil, slog.New(&journal{}))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
	_, err = NewTokenAuth(TokenAuth{JWKS: fileOf(t, "f", `{"keys": []}`, 0o644)}, nil, slog.New(&journal{}))
	if err == nil || !strings.HasPrefix(err.Error(), "jwks: ") || !strings.HasSuffix(err.Error(), "holds no public key for ES256, EdDSA or RS256") {
		t.Errorf("got %v", err)
	}
}
