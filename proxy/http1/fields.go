package http1

import (
	"bytes"
	"net/http"
)

// Field is one line of a head or a trailer.
type Field struct {
	// Known is the number of the name, Other if it has none.
	Known Known
	// Name is spelled as it was received; Value has no whitespace around it.
	// Both are slices of the buffer that was parsed, and live as long as it.
	Name, Value []byte
}

// Limits bounds a head, and likewise the trailer section of a body. A zero
// value stands for the default.
type Limits struct {
	Head   int // bytes up to and with the empty line; default 32 KiB. A Reader holds no more than BufferSize.
	Fields int // how many; default 100
	Target int // bytes of a request's target; default 8 KiB
}

func (l Limits) withDefaults() Limits {
	if l.Head == 0 {
		l.Head = 32 << 10
	}
	if l.Fields == 0 {
		l.Fields = 100
	}
	if l.Target == 0 {
		l.Target = 8 << 10
	}
	return l
}

// Get returns the value of the first field of that kind, and how many there
// are. Get(fields, Other) finds nothing of use.
func Get(fields []Field, k Known) (value []byte, count int) {
	for i := range fields {
		if fields[i].Known != k {
			continue
		}
		if count == 0 {
			value = fields[i].Value
		}
		count++
	}
	return value, count
}

// NextItem takes the first item off a list of them (RFC 9110 §5.6.1), the value
// of a Connection field for instance: the item without whitespace around it,
// which is empty between two commas, and what is left of the list. It does not
// know quoted strings, so it is for lists of tokens. The list is over when rest
// is nil.
func NextItem(list []byte) (item, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), nil
}

// parseFields appends the field lines at buf[i:] to fields, up to and with the
// empty line that ends them. next is the place behind it, or 0 while buf does
// not reach that far; what was appended is then worth nothing.
func parseFields(buf []byte, i int, fields []Field, limit int) (_ []Field, next int, _ *Error) {
	for {
		if i >= len(buf) {
			return fields, 0, nil
		}
		if buf[i] == '\r' {
			if i+1 == len(buf) {
				return fields, 0, nil
			}
			if buf[i+1] != '\n' {
				return fields, 0, bad("a CR without LF in a line")
			}
			return fields, i + 2, nil
		}
		if len(fields) == limit {
			return fields, 0, &Error{http.StatusRequestHeaderFieldsTooLarge, "too many fields"}
		}
		if len(fields) < cap(fields) {
			fields = fields[:len(fields)+1]
		} else {
			fields = append(fields, Field{})
		}
		end, err := fields[len(fields)-1].parse(buf, i)
		if end <= 0 {
			return fields, 0, err
		}
		i = end
	}
}

// parse reads the line at buf[i:]. next is the place behind it, or 0 while buf
// does not reach that far.
func (f *Field) parse(buf []byte, i int) (next int, _ *Error) {
	colon := len(buf)
	for j, c := range buf[i:] {
		if lower[c] == 0 {
			colon = i + j
			break
		}
	}
	if colon == len(buf) {
		return 0, nil
	}
	if buf[colon] != ':' || colon == i {
		return 0, badName(buf[i : colon+1])
	}
	end, err := lineEnd(buf, colon+1)
	if end < 0 || err != nil {
		return 0, err
	}
	f.Name = buf[i:colon]
	f.Value = trim(buf[colon+1 : end])
	f.Known = lookupToken(buf[i:], colon-i)
	return end + 2, nil
}

// badName says what is wrong with a name whose last byte does not belong to it.
func badName(name []byte) *Error {
	switch c := name[len(name)-1]; {
	case c == '\r' || c == '\n':
		return bad("a line of the head is no field")
	case (c == ' ' || c == '\t') && len(name) == 1:
		return bad("a folded line") // RFC 9112 §5.2
	case c == ' ' || c == '\t':
		return bad("whitespace before the colon of a field") // RFC 9112 §5.1
	case c == ':':
		return bad("a field without a name")
	}
	return bad("a character in a field's name that does not belong there")
}

// scan remembers how far an incomplete head was looked at. One that comes whole
// is parsed at once; of one that comes in parts each byte is looked at once for
// the head's end, and parsed when that is there. A byte at a time would
// otherwise cost the square of its length.
type scan struct {
	waiting bool
	at      int  // up to here there is no end
	inLine1 bool // no LF was seen yet
}

// wait begins the search for the end of a head, of which no end is in buf.
// Before the first byte it does not: what that byte can be is for the parser to
// see, or what is no HTTP at all would be waited for like a head.
func (s *scan) wait(buf []byte) {
	s.waiting, s.at, s.inLine1 = len(buf) > 0, len(buf), bytes.IndexByte(buf, '\n') < 0
}

// mayEnd reports whether parsing is worth another try: there is an empty line,
// or a LF without CR, which is refused and not waited for.
func (s *scan) mayEnd(buf []byte) bool {
	for i := s.at; ; i++ {
		lf := bytes.IndexByte(buf[i:], '\n')
		if lf < 0 {
			break
		}
		i += lf
		s.inLine1 = false
		if i == 0 || buf[i-1] != '\r' || i == 1 || buf[i-2] == '\n' {
			return true
		}
	}
	s.at = len(buf)
	return false
}
