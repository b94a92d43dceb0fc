package proxy

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

func (v *validator) site(at string, s Site) {
	v.siteHosts(at, s)
	v.siteTLS(at, s)
	v.sitePolicies(at, s)
	v.headers(at+".headers", s.Headers)
	if len(s.Routes) == 0 {
		v.failf(at+".routes", "missing; write where requests go, such as routes: [{path: /, app: \"http://127.0.0.1:8080\"}]")
	}
	taken := map[string]string{}
	for i, r := range s.Routes {
		v.route(fmt.Sprintf("%s.routes[%d]", at, i), r, taken)
	}
	v.stickyCookies(at, s)
	v.circles(at, s)
	v.letThrough(at, s)
}

func (v *validator) siteHosts(at string, s Site) {
	if len(s.Hosts) == 0 {
		v.failf(at+".hosts", "missing; write the names that are served, such as hosts: [app.example.com]")
	}
	for i, h := range s.Hosts {
		field := fmt.Sprintf("%s.hosts[%d]", at, i)
		if err := checkHost(h); err != nil {
			v.fail(field, err)
			continue
		}
		if other, ok := v.hosts[strings.ToLower(h)]; ok {
			v.failf(field, "%q stands at %s already; remove it here or there", h, other)
			continue
		}
		v.hosts[strings.ToLower(h)] = field
		if h == "*" && len(s.Hosts) > 1 {
			v.failf(field, "\"*\" serves every name and must stand alone; write hosts: [\"*\"], or remove it")
			continue
		}
		if s.TLS.mode() == TLSAuto {
			v.autoHost(field, h)
		}
	}
}

// autoHost checks that ACME can get a certificate for a host. Those with a *
// are obtained name by name, at the first handshake for each.
func (v *validator) autoHost(field, host string) {
	switch _, err := netip.ParseAddr(host); {
	case strings.HasPrefix(host, "*") && v.ACME.OnDemand.Ask != "":
	case strings.HasPrefix(host, "*"):
		v.failf(field, "tls: auto obtains a certificate for every name of %q that a client asks for; list the names, write another tls, or set acme.on_demand.ask to a URL that says which names are ours", host)
	case !v.publicCA():
	case err == nil:
		v.failf(field, "tls: auto gets no certificate for an IP address; write a name, or tls: internal")
	case localName(host):
		v.failf(field, "no public CA gives a certificate for %q; write tls: internal, or set acme.ca to a CA of your own", host)
	}
}

// publicCA reports whether certificates come from a CA bound to the public's
// names. Let's Encrypt's is the default, and has a second one for trials.
func (v *validator) publicCA() bool {
	u, err := url.Parse(v.ACME.CA)
	return v.ACME.CA == "" || err == nil && strings.HasSuffix(u.Hostname(), ".letsencrypt.org")
}

func (v *validator) siteTLS(at string, s Site) {
	t := s.TLS
	switch t.Mode {
	case "", TLSAuto, TLSInternal, TLSOff, TLSFiles:
	default:
		v.failf(at+".tls", "%q is no certificate source; write auto, internal, off, or {cert: FILE, key: FILE}", t.Mode)
	}
	switch {
	case t.Cert != "" && t.Key == "":
		v.failf(at+".tls.key", "missing; write the PEM file of the certificate's private key, as in tls: {cert: %s, key: FILE}", t.Cert)
	case t.Key != "" && t.Cert == "":
		v.failf(at+".tls.cert", "missing; write the PEM file of the certificate, as in tls: {cert: FILE, key: %s}", t.Key)
	case t.Mode == TLSFiles && t.Cert == "":
		v.failf(at+".tls", "no files are given; write {cert: FILE, key: FILE}")
	case t.Cert != "" && t.Mode != "" && t.Mode != TLSFiles:
		v.failf(at+".tls", "%s and certificate files exclude each other; write one of them", t.Mode)
	}
	// When no site has TLS, plain sites are served at listen, too.
	if s.TLS.mode() == TLSOff && v.hasTLS() && len(v.HTTPListen) == 0 {
		v.failf(at+".tls", "off, but http_listen is off as well, so that nobody can reach this site; write http_listen: \":80\", or another tls")
	}
}

func (v *validator) sitePolicies(at string, s Site) {
	v.duration(at+".hsts", s.HSTS)
	if 0 < s.HSTS && s.HSTS < time.Second {
		v.failf(at+".hsts", "%s is less than the second that the field can say; write a time such as 4320h", s.HSTS)
	}
	if s.TLS.mode() != TLSOff {
		return
	}
	if s.InsecureWebSocket {
		v.failf(at+".insecure_websocket", "a site with tls: off takes every WebSocket by plain HTTP; remove this option")
	}
	if len(v.TrustedProxies) > 0 { // one of them may have ended TLS for us
		return
	}
	if s.HSTS > 0 {
		v.failf(at+".hsts", "a site with tls: off has no answers over https; remove this option, or give the site TLS")
	}
	if s.UpgradeInsecure != nil && *s.UpgradeInsecure {
		v.failf(at+".upgrade_insecure", "a site with tls: off has no answers over https; remove this option, or give the site TLS")
	}
}
