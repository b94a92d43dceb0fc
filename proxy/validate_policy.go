package proxy

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"wsfront/proxy/http1"
)

// accessLog checks the access log.
func (v *validator) accessLog() {
	a := v.AccessLog
	if a.Format == AccessOff && (a.File != "" || len(a.Skip) > 0) {
		v.failf("access_log.format", "off, so that file and skip have no effect; remove them, or write combined or json")
	}
	if err := a.Format.Validate(); err != nil {
		v.failf("access_log.format", "%s", err)
	}
	if a.File != "" && !filepath.IsAbs(a.File) {
		v.failf("access_log.file", "%q is not absolute; write the whole path, such as %s", a.File, filepath.Join("/var/log/wsfront", a.File))
	}
	for i, prefix := range a.Skip {
		field := fmt.Sprintf("access_log.skip[%d]", i)
		clean, err := cleanPath("/" + prefix)
		switch {
		case err != nil, strings.ContainsAny(prefix, "*{}"):
			v.failf(field, "%q is no path prefix; write one that begins with /, such as /healthz, which takes what is below it, too", prefix)
		case clean != prefix:
			v.failf(field, "%q can never match; write %s", prefix, clean)
		}
	}
}

// routePolicies checks who may use a route, and what is changed on the way.
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
	v.headers(at+".headers", r.Headers)
	if h := r.RequestHeaders; len(h.Set)+len(h.Remove) > 0 {
		v.fieldNames(at+".request_headers", h.Set, nil, h.Remove, func(name string) string { return requestFieldAdvice(name, r) })
	}
}

func (v *validator) headers(at string, h Headers) {
	v.fieldNames(at, h.Set, h.Add, h.Remove, answerFieldAdvice)
}

// fieldNames checks rules for fields. advice says what is to be written instead
// of a name that they may not have.
func (v *validator) fieldNames(at string, set, add map[string]string, remove []string, advice func(name string) string) {
	taken := map[string]string{}
	name := func(field, name string) bool {
		switch instead := advice(name); {
		case !isToken(name):
			v.failf(field, "%q is no field name; write one such as X-Frame-Options", name)
		case instead != "":
			v.failf(field, "%s cannot be changed here: %s", name, instead)
		default:
			return true
		}
		return false
	}
	values := func(what string, fields map[string]string, taken map[string]string) {
		for _, n := range slices.Sorted(maps.Keys(fields)) {
			field := at + "." + what + "." + n
			if name(field, n) {
				v.fieldValue(field, fields[n])
			}
			if other, ok := taken[strings.ToLower(n)]; ok {
				v.failf(field, "stands there as %s already; names are the same in any letter case, so remove one of them", other)
			}
			taken[strings.ToLower(n)] = n
		}
	}
	values("set", set, taken)
	values("add", add, map[string]string{})
	for i, n := range remove {
		field := fmt.Sprintf("%s.remove[%d]", at, i)
		if _, ok := taken[strings.ToLower(n)]; name(field, n) && ok {
			v.failf(field, "%s is set as well, which takes the place of what was there; remove it here, or there", n)
		}
	}
}

func (v *validator) fieldValue(field, value string) {
	switch {
	case value == "":
		v.failf(field, "is empty; write a value, or name the field in remove")
	case hasControl(value):
		v.failf(field, "%q holds a control character; write it in one line", value)
	case strings.Trim(value, " ") != value:
		v.failf(field, "%q has spaces around it, which no field keeps; write %q", value, strings.Trim(value, " "))
	}
}

// answerFieldAdvice says what to do instead of changing a field of answers, or "".
func answerFieldAdvice(name string) string {
	switch known := http1.Lookup(name); known {
	case http1.StrictTransportSecurity:
		return "write hsts: on the site"
	case http1.Host, http1.Expect:
		return "it is a field of requests; remove it"
	case http1.Date:
		return "every answer has its own"
	case http1.ContentEncoding, http1.ContentRange:
		return "it says what the body is, which only who made the body knows; remove it"
	default:
		return framingAdvice(name, known)
	}
}

// requestFieldAdvice is that for requests to a backend.
func requestFieldAdvice(name string, r Route) string {
	switch known := http1.Lookup(name); {
	case known == http1.Host:
		return "write host: on the route"
	case known == http1.Expect, known == http1.Proxy:
		return "wsfront deals with it by itself; remove it"
	case isOurs(known):
		return "wsfront says by itself who asks and how; name a proxy in front of it in trusted_proxies"
	case strings.EqualFold(name, remoteUser) && r.BasicAuth != nil:
		return "it says whose password basic_auth took; remove it"
	default:
		return framingAdvice(name, known)
	}
}

// framingAdvice is for what concerns one connection, which is wsfront's.
func framingAdvice(name string, known http1.Known) string {
	switch {
	case isHopByHop(known), known == http1.ContentLength:
		return "it is about one connection, which wsfront looks after; remove it"
	case hasPrefixFold([]byte(name), "sec-websocket-"):
		return "it belongs to the handshake between browser and backend, which a change would break; remove it"
	}
	return ""
}

// isToken reports whether a text can be a field's name (RFC 9110 §5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isUnreserved(c) && strings.IndexByte("!#$%&'*+^`|", c) < 0 {
			return false
		}
	}
	return s != ""
}
