package http1

import "net/http"

// Framing is how the end of a message's body is found (RFC 9112 §6.3).
type Framing uint8

const (
	NoBody      Framing = iota // there is none, whatever the fields say
	Length                     // so many bytes as Content-Length says, which may be 0
	ChunkedBody                // in chunks, the last one empty
	UntilClose                 // up to the end of the connection; of answers only
)

// framing is what the fields of a head say about its body and its connection.
type framing struct {
	length    int64 // -1: not given
	chunked   bool
	close     bool
	keepAlive bool
	mayRepeat bool // Content-Length may be there several times with one value
}

// read takes in one field.
func (f *framing) read(field *Field) *Error {
	switch field.Known {
	case ContentLength:
		return f.readLength(field.Value)
	case TransferEncoding:
		if f.chunked {
			return bad("more than one Transfer-Encoding")
		}
		f.chunked = true
		return readCoding(field.Value)
	case Connection:
		for list := field.Value; list != nil; {
			var option []byte
			option, list = NextItem(list)
			switch {
			case equalFold(option, "close"):
				f.close = true
			case equalFold(option, "keep-alive"):
				f.keepAlive = true
			}
		}
	}
	return nil
}

// check is called when all fields are read.
func (f *framing) check(minor int) *Error {
	if f.chunked && f.length >= 0 {
		// The classic of request smuggling (RFC 9112 §11.2).
		return bad("both Content-Length and Transfer-Encoding")
	}
	if f.chunked && minor == 0 {
		return bad("Transfer-Encoding in HTTP/1.0") // RFC 9112 §6.1
	}
	if minor == 0 && !f.keepAlive {
		f.close = true // RFC 9112 §9.3
	}
	return nil
}

// readLength reads a Content-Length. RFC 9110 §8.6 lets a recipient refuse a
// value given several times, or take identical ones for one: old applications
// do repeat it, clients do not.
func (f *framing) readLength(value []byte) *Error {
	item, rest := value, []byte(nil)
	if f.mayRepeat {
		item, rest = NextItem(value)
	}
	n, ok := parseLength(item)
	switch {
	case !ok:
		return bad("a Content-Length that is no number")
	case f.length >= 0 && !f.mayRepeat:
		return bad("more than one Content-Length")
	case f.length >= 0 && f.length != n:
		return bad("more than one Content-Length, and they differ")
	}
	f.length = n
	if rest != nil {
		return f.readLength(rest)
	}
	return nil
}

// parseLength reads 1*DIGIT. 18 digits always fit.
func parseLength(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// readCoding accepts chunked and nothing else: to pass on another coding we
// would have to understand it (RFC 9112 §6.1).
func readCoding(value []byte) *Error {
	if equalFold(value, "chunked") {
		return nil
	}
	for list := value; list != nil; {
		var coding []byte
		coding, list = NextItem(list)
		if !isToken(coding) {
			return bad("a malformed Transfer-Encoding")
		}
		if !equalFold(coding, "chunked") {
			return &Error{http.StatusNotImplemented, "a transfer coding other than chunked"}
		}
	}
	return bad("chunked more than once in Transfer-Encoding")
}
