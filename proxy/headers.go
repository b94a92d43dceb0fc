package proxy

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"

	"wsfront/proxy/http1"
)

// nowhere is the site of an exchange whose host nobody serves.
var nowhere = &site{}

// noteConnection notes which fields the client's Connection field takes away.
// The words that concern the connection itself are dealt with elsewhere.
func (x *exchange) noteConnection() {
	x.ends = listedFields(x.req.Fields, x.ends)
}

// listedFields appends the names of fields that a message's Connection fields
// say end with its connection (RFC 9110 §7.6.1).
func listedFields(fields []http1.Field, list []string) []string {
	for _, f := range fields {
		if f.Known != http1.Connection {
			continue
		}
		for item := range bytes.SplitSeq(f.Value, []byte{','}) {
			switch item = bytes.Trim(item, " \t"); {
			case len(item) == 0, equalFold(item, "keep-alive"), equalFold(item, "close"), equalFold(item, "upgrade"), equalFold(item, "te"):
			default:
				list = append(list, string(item))
			}
		}
	}
	return list
}

// isListed reports whether the sender's Connection field says that another
// field ends here. Those of a handshake never do: they are checked here, and
// without them the backend could not answer.
func isListed(list []string, name []byte) bool {
	for _, item := range list {
		if equalFold(name, item) {
			return !hasPrefixFold(name, "sec-websocket-")
		}
	}
	return false
}

// appendFields appends the fields that a backend gets, each with its line's
// end: the client's own without those that end at us or that it may not say,
// and what we know of it. expect says whether Expect goes on.
func (x *exchange) appendFields(b []byte, expect bool) []byte {
	traced := x.clientTrace() != nil
	for i := range x.req.Fields {
		f := &x.req.Fields[i]
		switch f.Known {
		case http1.Host, http1.ContentLength:
			continue
		case http1.Expect:
			if !expect {
				continue
			}
		case http1.SecWebSocketExtensions:
			if x.upgrade && x.route.messages != nil {
				continue // they are for us to accept
			}
		case http1.Traceparent, http1.Tracestate:
			if !traced {
				continue
			}
		}
		if !x.mayPass(f) || isListed(x.ends, f.Name) {
			continue
		}
		b = appendFieldLine(b, spelling(f), f.Value)
	}
	// Set last: a Connection field that lists them takes nothing away here.
	if rules := x.route.requests; rules != nil {
		for i := range rules.puts {
			b = appendFieldLine(b, rules.puts[i].Name, rules.puts[i].Value)
		}
	}
	if x.user != "" {
		b = appendFieldLine(b, remoteUser, []byte(x.user))
	}
	if begun := x.beginTrace(traced); begun != nil {
		b = appendFieldLine(b, "traceparent", begun)
	}
	b = append(b, "X-Request-Id: "...)
	b = append(b, x.requestID()...)
	b = append(b, "\r\nX-Real-Ip: "...)
	b = appendAddr(b, x.client)
	b = append(b, "\r\nX-Forwarded-For: "...)
	for i, hop := range x.hops {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendAddr(b, hop)
	}
	b = append(b, "\r\nX-Forwarded-Proto: "...)
	b = append(b, x.scheme...)
	b = append(b, "\r\nForwarded: "...)
	b = x.appendForwarded(b)
	if len(x.host) > 0 {
		b = append(b, "\r\nX-Forwarded-Host: "...)
		b = append(b, x.host...)
	}
	return append(b, "\r\n"...)
}

func appendFieldLine[T ~string | ~[]byte](b []byte, name T, value []byte) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// appendAddr writes an address without the zone of a link-local one, which may
// hold any character and means nothing to anybody else.
func appendAddr(b []byte, a netip.Addr) []byte { return a.WithZone("").AppendTo(b) }

// mayPass reports whether a field or trailer field of a request goes on to the
// backend.
func (x *exchange) mayPass(f *http1.Field) bool {
	switch {
	case isHopByHop(f.Known):
		return false
	case f.Known == http1.Proxy:
		// It becomes HTTP_PROXY in CGI, which HTTP clients in the application
		// take for their own setting.
		return false
	case bytes.IndexByte(f.Name, '_') >= 0:
		// CGI and WSGI fold X_Forwarded_For and X-Forwarded-For into one
		// variable: an underscore would carry any field past the next rules.
		return false
	case x.route.requests != nil && x.route.requests.drop(f):
		return false
	case x.user != "" && (f.Known == http1.Authorization || equalFold(f.Name, "x-remote-user")):
		// The password was for us alone, and so it is for us to say whose it is.
		return false
	case x.trusted:
		return !isOurs(f.Known)
	}
	return !isForwarding(f)
}

// isOurs reports whether a field is one that appendFields writes itself.
func isOurs(known http1.Known) bool {
	switch known {
	case http1.XRequestID, http1.XRealIP, http1.XForwardedFor, http1.XForwardedProto, http1.XForwardedHost, http1.Forwarded:
		return true
	}
	return false
}

// appendBackendHost appends the Host field's value for the backend.
func (x *exchange) appendBackendHost(b []byte) []byte {
	switch {
	case x.route.Host != "":
		return append(b, x.route.Host...)
	case len(x.host) > 0:
		return append(b, x.host...)
	}
	return append(b, x.choice.member.backend.host...) // HTTP/1.0 without Host
}

// appendForwarded appends the Forwarded field's value (RFC 7239 §4): one
// element for each hop, the first one with the host and scheme that the client
// wrote.
func (x *exchange) appendForwarded(b []byte) []byte {
	for i, hop := range x.hops {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, "for="...)
		if hop.Is6() {
			b = append(b, `"[`...)
			b = appendAddr(b, hop)
			b = append(b, `]"`...)
		} else {
			b = appendAddr(b, hop)
		}
		if i == 0 {
			if validHost(x.host) {
				b = append(b, `;host="`...)
				b = append(b, x.host...)
				b = append(b, '"')
			}
			b = append(b, ";proto="...)
			b = append(b, x.scheme...)
		}
	}
	return b
}

// isForwarding reports whether a field says who the client is or how it came:
// for us to say, unless a trusted proxy did. Those not in RFC 7239 and not
// X-Forwarded-* are what frameworks and gunicorn's secure_scheme_headers or
// mod_wsgi's WSGITrustedProxyHeaders are told to believe.
func isForwarding(f *http1.Field) bool {
	if isOurs(f.Known) {
		return true
	}
	if f.Known != http1.Other || len(f.Name) < 7 {
		return false
	}
	switch f.Name[0] | 0x20 {
	case 'x':
		for _, name := range [...]string{"x-client-ip", "x-cluster-client-ip", "x-scheme", "x-url-scheme", "x-https",
			"x-script-name", "x-original-url", "x-rewrite-url", "x-remote-user", "x-forwarded"} {
			if equalFold(f.Name, name) {
				return true
			}
		}
		return hasPrefixFold(f.Name, "x-forwarded-")
	case 't':
		return equalFold(f.Name, "true-client-ip")
	case 'f':
		return equalFold(f.Name, "front-end-https")
	}
	return false
}

// isHopByHop reports whether a field is about one connection (RFC 9110 §7.6.1),
// in a request or an answer.
func isHopByHop(known http1.Known) bool {
	switch known {
	case http1.Connection, http1.KeepAlive, http1.ProxyConnection, http1.TE, http1.Trailer, http1.TransferEncoding, http1.Upgrade,
		http1.HTTP2Settings, http1.ProxyAuthenticate, http1.ProxyAuthorization, http1.ProxyAuthenticationInfo:
		return true
	}
	return false
}

// equalFold reports whether name is lower, a text in lower-case ASCII, in any
// letter case.
func equalFold(name []byte, lower string) bool {
	return len(name) == len(lower) && hasPrefixFold(name, lower)
}

func hasPrefixFold(name []byte, lower string) bool {
	if len(name) < len(lower) {
		return false
	}
	for i := range len(lower) {
		c, want := name[i], lower[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if 'A' <= want && want <= 'Z' {
			want |= 0x20
		}
		if c != want {
			return false
		}
	}
	return true
}

// decorate adds the site's own fields to an answer whose head is about to go
// out.
func (x *exchange) decorate() {
	if !x.https() || x.site.HSTS == 0 && !x.site.upgradeInsecure {
		return // both fields mean something over https only
	}
	// One field only (RFC 6797 §7.1): that of the application, if it has one.
	if x.site.HSTS > 0 {
		if _, n := http1.Get(x.fields, http1.StrictTransportSecurity); n == 0 {
			x.addField("Strict-Transport-Security", "max-age="+strconv.FormatInt(int64(x.site.HSTS/time.Second), 10))
		}
	}
	// A second field, as the application's own policy stays what it is: a
	// browser enforces both (CSP 3 §3.1).
	if kind, n := http1.Get(x.fields, http1.ContentType); n > 0 && x.site.upgradeInsecure && isHTML(kind) {
		x.addField("Content-Security-Policy", "upgrade-insecure-requests")
	}
}

func isHTML(contentType []byte) bool {
	kind, _, _ := bytes.Cut(contentType, []byte{';'})
	kind = bytes.TrimSpace(kind)
	return equalFold(kind, "text/html") || equalFold(kind, "application/xhtml+xml")
}
