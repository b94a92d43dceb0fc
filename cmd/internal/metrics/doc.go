// Package metrics makes the answer to GET /metrics of the admin socket: what the
// process and its parts have to tell, in Prometheus' text format.
//
// The parts know nothing of it. Each is handed in as plain functions (Sources),
// which are called when somebody asks, so that nothing is counted twice and nobody
// pays for a metric that is not read.
//
//	metrics.go       what the parts are, and the handler
//	ask.go           the parts are asked, once for each answer
//	family.go        how a count becomes a series
//	front.go         connections, TLS and requests
//	tunnels.go       WebSockets to a backend
//	backends.go      the backends
//	certificates.go  certificates
//	push.go          the push service
//	process.go       the program, its configuration, limits, faults
package metrics
