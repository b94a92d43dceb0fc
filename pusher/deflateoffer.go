package pusher

import (
	"net/http"
	"slices"
	"strings"
)

// acceptDeflate tells whether a handshake offers permessage-deflate in a way that
// can be kept (RFC 7692 §7.1) by the answer that gorilla/websocket gives to any
// offer of it when EnableCompression is set, which must not be set otherwise:
//
//	permessage-deflate; server_no_context_takeover; client_no_context_takeover
//
// It may be given to those who did not ask for it (§7.1.1). Of the parameters,
// client_max_window_bits needs no answer, while server_max_window_bits would have
// to stand in it: an offer with that one is declined, and the next one looked at.
// Whatever is accepted here gorilla, which is less strict, finds as well.
func acceptDeflate(header http.Header) bool {
	return slices.ContainsFunc(header["Sec-Websocket-Extensions"], fieldOffersDeflate)
}

// fieldOffersDeflate looks at the offers of one field (RFC 6455 §9.1). Behind one
// that is malformed nothing is known for sure. To this a quoted value is malformed:
// none is needed for what can be accepted.
func fieldOffersDeflate(field string) bool {
	for offer := range strings.SplitSeq(field, ",") {
		parts := strings.Split(offer, ";")
		fits := strings.Trim(parts[0], " \t") == "permessage-deflate"
		var seen []string
		for i, part := range parts {
			name, value, hasValue := strings.Cut(part, "=")
			name, value = strings.Trim(name, " \t"), strings.Trim(value, " \t")
			if !isToken(name) || hasValue && (i == 0 || !isToken(value)) {
				return false
			}
			if i > 0 {
				fits = fits && canKeep(name, value) && !slices.Contains(seen, name)
				seen = append(seen, name)
			}
		}
		if fits {
			return true
		}
	}
	return false
}

// canKeep judges a parameter of an offer. An unknown one, or one with a value that
// it cannot have, makes the offer unacceptable (RFC 7692 §7.1).
func canKeep(name, value string) bool {
	switch name {
	case "server_no_context_takeover", "client_no_context_takeover":
		return value == ""
	case "client_max_window_bits":
		return slices.Contains([]string{"", "8", "9", "10", "11", "12", "13", "14", "15"}, value)
	}
	return false
}

// isToken tells whether s is a token (RFC 9110 §5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if b := s[i]; b <= ' ' || b >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, b) >= 0 {
			return false
		}
	}
	return s != ""
}
