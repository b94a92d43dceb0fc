package http1

import (
	"bytes"
	"net/netip"
)

// splitTarget sets Path, Query and HasQuery, and authority for a target in
// absolute form (RFC 9112 §3.2).
func (r *Request) splitTarget() (authority []byte, _ *Error) {
	t := r.Target
	// Of the control characters, a line lets through HTAB alone.
	if bytes.IndexByte(t, ' ') >= 0 || bytes.IndexByte(t, '\t') >= 0 || bytes.IndexByte(t, '#') >= 0 {
		return nil, bad("a character in the target that does not belong there")
	}
	switch {
	case len(t) == 0:
		return nil, bad("no target")
	case t[0] == '/':
		r.splitQuery(t)
	case len(t) == 1 && t[0] == '*' && string(r.Method) == "OPTIONS":
		r.Path = t
		return nil, nil
	default:
		n := schemeLength(t)
		if n == 0 {
			return nil, bad("a target that is neither a path nor an http or https URL")
		}
		end := len(t)
		if i := bytes.IndexAny(t[n:], "/?"); i >= 0 {
			end = n + i
		}
		authority = t[n:end]
		if len(authority) == 0 {
			return nil, bad("a target without a host")
		}
		r.splitQuery(t[end:])
		if len(r.Path) == 0 {
			// An empty path is "/" (RFC 9112 §3.2.1), and for OPTIONS the server
			// as a whole (§3.2.4). No client of this day writes either.
			r.Path = []byte("/")
			if string(r.Method) == "OPTIONS" && !r.HasQuery {
				r.Path = []byte("*")
			}
		}
	}
	return authority, checkEscapes(r.Path)
}

func (r *Request) splitQuery(t []byte) {
	r.Path = t
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		r.Path, r.Query, r.HasQuery = t[:i], t[i+1:], true
	}
}

// schemeLength is that of "http://" or "https://", or 0.
func schemeLength(t []byte) int {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(t) >= len(scheme) && equalFold(t[:len(scheme)], scheme) {
			return len(scheme)
		}
	}
	return 0
}

// checkEscapes refuses a path with a percent sign that begins no escape
// (RFC 3986 §2.1): what it means differs from one server to the next.
func checkEscapes(path []byte) *Error {
	for {
		i := bytes.IndexByte(path, '%')
		if i < 0 {
			return nil
		}
		path = path[i+1:]
		if len(path) < 2 || hexValue(path[0]) > 15 || hexValue(path[1]) > 15 {
			return bad("a percent sign in the path without two hexadecimal digits")
		}
	}
}

// validHost reports whether a Host value or an authority is one host, name or
// address, with or without a port (RFC 3986 §3.2.2, §3.2.3). Left out of what
// the grammar allows are the comma, which is how a lenient sender joins two of
// them, escapes, which give one name two spellings, and address forms that do
// not exist yet.
func validHost(b []byte) bool {
	var port []byte
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return false
		}
		addr, err := netip.ParseAddr(string(b[1:end]))
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return false
		}
		port = b[end+1:]
		if len(port) > 0 && port[0] != ':' {
			return false
		}
	} else {
		end := bytes.IndexByte(b, ':')
		if end < 0 {
			end = len(b)
		}
		for _, c := range b[:end] {
			if !hostByte[c] {
				return false
			}
		}
		if end == 0 && len(b) > 0 {
			return false // a port of nobody
		}
		port = b[end:]
	}
	return len(port) == 0 || validPort(port[1:])
}

// validPort: RFC 3986 §3.2.3 allows no digit at all.
func validPort(b []byte) bool {
	n := 0
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
		if n = n*10 + int(c-'0'); n > 65535 {
			return false
		}
	}
	return true
}

// hostByte is never written to.
var hostByte = hostBytes()

func hostBytes() (t [256]bool) {
	for c := range 256 {
		l := lowerASCII(byte(c))
		t[c] = 'a' <= l && l <= 'z' || isDigit(l)
	}
	for _, c := range []byte("-._~!$&'()*+;=") {
		t[c] = true
	}
	return t
}
