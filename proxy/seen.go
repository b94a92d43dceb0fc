package proxy

import (
	"time"
)

// SiteState is a site of the configuration in effect, and how it fares.
type SiteState struct {
	Name   string       `json:"name"` // its first host
	Hosts  []string     `json:"hosts"`
	TLS    string       `json:"tls"` // auto, internal, files or off
	Routes []RouteState `json:"routes"`
}

// RouteState is a route, and how it fares.
type RouteState struct {
	Route string `json:"route"` // its path or match
	Kind  string `json:"kind"`  // app, tunnel, files, redirect or push
	// To is where it leads, as it stands in the configuration, or "".
	To string `json:"to"`
	// Health is up, degraded (some backends of a pool are left out) or down: all
	// are, or the last attempt to reach the only one failed.
	Health   string         `json:"health"`
	Backends []BackendState `json:"backends"`
	Tunnels  int            `json:"tunnels"`  // open
	Requests uint64         `json:"requests"` // since the start, handshakes included
	Failed   uint64         `json:"failed"`   // of these, by a status of 500 and above or without an answer
}

// BackendState is one backend of a route.
type BackendState struct {
	Backend string `json:"backend"`
	Up      bool   `json:"up"`
	Backup  bool   `json:"backup"`
	Open    int    `json:"open"` // exchanges and tunnels under way
	// Failed is when it could last not be reached, zero for never; Reason says why.
	Failed time.Time `json:"failed,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

// TunnelState is a tunnel that is open.
type TunnelState struct {
	ID        string    `json:"id"`
	Client    string    `json:"client"` // address
	UserAgent string    `json:"user_agent"`
	Site      string    `json:"site"`
	Route     string    `json:"route"`
	Backend   string    `json:"backend"`
	Opened    time.Time `json:"opened"`
	// Moved is when a byte last moved in it, either way.
	Moved       time.Time `json:"moved"`
	BytesIn     int64     `json:"bytes_in"` // from the client
	BytesOut    int64     `json:"bytes_out"`
	MessagesIn  int64     `json:"messages_in"`
	MessagesOut int64     `json:"messages_out"`
	// Ponged is when the client last answered a ping of ours, zero for never, and
	// PingSeconds how long that took.
	Ponged      time.Time `json:"ponged,omitzero"`
	PingSeconds float64   `json:"ping_seconds,omitempty"`
}

// CertificateState is a certificate that is served, or should be.
type CertificateState struct {
	// Names are those it is for: of the configuration while there is none.
	Names []string `json:"names"`
	// Source is auto, on_demand, internal or files.
	Source string `json:"source"`
	Issuer string `json:"issuer,omitempty"`
	// NotAfter is its last moment, zero while there is none.
	NotAfter time.Time `json:"not_after,omitzero"`
	// Problem says what is wrong, such as why the last renewal failed, and Hint what
	// to do; both are "" where all is well.
	Problem string `json:"problem,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// FailureState is something that failed for a client and is remembered.
type FailureState struct {
	Time time.Time `json:"time"`
	// Kind is handshake (of a WebSocket), request or tls.
	Kind   string `json:"kind"`
	ID     string `json:"id,omitempty"` // of the request
	Client string `json:"client"`       // address, "" at a Unix socket
	Site   string `json:"site,omitempty"`
	Route  string `json:"route,omitempty"` // its path or match
	// Backend is the one that was asked, or "".
	Backend string `json:"backend,omitempty"`
	Host    string `json:"host,omitempty"`
	Path    string `json:"path,omitempty"`
	Status  int    `json:"status,omitempty"`
	// Cause is one of package diagnosis's, and Sentence what it means; both are ""
	// where it is not known.
	Cause    string     `json:"cause,omitempty"`
	Sentence string     `json:"sentence,omitempty"`
	Reason   string     `json:"reason"` // what happened, without the sentence
	Fixes    []FixState `json:"fixes,omitempty"`
	// Count is how many alike it stands for: those of a kind that follow each other
	// with the same route, status and cause are one, of which the newest is told.
	Count uint64 `json:"count"`
}

// FixState is what to do about a failure, at one place.
type FixState struct {
	For  string `json:"for"` // wsfront, apache, app, page and others
	Text string `json:"text"`
}
