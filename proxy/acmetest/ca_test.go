package acmetest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"wsfront/proxy/acmetest"
)

// order takes one name through the whole protocol, by HTTP-01.
func order(ca *acmetest.CA, name string) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.TrustPEM())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	client := &acme.Client{Key: key, DirectoryURL: ca.URL(), HTTPClient: &http.Client{Transport: transport}}
	if _, err := client.Register(ctx, &acme.Account{}, acme.AcceptTOS); err != nil {
		return nil, err
	}
	o, err := client.AuthorizeOrder(ctx, acme.DomainIDs(name))
	if err != nil {
		return nil, err
	}
	authz, err := client.GetAuthorization(ctx, o.AuthzURLs[0])
	if err != nil {
		return nil, err
	}
	var challenge *acme.Challenge
	for _, c := range authz.Challenges {
		if c.Type == "http-01" {
			challenge = c
		}
	}
	answer, err := client.HTTP01ChallengeResponse(challenge.Token)
	if err != nil {
		return nil, err
	}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, answer) }))
	defer app.Close()
	ca.Validate(app.Listener.Addr().(*net.TCPAddr).Port, 0)
	if _, err := client.Accept(ctx, challenge); err != nil {
		return nil, err
	}
	if _, err := client.WaitAuthorization(ctx, authz.URI); err != nil {
		return nil, err
	}
	leaf, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, leaf)
	if err != nil {
		return nil, err
	}
	// CreateOrderCert would wait at a Location that pebble does not send, so
	// its error is passed over and the order asked where it is known to be.
	client.CreateOrderCert(ctx, o.FinalizeURL, csr, false)
	if o, err = client.WaitOrder(ctx, o.URI); err != nil {
		return nil, err
	}
	chain, err := client.FetchCert(ctx, o.CertURL, false)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(chain[0])
}

func TestCA_IssuesWhatItsValidationSees(t *testing.T) {
	ca := acmetest.NewShortLived(t, 0, 0, time.Minute)
	cert, err := order(ca, "app.test")
	if err != nil {
		t.Fatal(err)
	}
	if got := cert.NotAfter.Sub(cert.NotBefore); got != time.Minute-time.Second {
		t.Errorf("valid for %v, want a minute, its last second included", got)
	}
	if len(cert.DNSNames) != 1 || cert.DNSNames[0] != "app.test" {
		t.Errorf("certificate is for %v, want app.test", cert.DNSNames)
	}
}

func TestCA_RefusesNameWithoutAddress(t *testing.T) {
	ca := acmetest.New(t, 0, 0)
	if _, err := order(ca, "app."+acmetest.Nowhere); err == nil {
		t.Error("a name that does not resolve got a certificate")
	}
}

func TestCA_RestartComesBackAtTheSameURL(t *testing.T) {
	ca := acmetest.New(t, 0, 0)
	url := ca.URL()
	ca.Stop()
	if _, err := order(ca, "app.test"); err == nil {
		t.Fatal("a stopped CA issued a certificate")
	}
	ca.Restart()
	if ca.URL() != url {
		t.Errorf("URL is %s after Restart, was %s", ca.URL(), url)
	}
	if _, err := order(ca, "app.test"); err != nil {
		t.Errorf("order after Restart: %v", err)
	}
}
