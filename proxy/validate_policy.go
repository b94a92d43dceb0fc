package proxy

import (
	"fmt"
	"net/netip"
	"path/filepath"
)

// routePolicies checks who may use a route.
func (v *validator) routePolicies(at string, r Route) {
	for i, p := range r.Allow {
		field := fmt.Sprintf("%s.allow[%d]", at, i)
		switch {
		case !p.IsValid():
			v.failf(field, "no range of addresses; write one such as 10.0.0.0/8")
		case p.Addr().Is4In6():
			v.failf(field, "%s can never match, as clients of IPv4 are known by their short address; write %s", p, netip.PrefixFrom(p.Addr().Unmap(), max(p.Bits()-96, 0)))
		}
	}
	switch a := r.BasicAuth; {
	case a == nil:
	case a.File == "":
		v.failf(at+".basic_auth.file", "missing; write the file that htpasswd made, as in basic_auth: {file: /etc/wsfront/htpasswd, realm: ...}")
	case !filepath.IsAbs(a.File):
		v.failf(at+".basic_auth.file", "%q is not absolute; write the whole path, such as %s", a.File, filepath.Join("/etc/wsfront", a.File))
	case hasControl(a.Realm):
		v.failf(at+".basic_auth.realm", "%q holds a control character; write plain words, such as Staff", a.Realm)
	}
}
