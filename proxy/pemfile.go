package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// pemFile is a certificate and key in two files, read again when they change.
type pemFile struct {
	cert, key string
	hosts     []string // of the site, which it is to cover
	pair      atomic.Pointer[tls.Certificate]

	// Only the goroutine that polls uses these.
	served fileState // of the files that were last dealt with
	broken fileState // of files that did not load, once

	unread atomic.Pointer[certProblem] // that what has changed does not load; nil where it does
}

// fileState tells whether a pair of files has changed. Symbolic links are
// followed: certbot and Kubernetes swap those.
type fileState [2]os.FileInfo // nil for a file that is not there

func stateOfFiles(paths ...string) (s fileState) {
	for i, path := range paths {
		if info, err := os.Stat(path); err == nil {
			s[i] = info
		}
	}
	return s
}

func (s fileState) same(other fileState) bool {
	for i, a := range s {
		b := other[i]
		if (a == nil) != (b == nil) {
			return false
		}
		if a != nil && !(os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())) {
			return false
		}
	}
	return true
}

// loadPEMFile reads the pair for the first time.
func loadPEMFile(cert, key string) (*pemFile, error) {
	f := &pemFile{cert: cert, key: key, served: stateOfFiles(cert, key)}
	pair, err := f.read()
	if err != nil {
		return nil, err
	}
	f.pair.Store(pair)
	return f, nil
}

func (f *pemFile) certificate(*tls.ClientHelloInfo, string) (*tls.Certificate, error) {
	return f.pair.Load(), nil
}

// read reads the pair and says in plain words why it cannot be used.
func (f *pemFile) read() (*tls.Certificate, error) {
	certPEM, err := os.ReadFile(f.cert)
	if err != nil {
		return nil, fileError("certificate", f.cert, err)
	}
	keyPEM, err := os.ReadFile(f.key)
	if err != nil {
		return nil, fileError("key", f.key, err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("the certificate %s and the key %s do not go together: %w; give the certificate first, its chain behind it, and the key it was made with", f.cert, f.key, err)
	}
	return &pair, nil
}

func fileError(kind, path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the %s file %s does not exist", kind, path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the %s file %s may not be read by this user; allow it with: chgrp and chmod g+r", kind, path)
	}
	return fmt.Errorf("read the %s: %w", kind, err)
}

// poll reads the pair again if it has changed, and puts it in place if it is
// good. Otherwise the old one goes on serving, and a change that still does not
// load at the next poll is logged: the first time it may be half written.
func (f *pemFile) poll(log *slog.Logger) {
	now := stateOfFiles(f.cert, f.key)
	if now.same(f.served) {
		return
	}
	pair, err := f.read()
	if err != nil {
		if now.same(f.broken) {
			f.served = now
			hint := "the certificate read before goes on serving, until " + f.pair.Load().Leaf.NotAfter.Format(time.RFC3339) + "; put a good pair in place"
			f.unread.Store(&certProblem{"the changed files cannot be used: " + err.Error(), hint})
			log.Error(eventCertReloadFailed, "cert", f.cert, "key", f.key, "error", err.Error(), "hint", hint)
		}
		f.broken = now
		return
	}
	f.pair.Store(pair)
	f.unread.Store(nil)
	f.served = now
	log.Info(eventCertReload, "cert", f.cert, "not_after", pair.Leaf.NotAfter)
}

// certProblem is what is wrong with a certificate, and what to do.
type certProblem struct{ problem, hint string }

// examine warns about a pair that clients will not accept.
func (f *pemFile) examine(log *slog.Logger) {
	for _, p := range f.problems() {
		log.Warn(eventCertUnfit, "cert", f.cert, "problem", p.problem, "hint", p.hint)
	}
}

// problems are why clients will not accept the pair.
func (f *pemFile) problems() (list []certProblem) {
	leaf := f.pair.Load().Leaf
	if now := time.Now(); now.After(leaf.NotAfter) {
		list = append(list, certProblem{"expired on " + leaf.NotAfter.Format(time.RFC3339), "clients will refuse it; renew it"})
	} else if now.Before(leaf.NotBefore) {
		list = append(list, certProblem{"is not valid before " + leaf.NotBefore.Format(time.RFC3339),
			"clients will refuse it until then; is this machine's clock right?"})
	}
	for _, host := range f.hosts {
		if host == "*" || leaf.VerifyHostname(sample(host)) == nil {
			continue
		}
		list = append(list, certProblem{"does not cover " + host,
			"clients will refuse it for that name; get a certificate that lists it, or take the name out of hosts"})
	}
	return list
}

// sample is a name that a host entry takes: that of a wildcard, or itself.
func sample(host string) string {
	if len(host) > 1 && host[0] == '*' {
		return "sample" + host[1:]
	}
	return host
}
