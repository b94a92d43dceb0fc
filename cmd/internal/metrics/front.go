package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"wsfront/proxy"
)

// front is what the front door has counted: connections, requests, and by files
// of their own tunnels and backends.
type front struct {
	connections, accepted               family
	handshakes, handshakeFailures       family
	requests, requestBytes, answerBytes family
	requestDuration                     histogram
	obtained, renewed, failed           family
	accessLogLost                       family
	tunnels                             tunnels
	backends                            backends
}

func newFront() front {
	return front{
		connections:       gauge("wsfront_connections_open", "Connections that are open, by what they carry: tls is a handshake under way.", "protocol"),
		accepted:          counter("wsfront_connections_accepted_total", "Connections that came.", "transport"),
		handshakes:        counter("wsfront_tls_handshakes_total", "TLS handshakes that succeeded, by the version agreed.", "version"),
		handshakeFailures: counter("wsfront_tls_handshake_failures_total", "TLS handshakes that did not succeed.", "reason"),
		requests:          counter("wsfront_http_requests_total", "Requests that are over, by their status: 101 is a tunnel, 499 one that the client gave up.", "site", "route", "code"),
		requestBytes:      counter("wsfront_http_request_body_bytes_total", "Bodies that clients sent.", "site", "route"),
		answerBytes:       counter("wsfront_http_response_body_bytes_total", "Bodies that were sent to clients.", "site", "route"),
		requestDuration:   durations("wsfront_http_request_duration_seconds", "From the end of a request's head to the end of its answer, without tunnels and push clients.", "site", "route", "class"),
		obtained:          counter("wsfront_certificates_obtained_total", "First certificates for a name that a CA issued."),
		renewed:           counter("wsfront_certificates_renewed_total", "Certificates that a CA issued in place of another one."),
		failed:            counter("wsfront_certificate_failures_total", "Attempts to get a certificate from a CA that failed."),
		accessLogLost:     counter("wsfront_access_log_lost_lines_total", "Lines of the access log that could not be written."),
		tunnels:           newTunnels(),
		backends:          newBackends(),
	}
}

func (f front) collect(to chan<- prometheus.Metric, c proxy.Counts) {
	sendEach(f.connections, to, c.Connections)
	sendEach(f.accepted, to, c.Accepted)
	sendEach(f.handshakes, to, c.TLSHandshakes)
	sendEach(f.handshakeFailures, to, c.TLSFailures)
	for _, r := range c.Routes {
		for code, n := range r.Requests {
			f.requests.send(to, float64(n), r.Site, r.Route, strconv.Itoa(code))
		}
		f.requestBytes.send(to, float64(r.BytesIn), r.Site, r.Route)
		f.answerBytes.send(to, float64(r.BytesOut), r.Site, r.Route)
		for class, d := range r.Duration {
			f.requestDuration.send(to, d, r.Site, r.Route, class)
		}
		f.tunnels.collect(to, r.Site, r.Route, r.Tunnels)
	}
	f.tunnels.roundTrip.send(to, c.PingRoundTrip)
	for _, b := range c.Backends {
		f.backends.collect(to, b)
	}
	f.obtained.send(to, float64(c.CertificatesObtained))
	f.renewed.send(to, float64(c.CertificatesRenewed))
	f.failed.send(to, float64(c.CertificateFailures))
	f.accessLogLost.send(to, float64(c.AccessLogLost))
}
