package proxy

import "wsfront/proxy/tally"

// Counts are what a Server has counted since it was made, and how much there is
// of what comes and goes. Counters never become less; those of a route or backend
// go with it when a reload takes it away, and stay while it stays.
type Counts struct {
	// Connections are those that are open, by what they carry: tls (the handshake
	// is under way), http/1.1, h2, websocket (a tunnel) and push (a client
	// of a push route, or given to a Handler that took it over).
	Connections map[string]int
	// Accepted are the connections that came, by tls and plain.
	Accepted map[string]uint64
	// TLSHandshakes are those that succeeded, by the version, such as 1.3.
	TLSHandshakes map[string]uint64
	// TLSFailures are those that did not, by one of a few reasons.
	TLSFailures map[string]uint64
	// Routes are the account of each route, and one with neither site nor route for
	// requests that found none.
	Routes []RouteCounts
	// Backends are the account of each backend, for all routes that lead there.
	Backends []BackendCounts
	// PingRoundTrip is how long clients took to answer the pings in tunnels.
	PingRoundTrip tally.Distribution
	// CertificatesObtained, CertificatesRenewed and CertificateFailures are what
	// came of asking CAs for certificates.
	CertificatesObtained, CertificatesRenewed, CertificateFailures uint64
	// AccessLogLost are lines of the access log that could not be written.
	AccessLogLost uint64
}

// RouteCounts are the account of one route.
type RouteCounts struct {
	// Site is the site's first host, Route the route's path or match.
	Site, Route string
	// Requests are those that are over, by their status; 499 is one that was cut
	// before its answer began, 101 one whose connection was given away (to a tunnel,
	// or to a Handler that is done with it), 600 any status above 599.
	Requests map[int]uint64
	// Duration is from the end of a request's head to the end of its answer, by the
	// class of its status, such as 2xx. Tunnels are not in it, nor is what a push
	// service answers, which lasts for as long as the client listens.
	Duration map[string]tally.Distribution
	// BytesIn and BytesOut are the bodies of requests and answers, without what
	// went through tunnels.
	BytesIn, BytesOut uint64
	// Tunnels are those of this route.
	Tunnels TunnelCounts
}

// TunnelCounts are the account of a route's tunnels.
type TunnelCounts struct {
	Open   int
	Opened uint64
	// Refused are the handshakes that did not become a tunnel, by one of the causes
	// of package diagnosis.
	Refused map[string]uint64
	Closed  map[TunnelEnd]uint64
	// BytesIn and MessagesIn came from clients, BytesOut and MessagesOut from the
	// backend. Tunnels that are open are in them.
	BytesIn, BytesOut, MessagesIn, MessagesOut uint64
	// Duration is how long those lived that are closed.
	Duration tally.Distribution
}

// TunnelEnd is how a tunnel ended.
type TunnelEnd struct {
	// By is who ended it first: client, backend or front.
	By string
	// Code is the status code of the first Close (RFC 6455 §7.4): 1005 for one
	// without a code, 1006 where there was no Close, 3000 and 4000 for any of those
	// ranges, 0 for any other number.
	Code int
	// Reason is one of relay's, such as idle timeout.
	Reason string
}

// BackendCounts are the account of one backend.
type BackendCounts struct {
	// Pool is the pool's name, or "". Backend is the address as it stands in the
	// configuration.
	Pool, Backend string
	// Up is false while a backend of a pool is left out since it could not be
	// reached, and for one without a pool once the last attempt to reach it failed.
	Up bool
	// Open are the exchanges and tunnels under way; 0 for one without a pool.
	Open int
	// Connects are the connections that came about, ConnectFailures those that did
	// not, by one of a few reasons.
	Connects        uint64
	ConnectFailures map[string]uint64
	// ConnectDuration is how long those took that came about, TLS included.
	ConnectDuration tally.Distribution
	// ResponseDuration is from when a request was sent to the head of its answer.
	ResponseDuration tally.Distribution
	// Failures are the attempts that gave no answer over a connection that came
	// about, or half of one, by one of a few reasons.
	Failures map[string]uint64
}
