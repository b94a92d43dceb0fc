package http2

import (
	"golang.org/x/net/http2/hpack"

	"wsfront/proxy/http1"
)

// Header blocks are written without a dynamic table: what an answer could have
// taken from it, a date or a length, is another each time, and a table would be
// memory that each idle connection holds. nginx and HAProxy do the same.

// noTable begins a block after the peer has changed SETTINGS_HEADER_TABLE_SIZE:
// it may wait to be told that the table is smaller now (RFC 7541 §4.2).
const noTable = 0x20

// appendStatus appends the pseudo-field :status.
func appendStatus(b []byte, status int) []byte {
	text := [3]byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)}
	for i := statusIndex; i <= status500; i++ {
		if string(text[:]) == static[i-1].value {
			return append(b, 0x80|byte(i))
		}
	}
	return append(b, statusIndex, 3, text[0], text[1], text[2])
}

// appendField appends a field as a literal that is not to be indexed, its name
// in lower case (RFC 9113 §8.2).
func appendField(b []byte, f *http1.Field) []byte {
	name := f.Name
	var folded [64]byte
	if len(name) <= len(folded) {
		name = folded[:copy(folded[:], name)]
	} else {
		name = append([]byte(nil), name...)
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			name[i] = c + 'a' - 'A'
		}
	}
	if i := nameIndex[string(name)]; i != 0 {
		b = appendInteger(b, 0, 4, i)
	} else {
		b = appendString(append(b, 0), name)
	}
	return appendString(b, f.Value)
}

// appendInteger appends a number, the first bits of whose first byte are given
// (RFC 7541 §5.1).
func appendInteger(b []byte, first byte, prefix uint, n int) []byte {
	mask := 1<<prefix - 1
	if n < mask {
		return append(b, first|byte(n))
	}
	b = append(b, first|byte(mask))
	for n -= mask; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// appendString appends a string, in the Huffman code if that is shorter
// (RFC 7541 §5.2).
func appendString(b, text []byte) []byte {
	bits := 0
	for _, c := range text {
		bits += int(huffman[c].length)
	}
	n := (bits + 7) / 8
	if n >= len(text) {
		return append(appendInteger(b, 0, 7, len(text)), text...)
	}
	b = appendInteger(b, 0x80, 7, n)
	var window uint64 // its lowest bits are not written yet
	waiting := 0
	for _, c := range text {
		window = window<<huffman[c].length | uint64(huffman[c].bits)
		for waiting += int(huffman[c].length); waiting >= 8; waiting -= 8 {
			b = append(b, byte(window>>(waiting-8)))
		}
	}
	if waiting > 0 { // padded by ones, which are the beginning of EOS
		b = append(b, byte(window<<(8-waiting))|byte(1<<(8-waiting)-1))
	}
	return b
}

// huffman is the code of each byte (RFC 7541 Appendix B). It is never written
// to. The library keeps its table for itself, but what it makes of eight times
// the same byte is as many bytes as the code has bits, and begins with it.
var huffman = func() (codes [256]code) {
	for c := range codes {
		var text [8]byte
		for i := range text {
			text[i] = byte(c)
		}
		coded := append(hpack.AppendHuffmanString(nil, string(text[:])), 0, 0, 0)
		length := len(coded) - 3
		first := uint32(coded[0])<<24 | uint32(coded[1])<<16 | uint32(coded[2])<<8 | uint32(coded[3])
		codes[c] = code{bits: first >> (32 - length), length: uint8(length)}
	}
	return codes
}()

type code struct {
	bits   uint32
	length uint8
}
