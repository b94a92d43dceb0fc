package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"wsfront/proxy/diagnosis"
)

// tlsAsked is what is known of a TLS handshake that failed, beside its error. The
// goroutine that does the handshake fills it in.
type tlsAsked struct {
	name    string // what the client asks for, or the address that it reached
	refused error  // why there is no certificate for that
}

// tlsAskedKey is the key of a *tlsAsked in the context of its handshake.
type tlsAskedKey struct{}

func (a *tlsAsked) within(ctx context.Context) context.Context {
	return context.WithValue(ctx, tlsAskedKey{}, a)
}

// askedBy is that of a handshake under way.
func askedBy(hello *tls.ClientHelloInfo) *tlsAsked {
	if ctx := hello.Context(); ctx != nil { // crypto/tls has one for each handshake that it does
		if a, ok := ctx.Value(tlsAskedKey{}).(*tlsAsked); ok {
			return a
		}
	}
	return new(tlsAsked)
}

// noteTLSFailure remembers a TLS handshake that failed. Who went away, or never
// said anything, as health checks of TCP do, is no failure.
func (s *Server) noteTLSFailure(client netip.Addr, asked *tlsAsked, err error) {
	cause, reason := tlsCause(asked, err)
	if reason == "" {
		return
	}
	s.failures.note(failureKey{kind: failedTLS, cause: cause}, time.Now(), [16]byte{}, client, "", []byte(asked.name), nil, reason)
}

// tlsCause says why a handshake failed: by the text of crypto/tls where it must
// be, which has no type for alerts that it received. The cause is "" where none
// says what happened, and the reason where nothing did.
func tlsCause(asked *tlsAsked, err error) (cause diagnosis.Cause, reason string) {
	var noTLS tls.RecordHeaderError
	switch {
	case asked.refused == errUnserved:
		return diagnosis.TLSName, asked.refused.Error()
	case asked.refused != nil:
		return diagnosis.TLSFailed, asked.refused.Error()
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return "", ""
	case errors.Is(err, context.DeadlineExceeded):
		return "", "the client did not finish within limits.handshake_timeout"
	case errors.As(err, &noTLS):
		if looksLikeHTTP(noTLS.RecordHeader) {
			return diagnosis.TLSRequired, "plain HTTP came where TLS is spoken"
		}
		return "", fmt.Sprintf("what came is not TLS: it begins %q", noTLS.RecordHeader)
	}
	reason = strings.TrimPrefix(err.Error(), "remote error: ")
	switch {
	case !strings.HasPrefix(err.Error(), "remote error: "):
		return "", reason
	case strings.Contains(reason, "unknown certificate authority"), strings.Contains(reason, "unknown certificate"), strings.Contains(reason, "bad certificate"):
		cause = diagnosis.TLSUntrusted
	case strings.Contains(reason, "expired certificate"):
		cause = diagnosis.TLSExpired
	}
	return cause, "the client refuses the certificate or the handshake: " + reason
}
