package diagnosis

// Cause is why a handshake failed. Its text is logged, printed and read by
// programs: it stays as it is.
type Cause string

// The causes. Network and TLS come before there is a question; then what a
// server answers in place of a 101; then what is wrong with its 101, its frames
// and its patience; and last what is wrong with the page.
const (
	NameUnknown Cause = "name-unknown" // the name has no address
	PortRefused Cause = "port-refused" // nothing listens
	PortSilent  Cause = "port-silent"  // no answer to the connection attempt, or none to the first bytes
	FamilyDead  Cause = "family-dead"  // IPv4 or IPv6 alone fails

	TLSMissing   Cause = "tls-missing"   // plain HTTP where wss:// is asked for
	TLSRequired  Cause = "tls-required"  // TLS only where ws:// is asked for
	TLSUntrusted Cause = "tls-untrusted" // self-signed, or of a CA that nobody knows
	TLSChain     Cause = "tls-chain"     // the intermediate certificate is not sent
	TLSName      Cause = "tls-name"      // for another name
	TLSExpired   Cause = "tls-expired"   // or not valid yet
	TLSOld       Cause = "tls-old"       // TLS 1.0 or 1.1 only
	TLSFailed    Cause = "tls-failed"    // the TLS handshake fails otherwise

	Redirect       Cause = "redirect"        // 3xx, which no browser follows here
	RedirectLoop   Cause = "redirect-loop"   // 3xx to the same URL
	ForwardedProto Cause = "forwarded-proto" // the application takes https for http
	PageAnswered   Cause = "page-answered"   // an ordinary page
	AppAnswered    Cause = "app-answered"    // the application, by WSGI
	PathUnknown    Cause = "path-unknown"    // 404 of the WebSocket server's or a front's
	PathMangled    Cause = "path-mangled"    // another spelling of the path gives a 101

	HandshakeWrong  Cause = "handshake-wrong"  // no handshake of RFC 6455, by the client's fault
	UpgradeDropped  Cause = "upgrade-dropped"  // Upgrade and Connection do not arrive
	ConnectionExact Cause = "connection-exact" // Connection is compared as a whole
	HostRefused     Cause = "host-refused"     // the application or server does not know the Host
	OriginRefused   Cause = "origin-refused"   // the page's Origin is not allowed
	LoginRequired   Cause = "login-required"   // 401, or 403 whatever the Origin
	AddressRefused  Cause = "address-refused"  // the client's address may not use the path
	SessionUnknown  Cause = "session-unknown"  // Socket.IO without sticky sessions
	TooMany         Cause = "too-many"         // a limit of connections
	Restarting      Cause = "restarting"       // the front is going down, or comes up anew
	AppFailed       Cause = "app-failed"       // 5xx of the application's own
	Refused         Cause = "refused"          // any other answer

	ModuleMissing       Cause = "module-missing"        // Apache lacks a proxy module
	RewriteWithoutProxy Cause = "rewrite-without-proxy" // Apache's [P] without mod_proxy
	BackendScheme       Cause = "backend-scheme"        // http, https, ws or wss mixed up
	BackendTLS          Cause = "backend-tls"           // the backend's certificate is refused
	BackendDown         Cause = "backend-down"          // the backend does not answer
	BackendSilent       Cause = "backend-silent"        // the backend takes the request and says nothing
	AnswerMissing       Cause = "answer-missing"        // the connection ends in place of an answer
	NotHTTP             Cause = "not-http"              // another protocol answers

	SwitchHeaders   Cause = "switch-headers"   // 101 without Upgrade or Connection
	AcceptWrong     Cause = "accept-wrong"     // 101 whose Sec-WebSocket-Accept does not fit
	SubprotocolLost Cause = "subprotocol-lost" // offered, and none chosen, or one that was not offered
	HTTP2Tunnel     Cause = "http2-tunnel"     // advertised for HTTP/2, and failing there
	FramesBroken    Cause = "frames-broken"    // invalid frames behind the 101
	ClosedAtOnce    Cause = "closed-at-once"   // the tunnel ends as soon as it is open
	NoPong          Cause = "no-pong"          // a ping is not answered
	IdleCut         Cause = "idle-cut"         // a silent tunnel is cut
	StreamBuffered  Cause = "stream-buffered"  // an event stream is held back

	MixedContent Cause = "mixed-content" // an https page that opens ws://
)

// Fix is what to do about a cause at one place.
type Fix struct {
	// For is the place: wsfront, apache, nginx, haproxy, caddy, traefik, app or
	// page.
	For string
	// Text is a sentence, and the lines to write below it where there are any.
	Text string
}

// The places of fixes, which are also the servers that Server tells apart.
const (
	ForWsfront = "wsfront"
	ForApache  = "apache"
	ForNginx   = "nginx"
	ForHAProxy = "haproxy"
	ForCaddy   = "caddy"
	ForTraefik = "traefik"
	ForApp     = "app"
	ForPage    = "page"
)

// entry is what is known about a cause.
type entry struct {
	symptom  string
	sentence string
	fixes    []Fix
}

// lookup finds a cause's entry; the zero entry for a text that is no cause.
func lookup(c Cause) (entry, bool) {
	for _, known := range []map[Cause]entry{network, refusals, backends, tunnels} {
		if e, ok := known[c]; ok {
			return e, true
		}
	}
	return entry{}, false
}

// Known reports whether c is one of the causes above, as a cause that was read
// from an answer may not be.
func (c Cause) Known() bool {
	_, ok := lookup(c)
	return ok
}

// Sentence is what a person reads: one sentence, without backends' addresses.
func (c Cause) Sentence() string {
	e, _ := lookup(c)
	return e.sentence
}

// Symptom is the first row of the table in deploy/docs/doctor.md that the cause
// explains, D1 to D35, or "".
func (c Cause) Symptom() string {
	e, _ := lookup(c)
	return e.symptom
}

// Fixes are what to do about it, place by place; the caller may keep them but
// not change them.
func (c Cause) Fixes() []Fix {
	e, _ := lookup(c)
	return e.fixes
}
