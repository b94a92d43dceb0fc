package admin

import (
	"context"
	"net/http"

	"wsfront/proxy"
)

// Sources are what the answers are made of, and what is done by order. They may
// be called concurrently. The path of one that is nil is not served.
type Sources struct {
	Status func(context.Context) Status // GET /status
	// NotReady are the reasons for GET /readyz to be 503, each a sentence.
	NotReady func(context.Context) []string

	Tunnels     func() []proxy.TunnelState // GET /tunnels
	CloseTunnel func(id string) bool       // DELETE /tunnels/{id}; false where there is none of the id

	// Channels are at most limit of them, those with most clients first: GET
	// /channels.
	Channels     func(ctx context.Context, limit int) (ChannelList, error)
	Certificates func() []proxy.CertificateState // GET /certificates
	Failures     func() []proxy.FailureState     // GET /failures, the newest first

	Config func() []byte // GET /config, in YAML and without secrets

	Metrics http.Handler // GET /metrics

	// Page is the status page: GET / and /page/{file}, which tell nothing of the
	// server and need no token, and GET /events.
	Page http.Handler

	// Pprof serves /debug/pprof/.
	Pprof bool

	// Reload and Upgrade are POST /reload and POST /upgrade. An error is the answer.
	Reload, Upgrade func() error
}
