package proxy

import (
	"errors"
	"strings"
)

// Why a path is refused.
var (
	errPathForm    = errors.New("the path is not in absolute form with valid percent-encoding")
	errPathEscapes = errors.New("the path climbs above /")
	errPathControl = errors.New("the path holds a control character")
)

// cleanPath brings the path of a request, in its escaped form, into the one
// form on which routes are matched and which is forwarded, so that no other
// spelling of a path can slip past a route:
//
//   - percent-encoded unreserved characters are decoded, other escapes are
//     written with upper-case digits (RFC 3986 §6.2.2), characters that do not
//     belong into a path are encoded;
//   - repeated slashes become one, as Apache has it;
//   - "." and ".." segments are resolved (RFC 3986 §5.2.4), those that were
//     encoded included; a path that climbs above the root is refused.
//
// %2F and %5C stay as they are and part no segments: whether they may pass is
// the route's choice (hasEncodedSlash).
func cleanPath(escaped string) (string, error) {
	if escaped == "" || escaped[0] != '/' {
		return "", errPathForm
	}
	if isClean(escaped) {
		return escaped, nil
	}
	decoded, err := normalizeEscapes(escaped)
	if err != nil {
		return "", err
	}
	segments := strings.Split(decoded[1:], "/")
	kept := segments[:0]
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case "", ".":
			if last {
				kept = append(kept, "")
			}
		case "..":
			if len(kept) == 0 {
				return "", errPathEscapes
			}
			kept = kept[:len(kept)-1]
			if last {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, s)
		}
	}
	return "/" + strings.Join(kept, "/"), nil
}

// isClean reports whether a path needs no work: the common case, without
// allocation.
func isClean[T ~string | ~[]byte](p T) bool {
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == '/':
			if i+1 < len(p) && (p[i+1] == '/' || p[i+1] == '.') {
				return false
			}
		case !isPathChar(c):
			return false
		}
	}
	return true
}

func normalizeEscapes(p string) (string, error) {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(p))
	for i := 0; i < len(p); i++ {
		c := p[i]
		escaped := c == '%'
		if escaped {
			if i+2 >= len(p) {
				return "", errPathForm
			}
			high, low := unhex(p[i+1]), unhex(p[i+2])
			if high < 0 || low < 0 {
				return "", errPathForm
			}
			c = byte(high<<4 | low)
			i += 2
		}
		switch {
		case c < 0x20 || c == 0x7f:
			return "", errPathControl
		case isUnreserved(c), !escaped && isPathChar(c):
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String(), nil
}

// hasEncodedSlash reports whether a cleaned path holds an encoded slash or
// backslash, which a backend may decode into a separator.
func hasEncodedSlash[T ~string | ~[]byte](clean T) bool {
	for i := 0; i+2 < len(clean); i++ {
		if clean[i] == '%' && (clean[i+1] == '2' && clean[i+2] == 'F' || clean[i+1] == '5' && clean[i+2] == 'C') {
			return true
		}
	}
	return false
}

// isUnreserved is RFC 3986 §2.3.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// isPathChar is pchar of RFC 3986 §3.3 and the slash, without the percent sign.
func isPathChar(c byte) bool {
	return isUnreserved(c) || strings.IndexByte("/!$&'()*+,;=:@", c) >= 0
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
