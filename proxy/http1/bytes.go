package http1

import (
	"encoding/binary"
	"math/bits"
)

// lower is the lower-case letter for each byte that may stand in a token
// (RFC 9110 §5.6.2), and 0 for each that may not. It is never written to.
var lower = tokenBytes()

func tokenBytes() (t [256]byte) {
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = c, c
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] = c
	}
	return t
}

func isToken(b []byte) bool {
	for _, c := range b {
		if lower[c] == 0 {
			return false
		}
	}
	return len(b) > 0
}

const (
	each  = 0x0101010101010101
	tops  = each * 0x80
	space = each * 0x20
	del   = each * 0x7f
)

// control finds the first control character in b from i on, and len(b) if
// there is none. HTAB is one. Eight bytes are looked at in a step, since every
// byte of every head passes here: a byte below 0x20, or one that becomes 0 when
// compared with DEL, borrows into its top bit. The borrow may go on into higher
// bytes, so only the lowest mark is true, and no other is asked for.
func control(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		d := w ^ del
		if m := ((w-space)&^w | (d-each)&^d) & tops; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(b); i++ {
		if b[i] < ' ' || b[i] == 0x7f {
			break
		}
	}
	return i
}

// lineEnd finds the CR of the CRLF that ends the line at i, in which HTAB is
// the only control character. It is -1 while b does not reach that far.
func lineEnd(b []byte, i int) (int, *Error) {
	for {
		i = control(b, i)
		if i+1 < len(b) && b[i] == '\r' && b[i+1] == '\n' {
			return i, nil
		}
		if i >= len(b) {
			return -1, nil
		}
		switch b[i] {
		case '\t':
			i++
			continue
		case '\n':
			// RFC 9112 §2.2 would let us take it for a line end; a recipient
			// behind us that does not would see another message.
			return 0, bad("a line ends in LF without CR")
		case '\r':
			if i+1 == len(b) {
				return -1, nil
			}
			return 0, bad("a CR without LF in a line")
		case 0:
			return 0, bad("a NUL in a line")
		}
		return 0, bad("a control character in a line")
	}
}

// trim takes optional whitespace (RFC 9110 §5.6.3) off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// equalFold reports whether b is want but for the case of ASCII letters.
func equalFold[T ~string | ~[]byte](b []byte, want T) bool {
	if len(b) != len(want) {
		return false
	}
	for i, c := range b {
		if lowerASCII(c) != lowerASCII(want[i]) {
			return false
		}
	}
	return true
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// hexValue is the value of a hexadecimal digit, and 16 for all else.
func hexValue(c byte) byte {
	switch c = lowerASCII(c); {
	case isDigit(c):
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}
