package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"
)

// certLog writes what happens to certificates, each failure with what to do.
type certLog struct {
	*slog.Logger
	account *certAccount
	storage string // the folder of certificates
	ca      string // the directory's URL
	plain   string // where HTTP-01 is answered, "" for nowhere
	secure  string // where TLS-ALPN-01 is answered
}

// failed says that a name has no new certificate. A retry of 0 is one that
// certmagic times.
func (l *certLog) failed(name string, err error, retry time.Duration) {
	f := certFailure{at: time.Now(), error: err.Error(), hint: l.hint(name, err), retry: retry}
	l.account.fail(name, f)
	attrs := []any{"name", name, "error", f.error, "hint", f.hint}
	if retry > 0 {
		attrs = append(attrs, "retry_in", retry)
	}
	l.Error(eventCertFailed, attrs...)
}

// hint says what to do about a failure. Where it is an ACME problem, its type
// decides (RFC 8555 §6.7); else the error itself, and at last its words, since
// not all that comes from certmagic is wrapped.
func (l *certLog) hint(name string, err error) string {
	if kind := acmeProblem(err); kind != "" {
		return l.problemHint(name, kind)
	}
	text := err.Error()
	var network net.Error
	switch {
	case isStorageFailure(err):
		return l.storageHint(err)
	case strings.Contains(text, "x509:"), strings.Contains(text, "tls: failed to verify"):
		return fmt.Sprintf("the CA's server at %s has a certificate that is not trusted here; name its root by acme.ca_root", l.ca)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network), strings.Contains(text, "dial tcp"):
		return fmt.Sprintf("the CA at %s cannot be reached; look at this machine's network, name server and firewall, and at acme.ca (certificates already there go on serving)", l.ca)
	}
	return "read the error; if it is not yours to mend, it may pass by itself"
}

// storageHint is for a folder that cannot be written.
func (l *certLog) storageHint(err error) string {
	if errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "no space left") {
		return fmt.Sprintf("the disk of %s is full; make room (certificates already there go on serving)", l.storage)
	}
	return fmt.Sprintf("%s must be writable by this user; look at its owner, its permissions and whether it is mounted read-only (certificates already there go on serving)", l.storage)
}

// problemHint is for what the CA itself had to say.
func (l *certLog) problemHint(name, kind string) string {
	switch kind {
	case "dns":
		return fmt.Sprintf("the CA finds no address for %s; add an A or AAAA record that leads to this machine, and take away wrong ones", name)
	case "connection", "unauthorized", "tls", "incorrectResponse", "malformed":
		return l.reachHint(name)
	case "rateLimited":
		return "the CA's rate limit is used up; wait, and until it works try with the CA's staging directory as acme.ca"
	case "caa":
		return fmt.Sprintf("a CAA record of %s or above does not allow this CA; change the record, or acme.ca", name)
	case "rejectedIdentifier", "unsupportedIdentifier":
		return fmt.Sprintf("this CA issues no certificate for %s; public CAs want a public name (for others write tls: internal)", name)
	case "invalidContact", "unsupportedContact":
		return "the CA does not like acme.email; write another address, or none"
	case "externalAccountRequired", "userActionRequired":
		return "this CA wants an account made by hand; choose another by acme.ca"
	case "serverInternal":
		return "the CA has trouble of its own; it will pass (certificates already there go on serving)"
	}
	return "the error is the CA's own; read it, and look up " + kind + " in its documentation"
}

// reachHint is for a CA that did not find us at the other end of a name.
func (l *certLog) reachHint(name string) string {
	hint := fmt.Sprintf("the address of %s in DNS must be this machine's, and its port 443 must reach %s", name, l.secure)
	if l.plain != "" {
		hint += fmt.Sprintf(", or its port 80 must reach %s", l.plain)
	}
	return hint + "; look at DNS (an AAAA record too), firewall and port forwarding"
}

// isStorageFailure reports whether an error is about the storage folder.
// certmagic wraps none of these.
func isStorageFailure(err error) bool {
	text := err.Error()
	for _, sign := range []string{"storage check", "saving assets", "unable to acquire lock", "locking account", "could not save account", "caching certificate"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	var path *fs.PathError
	return errors.As(err, &path)
}
