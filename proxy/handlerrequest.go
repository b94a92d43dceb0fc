package proxy

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"wsfront/proxy/http1"
)

// fillRequest makes the http.Request that a handler is given of the one that the
// front knows. Everything in it is the handler's to keep.
func (w *responseWriter) fillRequest() {
	x := w.x
	w.context.begin(x.down)
	w.body.w = w
	r := new(http.Request).WithContext(&w.context)
	w.request = r
	path := x.path
	if len(path) == 0 { // no site was asked for yet
		path = x.req.Path
	}
	r.Method, r.RequestURI, r.Host, r.RemoteAddr = string(x.req.Method), string(x.req.Target), string(x.host), x.remoteAddr()
	// What net/http leaves empty says how the client came, through whatever proxies.
	r.URL = &url.URL{Scheme: x.scheme, Path: unescapePath(string(path)), RawPath: string(path), RawQuery: string(x.req.Query)}
	r.URL.ForceQuery = x.req.HasQuery && r.URL.RawQuery == ""
	r.Proto, r.ProtoMajor, r.ProtoMinor = x.proto, 1, x.req.Minor
	if major, minor, ok := http.ParseHTTPVersion(x.proto); ok {
		r.ProtoMajor, r.ProtoMinor = major, minor
	}
	r.Header, r.Close = x.requestHeader(), x.req.Close
	if x.secure && x.https() {
		r.TLS = &tls.ConnectionState{Version: x.tls, HandshakeComplete: true}
	}
	switch {
	case x.req.Chunked:
		r.ContentLength, r.TransferEncoding, r.Body = -1, []string{"chunked"}, &w.body
		r.Trailer = x.announcedTrailer()
	case x.req.ContentLength > 0:
		r.ContentLength, r.Body = x.req.ContentLength, &w.body
	default:
		r.Body = http.NoBody
		w.context.bodyOver()
	}
}

// remoteAddr is the client's address, trusted proxies seen through, with the
// port where that is known: only its proxy knows that of a client behind one.
func (x *exchange) remoteAddr() string {
	port := x.port
	if x.client != x.peer {
		port = 0
	}
	if !x.client.IsValid() {
		return ""
	}
	return netip.AddrPortFrom(x.client, port).String()
}

// requestHeader is the request's header as net/http gives it to handlers. Its id
// and its trace are those that a backend would be told.
func (x *exchange) requestHeader() http.Header {
	header := make(http.Header, len(x.req.Fields)+2)
	kept := make([]http1.Field, 0, len(x.req.Fields)+2)
	traced := x.clientTrace() != nil
	for _, f := range x.req.Fields {
		switch f.Known {
		case http1.Host, http1.TransferEncoding, http1.Trailer, http1.XRequestID:
			continue
		case http1.Traceparent, http1.Tracestate:
			if !traced {
				continue
			}
		}
		kept = append(kept, f)
	}
	kept = append(kept, http1.Field{Known: http1.XRequestID, Value: x.requestID()})
	if begun := x.beginTrace(traced); begun != nil {
		kept = append(kept, http1.Field{Known: http1.Traceparent, Value: begun})
	}
	addFields(header, kept)
	return header
}

// announcedTrailer has the names that the request says will follow its body,
// without values; nil for none.
func (x *exchange) announcedTrailer() http.Header {
	var trailer http.Header
	for _, list := range x.values(http1.Trailer) {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.Trim(name, " \t"); isToken(name) {
				if trailer == nil {
					trailer = http.Header{}
				}
				trailer[http.CanonicalHeaderKey(name)] = nil
			}
		}
	}
	return trailer
}

// addFields adds fields to a header of net/http's, with two allocations for all
// of their values.
func addFields(header http.Header, fields []http1.Field) {
	var text strings.Builder
	size := 0
	for i := range fields {
		size += len(fields[i].Value)
	}
	text.Grow(size)
	for i := range fields {
		text.Write(fields[i].Value)
	}
	rest, values := text.String(), make([]string, len(fields))
	for i := range fields {
		f := &fields[i]
		values[i], rest = rest[:len(f.Value)], rest[len(f.Value):]
		name := canonicalNames[f.Known]
		if f.Known == http1.Other {
			name = http.CanonicalHeaderKey(string(f.Name))
		}
		if list, ok := header[name]; ok {
			header[name] = append(list, values[i])
		} else {
			header[name] = values[i : i+1 : i+1]
		}
	}
}

// canonicalNames are the known names as http.Header has them. It is made once
// and only read from then on.
var canonicalNames = func() (names [256]string) {
	for i := range names {
		names[i] = http.CanonicalHeaderKey(http1.Known(i).String())
	}
	return names
}()
