package http2

import "wsfront/proxy/http1"

// Head is the head of a request. Its slices are valid until the Handler has
// returned. A malformed request (RFC 9113 §8.1.1) does not come to a Handler.
type Head struct {
	// Method is a token. Path is not empty, and begins with a slash or is "*",
	// but what else may not stand in it was not looked at; for CONNECT, Scheme
	// and Path are empty. Authority is empty if it was left out: then there may
	// be a Host among Fields, but see to it yourself that they do not contradict
	// each other.
	Method, Scheme, Authority, Path []byte

	// Fields are in the order received, with names in lower case and without
	// those that are about a connection.
	Fields []http1.Field

	// ContentLength is -1 if none is given. A body of another length fails.
	ContentLength int64

	// HasBody says that the request has not ended with its head.
	HasBody bool

	// TooLarge is the limit that the head has passed, which is to be answered by
	// 431, or "". What is beyond it is missing from the rest of Head.
	TooLarge Limit
}

// The forms that a byte can have a place in.
const (
	inName  = 1 << iota // of a field: a token without capitals (RFC 9113 §8.2)
	inToken             // RFC 9110 §5.6.2
	inValue             // of a field: no control character but HTAB
)

// places says where each byte may stand. It is never written to.
var places = func() (t [256]uint8) {
	for c := range t {
		if c >= ' ' && c != 0x7f || c == '\t' {
			t[c] |= inValue
		}
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= inName | inToken
		t[c-'a'+'A'] |= inToken
	}
	for _, c := range []byte("0123456789!#$%&'*+-.^_`|~") {
		t[c] |= inName | inToken
	}
	return t
}()

func all(b []byte, place uint8) bool {
	for _, c := range b {
		if places[c]&place == 0 {
			return false
		}
	}
	return true
}

// parse makes the head of a decoded block. It returns "" or what is wrong with
// it.
func (h *Head) parse(b *block, hasBody bool) string {
	*h = Head{Fields: h.Fields[:0], ContentLength: -1, HasBody: hasBody, TooLarge: b.over}
	at, seen := 0, 0
	for _, s := range b.spans {
		name, value := b.text[at:s.name:s.name], b.text[s.name:s.value:s.value]
		at = s.value
		if len(name) == 0 || name[0] != ':' {
			f, mistake := regular(name, value)
			if mistake != "" {
				return mistake
			}
			h.Fields = append(h.Fields, f)
			continue
		}
		if len(h.Fields) > 0 {
			return "a pseudo-field behind other fields"
		}
		if mistake := h.pseudo(name, value, &seen); mistake != "" {
			return mistake
		}
	}
	return h.check(seen)
}

// The pseudo-fields, as bits.
const (
	sawMethod = 1 << iota
	sawScheme
	sawAuthority
	sawPath
)

// pseudo takes a pseudo-field (RFC 9113 §8.3.1).
func (h *Head) pseudo(name, value []byte, seen *int) string {
	bit := 0
	switch string(name) {
	case ":method":
		h.Method, bit = value, sawMethod
	case ":scheme":
		h.Scheme, bit = value, sawScheme
	case ":authority":
		h.Authority, bit = value, sawAuthority
	case ":path":
		h.Path, bit = value, sawPath
	default:
		return "an unknown pseudo-field"
	}
	if *seen&bit != 0 {
		return "a pseudo-field that is there twice"
	}
	*seen |= bit
	if !validValue(value) {
		return "a byte in a pseudo-field that does not belong there"
	}
	return ""
}

// validValue leaves out what RFC 9113 §8.2.1 forbids, and other control
// characters: the request may go on over HTTP/1.1.
func validValue(value []byte) bool {
	if n := len(value); n > 0 {
		first, last := value[0], value[n-1]
		if first == ' ' || first == '\t' || last == ' ' || last == '\t' {
			return false
		}
	}
	return all(value, inValue)
}

// regular takes another field, of a head or a trailer.
func regular(name, value []byte) (f http1.Field, mistake string) {
	if len(name) == 0 || !all(name, inName) {
		return f, "a byte in a field's name that does not belong there"
	}
	if !validValue(value) {
		return f, "a byte in a field's value that does not belong there"
	}
	f = http1.Field{Known: http1.Lookup(name), Name: name, Value: value}
	switch f.Known { // RFC 9113 §8.2.2
	case http1.Connection, http1.KeepAlive, http1.ProxyConnection, http1.TransferEncoding, http1.Upgrade:
		return f, "a field that is about a connection"
	case http1.TE:
		if string(value) != "trailers" {
			return f, "a TE other than trailers"
		}
	}
	return f, ""
}

// check looks at the head as a whole.
func (h *Head) check(seen int) string {
	if h.TooLarge != "" {
		return "" // what is missing may stand where nothing was kept
	}
	switch {
	case seen&sawMethod == 0:
		return "no :method"
	case len(h.Method) == 0 || !all(h.Method, inToken):
		return "a malformed :method"
	case string(h.Method) == "CONNECT":
		if seen&(sawScheme|sawPath) != 0 { // RFC 9113 §8.5
			return "CONNECT with :scheme or :path"
		}
	case seen&sawScheme == 0:
		return "no :scheme"
	case seen&sawPath == 0:
		return "no :path"
	case len(h.Path) == 0:
		return "an empty :path"
	case h.Path[0] != '/' && !(string(h.Path) == "*" && string(h.Method) == "OPTIONS"):
		return "a :path that is none"
	}
	for i := range h.Fields {
		if h.Fields[i].Known != http1.ContentLength {
			continue
		}
		n, ok := parseLength(h.Fields[i].Value)
		if !ok || h.ContentLength >= 0 {
			return "a malformed content-length"
		}
		h.ContentLength = n
	}
	if !h.HasBody && h.ContentLength > 0 {
		return "a content-length without a body"
	}
	return ""
}

// parseLength reads 1*DIGIT. 18 digits always fit.
func parseLength(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
