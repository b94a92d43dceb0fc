package http1

import "net/http"

// Parts are what a request is made of that came by another version of HTTP.
type Parts struct {
	Method, Path, Authority []byte  // Authority is empty if there is none
	Fields                  []Field // without those that are about a connection
	ContentLength           int64   // -1: none given
	HasBody                 bool
}

// Assemble makes the request of its parts, and holds it to what Parse holds one
// to that came by HTTP/1.1: what the backend behind us gets has one meaning, in
// whatever version it was said. The bytes of p.Method and of field names must be
// those of a token, and no value may hold a control character but HTAB. Chunked
// says that there is a body of unknown length. The error is always an *Error.
func (r *Request) Assemble(p *Parts, lim Limits) error {
	lim = lim.withDefaults()
	r.Method, r.Target, r.Minor = p.Method, p.Path, 1
	r.Fields = append(r.Fields[:0], p.Fields...)
	r.ContentLength, r.Chunked = p.ContentLength, p.HasBody && p.ContentLength < 0
	if err := r.checkParts(p, lim); err != nil {
		return err
	}
	return nil
}

func (r *Request) checkParts(p *Parts, lim Limits) *Error {
	switch {
	case len(p.Method) > longestMethod:
		return bad("the method is too long")
	case string(p.Method) == "CONNECT":
		return &Error{http.StatusNotImplemented, "this is no forward proxy"}
	case len(p.Path) > lim.Target:
		return &Error{http.StatusRequestURITooLong, "the target is too long"}
	case len(p.Path) == 0 || p.Path[0] != '/' && string(p.Path) != "*":
		return bad("a target that is no path")
	}
	if _, err := r.splitTarget(); err != nil {
		return err
	}
	hosts, authority := 0, p.Authority
	for i := range r.Fields {
		switch f := &r.Fields[i]; f.Known {
		case Host:
			r.HostValue = f.Value
			hosts++
		case Expect:
			if !equalFold(f.Value, "100-continue") {
				return &Error{http.StatusExpectationFailed, "an expectation other than 100-continue"}
			}
			r.ExpectContinue = p.HasBody && p.ContentLength != 0
		}
	}
	switch {
	case len(authority) == 0:
		authority = nil
	case hosts == 0:
		r.HostValue, authority, hosts = authority, nil, 1
	}
	return r.checkHost(hosts, authority)
}
