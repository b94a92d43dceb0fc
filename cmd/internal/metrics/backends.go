package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"wsfront/proxy"
)

// backends is how those fare that requests and tunnels lead to.
type backends struct {
	up, open                          family
	connects, connectFailures, failed family
	connectDuration, responseDuration histogram
}

func newBackends() backends {
	return backends{
		up:               gauge("wsfront_backend_up", "1, or 0 while the last attempt to reach the backend failed or its pool leaves it out.", "pool", "backend"),
		open:             gauge("wsfront_backend_exchanges_open", "Requests and tunnels under way at a backend of a pool.", "pool", "backend"),
		connects:         counter("wsfront_backend_connects_total", "Connections to the backend that came about.", "pool", "backend"),
		connectFailures:  counter("wsfront_backend_connect_failures_total", "Connections to the backend that did not come about.", "pool", "backend", "reason"),
		failed:           counter("wsfront_backend_failures_total", "Requests and handshakes to the backend that got no answer.", "pool", "backend", "reason"),
		connectDuration:  durations("wsfront_backend_connect_duration_seconds", "How long connections to the backend took to come about, TLS included.", "pool", "backend"),
		responseDuration: durations("wsfront_backend_response_duration_seconds", "From when a request was sent to the backend to the head of its answer.", "pool", "backend"),
	}
}

func (f backends) collect(to chan<- prometheus.Metric, b proxy.BackendCounts) {
	f.up.sendFlag(to, b.Up, b.Pool, b.Backend)
	if b.Pool != "" {
		f.open.send(to, float64(b.Open), b.Pool, b.Backend)
	}
	f.connects.send(to, float64(b.Connects), b.Pool, b.Backend)
	sendEach(f.connectFailures, to, b.ConnectFailures, b.Pool, b.Backend)
	sendEach(f.failed, to, b.Failures, b.Pool, b.Backend)
	f.connectDuration.send(to, b.ConnectDuration, b.Pool, b.Backend)
	f.responseDuration.send(to, b.ResponseDuration, b.Pool, b.Backend)
}
