package http1

import "net/http"

// Response is the head of an answer, an interim one (1xx) included. The zero
// value is ready for Parse. All slices are of the buffer that was parsed.
type Response struct {
	Minor  int    // 0 or 1, of HTTP/1.0 or HTTP/1.1
	Status int    // 100 to 599
	Reason []byte // as received, maybe empty

	// Fields are in the order received. The next Parse reuses their memory.
	Fields []Field

	// ContentLength is in bytes, -1 if none is given. A backend may have
	// written the same value several times, in one field or in more: whoever
	// passes the answer on writes it once.
	ContentLength int64
	Chunked       bool // the body is in the chunked coding
	// Close: the fields and the version say that the connection ends behind
	// this answer. So it does too if Framing is UntilClose.
	Close bool

	scan scan
}

// Reset is called before a new head. The memory of Fields is kept, yet nothing
// that was in it is held on to.
func (r *Response) Reset() {
	clear(r.Fields)
	*r = Response{Fields: r.Fields[:0], ContentLength: -1}
}

// Parse reads a head. buf begins with it, and from one call to the next only
// grows, though it may move. n is the length of the head with its empty line,
// or 0 without an error while more bytes are needed. The error is always an
// *Error with status 502. Limits.Target has no meaning here.
func (r *Response) Parse(buf []byte, lim Limits) (n int, err error) {
	lim = lim.withDefaults()
	head := buf[:min(len(buf), lim.Head)]
	if r.scan.waiting && !r.scan.mayEnd(head) && len(head) < lim.Head {
		return 0, nil
	}
	n, refused := r.parse(head, lim)
	switch {
	case refused != nil:
		refused.Status = http.StatusBadGateway
		return 0, refused
	case n == 0 && len(head) == lim.Head:
		return 0, &Error{http.StatusBadGateway, "the head is too long"}
	case n == 0:
		r.scan.wait(head)
	}
	return n, nil
}

// Framing tells how the end of the body is found (RFC 9112 §6.3); head says
// whether the request was a HEAD. A 101 has no body: what follows it is another
// protocol.
func (r *Response) Framing(head bool) Framing {
	switch {
	case head || r.Status < 200 || r.Status == http.StatusNoContent || r.Status == http.StatusNotModified:
		return NoBody
	case r.Chunked:
		return ChunkedBody
	case r.ContentLength >= 0:
		return Length
	}
	return UntilClose
}

func (r *Response) parse(buf []byte, lim Limits) (int, *Error) {
	const version = "HTTP/"
	if n := min(len(buf), len(version)); string(buf[:n]) != version[:n] {
		return 0, bad("no HTTP answer")
	}
	end, err := lineEnd(buf, 0)
	if end < 0 || err != nil {
		return 0, err
	}
	if err := r.parseLine(buf[:end]); err != nil {
		return 0, err
	}
	var n int
	r.Fields, n, err = parseFields(buf, end+2, r.Fields[:0], lim.Fields)
	if n == 0 {
		return 0, err
	}
	return n, r.readFields()
}

// parseLine reads a status line. RFC 9112 §4 wants a space behind the status
// even if there is no reason; old applications leave it out.
func (r *Response) parseLine(line []byte) *Error {
	const shortest = len("HTTP/1.1 200")
	if len(line) < shortest || line[8] != ' ' {
		return bad("a malformed status line")
	}
	minor, ok := parseVersion(line[:8])
	if !ok || minor < 0 {
		return bad("a version other than HTTP/1.0 and HTTP/1.1")
	}
	status := 0
	for _, c := range line[9:shortest] {
		if !isDigit(c) {
			return bad("a status that is no number of three digits")
		}
		status = status*10 + int(c-'0')
	}
	if status < 100 || status > 599 {
		return bad("a status outside 100 to 599") // RFC 9110 §15
	}
	r.Reason = line[shortest:]
	if len(r.Reason) > 0 {
		if r.Reason[0] != ' ' {
			return bad("a status that is no number of three digits")
		}
		r.Reason = r.Reason[1:]
	}
	r.Minor, r.Status = minor, status
	return nil
}

// readFields draws from the fields what the answer as a whole means.
func (r *Response) readFields() *Error {
	f := framing{length: -1, mayRepeat: true}
	for i := range r.Fields {
		if err := f.read(&r.Fields[i]); err != nil {
			return err
		}
	}
	if err := f.check(r.Minor); err != nil {
		return err
	}
	if f.chunked && (r.Status < 200 || r.Status == http.StatusNoContent) {
		return bad("Transfer-Encoding in an answer that has no body") // RFC 9112 §6.1
	}
	r.ContentLength, r.Chunked, r.Close = f.length, f.chunked, f.close
	return nil
}
