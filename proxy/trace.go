package proxy

import (
	"encoding/hex"
	"math/rand/v2"

	"wsfront/proxy/http1"
)

// maxRequestID is how long an id of a trusted proxy's may be.
const maxRequestID = 64

// requestID is what the application, the client and the logs know a request by:
// what a trusted proxy calls it, if that is printable and not long, else our own
// id.
func (x *exchange) requestID() []byte {
	if given := x.givenID(); given != nil {
		return given
	}
	return x.id[:]
}

// givenID is what a trusted proxy calls the request, or nil.
func (x *exchange) givenID() []byte {
	if !x.trusted {
		return nil
	}
	id, n := http1.Get(x.req.Fields, http1.XRequestID)
	if n != 1 || len(id) == 0 || len(id) > maxRequestID {
		return nil
	}
	for _, c := range id {
		if c <= ' ' || c > '~' {
			return nil
		}
	}
	return id
}

// traceparent is the field of that name (W3C Trace Context, level 1, §3.2): the
// version, the trace's id, the caller's id and the flags, in hexadecimal digits.
type traceparent [55]byte

// Where the parts of a traceparent end.
const (
	versionEnd = 2
	traceEnd   = versionEnd + 1 + 32
	parentEnd  = traceEnd + 1 + 16
	flagsEnd   = parentEnd + 1 + 2
)

// validTraceparent reports whether a value is a traceparent that we may pass on.
// One of a version to come may be longer (§3.2.4).
func validTraceparent(v []byte) bool {
	if len(v) < flagsEnd || v[versionEnd] != '-' || v[traceEnd] != '-' || v[parentEnd] != '-' {
		return false
	}
	version, trace, parent := v[:versionEnd], v[versionEnd+1:traceEnd], v[traceEnd+1:parentEnd]
	switch {
	case !isLowerHex(version) || !isLowerHex(trace) || !isLowerHex(parent) || !isLowerHex(v[parentEnd+1:flagsEnd]):
		return false
	case allAre(trace, '0'), allAre(parent, '0'), allAre(version, 'f'):
		return false
	case allAre(version, '0'):
		return len(v) == flagsEnd
	}
	return len(v) == flagsEnd || v[flagsEnd] == '-'
}

func isLowerHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func allAre(b []byte, all byte) bool {
	for _, c := range b {
		if c != all {
			return false
		}
	}
	return true
}

// clientTrace is the traceparent that came with the request, or nil: without a
// valid one, and only one, neither it nor a tracestate means anything (§3.3).
func (x *exchange) clientTrace() []byte {
	v, n := http1.Get(x.req.Fields, http1.Traceparent)
	if n != 1 || !validTraceparent(v) || isListed(x.ends, []byte("traceparent")) {
		return nil
	}
	return v
}

// beginTrace is the traceparent of a trace that begins with this request, the
// same each time; nil if the request has one, or the route begins none.
func (x *exchange) beginTrace(traced bool) []byte {
	if traced || x.route == nil || !x.route.traces {
		return nil
	}
	if x.begun[0] == 0 {
		x.begun.begin()
	}
	return x.begun[:]
}

// begin makes a new one, which is not sampled: we record no spans.
func (t *traceparent) begin() {
	copy(t[:], "00-................................-................-00")
	var id [24]byte
	for i := range 3 {
		n := rand.Uint64() | 1 // an id of zeros is none
		for j := range 8 {
			id[8*i+j] = byte(n >> (56 - 8*j))
		}
	}
	hex.Encode(t[versionEnd+1:], id[:16])
	hex.Encode(t[traceEnd+1:], id[16:])
}

// traceID is the id of the trace that the request is part of, or nil.
func (x *exchange) traceID() []byte {
	t := x.clientTrace()
	if t == nil && x.begun[0] != 0 {
		t = x.begun[:]
	}
	if t == nil {
		return nil
	}
	return t[versionEnd+1 : traceEnd]
}

// traceNames are what others know a request by, for what outlasts it.
type traceNames struct {
	given *string  // by a trusted proxy, or nil
	trace [16]byte // the trace's id, zero for none
}

func (x *exchange) traceNames() (n traceNames) {
	if id := x.givenID(); id != nil {
		given := string(id)
		n.given = &given
	}
	_, _ = hex.Decode(n.trace[:], x.traceID()) // which was checked
	return n
}

// nameAttributes are those of a log line: request_id for what a trusted proxy
// gave, and trace for the trace's id.
func (n traceNames) nameAttributes() (list []any) {
	if n.given != nil {
		list = append(list, "request_id", *n.given)
	}
	if n.trace != [16]byte{} {
		list = append(list, "trace", hex.EncodeToString(n.trace[:]))
	}
	return list
}
