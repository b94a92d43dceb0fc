package http1

import "encoding/binary"

// Known is the number of a field name that a front acts upon, so that nobody
// compares names a second time.
type Known uint8

// The names that have a number. A constant is called as its field is, without
// the hyphens.
const (
	// Other is every name that has no number.
	Other Known = iota
	Host
	ContentLength
	TransferEncoding
	Connection
	Upgrade
	Expect
	TE
	Trailer
	KeepAlive
	ProxyConnection
	ProxyAuthenticate
	ProxyAuthorization
	ProxyAuthenticationInfo
	HTTP2Settings
	ContentType
	ContentLocation
	Location
	Refresh
	SetCookie
	Cookie
	Date
	Server
	Accept
	Authorization
	Origin
	Referer
	UserAgent
	Forwarded
	XForwardedFor
	XForwardedProto
	XForwardedHost
	XRequestID
	XRealIP
	Proxy
	StrictTransportSecurity
	SecWebSocketKey
	SecWebSocketVersion
	SecWebSocketAccept
	SecWebSocketProtocol
	SecWebSocketExtensions
	Age
	CacheControl
	ContentEncoding
	ContentRange
	Expires
	MaxForwards
	Pragma
	Range
	RetryAfter
	Vary
	WWWAuthenticate
	Traceparent
	Tracestate

	knownEnd
)

// longestKnown is the length of the longest name that has a number.
const longestKnown = 25

// String is the customary spelling of the name, and "" for Other.
func (k Known) String() string {
	if k < knownEnd {
		return spelling[k]
	}
	return ""
}

// spelling is never written to.
var spelling = [knownEnd]string{
	Host:                    "Host",
	ContentLength:           "Content-Length",
	TransferEncoding:        "Transfer-Encoding",
	Connection:              "Connection",
	Upgrade:                 "Upgrade",
	Expect:                  "Expect",
	TE:                      "TE",
	Trailer:                 "Trailer",
	KeepAlive:               "Keep-Alive",
	ProxyConnection:         "Proxy-Connection",
	ProxyAuthenticate:       "Proxy-Authenticate",
	ProxyAuthorization:      "Proxy-Authorization",
	ProxyAuthenticationInfo: "Proxy-Authentication-Info",
	HTTP2Settings:           "HTTP2-Settings",
	ContentType:             "Content-Type",
	ContentLocation:         "Content-Location",
	Location:                "Location",
	Refresh:                 "Refresh",
	SetCookie:               "Set-Cookie",
	Cookie:                  "Cookie",
	Date:                    "Date",
	Server:                  "Server",
	Accept:                  "Accept",
	Authorization:           "Authorization",
	Origin:                  "Origin",
	Referer:                 "Referer",
	UserAgent:               "User-Agent",
	Forwarded:               "Forwarded",
	XForwardedFor:           "X-Forwarded-For",
	XForwardedProto:         "X-Forwarded-Proto",
	XForwardedHost:          "X-Forwarded-Host",
	XRequestID:              "X-Request-ID",
	XRealIP:                 "X-Real-IP",
	Proxy:                   "Proxy",
	StrictTransportSecurity: "Strict-Transport-Security",
	SecWebSocketKey:         "Sec-WebSocket-Key",
	SecWebSocketVersion:     "Sec-WebSocket-Version",
	SecWebSocketAccept:      "Sec-WebSocket-Accept",
	SecWebSocketProtocol:    "Sec-WebSocket-Protocol",
	SecWebSocketExtensions:  "Sec-WebSocket-Extensions",
	Age:                     "Age",
	CacheControl:            "Cache-Control",
	ContentEncoding:         "Content-Encoding",
	ContentRange:            "Content-Range",
	Expires:                 "Expires",
	MaxForwards:             "Max-Forwards",
	Pragma:                  "Pragma",
	Range:                   "Range",
	RetryAfter:              "Retry-After",
	Vary:                    "Vary",
	WWWAuthenticate:         "WWW-Authenticate",
	Traceparent:             "traceparent", // W3C Trace Context §3.2 wants them small
	Tracestate:              "tracestate",
}

// Lookup finds the number of a field name in any mixture of cases. It allocates
// nothing.
func Lookup[T ~string | ~[]byte](name T) Known {
	if len(name) > longestKnown {
		return Other
	}
	var folded [longestKnown]byte
	for i := 0; i < len(name); i++ {
		folded[i] = lower[name[i]]
	}
	return lookupFolded(folded[:len(name)])
}

// lookupToken is Lookup for a token: the first n bytes of b, which may go on.
// The bit that makes a letter small is set in all bytes, eight at a time. Of
// the other bytes of a token it changes two only, and no name here has these.
func lookupToken(b []byte, n int) Known {
	var folded [32]byte // longestKnown, rounded up
	if n > longestKnown {
		return Other
	}
	if len(b) < len(folded) {
		return Lookup(b[:n])
	}
	for i := 0; i < len(folded); i += 8 {
		binary.LittleEndian.PutUint64(folded[i:], binary.LittleEndian.Uint64(b[i:])|each*0x20)
	}
	return lookupFolded(folded[:n])
}

// lookupFolded compiles to a search by length and then by content.
func lookupFolded(name []byte) Known {
	switch string(name) {
	case "host":
		return Host
	case "content-length":
		return ContentLength
	case "transfer-encoding":
		return TransferEncoding
	case "connection":
		return Connection
	case "upgrade":
		return Upgrade
	case "expect":
		return Expect
	case "te":
		return TE
	case "trailer":
		return Trailer
	case "keep-alive":
		return KeepAlive
	case "proxy-connection":
		return ProxyConnection
	case "proxy-authenticate":
		return ProxyAuthenticate
	case "proxy-authorization":
		return ProxyAuthorization
	case "proxy-authentication-info":
		return ProxyAuthenticationInfo
	case "http2-settings":
		return HTTP2Settings
	case "content-type":
		return ContentType
	case "content-location":
		return ContentLocation
	case "location":
		return Location
	case "refresh":
		return Refresh
	case "set-cookie":
		return SetCookie
	case "cookie":
		return Cookie
	case "date":
		return Date
	case "server":
		return Server
	case "accept":
		return Accept
	case "authorization":
		return Authorization
	case "origin":
		return Origin
	case "referer":
		return Referer
	case "user-agent":
		return UserAgent
	case "forwarded":
		return Forwarded
	case "x-forwarded-for":
		return XForwardedFor
	case "x-forwarded-proto":
		return XForwardedProto
	case "x-forwarded-host":
		return XForwardedHost
	case "x-request-id":
		return XRequestID
	case "x-real-ip":
		return XRealIP
	case "proxy":
		return Proxy
	case "strict-transport-security":
		return StrictTransportSecurity
	case "sec-websocket-key":
		return SecWebSocketKey
	case "sec-websocket-version":
		return SecWebSocketVersion
	case "sec-websocket-accept":
		return SecWebSocketAccept
	case "sec-websocket-protocol":
		return SecWebSocketProtocol
	case "sec-websocket-extensions":
		return SecWebSocketExtensions
	case "age":
		return Age
	case "cache-control":
		return CacheControl
	case "content-encoding":
		return ContentEncoding
	case "content-range":
		return ContentRange
	case "expires":
		return Expires
	case "max-forwards":
		return MaxForwards
	case "pragma":
		return Pragma
	case "range":
		return Range
	case "retry-after":
		return RetryAfter
	case "vary":
		return Vary
	case "www-authenticate":
		return WWWAuthenticate
	case "traceparent":
		return Traceparent
	case "tracestate":
		return Tracestate
	}
	return Other
}
