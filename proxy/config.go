package proxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"time"
)

// Config is everything a Server needs. Zero fields stand for the defaults that
// their comments name; only Sites has to be given.
type Config struct {
	// Listen lists the addresses, host:port or :port, at which sites with TLS
	// are served. Sites with tls: off are served there as plain HTTP when no
	// site has TLS. Default [":443"], or none when no site has TLS.
	Listen Addresses `yaml:"listen"`

	// HTTPListen lists the addresses of plain HTTP: redirects to https,
	// ACME's HTTP-01 challenge, and sites with tls: off. "off" opens none.
	// Default [":80"], or none when Listen already serves plain HTTP.
	HTTPListen Addresses `yaml:"http_listen"`

	// Pools are groups of backends that routes lead to by their names.
	Pools []Pool `yaml:"pools"`

	// Sites are the host names served here and where their requests go.
	Sites []Site `yaml:"sites"`

	// TrustedProxies lists the addresses (CIDR) of proxies in front of this
	// one, whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host are
	// believed. From anybody else these fields are replaced. Default none.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"`

	// State is the folder for what must outlive a restart: certificates and
	// their keys, the internal CA. It is created 0700 where it is missing.
	// Default the unit's StateDirectory= under systemd, /var/lib/wsfront for
	// root, else wsfront in the user's folder for configuration.
	State string `yaml:"state"`

	// ACME says how certificates of sites with tls: auto are obtained.
	ACME ACME `yaml:"acme"`

	// AccessLog is the access log: the form of its lines, combined (Apache's),
	// json, off or a format of Apache's directives, or {format: combined, file:
	// FILE, skip: [/healthz]}. Default combined.
	AccessLog AccessLog `yaml:"access_log"`

	// Traceparent is what becomes of requests without a valid traceparent field
	// (W3C Trace Context, level 1): begin gives them one, which is not sampled, so
	// that the log and the application have a trace's id in common; pass leaves
	// them without. A valid one is passed on as it came in either case, and an
	// invalid one is dropped, with its tracestate. Default begin; pass is for an
	// application whose tracer decides by itself what to sample, and would take
	// ours for a decision against it.
	Traceparent Traceparent `yaml:"traceparent"`

	// MaxTunnels is how many tunnels may be open at a time. A handshake beyond
	// is refused with 503. Default what 95 in 100 of the limit of open files
	// have room for, two for each tunnel; any number where the system sets no
	// limit. A reload takes a change of the limit, too.
	MaxTunnels int `yaml:"max_tunnels"`

	// MaxTunnelsPerAddress is how many tunnels one client address may have
	// open at a time; an IPv6 client is known by its /64 network. A handshake
	// beyond is refused with 429. Loopback addresses, where another proxy or
	// the operator is, are not counted. Default 1000.
	MaxTunnelsPerAddress int `yaml:"max_tunnels_per_address"`

	// Limits bound what clients may take, alone and together. Default what the
	// comments of Limits say.
	Limits Limits `yaml:"limits"`

	// DrainTimeout is how long open requests may take to finish at shutdown,
	// and tunnels to answer their Close, before they are cut. Default 10s.
	DrainTimeout time.Duration `yaml:"drain_timeout"`

	// UpgradeDrain is how long the old process of an upgrade keeps its tunnels,
	// and open requests, while the new one serves whoever comes. Then it ends as
	// at any shutdown, within DrainTimeout. It ends earlier when all is over by
	// itself, and at the next upgrade. Default 1h.
	UpgradeDrain time.Duration `yaml:"upgrade_drain"`
}

// Addresses is a list of listening addresses. In the configuration file a
// single one may stand without brackets, and "off" means none.
type Addresses []string

// UnmarshalText reads the short form: one address, or "off" for none.
func (a *Addresses) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*a = Addresses{}
		return nil
	}
	*a = Addresses{string(text)}
	return nil
}

// Site is one or more host names that share certificates and routes.
type Site struct {
	// Hosts are the names served: exact (app.example.com, 192.0.2.7), or with
	// a leading *. that stands for one label. ["*"] serves every name.
	Hosts []string `yaml:"hosts"`

	// TLS says where the certificate comes from. Default auto.
	TLS TLS `yaml:"tls"`

	// HSTS is the max-age of a Strict-Transport-Security field (RFC 6797) on
	// answers over https. Default 0: none is sent.
	HSTS time.Duration `yaml:"hsts"`

	// UpgradeInsecure adds a second Content-Security-Policy field,
	// upgrade-insecure-requests, to HTML answers over https, so that a page
	// that hard-codes ws:// opens wss://. Default on for sites with TLS that
	// have a push or tunnel route.
	UpgradeInsecure *bool `yaml:"upgrade_insecure"`

	// InsecureWebSocket tunnels a WebSocket handshake that arrives on plain
	// HTTP at a site with TLS. Default off: it is refused with 403 and logged,
	// since a browser follows no redirect for a WebSocket.
	InsecureWebSocket bool `yaml:"insecure_websocket"`

	// Headers changes the fields of answers, our own errors included. Default
	// nothing.
	Headers Headers `yaml:"headers"`

	// Routes say which path goes where. The most specific path wins,
	// whatever the order in the file; those with Match come first.
	Routes []Route `yaml:"routes"`
}

// TLSMode says where a site's certificate comes from.
type TLSMode string

const (
	// TLSAuto obtains and renews the certificate by ACME. The default.
	TLSAuto TLSMode = "auto"
	// TLSInternal issues it from a CA of our own, kept in State, for
	// development and closed networks.
	TLSInternal TLSMode = "internal"
	// TLSOff serves the site by plain HTTP.
	TLSOff TLSMode = "off"
	// TLSFiles reads it from TLS.Cert and TLS.Key. It is implied by them and
	// cannot be written as a word.
	TLSFiles TLSMode = "files"
)

// TLS is a site's certificate source: one of the words auto, internal and off,
// or a pair of PEM files.
type TLS struct {
	// Mode is the word, or TLSFiles when Cert and Key are given.
	Mode TLSMode `yaml:"-"`

	// Cert is a PEM file with the certificate and its chain. The file is
	// watched, and read again when it changes.
	Cert string `yaml:"cert"`

	// Key is the PEM file of the certificate's private key.
	Key string `yaml:"key"`
}

// UnmarshalText reads the short form: auto, internal or off.
func (t *TLS) UnmarshalText(text []byte) error {
	switch m := TLSMode(text); m {
	case TLSAuto, TLSInternal, TLSOff:
		*t = TLS{Mode: m}
		return nil
	}
	return fmt.Errorf("%q is no certificate source; write auto, internal, off, or {cert: FILE, key: FILE}", text)
}

// mode is the source in effect.
func (t TLS) mode() TLSMode {
	switch {
	case t.Cert != "" || t.Key != "":
		return TLSFiles
	case t.Mode == "":
		return TLSAuto
	}
	return t.Mode
}

// ACME says how certificates are obtained (RFC 8555).
type ACME struct {
	// Email is handed to the CA, which may warn there. Optional.
	Email string `yaml:"email"`

	// CA is the directory URL of the certificate authority. Default that of
	// Let's Encrypt.
	CA string `yaml:"ca"`

	// CARoot is a PEM file with the root that the CA's own https server is
	// verified by. Default the system's roots.
	CARoot string `yaml:"ca_root"`

	// OnDemand obtains certificates at the first handshake for a name, for
	// sites with hosts: ["*"].
	OnDemand OnDemand `yaml:"on_demand"`
}

// OnDemand is the guard of certificates obtained at the first handshake.
type OnDemand struct {
	// Ask is a URL that is fetched with ?domain=NAME before a certificate is
	// ordered; only an answer of 200 allows it. Required, or else anybody
	// could have the CA's rate limit used up.
	Ask string `yaml:"ask"`
}

// Traceparent is what becomes of requests without a traceparent field.
type Traceparent string

// What becomes of them.
const (
	TraceparentBegin Traceparent = "begin"
	TraceparentPass  Traceparent = "pass"
)

// Route sends the requests below one path somewhere: exactly one of App,
// Tunnel, Files, Redirect and Handler is set, and one of Path and Match.
type Route struct {
	// Path is the prefix that is taken, matched at segment boundaries:
	// /chat takes /chat and /chat/x, not /chatter; /chat/ takes what is below
	// it only. A last segment {name} stands for any one segment and is
	// handed to Handler as the request's path value.
	Path string `yaml:"path"`

	// App is the backend that gets the requests: http://host:port,
	// https://host:port or unix:/path/to.sock, or pool://NAME for those of a
	// pool. With a path behind the host, even a bare /, that path replaces the
	// route's Path, and Location and cookie paths are mapped back.
	App string `yaml:"app"`

	// Tunnel is the backend that gets WebSocket handshakes: its address, or
	// {backend: ADDRESS, mode: message}. Plain requests on the same path fall
	// through to the next route.
	Tunnel Tunnel `yaml:"tunnel"`

	// Files is a folder whose files are served, with the rest of the path
	// behind Path; or one file, for the Path alone. Hidden files and PHP
	// programs in the folder are not.
	Files string `yaml:"files"`

	// Fallback is a file of the folder, such as /index.html, that is the answer
	// where there is no file: the page of a single-page application, which reads
	// the path by itself. Names that begin with a dot stay 404. Default none.
	Fallback string `yaml:"fallback"`

	// Fallthrough has a request for which the folder has no file go on to the
	// next route, and so any that is not GET or HEAD. Default off: it is
	// answered with 404, or 405.
	Fallthrough bool `yaml:"fallthrough"`

	// Redirect answers with another address, {to: URL, status: 301}, or the URL
	// alone; or with an error, {status: 410}. WebSocket handshakes, for which
	// no browser follows a redirect, go on to the next route.
	Redirect Redirect `yaml:"redirect"`

	// Match is a regular expression (RE2), in place of Path, that is searched in
	// the clean and escaped path of a request. Routes with Match come before
	// those with Path, as they stand in the file, each for its own kind of
	// request. Not for Files and Handler. In the path of App, Tunnel and
	// Redirect, $1 to $9 stand for what its groups took, $0 for all; such a path
	// is the whole of what is asked for, and Location and cookie paths are not
	// mapped back.
	Match string `yaml:"match"`

	// Handler gets WebSocket handshakes, requests that accept text/event-stream,
	// and those that prefer to wait (RFC 7240 §4.3). Plain requests on the same
	// path fall through to the next route. It is how a program adds its own push
	// service.
	//
	// The path in URL is the clean one by which the route was found, URL.Scheme
	// says how the client came, through whatever proxies, and RemoteAddr is the
	// client's, with port 0 behind a trusted proxy. TLS is set if the client came by
	// TLS of ours, and tells the version alone. A client that does not send its
	// body or take its answer is cut after a while, unless the handler sets
	// deadlines of its own by http.ResponseController.
	Handler http.Handler `yaml:"-"`

	// Whole has Handler get every request for the path.
	Whole bool `yaml:"-"`

	// SecretQuery names a parameter of the query whose value the access log does
	// not show, such as that of a token. Default none.
	SecretQuery string `yaml:"-"`

	// Host is the Host field sent to the backend. Default the client's own.
	Host string `yaml:"host"`

	// BackendTLS says how an https:// or wss:// backend is verified, or those of
	// a pool.
	BackendTLS BackendTLS `yaml:"backend_tls"`

	// RequestBuffering takes a request body that comes without a length whole,
	// to memory and then to a file, and sends it on with Content-Length, as
	// WSGI applications need. off streams it as it comes. Default on.
	RequestBuffering *bool `yaml:"request_buffering"`

	// MaxBody is the length of the longest request body; a longer one is
	// refused with 413. Default 100MiB.
	MaxBody int64 `yaml:"max_body,size"`

	// EncodedSlashes lets %2F and %5C in a path through to the backend, which
	// gets them as they came. Default off: such a path is refused with 400,
	// as the backend may take it for another one.
	EncodedSlashes bool `yaml:"encoded_slashes"`

	// Allow are the addresses of clients that may use the route; others get 403.
	// An empty list lets nobody in. Default everybody.
	Allow []netip.Prefix `yaml:"allow"`

	// BasicAuth lets in who has a password in a file, and nobody else: the file
	// alone, or {file: FILE, realm: NAME}. With Allow both must hold. The backend
	// gets the user's name as X-Remote-User, and no Authorization. Default
	// everybody.
	BasicAuth *BasicAuth `yaml:"basic_auth"`

	// Headers changes the fields of answers, our own errors included, after those
	// of the site. Default nothing.
	Headers Headers `yaml:"headers"`

	// RequestHeaders changes the fields that the backend gets. Default nothing.
	RequestHeaders RequestHeaders `yaml:"request_headers"`

	// ResponseTimeout is how long a backend may take until its answer begins,
	// handshakes included. Default 60s.
	ResponseTimeout time.Duration `yaml:"response_timeout"`

	// IdleTimeout ends a tunnel through which no byte went for this long, pings
	// of our own not counted. Default 0: never.
	IdleTimeout time.Duration `yaml:"idle_timeout"`

	// MaxLifetime ends a tunnel that has been open for this long. Default 0:
	// never.
	MaxLifetime time.Duration `yaml:"max_lifetime"`

	// Ping sends a WebSocket ping to each side of a tunnel that was silent for
	// this long, so that neither a NAT nor an idle timeout of the backend's
	// cuts it; a side that does not answer until the next one is taken for
	// dead. Default 0: never.
	Ping time.Duration `yaml:"ping"`

	// MaxMessage is the length of the longest WebSocket message that passes
	// through a tunnel, as on the wire. Who sends a longer one is closed with
	// 1009. Default 0: any. With mode message, where messages are held in
	// memory whole, it also counts once they are unpacked, and the default is
	// 1MiB.
	MaxMessage int64 `yaml:"max_message,size"`

	// MaxFragments is how many frames a WebSocket message may have. Who sends
	// more is closed with 1008. Default 0: any number. With mode message it has
	// no meaning, as messages are framed anew.
	MaxFragments int `yaml:"max_fragments"`

	// MessageRate is how many WebSocket messages a client may send in a second,
	// pings included, those of a whole second at once. Who sends more is closed
	// with 1008.
	// Default 0: any number.
	MessageRate int `yaml:"message_rate"`

	// Validate closes a tunnel with 1002 to the side that sends an invalid
	// frame (RFC 6455 §5.2). Default off: what the backend takes is its own
	// matter. With mode message every frame is checked anyway.
	Validate bool `yaml:"validate"`

	// MaxTunnels is how many tunnels of this route may be open at a time. A
	// handshake beyond is refused with 503. Default 0: as many as the whole
	// server may have.
	MaxTunnels int `yaml:"max_tunnels"`
}

// TunnelMode says how a tunnel carries messages.
type TunnelMode string

// The modes of a tunnel.
const (
	// TunnelRaw passes the bytes on as they are. The default.
	TunnelRaw TunnelMode = "raw"
	// TunnelMessage ends the client's WebSocket here and speaks another one to
	// the backend: messages are compressed towards browsers even when the
	// backend cannot, text is checked to be UTF-8, and the backend never sees
	// a client's frames.
	TunnelMessage TunnelMode = "message"
)

// Tunnel is where WebSocket handshakes go, and how.
type Tunnel struct {
	// Backend is ws://host:port, wss://host:port or unix:/path/to.sock, or
	// pool://NAME for those of a pool. A path behind the host replaces the
	// route's, as with app.
	Backend string `yaml:"backend"`

	// Mode is raw or message. Default raw.
	Mode TunnelMode `yaml:"mode"`
}

// UnmarshalText reads the short form: the backend alone.
func (t *Tunnel) UnmarshalText(text []byte) error {
	*t = Tunnel{Backend: string(text)}
	return nil
}

// Redirect is where a client is sent instead, or the error that tells it to
// give up.
type Redirect struct {
	// To is https://host, http://host, or a path of the host asked for. Without
	// a path behind the host the request's path is kept; with one, even a bare
	// /, that path takes the place of the route's. The query is kept unless To
	// has one; a bare ? at its end drops it.
	To string `yaml:"to"`

	// Status is 301, 302, 303, 307 or 308; or, without To, 403, 404 or 410.
	// Default 302.
	Status int `yaml:"status"`
}

// UnmarshalText reads the short form: the address alone.
func (r *Redirect) UnmarshalText(text []byte) error {
	*r = Redirect{To: string(text)}
	return nil
}

// BackendTLS says how a backend's certificate is verified.
type BackendTLS struct {
	// CA is a PEM file with the roots to verify by. Default the system's.
	CA string `yaml:"ca"`

	// ServerName is the name asked for and verified. Default the backend's
	// host.
	ServerName string `yaml:"server_name"`

	// InsecureSkipVerify turns verification off. Whoever can reach the
	// network between can then read and change everything.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
}

// Defaults of Route and Config.
const (
	DefaultMaxBody         = 100 << 20
	DefaultResponseTimeout = 60 * time.Second
	DefaultDrainTimeout    = 10 * time.Second
	DefaultUpgradeDrain    = time.Hour

	DefaultMaxTunnelsPerAddress = 1000
)
