package pusher

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
)

// verifyKey is a key that tokens are verified by. What it is for is said by
// whoever put it here, never by a token.
type verifyKey struct {
	id  string // "": for tokens with any kid
	alg string
	key any // []byte, *ecdsa.PublicKey, ed25519.PublicKey or *rsa.PublicKey
}

// matching appends the keys that a token of this kid and alg may be signed with.
func matching(dst, keys []verifyKey, kid, alg string) []verifyKey {
	for _, k := range keys {
		if k.alg == alg && (k.id == kid || k.id == "" || kid == "") {
			dst = append(dst, k)
		}
	}
	return dst
}

// keyring is all keys of a TokenAuth.
type keyring struct {
	fixed  []verifyKey
	files  []*keyFile
	remote *remoteKeys // nil: no URL
	log    *slog.Logger
}

// newKeyring reads the files that cfg names.
func newKeyring(cfg TokenAuth, fetch http.RoundTripper, log *slog.Logger) (*keyring, error) {
	ring := &keyring{log: log}
	var errs FieldErrors
	add := func(field, path string, most int64, parse func([]byte, fs.FileMode) ([]verifyKey, error)) {
		f := &keyFile{path: path, most: most, parse: parse}
		if err := f.read(); err != nil {
			errs.add(field, "%s", err)
		}
		ring.files = append(ring.files, f)
	}
	for i, k := range cfg.Keys {
		at := fmt.Sprintf("keys[%d].", i)
		switch {
		case k.Secret != "":
			ring.fixed = append(ring.fixed, verifyKey{k.ID, k.Alg, []byte(k.Secret)})
		case k.SecretFile != "":
			add(at+"secret_file", k.SecretFile, maxKeyFile, k.parseSecret)
		default:
			add(at+"public_key_file", k.PublicKeyFile, maxKeyFile, k.parsePublic)
		}
	}
	if isURL(cfg.JWKS) {
		ring.remote = newRemoteKeys(cfg.JWKS, fetch, log)
	} else if cfg.JWKS != "" {
		add("jwks", cfg.JWKS, maxKeySet, func(text []byte, _ fs.FileMode) ([]verifyKey, error) { return parseKeySet(text) })
	}
	return ring, errs.orNil()
}

// find gives the keys that a token of this kid and alg may be signed with. The
// error means that there may be further ones, which cannot be had.
func (r *keyring) find(ctx context.Context, kid, alg string) ([]verifyKey, error) {
	keys := matching(nil, r.fixed, kid, alg)
	for _, f := range r.files {
		keys = matching(keys, f.current(r.log), kid, alg)
	}
	named := kid != "" && slices.ContainsFunc(keys, func(k verifyKey) bool { return k.id == kid })
	if r.remote == nil || named || alg == "HS256" { // key sets hold no secrets
		return keys, nil
	}
	others, err := r.remote.find(ctx, kid, alg)
	if len(keys) > 0 {
		return append(keys, others...), nil
	}
	return others, err
}

// keyFile is a file of keys, read again when it changes.
type keyFile struct {
	path  string
	most  int64 // bytes; a longer file is some other file
	parse func([]byte, fs.FileMode) ([]verifyKey, error)

	mu   sync.Mutex
	seen os.FileInfo // of the file when it was last read, well or not
	keys []verifyKey
}

// current gives the file's keys. A change that cannot be read is logged once,
// and the keys read before stay.
func (f *keyFile) current(log *slog.Logger) []verifyKey {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		info = nil
	}
	if unchanged(f.seen, info) {
		return f.keys
	}
	if err := f.read(); err != nil {
		log.Warn(EventKeys, "source", f.path, "error", err.Error(), "hint", "the keys read before stay in use; put a good file in place")
	} else {
		log.Info(EventKeys, "source", f.path, "keys", len(f.keys))
	}
	return f.keys
}

// unchanged tells whether a file is the one that was seen. Symbolic links are
// followed: Kubernetes swaps those.
func unchanged(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// read reads the file; f.mu is held, or f is new. What it has seen counts as
// seen from before it is read, so that a later change is not missed.
func (f *keyFile) read() error {
	f.seen = nil
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	f.seen = info
	text, err := io.ReadAll(io.LimitReader(file, f.most+1))
	if err != nil {
		return err
	}
	if int64(len(text)) > f.most {
		return fmt.Errorf("%s has more than %d bytes, far more than keys have; name another file", f.path, f.most)
	}
	keys, err := f.parse(text, info.Mode())
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.keys = keys
	return nil
}

// parseSecret reads the file of a secret. The group may read it, as the
// application needs it too.
func (k TokenKey) parseSecret(text []byte, mode fs.FileMode) ([]verifyKey, error) {
	secret := strings.TrimSpace(string(text))
	switch {
	case mode.Perm()&0o027 != 0:
		return nil, fmt.Errorf("may be read by everybody, or written by others (mode %04o); run chmod 640, with a group that the application is in", mode.Perm())
	case len(secret) < minSecret:
		return nil, errors.New(shortSecret(len(secret)))
	}
	return []verifyKey{{k.ID, k.Alg, []byte(secret)}}, nil
}

// parsePublic reads a PEM file with a public key.
func (k TokenKey) parsePublic(text []byte, _ fs.FileMode) ([]verifyKey, error) {
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return nil, errors.New("is no PEM file; write one that begins with -----BEGIN PUBLIC KEY-----")
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("holds a private key, which belongs to the signer alone; write its public key: openssl pkey -in FILE -pubout")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("holds no public key that can be read, but %q; write one that begins with -----BEGIN PUBLIC KEY-----", block.Type)
	}
	alg, err := algOf(key)
	if err != nil {
		return nil, err
	}
	if alg != k.Alg {
		return nil, fmt.Errorf("holds a key for %s; write alg: %[1]s, or name another file for %s", alg, k.Alg)
	}
	return []verifyKey{{k.ID, alg, key}}, nil
}

const minRSABits = 2048

// algOf is the algorithm that a public key is for.
func algOf(key crypto.PublicKey) (string, error) {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return "EdDSA", nil
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return "ES256", nil
		}
		return "", errors.New("holds a key of another curve than P-256, which ES256 takes; make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256")
	case *rsa.PublicKey:
		if key.N.BitLen() >= minRSABits {
			return "RS256", nil
		}
		return "", fmt.Errorf("holds an RSA key of %d bits, which can be broken; make one of at least %d", key.N.BitLen(), minRSABits)
	}
	return "", errors.New("holds a key of another kind than ES256, EdDSA and RS256 take")
}

// isLoopback reports whether a URL's host is this machine.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || host == "localhost"
}
