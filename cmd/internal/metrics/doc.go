// Package metrics makes the answer to GET /metrics of the admin socket: what the
// process and its parts have to tell, in Prometheus' text format.
//
// The parts know nothing of it. Each is handed in as plain functions (Sources),
// which are called when somebody asks, so that nothing is counted twice and nobody
// pays for a metric that is not read.
//
//	metrics.go  the registry and its handler
//	limits.go   how often limits were reached
//	panics.go   faults that ended one request or connection
package metrics
