package config

import (
	"crypto/tls"
	"os"
	"strings"
	"time"

	"wsfront/proxy"
)

// expiresSoon is how long before its end a certificate that is not renewed
// here is worth a word.
const expiresSoon = 14 * 24 * time.Hour

// certificate loads a site's pair of PEM files and compares it with the hosts.
func (p *prober) certificate(at string, s proxy.Site) {
	certField, keyField := at+".tls.cert", at+".tls.key"
	for _, file := range []struct{ field, path string }{{certField, s.TLS.Cert}, {keyField, s.TLS.Key}} {
		f, err := os.Open(file.path)
		if err != nil {
			p.warnf(file.field, "cannot read %s: %v; let the user that wsfront runs as read it", file.path, reason(err))
			return
		}
		f.Close()
	}
	if info, err := os.Stat(s.TLS.Key); err == nil && info.Mode().Perm()&0o007 != 0 {
		p.warnf(keyField, "everybody on this machine may read %s; run: chmod o= %s", s.TLS.Key, s.TLS.Key)
	}
	pair, err := tls.LoadX509KeyPair(s.TLS.Cert, s.TLS.Key)
	if err != nil {
		p.warnf(certField, "certificate and key do not fit: %s; write the PEM files that belong together", strings.TrimPrefix(err.Error(), "tls: "))
		return
	}
	leaf := pair.Leaf
	now := time.Now()
	switch end := leaf.NotAfter.Format(time.DateOnly); {
	case now.After(leaf.NotAfter):
		p.warnf(certField, "the certificate expired on %s; renew it, or write tls: auto", end)
	case now.Before(leaf.NotBefore):
		p.warnf(certField, "the certificate is valid from %s only; look at the machine's clock", leaf.NotBefore.Format(time.DateTime))
	case now.Add(expiresSoon).After(leaf.NotAfter):
		p.warnf(certField, "the certificate expires on %s; renew it, or write tls: auto", end)
	}
	for _, host := range s.Hosts {
		if host == "*" {
			continue
		}
		name := host
		if rest, wild := strings.CutPrefix(host, "*."); wild {
			name = "any-name." + rest
		}
		if leaf.VerifyHostname(name) != nil {
			p.warnf(certField, "the certificate is for %s, not for %s; use one that covers it, or remove the host", strings.Join(leaf.DNSNames, ", "), host)
		}
	}
}
