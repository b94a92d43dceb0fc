package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"wsfront/proxy/diagnosis"
)

// maxAddresses is how many addresses of each family are tried.
const maxAddresses = 4

// reach finds the name's addresses and connects to one of each family. It
// reports whether any could be connected to.
func (e *exam) reach(ctx context.Context) bool {
	addrs, err := e.lookup(ctx, e.target.hostname, e.target.port)
	if err != nil {
		e.step("name", Failed, "%s: %v", e.target.hostname, reason(err))
		e.find(certain, diagnosis.NameUnknown, fmt.Sprintf("%s: %v", e.target.hostname, reason(err)))
		return false
	}
	var words []string
	for _, a := range addrs {
		words = append(words, a.Addr().String())
	}
	e.step("name", OK, "%s", strings.Join(words, ", "))
	var failures []error
	for _, family := range []struct {
		name string
		is   func(netip.Addr) bool
	}{{"ipv4", netip.Addr.Is4}, {"ipv6", netip.Addr.Is6}} {
		if err := e.family(ctx, family.name, family.is, addrs); err != nil {
			failures = append(failures, err)
		}
	}
	switch {
	case len(failures) == 0:
	case len(e.addrs) > 0:
		e.find(some, diagnosis.FamilyDead, failures[0].Error(), "connected to "+e.addrs[0])
	default:
		cause := diagnosis.OfError(failures[0], nil)
		if cause == "" {
			cause = diagnosis.PortSilent
		}
		e.find(certain, cause, failures[0].Error())
	}
	if len(e.addrs) == 0 && len(failures) == 0 {
		e.find(certain, diagnosis.PortSilent, "this machine has no way to "+addrs[0].String())
	}
	return len(e.addrs) > 0
}

// lookup is the name's addresses, or those that stand in for it.
func (e *exam) lookup(ctx context.Context, host, port string) ([]netip.AddrPort, error) {
	var number uint16
	_, _ = fmt.Sscan(port, &number) // parseTarget checked it
	if given := e.instead[strings.ToLower(host)]; given != nil {
		addrs := make([]netip.AddrPort, len(given))
		for i, a := range given {
			addrs[i] = a
			if a.Port() == 0 {
				addrs[i] = netip.AddrPortFrom(a.Addr(), number)
			}
		}
		return addrs, nil
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.AddrPort, len(found))
	for i, a := range found {
		addrs[i] = netip.AddrPortFrom(a.Unmap(), number)
	}
	return addrs, nil
}

// family connects to the first address of a family that can be connected to.
// The error is that of the first that could not, where none could; a family that
// this machine cannot speak is no error.
func (e *exam) family(ctx context.Context, name string, is func(netip.Addr) bool, addrs []netip.AddrPort) (failure error) {
	tried := 0
	for _, a := range addrs {
		if !is(a.Addr()) || tried == maxAddresses {
			continue
		}
		tried++
		conn, err := dial(ctx, a.String())
		if err == nil {
			conn.Close()
			e.addrs = append(e.addrs, a.String())
			e.step(name, OK, "connected to %s", a)
			return nil
		}
		if failure == nil {
			failure = fmt.Errorf("connect to %s: %w", a, reason(err))
		}
	}
	switch {
	case tried == 0:
		e.step(name, Skipped, "no address")
	case errors.Is(failure, syscall.ENETUNREACH), errors.Is(failure, syscall.EADDRNOTAVAIL), errors.Is(failure, syscall.EAFNOSUPPORT):
		e.step(name, Skipped, "this machine has no way there: %v", failure)
		return nil
	default:
		e.step(name, Failed, "%v", failure)
	}
	return failure
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// connect opens a connection to the target as it is examined, by TLS if its
// scheme says so, with the protocols to offer there. Everything on it has to be
// done within stepTimeout, or until ctx's deadline.
func (e *exam) connect(ctx context.Context, protocols ...string) (net.Conn, error) {
	return e.connectTo(ctx, e.target, e.addrs[0], protocols...)
}

func (e *exam) connectTo(ctx context.Context, t target, address string, protocols ...string) (net.Conn, error) {
	conn, err := dial(ctx, address)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(deadline(ctx, stepTimeout))
	if !t.secure() {
		return conn, nil
	}
	secured := tls.Client(conn, e.tlsConfig(t, protocols))
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}

func (e *exam) tlsConfig(t target, protocols []string) *tls.Config {
	return &tls.Config{ServerName: t.hostname, RootCAs: e.roots, NextProtos: protocols, MinVersion: tls.VersionTLS12}
}

// deadline is the end of a step, which ctx may bring forward.
func deadline(ctx context.Context, after time.Duration) time.Time {
	end := time.Now().Add(after)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		return d
	}
	return end
}

// secured does the TLS handshake as a browser does for a page, and looks at what
// came of it.
func (e *exam) secured(ctx context.Context) bool {
	conn, err := e.connect(ctx, "h2", "http/1.1")
	if err != nil {
		e.refusedTLS(ctx, err)
		return false
	}
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState()
	e.alpn = state.NegotiatedProtocol
	left := time.Until(state.PeerCertificates[0].NotAfter)
	status, days := OK, int(left.Hours()/24)
	// A CA's certificate for 90 days is renewed at 30; one for 6 days at 2 or 3.
	if whole := state.PeerCertificates[0].NotAfter.Sub(state.PeerCertificates[0].NotBefore); days < 14 && left < whole/5 {
		status = Warning
	}
	protocol := e.alpn
	if protocol == "" {
		protocol = "no ALPN"
	}
	e.step("tls", status, "%s, %s; certificate for %s by %s, valid for %d days", tls.VersionName(state.Version), protocol,
		visible(strings.Join(names(state.PeerCertificates[0]), ", ")), visible(state.PeerCertificates[0].Issuer.String()), days)
	if version := e.oldVersion(ctx); version != 0 {
		e.step("old tls", Warning, "%s is accepted too, which no browser needs any more", tls.VersionName(version))
	} else {
		e.step("old tls", OK, "TLS 1.0 and 1.1 are refused")
	}
	return true
}

// refusedTLS finds out why the TLS handshake failed.
func (e *exam) refusedTLS(ctx context.Context, err error) {
	chain := chainOf(err)
	cause := diagnosis.OfError(err, chain)
	evidence := []string{visible(err.Error())}
	switch {
	case chain != nil:
		if cause == diagnosis.TLSName {
			cause = e.beyondName(chain)
		}
		evidence = append(evidence, describe(chain))
	case e.oldVersion(ctx) != 0:
		cause = diagnosis.TLSOld
		evidence = append(evidence, "the server takes TLS 1.1 or 1.0, and not 1.2")
	case cause == "", cause == diagnosis.AnswerMissing:
		cause = diagnosis.TLSFailed
	}
	if cause == diagnosis.TLSMissing {
		evidence = append(evidence, "the answer to a TLS hello begins with HTTP")
	}
	e.step("tls", Failed, "%s", visible(err.Error()))
	e.find(certain, cause, evidence...)
}

// chainOf is what a server sent whose certificate is refused, or nil.
func chainOf(err error) []*x509.Certificate {
	var refused *tls.CertificateVerificationError
	if errors.As(err, &refused) {
		return refused.UnverifiedCertificates
	}
	return nil
}

// beyondName is the cause where the name does not fit. A certificate that nobody
// vouches for either is the one that a server has before it was given any: the
// browser complains about that first.
func (e *exam) beyondName(chain []*x509.Certificate) diagnosis.Cause {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: e.roots, Intermediates: between})
	if cause := diagnosis.OfError(err, chain); cause == diagnosis.TLSUntrusted {
		return cause
	}
	return diagnosis.TLSName
}

// oldVersion is the highest of the old TLS versions that the server takes, or 0.
// Who the server is does not matter here, and nothing is sent to it.
func (e *exam) oldVersion(ctx context.Context) uint16 {
	conn, err := dial(ctx, e.addrs[0])
	if err != nil {
		return 0
	}
	defer conn.Close()
	_ = conn.SetDeadline(deadline(ctx, stepTimeout))
	old := tls.Client(conn, &tls.Config{ServerName: e.target.hostname, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true})
	if err := old.HandshakeContext(ctx); err != nil {
		return 0
	}
	return old.ConnectionState().Version
}

// describe is a chain in one line.
func describe(chain []*x509.Certificate) string {
	leaf := chain[0]
	return visible(fmt.Sprintf("certificate for %s by %s, %d sent, valid from %s to %s", strings.Join(names(leaf), ", "), leaf.Issuer, len(chain),
		leaf.NotBefore.UTC().Format(time.DateOnly), leaf.NotAfter.UTC().Format(time.DateOnly)))
}

// names are those that a certificate is for.
func names(c *x509.Certificate) []string {
	all := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return []string{"no name (subject " + c.Subject.String() + ")"}
	}
	return all
}

// reason is the innermost part of an error of package net: the rest says again
// what was tried.
func reason(err error) error {
	var errno syscall.Errno
	var lookup *net.DNSError
	switch {
	case errors.As(err, &errno):
		return errno
	case errors.As(err, &lookup):
		return errors.New(lookup.Err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer: %w", err)
	}
	return err
}
