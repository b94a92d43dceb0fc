package proxy

import (
	"net"
	"strings"

	"wsfront/proxy/http1"
)

// A route whose backend has a path of its own maps one prefix to the other:
// Path /shop/ with app http://127.0.0.1:8080/store asks the backend for
// /store/cart when the client asks for /shop/cart. What the backend says of
// its paths is mapped back.

// A route with Match has no one prefix, and so nothing is mapped back: see
// match.go for the path that it asks for.

// appendBackendPath appends the path to ask the backend for.
func (x *exchange) appendBackendPath(b []byte) []byte {
	if x.target != nil {
		return append(b, x.target...)
	}
	return x.route.appendBackendPath(b, x.path)
}

// appendBackendPath is that of the exchange, for a route without a template.
func (rt *route) appendBackendPath(b, path []byte) []byte {
	return rt.appendMapped(b, path, rt.path)
}

// appendMapped appends path with to in the place of the prefix; "" keeps it. The
// prefix is replaced at a segment boundary, so that the two parts meet in
// exactly one slash.
func (rt *route) appendMapped(b, path []byte, to string) []byte {
	if to == "" {
		return append(b, path...)
	}
	rest := path[len(strings.TrimSuffix(rt.prefix, "/")):]
	if len(rest) == 0 {
		return append(b, to...)
	}
	b = append(b, strings.TrimSuffix(to, "/")...)
	return append(b, rest...)
}

// clientPath is a path of the backend's as the client would ask for it. Paths
// that the route does not lead to stay as they are.
func (rt *route) clientPath(path string) string {
	if rt.path == "" {
		return path
	}
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(rt.path, "/"))
	if !ok || rest != "" && rest[0] != '/' {
		return path
	}
	if mapped := strings.TrimSuffix(rt.prefix, "/") + rest; mapped != "" {
		return mapped
	}
	return "/"
}

// rewrite is the value of an answer's field in the client's view: links and
// cookies.
func (x *exchange) rewrite(f *http1.Field) []byte {
	var written, mapped string
	switch f.Known {
	case http1.Location, http1.ContentLocation:
		written = string(f.Value)
		mapped = x.rewriteURL(written)
	case http1.Refresh:
		// "5; url=/next": not in any RFC, but browsers and old applications
		// agree on it.
		written = string(f.Value)
		at := strings.Index(strings.ToLower(written), "url=")
		if at < 0 {
			return f.Value
		}
		mapped = written[:at+4] + x.rewriteURL(written[at+4:])
	case http1.SetCookie:
		written = string(f.Value)
		mapped = x.rewriteCookie(written)
	default:
		return f.Value
	}
	if mapped == written {
		return f.Value
	}
	return x.keepText(mapped)
}

// rewriteURL brings a URL of the backend into the client's scheme, host and
// path. URLs of others stay byte for byte.
func (x *exchange) rewriteURL(written string) string {
	scheme, authority, rest, ok := splitURL(written)
	switch {
	case ok && len(x.host) > 0 && x.isBackend(scheme, authority):
		return x.scheme + "://" + string(x.host) + x.rewritePath(rest)
	case ok && scheme == x.scheme && bareHost(scheme, authority) == bareHost(scheme, string(x.host)):
		return written[:len(written)-len(rest)] + x.rewritePath(rest)
	case ok:
		return written
	case strings.HasPrefix(written, "/") && !strings.HasPrefix(written, "//"):
		return x.rewritePath(written)
	}
	return written // relative: as true on this side as on that one
}

func (x *exchange) rewritePath(rest string) string {
	end := strings.IndexAny(rest, "?#")
	if end < 0 {
		end = len(rest)
	}
	if end == 0 {
		return rest
	}
	return x.route.clientPath(rest[:end]) + rest[end:]
}

// isBackend reports whether an absolute URL leads to a backend of the route, or
// to the client's own host in the way that an application writes it which does
// not know of the front: by http instead of https, or with the backend's port.
func (x *exchange) isBackend(scheme, authority string) bool {
	for _, m := range x.route.pool.members {
		if x.leadsTo(m.backend, scheme, authority) {
			return true
		}
	}
	return scheme != "https" && x.https() && bareHost("http", authority) == bareHost("https", string(x.host))
}

// leadsTo reports whether an absolute URL without its path, which may be one
// that takes the scheme of its page (//host/path), leads to one backend.
func (x *exchange) leadsTo(b *backend, scheme, authority string) bool {
	backendScheme := "http"
	if b.isTLS() {
		backendScheme = "https"
	}
	if scheme != "" && scheme != backendScheme {
		return false
	}
	_, port, _ := net.SplitHostPort(b.address)
	switch authority := bareHost(backendScheme, authority); authority {
	case bareHost(backendScheme, b.host):
		return true
	case bareHost(backendScheme, x.route.Host):
		return authority != ""
	case bareHost(backendScheme, net.JoinHostPort(hostname(string(x.host)), port)):
		return port != ""
	}
	return false
}

// bareHost is an authority in lower case without the port that its scheme
// implies.
func bareHost(scheme, authority string) string {
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	return strings.TrimSuffix(strings.ToLower(authority), port)
}

// splitURL parts an http or https URL, or one that begins with //, after its
// authority. It is no parser of URLs: what is not taken apart here is handed on
// as it was written.
func splitURL(written string) (scheme, authority, rest string, ok bool) {
	before, after, found := strings.Cut(written, "//")
	switch strings.ToLower(before) {
	case "":
	case "http:":
		scheme = "http"
	case "https:":
		scheme = "https"
	default:
		return "", "", "", false
	}
	if !found {
		return "", "", "", false
	}
	end := strings.IndexAny(after, "/?#")
	if end < 0 {
		end = len(after)
	}
	return scheme, after[:end], after[end:], true
}

// rewriteCookie maps a cookie's Path back, and takes away a Domain that is the
// backend's, which a browser would refuse the cookie for. All else stays byte
// for byte.
func (x *exchange) rewriteCookie(line string) string {
	pair, attributes, ok := strings.Cut(line, ";")
	if !ok {
		return line
	}
	var b strings.Builder
	b.Grow(len(line) + len(x.route.prefix))
	b.WriteString(pair)
	for attribute := range strings.SplitSeq(attributes, ";") {
		name, value, _ := strings.Cut(attribute, "=")
		switch trimmed := strings.TrimSpace(value); strings.ToLower(strings.TrimSpace(name)) {
		case "domain":
			if x.isBackendDomain(trimmed) {
				continue
			}
		case "path":
			if mapped := x.route.cookiePath(trimmed); mapped != trimmed {
				attribute = name + "=" + mapped
			}
		}
		b.WriteByte(';')
		b.WriteString(attribute)
	}
	return b.String()
}

func (x *exchange) isBackendDomain(domain string) bool {
	domain = strings.TrimPrefix(strings.ToLower(domain), ".")
	if domain == "" || domain == hostname(string(x.host)) {
		return false
	}
	for _, m := range x.route.pool.members {
		if domain == hostname(m.backend.host) {
			return true
		}
	}
	return x.route.Host != "" && domain == hostname(x.route.Host)
}

// cookiePath maps a cookie's path back. The backend's root becomes the route's
// own path: /shop/ would not cover /shop (RFC 6265 §5.1.4).
func (rt *route) cookiePath(path string) string {
	if rt.path != "" && strings.TrimSuffix(path, "/") == strings.TrimSuffix(rt.path, "/") && path != "" {
		return rt.prefix
	}
	return rt.clientPath(path)
}
