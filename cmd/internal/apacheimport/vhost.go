package apacheimport

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"wsfront/cmd/internal/apacheconf"
)

// vhost is one <VirtualHost>, or the server itself where a file has none.
type vhost struct {
	section   *apacheconf.Directive   // nil: the server itself
	own       []*apacheconf.Directive // what stands in it
	addresses []address
	names     []string // without wildcards, in lower case, ServerName first
	wildcards []string // *.example.org
	every     bool     // ServerAlias *
	nameLines []*apacheconf.Directive

	tls        tlsLines
	server     scope             // what is said outside all sections
	scopes     []*scope          // the sections, in the order in which they count
	rules      []*rule           // ProxyPass, Alias, WSGIScriptAlias
	redirects  []*rule           // Redirect, which Apache asks before Alias
	seen       []*rule           // what the rewrites came to
	fallbacks  map[string]string // by folder: the file for what is missing there
	toldScheme bool              // X-Forwarded-Proto is set
	rewrites   []rewrite
	reverse    []*apacheconf.Directive // ProxyPassReverse and its like
	docRoot    *apacheconf.Directive
	app        appLines
	logs       logLines
}

// address is one of a <VirtualHost>: host is "" for every address, port 0 for
// every port.
type address struct {
	host string
	port int
}

// parsePort reads a port; 0 is none.
func parsePort(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 65535 {
		return 0
	}
	return n
}

// parseAddress reads *:443, _default_:443, 192.0.2.7:80, [::]:443 and names.
// ok is false for what is none of them.
func parseAddress(s string) (a address, ok bool) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.Trim(s, "[]"), ""
	}
	if port != "" && port != "*" {
		if a.port = parsePort(port); a.port == 0 {
			return a, false
		}
	}
	switch ip, err := netip.ParseAddr(host); {
	case host == "*" || strings.EqualFold(host, "_default_"):
	case err == nil && ip.IsUnspecified():
	case err == nil && ip.Zone() == "":
		a.host = ip.String()
	default:
		return a, false // a name: what it resolves to is not known here
	}
	return a, true
}

// gather makes the vhosts of a configuration. What stands outside of them
// holds for each; without any, the server itself is one.
func (im *importer) gather(all []*apacheconf.Directive) []*vhost {
	var list []*vhost
	var global []*apacheconf.Directive
	for _, d := range all {
		if !d.Section || !d.Is("VirtualHost") {
			global = append(global, d)
			continue
		}
		v := &vhost{section: d, own: d.Children}
		for _, arg := range d.Args {
			v.addresses = append(v.addresses, im.addressOf(v, d, arg))
		}
		im.imported(d)
		list = append(list, v)
	}
	if len(list) == 0 {
		v := &vhost{own: global}
		im.walk(v, global, &v.server)
		return []*vhost{v}
	}
	for _, v := range list {
		im.walk(v, v.section.Children, &v.server)
		im.inherit(v, global)
	}
	return list
}

// addressOf reads an address of a <VirtualHost>. One that is a name is a name
// of the vhost as well, as if it were a ServerAlias.
func (im *importer) addressOf(v *vhost, d *apacheconf.Directive, written string) address {
	if a, ok := parseAddress(written); ok {
		return a
	}
	name, port := strings.ToLower(written), ""
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		name, port = name[:i], name[i+1:]
	}
	a := address{port: parsePort(port)}
	if !hostForm.MatchString(name) || a.port == 0 && port != "" && port != "*" {
		im.needsYou(d, "the address "+printable(written, 60)+" is no address of this machine with a port; it was taken for every address: write the one that is meant into listen")
		return a
	}
	v.names = appendNew(v.names, name)
	im.remark("Apache looks up the addresses of "+printable(name, 60)+" when it starts; here the vhost is served at every address of this machine: write listen where fewer are meant", d)
	return a
}

// inherit adds what stands outside of all vhosts, which the vhost's own wins
// over.
func (im *importer) inherit(v *vhost, global []*apacheconf.Directive) {
	outer := &vhost{server: scope{global: true}}
	im.walk(outer, global, &outer.server)
	// ServerName of the server is no name of its vhosts; what the rest of the
	// server says counts after the vhost's own (ProxyPass, Alias), or before it
	// (sections, which are merged in their order).
	v.rules = append(v.rules, outer.rules...)
	v.redirects = append(v.redirects, outer.redirects...)
	v.toldScheme = v.toldScheme || outer.toldScheme
	v.scopes = append(outer.scopes, v.scopes...)
	v.server.inherit(&outer.server)
	v.reverse = append(v.reverse, outer.reverse...)
	v.tls.inherit(outer.tls)
	v.logs.inherit(outer.logs)
	v.app.inherit(outer.app)
	if v.docRoot == nil {
		v.docRoot = outer.docRoot
	}
	for _, r := range outer.rewrites {
		if r.scope.kind == inServer {
			im.notNeeded(r.line, "rewrite rules outside of a vhost do not hold in vhosts, unless these say RewriteOptions Inherit")
			for _, c := range r.conds {
				im.notNeeded(c, "rewrite rules outside of a vhost do not hold in vhosts, unless these say RewriteOptions Inherit")
			}
			continue
		}
		v.rewrites = append(v.rewrites, r)
	}
}

// serverName is ServerName and ServerAlias.
func (im *importer) serverName(v *vhost, d *apacheconf.Directive, s *scope) {
	if s.global {
		im.notNeeded(d, "the server's own name: the sites have the names of their vhosts")
		return
	}
	v.nameLines = append(v.nameLines, d)
	im.imported(d)
	for _, arg := range d.Args {
		if _, rest, ok := strings.Cut(arg, "://"); ok {
			arg = rest
		}
		name := strings.ToLower(strings.TrimSuffix(stripPort(arg), "."))
		rest, wild := strings.CutPrefix(name, "*.")
		switch {
		case name == "*":
			v.every = true
		case wild && hostForm.MatchString(rest):
			v.wildcards = appendNew(v.wildcards, name)
			im.remark("of "+name+" wsfront takes one label for the *, Apache any number: names with more labels must be written out", d)
		case hostForm.MatchString(name) || isAddress(name):
			v.names = appendNew(v.names, name)
		default:
			im.needsYou(d, strconv.Quote(printable(arg, 80))+" is no name that wsfront can serve: write each name that is meant into hosts")
		}
	}
	if d.Is("ServerName") && len(v.names) > 1 { // it comes first, wherever it stands
		last := v.names[len(v.names)-1]
		v.names = append([]string{last}, v.names[:len(v.names)-1]...)
	}
}

var hostForm = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

func isAddress(name string) bool {
	a, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && a.Zone() == ""
}

// stripPort is a name without the port behind it.
func stripPort(s string) string {
	if host, port, err := net.SplitHostPort(s); err == nil && parsePort(port) > 0 {
		return host
	}
	return s
}

func appendNew[T comparable](list []T, s T) []T {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// port is the port that a vhost is asked at, as far as that tells https from
// http.
func (v *vhost) port() int {
	if len(v.addresses) > 0 {
		return v.addresses[0].port
	}
	return 0
}

// secure reports whether a vhost is served by https.
func (v *vhost) secure() bool {
	switch {
	case v.tls.engine != nil:
		return !strings.EqualFold(v.tls.engine.Arg(0), "off")
	case v.section == nil:
		return true // a fragment: where it came from does not show
	}
	// SSLEngine On may stand in a file of certbot's that is not at hand.
	return v.port() == 443 || v.tls.cert != nil
}

// allRules are all that a vhost's requests may go by.
func (v *vhost) allRules() []*rule { return slices.Concat(v.rules, v.redirects, v.seen) }

// seconds reads a time of Apache's: seconds, or with the unit ms, s, min or h.
func seconds(s string) (time.Duration, bool) {
	digits := s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
	unit, ok := map[string]time.Duration{"": time.Second, "s": time.Second, "ms": time.Millisecond, "mi": time.Minute, "min": time.Minute, "h": time.Hour}[strings.ToLower(s[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || !ok || n < 1 {
		return 0, false
	}
	return time.Duration(n) * unit, true
}
