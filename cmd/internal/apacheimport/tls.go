package apacheimport

import (
	"regexp"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// tlsLines are what a vhost says of its certificate.
type tlsLines struct {
	engine, cert, key, chain *apacheconf.Directive
	managed                  bool // mod_md
}

func (t *tlsLines) inherit(outer tlsLines) {
	if t.engine == nil {
		t.engine = outer.engine
	}
	if t.cert == nil {
		t.cert, t.key, t.chain = outer.cert, outer.key, outer.chain
	}
	t.managed = t.managed || outer.managed
}

// tlsDirective is a directive of mod_ssl or mod_md that says something about
// certificates.
func (im *importer) tlsDirective(v *vhost, d *apacheconf.Directive, s *scope) {
	name := strings.ToLower(d.Name)
	if strings.HasPrefix(name, "sslcertificate") && d.Arg(0) == "" {
		im.needsYou(d, "it names no file; write tls: {cert: FILE, key: FILE} at the site")
		return
	}
	switch name {
	case "sslengine":
		v.tls.engine = d
		im.imported(d)
	case "sslcertificatefile":
		if v.tls.cert != nil {
			im.notNeeded(d, "a second certificate of another kind of key: one is enough for every browser of today")
			return
		}
		v.tls.cert = d
		im.imported(d)
	case "sslcertificatekeyfile":
		if v.tls.key != nil {
			im.notNeeded(d, "a second certificate of another kind of key: one is enough for every browser of today")
			return
		}
		v.tls.key = d
		im.imported(d)
	case "sslcertificatechainfile":
		v.tls.chain = d
		im.imported(d)
	case "mdomain", "mdmember", "mdmembers", "mdcertificateagreement":
		v.tls.managed = true
		im.notNeeded(d, "tls: auto obtains and renews certificates, as mod_md did")
	case "sslverifyclient":
		im.notNeeded(d, "clients are asked for no certificates")
		if !strings.EqualFold(d.Arg(0), "none") {
			im.needsYou(d, "wsfront asks clients for no certificates: keep Apache in front of what needs them, or write allow or basic_auth at its routes; until then they are closed")
			s.access.certificate = true
		}
	case "sslrequiressl":
		im.notNeeded(d, "plain http is redirected to https")
	}
}

// snakeoil is the certificate that Debian makes for trials.
var snakeoil = regexp.MustCompile(`ssl-cert-snakeoil|/localhost\.(crt|pem)$|/pki/tls/certs/localhost`)

// certificate is where a site's certificate comes from, as the option tls; ""
// is auto, the default.
func (im *importer) certificate(v *vhost, names []string) string {
	cert := v.tls.cert
	switch {
	case cert == nil || v.tls.managed:
		return im.automatic(names, cert)
	case strings.Contains(cert.Arg(0), "/letsencrypt/") || strings.Contains(cert.Arg(0), "/dehydrated/") || strings.Contains(cert.Arg(0), "/acme"):
		if hasWildcard(names) && v.tls.key != nil {
			im.remark("tls: auto gets no certificate for "+strings.Join(names, ", ")+" as a whole: the files are kept, and what renews them must go on; wsfront takes new ones by itself, if its user may read them", cert)
			break
		}
		return im.automatic(names, cert)
	case snakeoil.MatchString(cert.Arg(0)):
		im.remark("this is a certificate for trials: tls: internal has wsfront make one, by a CA of its own (wsfront trust); write tls: auto where the name is public", cert)
		return "internal"
	}
	key := v.tls.key
	if key == nil {
		key = cert // Apache looks for it in the same file
	}
	if v.tls.chain != nil {
		im.needsYou(v.tls.chain, "wsfront takes the chain from the file of the certificate: cat "+printable(cert.Arg(0), 80)+" "+printable(v.tls.chain.Arg(0), 80)+" > fullchain.pem, and write its name into tls.cert")
	}
	return "{cert: " + inFlow(im.absolute(cert.Arg(0))) + ", key: " + inFlow(im.absolute(key.Arg(0))) + "}"
}

// automatic is tls: auto, unless no public CA gives a certificate for a name.
func (im *importer) automatic(names []string, line *apacheconf.Directive) string {
	for _, n := range names {
		if localName(n) || isAddress(n) {
			im.remark("no public CA gives a certificate for "+n+": tls: internal has wsfront make one, by a CA of its own (wsfront trust); if you have files, write tls: {cert: FILE, key: FILE}", lines(line)...)
			return "internal"
		}
	}
	return ""
}

func lines(d *apacheconf.Directive) []*apacheconf.Directive {
	if d == nil {
		return nil
	}
	return []*apacheconf.Directive{d}
}

func hasWildcard(names []string) bool {
	for _, n := range names {
		if strings.HasPrefix(n, "*") {
			return true
		}
	}
	return false
}

// localName reports whether a name is none of the public's (RFC 6761, 6762).
func localName(name string) bool {
	if !strings.Contains(name, ".") {
		return name != "*"
	}
	for _, suffix := range []string{".localhost", ".test", ".internal", ".local", ".invalid", ".example", ".lan", ".home.arpa"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// proxyTLS is a directive that says how backends are verified.
func (im *importer) proxyTLS(_ *vhost, d *apacheconf.Directive, s *scope) {
	switch strings.ToLower(d.Name) {
	case "sslproxyengine":
		im.notNeeded(d, "https:// and wss:// backends are reached by TLS without a switch")
	case "sslproxymachinecertificatefile", "sslproxymachinecertificatechainfile":
		im.needsYou(d, "wsfront shows no certificate of its own to backends: keep Apache in front of this one")
	default:
		s.verify = append(s.verify, d)
		im.imported(d)
	}
}

// backendTLS is the option backend_tls for a backend that is reached by TLS.
func (im *importer) backendTLS(scopes []*scope, from []*apacheconf.Directive) (o option, ok bool) {
	verified, ca := "", (*apacheconf.Directive)(nil)
	var off *apacheconf.Directive
	for _, s := range scopes {
		for _, d := range s.verify {
			value := strings.ToLower(d.Arg(0))
			switch strings.ToLower(d.Name) {
			case "sslproxyverify":
				if verified = value; value == "none" || strings.HasPrefix(value, "optional") {
					off = d
				}
			case "sslproxycheckpeername", "sslproxycheckpeercn", "sslproxycheckpeerexpire":
				if value == "off" {
					off = d
				}
			case "sslproxycacertificatefile":
				ca = d
			}
		}
	}
	switch {
	case off != nil:
		im.remark("the backend's certificate is not verified, so that whoever can reach the network between can read and change everything: name its CA by backend_tls: {ca: FILE} instead", off)
		return option{"backend_tls", "{insecure_skip_verify: on}"}, true
	case ca != nil:
		return option{"backend_tls", "{ca: " + inFlow(im.absolute(ca.Arg(0))) + "}"}, true
	case verified == "" && len(from) > 0:
		im.remark("Apache does not verify the backend's certificate here, wsfront does: for a certificate of your own, write backend_tls: {ca: FILE} at the route", from...)
	}
	return o, false
}
