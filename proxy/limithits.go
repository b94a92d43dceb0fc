package proxy

import (
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"wsfront/proxy/http1"
)

// The names of limits, which are those of their keys in the configuration file.
const (
	limitHandshakeTimeout         = "handshake_timeout"
	limitHeaderTimeout            = "header_timeout"
	limitMaxHeader                = "max_header"
	limitMaxHeaderFields          = "max_header_fields"
	limitMaxTarget                = "max_target"
	limitBodyTimeout              = "body_timeout"
	limitMinBodyRate              = "min_body_rate"
	limitWriteTimeout             = "write_timeout"
	limitMaxConnections           = "max_connections"
	limitMaxConnectionsPerAddress = "max_connections_per_address"
	limitMaxHandshakesPerSecond   = "max_handshakes_per_second"
	limitMaxHandshakes            = "max_handshakes"
	limitMaxStreams               = "max_streams"
	limitMaxResets                = "max_resets"
	limitMaxContinuations         = "max_continuations"
	limitMaxBody                  = "max_body"
	limitResponseTimeout          = "response_timeout"
	limitBasicAuth                = "basic_auth"
	limitMaxTunnels               = "max_tunnels"
	limitMaxTunnelsPerAddress     = "max_tunnels_per_address"
	limitRouteMaxTunnels          = "routes.max_tunnels"
)

// limitRemedies say what to do where a limit is reached by those who should not
// reach it. They name all limits that are counted.
func limitRemedies() map[string]string {
	const raise = "raise limits."
	return map[string]string{
		limitHandshakeTimeout:         raise + limitHandshakeTimeout + " if clients are that far away",
		limitHeaderTimeout:            raise + limitHeaderTimeout + " if clients are that slow",
		limitMaxHeader:                raise + limitMaxHeader + ", or have the app set fewer cookies",
		limitMaxHeaderFields:          raise + limitMaxHeaderFields,
		limitMaxTarget:                raise + limitMaxTarget + ", or have forms use POST",
		limitBodyTimeout:              raise + limitBodyTimeout + " if clients may pause for so long",
		limitMinBodyRate:              "lower limits." + limitMinBodyRate + ", or write off, if clients are that slow",
		limitWriteTimeout:             raise + limitWriteTimeout + " if clients may pause for so long",
		limitMaxConnections:           raise + limitMaxConnections + ", and the limit of open files with it",
		limitMaxConnectionsPerAddress: raise + limitMaxConnectionsPerAddress + ", or name the address in trusted_proxies if it is a proxy of yours",
		limitMaxHandshakesPerSecond:   raise + limitMaxHandshakesPerSecond + ", or name the address in trusted_proxies if it is a proxy of yours",
		limitMaxHandshakes:            raise + limitMaxHandshakes + " if there is memory for it",
		limitMaxStreams:               raise + limitMaxStreams,
		limitMaxResets:                raise + limitMaxResets,
		limitMaxContinuations:         raise + limitMaxContinuations,
		limitMaxBody:                  "raise max_body on the route if the app takes more",
		limitResponseTimeout:          "raise response_timeout on the route if the app may take longer",
		limitBasicAuth:                "see whether somebody guesses passwords",
		limitMaxTunnels:               "raise max_tunnels, and the limit of open files with it",
		limitMaxTunnelsPerAddress:     "raise max_tunnels_per_address, or name the address in trusted_proxies if it is a proxy of yours",
		limitRouteMaxTunnels:          "raise max_tunnels on the route if the backend takes more",
	}
}

// limitLogPause is how long a limit that was told of in the log is not told of
// again: whoever attacks is not to fill the disk.
const limitLogPause = 10 * time.Second

// limitHits count how often each limit was reached. They may be used
// concurrently.
type limitHits struct {
	log  *slog.Logger
	each map[string]*limitHit // never changes once it is made
}

// limitHit is what is known of one limit.
type limitHit struct {
	remedy string
	count  atomic.Uint64
	told   atomic.Uint64 // of them in the log
	quiet  atomic.Int64  // until when nothing is told, in nanoseconds since 1970
}

func newLimitHits(log *slog.Logger) *limitHits {
	h := &limitHits{log: log, each: map[string]*limitHit{}}
	for name, remedy := range limitRemedies() {
		h.each[name] = &limitHit{remedy: remedy}
	}
	return h
}

// add counts that a client has reached a limit, and has the log tell of it now
// and then.
func (h *limitHits) add(name string, client netip.Addr) {
	hit := h.each[name]
	count := hit.count.Add(1)
	quiet, now := hit.quiet.Load(), time.Now()
	if now.UnixNano() < quiet || !hit.quiet.CompareAndSwap(quiet, now.Add(limitLogPause).UnixNano()) {
		return
	}
	h.log.Warn(eventLimitReached, "limit", name, "client", client, "hits", count-hit.told.Swap(count), "hint", hit.remedy)
}

// LimitHits tells how often each limit was reached since the Server was made, by
// the name of its key in the configuration; that of a route's max_tunnels is
// routes.max_tunnels. It has all names from the start. It may be called
// concurrently.
func (s *Server) LimitHits() map[string]uint64 {
	counts := make(map[string]uint64, len(s.hits.each))
	for name, hit := range s.hits.each {
		counts[name] = hit.count.Load()
	}
	return counts
}

// headLimit is the limit that a head was refused for, or "".
func (t *turn) headLimit(refused *http1.Error) string {
	switch {
	case refused.Status == http.StatusRequestURITooLong:
		return limitMaxTarget
	case refused.Status != http.StatusRequestHeaderFieldsTooLarge:
		return ""
	case len(t.c.reader.Buffered()) >= t.limits.head.Head:
		return limitMaxHeader
	}
	return limitMaxHeaderFields
}
