package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"wsfront/proxy/http1"
	"wsfront/proxy/record"
)

// dialTimeout is how long a connection to a backend may take to come about:
// backends are near, and a person is waiting.
const dialTimeout = 5 * time.Second

// backend is an App or Tunnel value, understood.
type backend struct {
	written string      // as it stands in the configuration, for logs
	scheme  string      // http, https, ws, wss or unix
	network string      // tcp or unix
	address string      // host:port, or the socket's path
	host    string      // host[:port] as the backend's own links would write it
	path    string      // replaces the route's path; "" keeps the request's path
	tls     *tls.Config // nil for a backend without TLS, and before secure
	account *backendAccount
}

// parseBackend understands one App or Tunnel value. plain and secure are the
// two schemes that fit, such as ws and wss.
func parseBackend(written, plain, secure string) (*backend, error) {
	b := &backend{written: written}
	if socket, ok := strings.CutPrefix(written, "unix:"); ok {
		socket = strings.TrimPrefix(socket, "//")
		if !strings.HasPrefix(socket, "/") {
			return nil, fmt.Errorf("%q names no absolute path; write unix:/run/app.sock", written)
		}
		b.scheme, b.network, b.address, b.host = "unix", "unix", socket, "localhost"
		return b, nil
	}
	u, err := url.Parse(written)
	if err != nil || u.Opaque != "" || u.Host == "" {
		return nil, fmt.Errorf("%q is no backend address; write %s://127.0.0.1:8080 or unix:/run/app.sock", written, plain)
	}
	switch {
	case u.Scheme != plain && u.Scheme != secure:
		return nil, fmt.Errorf("%q does not fit here; write %s://%s, %s://%s or unix:/run/app.sock", u.Scheme+"://", plain, u.Host, secure, u.Host)
	case u.User != nil:
		return nil, fmt.Errorf("a user name in a backend address is not supported; write %s://%s", u.Scheme, u.Host)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("a backend address has no query; write %s://%s%s", u.Scheme, u.Host, u.EscapedPath())
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q names no host; write %s://127.0.0.1:%s", written, u.Scheme, u.Port())
	}
	port := u.Port()
	if port == "" {
		if port = "80"; u.Scheme == secure {
			port = "443"
		}
		if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			return nil, fmt.Errorf("%q has no port; write the one the backend listens at, such as %s://%s:8080", written, u.Scheme, u.Host)
		}
	}
	b.scheme, b.network, b.address, b.host = u.Scheme, "tcp", net.JoinHostPort(u.Hostname(), port), u.Host
	if u.Path != "" {
		if b.path, err = cleanPath(u.EscapedPath()); err != nil {
			return nil, fmt.Errorf("%q: %w", written, err)
		}
	}
	return b, nil
}

// config is what the options say of TLS to any backend. Its ServerName is empty
// where that of the backend is meant.
func (o BackendTLS) config() (*tls.Config, error) {
	// HTTP/1.1 only: a backend that chose h2 by ALPN could not be asked for an
	// Upgrade.
	c := &tls.Config{ServerName: o.ServerName, InsecureSkipVerify: o.InsecureSkipVerify, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if o.CA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(o.CA)
	if err != nil {
		return nil, fmt.Errorf("read the backend's CA: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the backend's CA: %s holds no PEM certificate", o.CA)
	}
	return c, nil
}

// secure has an https:// or wss:// backend reached by this configuration.
func (b *backend) secure(config *tls.Config) {
	if !b.isTLS() {
		return
	}
	b.tls = config.Clone()
	if b.tls.ServerName == "" {
		b.tls.ServerName, _, _ = net.SplitHostPort(b.address)
	}
}

func (b *backend) isTLS() bool { return b.scheme == "https" || b.scheme == "wss" }

// dial connects, and counts what comes of it.
func (b *backend) dial(ctx context.Context) (net.Conn, error) {
	begin := time.Now()
	conn, err := b.reach(ctx)
	switch {
	case err == nil:
		b.account.connected(time.Since(begin))
	case ctx.Err() == nil: // else it was given up, which is nothing about the backend
		b.account.connectFailures.add(connectFailure(err))
		b.account.unreached(b, err)
	}
	return conn, err
}

// backendTLSError says that the TLS handshake with a backend failed.
type backendTLSError struct{ error }

func (e *backendTLSError) Unwrap() error { return e.error }

// reach connects, and does the TLS handshake where the backend has one.
func (b *backend) reach(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, b.network, b.address)
	if err != nil {
		return nil, fmt.Errorf("dial backend %s: %w", b.written, err)
	}
	if b.tls == nil {
		return conn, nil
	}
	secured, err := record.Client(ctx, conn, b.tls)
	if err != nil {
		conn.Close()
		return nil, &backendTLSError{fmt.Errorf("TLS to backend %s: %w", b.written, err)}
	}
	return secured, nil
}

// explain says what a failed attempt to get an answer means: the status for
// the client, and for the log what happened and what to do.
func (b *backend) explain(err error) (status int, reason string) {
	if advice := b.dialAdvice(err); advice != "" {
		return http.StatusBadGateway, advice
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		if isDial(err) {
			return http.StatusGatewayTimeout, fmt.Sprintf("dial backend %s: no answer within %v; is the address right, and does a firewall stand between?", b.written, dialTimeout)
		}
		return http.StatusGatewayTimeout, fmt.Sprintf("backend %s did not begin to answer in time; see its log, or raise response_timeout", b.written)
	}
	var malformed *http1.Error
	switch {
	case errors.Is(err, errTooManyInterim), errors.Is(err, errSwitchUnasked):
		return http.StatusBadGateway, fmt.Sprintf("backend %s: %v", b.written, err)
	case errors.Is(err, errHeadTooLong):
		return http.StatusBadGateway, fmt.Sprintf("backend %s: %v; does it set more cookies each time?", b.written, errHeadTooLong)
	case errors.Is(err, errSpeaksTLS):
		return http.StatusBadGateway, fmt.Sprintf("backend %s answered with TLS; write %s", b.written, b.secureForm())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return http.StatusBadGateway, fmt.Sprintf("backend %s closed the connection without an answer; its own log should say why", b.written)
	case errors.As(err, &malformed):
		return http.StatusBadGateway, fmt.Sprintf("backend %s gave no answer of HTTP/1.1 (%v); does it speak HTTP at this port?", b.written, err)
	}
	return http.StatusBadGateway, fmt.Sprintf("backend %s: %v", b.written, err)
}

// dialAdvice explains a connection that did not come about, or is "".
func (b *backend) dialAdvice(err error) string {
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var unverified *tls.CertificateVerificationError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("dial backend %s: connection refused; is the application running, and does it listen there?", b.written)
	case b.network == "unix" && errors.Is(err, os.ErrNotExist):
		return fmt.Sprintf("dial backend %s: there is no such socket; is the application running, and is the path right?", b.written)
	case b.network == "unix" && errors.Is(err, os.ErrPermission):
		return fmt.Sprintf("dial backend %s: no permission for the socket; give the user that runs wsfront write access to it", b.written)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("dial backend %s: no such host %s; write a name that resolves, or an address", b.written, dns.Name)
	case errors.As(err, &dns):
		return fmt.Sprintf("dial backend %s: the address of %s could not be looked up (%s); does the name server of this machine answer? It is tried again with the next request", b.written, dns.Name, dns.Err)
	case errors.As(err, &unverified):
		return fmt.Sprintf("TLS to backend %s: %v; name its CA by backend_tls.ca, the name in its certificate by backend_tls.server_name, or give verification up by backend_tls.insecure_skip_verify", b.written, unverified.Err)
	case errors.As(err, &record):
		return fmt.Sprintf("TLS to backend %s: it answered without TLS; write %s", b.written, b.plainForm())
	}
	return ""
}

// hint is what the visitor is told of a failed attempt.
func hint(status int) string {
	if status == http.StatusGatewayTimeout {
		return "The application takes too long to answer. Try again shortly."
	}
	return "The application does not answer. Try again shortly."
}

func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// secureForm and plainForm are the address with the other scheme.
func (b *backend) secureForm() string {
	return strings.NewReplacer("http://", "https://", "ws://", "wss://").Replace(b.written)
}

func (b *backend) plainForm() string {
	return strings.NewReplacer("https://", "http://", "wss://", "ws://").Replace(b.written)
}
