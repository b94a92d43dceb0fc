package diagnosis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// OfError names the cause of an error of a lookup, a dial, a TLS handshake or a
// first read or write, by what is in its chain: "" for nil and for an error that
// is none of these. The certificates that a server sent tell an unknown CA from
// a missing intermediate; where they are not known, as on a resumed connection,
// chain is nil.
func OfError(err error, chain []*x509.Certificate) Cause {
	if err == nil {
		return ""
	}
	if c := ofCertificate(err, chain); c != "" {
		return c
	}
	var lookup *net.DNSError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &lookup):
		return NameUnknown
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT): // of a Unix socket
		return PortRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), isTimeout(err):
		return PortSilent
	case errors.As(err, &record):
		if strings.HasPrefix(string(record.RecordHeader[:]), "HTTP") {
			return TLSMissing
		}
		return NotHTTP
	case strings.Contains(err.Error(), "tls: "):
		return ofAlert(err.Error())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return AnswerMissing
	}
	return ""
}

// ofAlert goes by the text, as crypto/tls has no type for alerts that it
// received, nor for a version that it refuses.
func ofAlert(text string) Cause {
	switch {
	case strings.Contains(text, "protocol version not supported"), strings.Contains(text, "server selected unsupported protocol version"):
		return TLSOld
	case strings.Contains(text, "unrecognized name"):
		return TLSName
	}
	return TLSFailed
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// ofCertificate names what is wrong with a certificate. An issuer that nobody
// knows is a missing intermediate when the server sent its own certificate alone,
// and that says where its issuer's is to be had, as those of public CAs do (RFC
// 5280 §4.2.2.1): the CAs that a company or a program makes for itself mostly sign
// right below their root.
func ofCertificate(err error, chain []*x509.Certificate) Cause {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	switch {
	case errors.As(err, &name):
		return TLSName
	case errors.As(err, &invalid):
		if invalid.Reason == x509.Expired {
			return TLSExpired
		}
		return TLSUntrusted
	case errors.As(err, &unknown):
		if len(chain) == 1 && string(chain[0].RawIssuer) != string(chain[0].RawSubject) && len(chain[0].IssuingCertificateURL) > 0 {
			return TLSChain
		}
		return TLSUntrusted
	}
	return ""
}

// AtBackend is what a cause that a front met on its way to a backend means for
// who asked the front.
func (c Cause) AtBackend() Cause {
	switch c {
	case NameUnknown, PortRefused, PortSilent, FamilyDead:
		return BackendDown
	case TLSMissing, TLSRequired, TLSOld, TLSFailed, AnswerMissing, NotHTTP:
		return BackendScheme
	case TLSUntrusted, TLSChain, TLSName, TLSExpired:
		return BackendTLS
	}
	return c
}
