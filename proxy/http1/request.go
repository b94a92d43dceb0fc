package http1

import (
	"bytes"
	"net/http"
)

// longestMethod is that of the methods known to IANA, and room to spare.
const longestMethod = 32

// mostEmptyLines may stand before a request line (RFC 9112 §2.2): old clients
// sent one behind the body of a form.
const mostEmptyLines = 2

// Request is the head of a request. The zero value is ready for Parse. All
// slices are of the buffer that was parsed.
type Request struct {
	Method, Target []byte
	Minor          int // 0 or 1, of HTTP/1.0 or HTTP/1.1

	// Path and Query are parts of Target, escaped as received; bytes from 0x80
	// up may stand in them unescaped. Every percent sign in Path begins an
	// escape. Path begins with a slash, or is "*" for the server as a whole,
	// which OPTIONS alone may ask. HasQuery tells whether there was a '?', even
	// with nothing behind it.
	Path, Query []byte
	HasQuery    bool

	// HostValue is the value of the Host field, or the authority in the target,
	// which says the same but for the case of letters. It is a valid host with
	// or without a port, or empty; in HTTP/1.0 also nil.
	HostValue []byte

	// Fields are in the order received. The next Parse reuses their memory.
	Fields []Field

	ContentLength int64 // in bytes; -1: none given
	Chunked       bool  // the body is in the chunked coding
	Close         bool  // the client wants the connection closed behind the answer, or speaks HTTP/1.0 without keep-alive

	// ExpectContinue: the client waits for a 100 before it sends the body, of
	// which there is one (RFC 9110 §10.1.1).
	ExpectContinue bool

	scan scan
}

// Reset is called before a new head. The memory of Fields is kept, yet nothing
// that was in it is held on to.
func (r *Request) Reset() {
	clear(r.Fields)
	*r = Request{Fields: r.Fields[:0], ContentLength: -1}
}

// Parse reads a head. buf begins with it, and from one call to the next only
// grows, though it may move. n is the length of the head with its empty line
// and with empty lines before it, or 0 without an error while more bytes are
// needed. The error is always an *Error.
func (r *Request) Parse(buf []byte, lim Limits) (n int, err error) {
	lim = lim.withDefaults()
	head := buf[:min(len(buf), lim.Head)]
	if r.scan.waiting && !r.scan.mayEnd(head) && len(head) < lim.Head &&
		(!r.scan.inLine1 || len(head) <= requestLine(lim)) {
		return 0, nil
	}
	n, refused := r.parse(head, lim)
	switch {
	case refused != nil:
		return 0, refused
	case n == 0 && len(head) == lim.Head:
		return 0, &Error{http.StatusRequestHeaderFieldsTooLarge, "the head is too long"}
	case n == 0:
		r.scan.wait(head)
	}
	return n, nil
}

// Framing tells how the end of the body is found; it is never UntilClose
// (RFC 9112 §6.3).
func (r *Request) Framing() Framing {
	switch {
	case r.Chunked:
		return ChunkedBody
	case r.ContentLength >= 0:
		return Length
	}
	return NoBody
}

// requestLine is the length that no request line can have and be accepted.
func requestLine(lim Limits) int { return longestMethod + lim.Target + len("  HTTP/1.1\r\n") }

func (r *Request) parse(buf []byte, lim Limits) (int, *Error) {
	i := 0
	for i+1 < len(buf) && buf[i] == '\r' && buf[i+1] == '\n' {
		if i += 2; i > 2*mostEmptyLines {
			return 0, bad("empty lines in place of a request")
		}
	}
	if i < len(buf) && lower[buf[i]] == 0 && buf[i] != '\r' {
		return 0, bad("no HTTP request") // a TLS handshake for instance: it would never end a line
	}
	end, err := lineEnd(buf, i)
	if err != nil {
		return 0, err
	}
	if end < 0 {
		if len(buf)-i > requestLine(lim) || len(buf) == lim.Head {
			return 0, &Error{http.StatusRequestURITooLong, "the request line is too long"}
		}
		return 0, nil
	}
	if err := r.parseLine(buf[i:end], lim); err != nil {
		return 0, err
	}
	var n int
	r.Fields, n, err = parseFields(buf, end+2, r.Fields[:0], lim.Fields)
	if n == 0 {
		return 0, err
	}
	authority, err := r.splitTarget()
	if err != nil {
		return 0, err
	}
	return n, r.readFields(authority)
}

// parseLine takes exactly one space between method, target and version
// (RFC 9112 §3).
func (r *Request) parseLine(line []byte, lim Limits) *Error {
	sp := bytes.IndexByte(line, ' ')
	if sp < 0 || !isToken(line[:sp]) {
		return bad("a malformed request line")
	}
	if sp > longestMethod {
		return bad("the method is too long")
	}
	version := line[sp+1:]
	last := bytes.LastIndexByte(version, ' ')
	if last < 0 {
		return bad("a request line without a version")
	}
	r.Method, r.Target, version = line[:sp], version[:last], version[last+1:]
	minor, ok := parseVersion(version)
	switch {
	case !ok:
		return bad("a malformed version")
	case minor < 0:
		return &Error{http.StatusHTTPVersionNotSupported, "a version other than HTTP/1.0 and HTTP/1.1"}
	case len(r.Target) > lim.Target:
		return &Error{http.StatusRequestURITooLong, "the target is too long"}
	case string(r.Method) == "CONNECT":
		return &Error{http.StatusNotImplemented, "this is no forward proxy"}
	}
	r.Minor = minor
	return nil
}

// parseVersion reads an HTTP version (RFC 9112 §2.3). minor is -1 for one that
// is not spoken here.
func parseVersion(b []byte) (minor int, ok bool) {
	if len(b) != len("HTTP/1.1") || string(b[:5]) != "HTTP/" || b[6] != '.' || !isDigit(b[5]) || !isDigit(b[7]) {
		return 0, false
	}
	if b[5] != '1' || b[7] > '1' {
		return -1, true
	}
	return int(b[7] - '0'), true
}

// readFields draws from the fields what the request as a whole means.
func (r *Request) readFields(authority []byte) *Error {
	f := framing{length: -1}
	hosts, expects := 0, false
	for i := range r.Fields {
		field := &r.Fields[i]
		switch field.Known {
		case Host:
			r.HostValue = field.Value
			hosts++
		case ContentLength, TransferEncoding, Connection:
			if err := f.read(field); err != nil {
				return err
			}
		case Expect:
			if !equalFold(field.Value, "100-continue") {
				return &Error{http.StatusExpectationFailed, "an expectation other than 100-continue"}
			}
			expects = true
		}
	}
	if err := f.check(r.Minor); err != nil {
		return err
	}
	r.ContentLength, r.Chunked, r.Close = f.length, f.chunked, f.close
	// An HTTP/1.0 client cannot read the 100 (RFC 9110 §10.1.1).
	r.ExpectContinue = expects && r.Minor == 1 && (f.chunked || f.length > 0)
	return r.checkHost(hosts, authority)
}

// checkHost allows one meaning of where a request goes (RFC 9112 §3.2).
func (r *Request) checkHost(hosts int, authority []byte) *Error {
	switch {
	case hosts > 1:
		return bad("more than one Host")
	case hosts == 0 && r.Minor == 1:
		return bad("no Host")
	case !validHost(r.HostValue):
		return bad("a malformed Host")
	case authority == nil:
		return nil
	case !validHost(authority):
		return bad("a malformed host in the target")
	case hosts == 1 && !equalFold(authority, r.HostValue):
		// §3.2.2 lets a proxy believe the target, yet who behind us reads the
		// other one would serve another site.
		return bad("Host is not that of the target")
	}
	r.HostValue = authority
	return nil
}
