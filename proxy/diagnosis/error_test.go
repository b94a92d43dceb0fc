package diagnosis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

// dialTLS is what a client meets at a server.
func dialTLS(t *testing.T, address string, cfg *tls.Config) ([]*x509.Certificate, error) {
	t.Helper()
	var chain []*x509.Certificate
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", address, cfg)
	if err == nil {
		conn.Close()
	}
	var refused *tls.CertificateVerificationError
	if errors.As(err, &refused) {
		chain = refused.UnverifiedCertificates
	}
	return chain, err
}

func TestOfError_RealServers(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	secure.StartTLS()
	defer secure.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(secure.Certificate())
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, c := range []struct {
		name, address string
		cfg           *tls.Config
		want          Cause
	}{
		{"nobody", closed.Addr().String(), &tls.Config{}, PortRefused},
		{"plain HTTP", plain.Listener.Addr().String(), &tls.Config{ServerName: "example.com"}, TLSMissing},
		{"self-signed", secure.Listener.Addr().String(), &tls.Config{ServerName: "example.com"}, TLSUntrusted},
		{"other name", secure.Listener.Addr().String(), &tls.Config{ServerName: "other.test", RootCAs: trusted}, TLSName},
		{"later", secure.Listener.Addr().String(), &tls.Config{ServerName: "example.com", RootCAs: trusted, Time: func() time.Time { return time.Now().AddDate(100, 0, 0) }}, TLSExpired},
		{"old", secure.Listener.Addr().String(), &tls.Config{ServerName: "example.com", RootCAs: trusted, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, TLSOld},
		{"fine", secure.Listener.Addr().String(), &tls.Config{ServerName: "example.com", RootCAs: trusted}, ""},
	} {
		chain, err := dialTLS(t, c.address, c.cfg)
		if got := OfError(err, chain); got != c.want {
			t.Errorf("%s: %q, want %q (%v)", c.name, got, c.want, err)
		}
	}
}

func TestOfError_Kinds(t *testing.T) {
	leaf := &x509.Certificate{RawIssuer: []byte("CA"), RawSubject: []byte("app"), IssuingCertificateURL: []string{"http://ca.test/ca.der"}}
	private := &x509.Certificate{RawIssuer: []byte("CA"), RawSubject: []byte("app")}
	between := &x509.Certificate{RawIssuer: []byte("root"), RawSubject: []byte("CA")}
	own := &x509.Certificate{RawIssuer: []byte("app"), RawSubject: []byte("app")}
	for _, c := range []struct {
		err   error
		chain []*x509.Certificate
		want  Cause
	}{
		{nil, nil, ""},
		{x509.UnknownAuthorityError{}, []*x509.Certificate{leaf}, TLSChain},
		{x509.UnknownAuthorityError{}, []*x509.Certificate{leaf, between}, TLSUntrusted},
		{x509.UnknownAuthorityError{}, []*x509.Certificate{own}, TLSUntrusted},
		{x509.UnknownAuthorityError{}, []*x509.Certificate{private}, TLSUntrusted},
		{x509.UnknownAuthorityError{}, nil, TLSUntrusted},
		{x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}, nil, TLSUntrusted},
		{fmt.Errorf("dial: %w", &net.DNSError{Err: "no such host", Name: "x.test"}), nil, NameUnknown},
		{fmt.Errorf("dial: %w", context.DeadlineExceeded), nil, PortSilent},
		{os.ErrDeadlineExceeded, nil, PortSilent},
		{errors.New("remote error: tls: unrecognized name"), nil, TLSName},
		{errors.New("tls: server selected unsupported protocol version 301"), nil, TLSOld},
		{errors.New("remote error: tls: handshake failure"), nil, TLSFailed},
		{tls.RecordHeaderError{RecordHeader: [5]byte{'2', '2', '0', ' ', 'x'}}, nil, NotHTTP},
		{io.ErrUnexpectedEOF, nil, AnswerMissing},
		{errors.New("else"), nil, ""},
	} {
		if got := OfError(c.err, c.chain); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

func TestAtBackend(t *testing.T) {
	for c, want := range map[Cause]Cause{
		PortRefused: BackendDown, TLSMissing: BackendScheme, TLSName: BackendTLS, PageAnswered: PageAnswered, "": "",
	} {
		if got := c.AtBackend(); got != want {
			t.Errorf("%s: %s, want %s", c, got, want)
		}
	}
}
