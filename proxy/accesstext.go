package proxy

import "unicode/utf8"

func appendQuoted(b []byte, s []byte) []byte {
	b = append(b, ` "`...)
	if len(s) == 0 {
		b = append(b, '-')
	} else {
		b = appendApache(b, s)
	}
	return append(b, '"')
}

// appendBare writes a field without quotes around it. A space would begin the
// next field, and with it a forged line: it is escaped, unlike in Apache, where
// only names that passed authentication are logged.
func appendBare(b []byte, s []byte) []byte {
	if len(s) == 0 {
		return append(b, '-')
	}
	for i := range len(s) {
		if s[i] == ' ' {
			b = append(b, `\x20`...)
		} else {
			b = appendApacheByte(b, s[i])
		}
	}
	return b
}

func appendApache[T ~string | ~[]byte](b []byte, s T) []byte {
	for i := range len(s) {
		b = appendApacheByte(b, s[i])
	}
	return b
}

// appendApacheByte escapes as Apache's ap_escape_logitem does, byte by byte:
// quotes and backslashes, and whatever is not printable ASCII.
func appendApacheByte(b []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	case '\v':
		return append(b, '\\', 'v')
	}
	if c < 0x20 || c > 0x7e {
		return append(b, '\\', 'x', hex[c>>4], hex[c&15])
	}
	return append(b, c)
}

// appendField writes a member of a JSON object that is not its first.
func appendField[T ~string | ~[]byte](b []byte, name string, value T) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":"`...)
	b = appendJSONText(b, value)
	return append(b, '"')
}

// appendJSONText escapes as RFC 8259 §7 asks; bytes that are not UTF-8 become
// the replacement character. U+2028 and U+2029 end a line for some readers of
// JSON lines, so that they are escaped too, like U+0085.
func appendJSONText[T ~string | ~[]byte](b []byte, s T) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			case c < 0x20 || c == 0x7f:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			default:
				b = append(b, c)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		switch r {
		case '\u0085':
			b = append(b, `\u0085`...)
		case '\u2028':
			b = append(b, `\u2028`...)
		case '\u2029':
			b = append(b, `\u2029`...)
		default:
			b = utf8.AppendRune(b, r) // the replacement character for what is none
		}
		i += size
	}
	return b
}
