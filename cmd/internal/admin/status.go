package admin

import (
	"time"

	"wsfront/proxy"
	"wsfront/pusher"
)

// Status is GET /status: all that fits on one screen.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Time    time.Time `json:"time"` // of this answer
	// State is StateServing, or StateDraining once the server is about to end or
	// another process has taken its place.
	State string `json:"state"`
	// NotReady are the reasons for which it should get no traffic; none when it is
	// ready. It is what GET /readyz tells.
	NotReady []string     `json:"not_ready"`
	Config   ConfigStatus `json:"config"`

	Sites []proxy.SiteState `json:"sites"`
	// Connections are those open by what they carry: see proxy.Counts.
	Connections map[string]int `json:"connections"`
	Tunnels     TunnelTotals   `json:"tunnels"`
	Requests    RequestTotals  `json:"requests"`
	Push        *PushStatus    `json:"push"` // null without a push route

	Certificates []proxy.CertificateState `json:"certificates"`
	// Failures are the last ten, the newest first.
	Failures []proxy.FailureState `json:"failures"`
	// Limits are those that were reached since the start, by part and key, such as
	// front.max_connections, and how often.
	Limits map[string]uint64 `json:"limits"`
}

// The states of a server.
const (
	StateServing  = "serving"
	StateDraining = "draining"
)

// Readiness is GET /readyz for those who accept JSON.
type Readiness struct {
	Ready    bool     `json:"ready"`
	NotReady []string `json:"not_ready"`
}

// ConfigStatus is the configuration in effect.
type ConfigStatus struct {
	File string `json:"file"` // "" where the server runs by flags
	// Version is the same for the same configuration: the beginning of its SHA-256.
	Version string    `json:"version"`
	Loaded  time.Time `json:"loaded"`
	// Refused is why the last reload was refused, and RefusedAt when; "" if it was
	// not.
	Refused   string    `json:"refused,omitempty"`
	RefusedAt time.Time `json:"refused_at,omitzero"`
}

// TunnelTotals are all tunnels together, since the start.
type TunnelTotals struct {
	Open        int    `json:"open"`
	Opened      uint64 `json:"opened"`
	Refused     uint64 `json:"refused"` // handshakes that became no tunnel
	BytesIn     uint64 `json:"bytes_in"`
	BytesOut    uint64 `json:"bytes_out"`
	MessagesIn  uint64 `json:"messages_in"`
	MessagesOut uint64 `json:"messages_out"`
}

// RequestTotals are all requests together, since the start.
type RequestTotals struct {
	Total    uint64 `json:"total"`
	Failed   uint64 `json:"failed"` // by a status of 500 and above or without an answer
	BytesIn  uint64 `json:"bytes_in"`
	BytesOut uint64 `json:"bytes_out"`
}

// PushStatus is the push service.
type PushStatus struct {
	Clients      map[string]int    `json:"clients"` // by transport
	Channels     int               `json:"channels"`
	Published    uint64            `json:"published"`
	Delivered    uint64            `json:"delivered"`
	QueueBytes   int64             `json:"queue_bytes"`
	Cut          uint64            `json:"cut"` // clients that did not read
	Joins        map[string]uint64 `json:"joins"`
	HistoryBytes int64             `json:"history_bytes"` // -1 where it is not known
}

// TunnelList is GET /tunnels.
type TunnelList struct {
	// Open is how many there are of the route asked for, or of all, of which Tunnels
	// may be a part.
	Open    int                 `json:"open"`
	Tunnels []proxy.TunnelState `json:"tunnels"`
}

// ChannelList is GET /channels.
type ChannelList struct {
	Channels []pusher.ChannelState `json:"channels"`
	More     bool                  `json:"more,omitempty"`
}

// CertificateList is GET /certificates.
type CertificateList struct {
	Certificates []proxy.CertificateState `json:"certificates"`
}

// FailureList is GET /failures: the last ones, the newest first.
type FailureList struct {
	Failures []proxy.FailureState `json:"failures"`
}
