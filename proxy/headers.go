package proxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// nowhere is the site of an exchange whose host nobody serves.
var nowhere = &site{}

// requestFields are the fields that a backend gets: the client's own without
// those that end at us or that it may not say, and what we know of it.
func (x *exchange) requestFields(r *http.Request) http.Header {
	connection := r.Header["Connection"]
	h := make(http.Header, len(r.Header)+8)
	for name, values := range r.Header {
		if x.mayPass(name) && !isConnectionOption(connection, name) {
			h[name] = values
		}
	}
	// Set last: a Connection field that lists them takes nothing away here.
	h["X-Request-Id"] = []string{x.id}
	h["X-Real-Ip"] = []string{x.client.String()}
	h["X-Forwarded-For"] = []string{joinHops(x.hops)}
	h["X-Forwarded-Proto"] = []string{x.scheme}
	h["Forwarded"] = []string{x.forwarded()}
	delete(h, "X-Forwarded-Host")
	if x.host != "" {
		h["X-Forwarded-Host"] = []string{x.host}
	}
	return h
}

// mayPass reports whether a field or trailer field of a request goes on to the
// backend.
func (x *exchange) mayPass(name string) bool {
	switch {
	case isHopByHop(name):
		return false
	case strings.Contains(name, "_"):
		// CGI and WSGI fold X_Forwarded_For and X-Forwarded-For into one
		// variable: an underscore would carry any field past the next rules.
		return false
	case name == "Proxy":
		// It becomes HTTP_PROXY in CGI, which HTTP clients in the application
		// take for their own setting.
		return false
	}
	return x.trusted || !isForwarding(name)
}

// backendHost is the Host field for the backend.
func (x *exchange) backendHost() string {
	switch {
	case x.route.Host != "":
		return x.route.Host
	case x.host != "":
		return x.host
	}
	return x.route.backend.host // HTTP/1.0 without Host
}

// forwarded is the Forwarded field (RFC 7239 §4): one element for each hop, the
// first one with the host and scheme that the client wrote.
func (x *exchange) forwarded() string {
	var b strings.Builder
	for i, hop := range x.hops {
		if i > 0 {
			b.WriteString(", ")
		}
		if hop.Is6() {
			fmt.Fprintf(&b, `for="[%s]"`, hop.WithZone(""))
		} else {
			b.WriteString("for=" + hop.String())
		}
		if i == 0 {
			if validHost(x.host) {
				fmt.Fprintf(&b, ";host=%q", x.host)
			}
			b.WriteString(";proto=" + x.scheme)
		}
	}
	return b.String()
}

func joinHops(hops []netip.Addr) string {
	var b strings.Builder
	for i, hop := range hops {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(hop.String())
	}
	return b.String()
}

// isForwarding reports whether a field says who the client is or how it came:
// for us to say, unless a trusted proxy did. Those not in RFC 7239 and not
// X-Forwarded-* are what frameworks and gunicorn's secure_scheme_headers or
// mod_wsgi's WSGITrustedProxyHeaders are told to believe.
func isForwarding(name string) bool {
	switch name {
	case "Forwarded", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "X-Request-Id",
		"X-Scheme", "X-Url-Scheme", "X-Https", "Front-End-Https", "X-Script-Name", "X-Original-Url", "X-Rewrite-Url":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-") || name == "X-Forwarded"
}

// isHopByHop reports whether a field is about one connection (RFC 9110 §7.6.1),
// in a request or an answer.
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Http2-Settings", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info":
		return true
	}
	return false
}

// isConnectionOption reports whether the sender's Connection field says that
// another field ends here. Those of a handshake never do: they are checked
// here, and without them the backend could not answer.
func isConnectionOption(connection []string, name string) bool {
	return len(connection) > 0 && hasToken(connection, name) && !strings.HasPrefix(name, "Sec-Websocket-")
}

// endToEnd takes the fields out of an answer that are about the backend's
// connection. python websockets says Upgrade in its 426; handed on over
// HTTP/2, that is a protocol error of ours (RFC 9113 §8.2.2).
func endToEnd(h http.Header) {
	connection := h["Connection"]
	for name := range h {
		if isHopByHop(name) || isConnectionOption(connection, name) {
			delete(h, name)
		}
	}
}

// decorate adds the site's own fields to an answer whose header is about to go
// out.
func (s *site) decorate(x *exchange) {
	if !x.https() {
		return // both fields mean something over https only
	}
	h := x.Header()
	// One field only (RFC 6797 §7.1): that of the application, if it has one.
	if s.HSTS > 0 && len(h["Strict-Transport-Security"]) == 0 {
		h.Set("Strict-Transport-Security", fmt.Sprintf("max-age=%d", s.HSTS/time.Second))
	}
	// A second field, as the application's own policy stays what it is: a
	// browser enforces both (CSP 3 §3.1).
	if s.upgradeInsecure && isHTML(h["Content-Type"]) {
		h.Add("Content-Security-Policy", "upgrade-insecure-requests")
	}
}

func isHTML(contentType []string) bool {
	if len(contentType) == 0 {
		return false
	}
	kind, _, _ := strings.Cut(contentType[0], ";")
	kind = strings.TrimSpace(kind)
	return strings.EqualFold(kind, "text/html") || strings.EqualFold(kind, "application/xhtml+xml")
}
