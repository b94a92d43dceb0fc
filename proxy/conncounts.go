package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
)

// carried is what a client's connection carries, as Counts.Connections has it.
// Tunnels are counted where they are kept.
type carried uint8

const (
	carriesNothing   carried = iota // it is not counted, or not any more
	carriesHandshake                // of TLS
	carriesHTTP1
	carriesHTTP2
	carriesPush // a client of a push route, or what a handler has taken over
	carriedKinds
)

// Why a TLS handshake came to nothing.
const (
	tlsNoCertificate = "no_certificate" // for the name that the client asked for
	tlsClientGone    = "client_gone"
	tlsTimeout       = "timeout"
	tlsNotTLS        = "not_tls"
	tlsVersion       = "version" // none in common
	tlsCipher        = "cipher"  // likewise
	tlsRejected      = "certificate_rejected"
	tlsProtocol      = "protocol" // whatever else is wrong with what the client sends
	tlsOverload      = "overload" // a limit left no place for it
	tlsStopping      = "stopping" // the server is
)

// connCounts count connections and TLS handshakes. They may be used
// concurrently.
type connCounts struct {
	open          [carriedKinds]atomic.Int64
	secure, plain atomic.Uint64 // that were accepted
	tls12, tls13  atomic.Uint64 // handshakes that succeeded
	failures      byReason      // those that did not
}

func (n *connCounts) init() {
	n.failures = newByReason(tlsNoCertificate, tlsClientGone, tlsTimeout, tlsNotTLS, tlsVersion, tlsCipher, tlsRejected, tlsProtocol, tlsOverload, tlsStopping)
}

// accept counts a connection that was accepted.
func (n *connCounts) accept(secure bool) {
	if secure {
		n.secure.Add(1)
	} else {
		n.plain.Add(1)
	}
}

// refuse counts a connection whose handshake was not begun.
func (n *connCounts) refuse(closed bool) {
	if closed {
		n.failures.add(tlsStopping)
	} else {
		n.failures.add(tlsOverload)
	}
}

// succeeded counts a handshake. There are two versions (see tlsConfig).
func (n *connCounts) succeeded(version uint16) {
	if version == tls.VersionTLS13 {
		n.tls13.Add(1)
	} else {
		n.tls12.Add(1)
	}
}

// failed counts one that came to nothing.
func (n *connCounts) failed(asked *tlsAsked, err error) {
	n.failures.add(handshakeFailure(asked, err))
}

// connections are those that are open, but for tunnels.
func (n *connCounts) connections() map[string]int {
	open := func(kind carried) int { return int(n.open[kind].Load()) }
	return map[string]int{"tls": open(carriesHandshake), "http/1.1": open(carriesHTTP1), "h2": open(carriesHTTP2), "push": open(carriesPush)}
}

// carries counts the connection among those that carry something else now. It is
// called by whoever has the connection.
func (c *clientConn) carries(kind carried) {
	open := &c.server.conns.counts.open
	if kind != carriesNothing {
		open[kind].Add(1)
	}
	if c.content != carriesNothing {
		open[c.content].Add(-1)
	}
	c.content = kind
}

// handshakeFailure is the reason for which a handshake has failed. crypto/tls
// has no errors of its own for most of them: there the words tell, which a test
// holds.
func handshakeFailure(asked *tlsAsked, err error) string {
	var noTLS tls.RecordHeaderError
	var op *net.OpError
	text := err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return tlsTimeout
	case errors.Is(err, context.Canceled):
		return tlsStopping
	case asked.refused != nil:
		return tlsNoCertificate
	case errors.As(err, &noTLS):
		return tlsNotTLS
	case errors.As(err, &op) && op.Op == "remote error":
		return alertFailure(op.Err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return tlsClientGone
	case strings.Contains(text, "unsupported versions"), strings.Contains(text, "inappropriate protocol fallback"):
		return tlsVersion
	case strings.Contains(text, "no cipher suite"), strings.Contains(text, "no key exchanges"), strings.Contains(text, "signature algorithms"):
		return tlsCipher
	}
	return tlsProtocol
}

// alertFailure is the reason behind a client's alert (RFC 8446 §6). Its type is
// crypto/tls's own, whose words are those of tls.AlertError.
func alertFailure(alert error) string {
	is := func(codes ...tls.AlertError) bool {
		for _, code := range codes {
			if alert.Error() == code.Error() {
				return true
			}
		}
		return false
	}
	const (
		closeNotify, handshakeFailure                            = 0, 40
		badCertificate, unsupported, revoked, expired, unknown   = 42, 43, 44, 45, 46
		unknownCA, accessDenied, version, security, userCanceled = 48, 49, 70, 71, 90
	)
	switch {
	case is(badCertificate, unsupported, revoked, expired, unknown, unknownCA, accessDenied):
		return tlsRejected
	case is(closeNotify, userCanceled):
		return tlsClientGone
	case is(version):
		return tlsVersion
	case is(handshakeFailure, security):
		return tlsCipher
	}
	return tlsProtocol
}
