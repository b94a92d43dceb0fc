package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"wsfront/proxy"
)

// The values of the label direction.
const (
	fromClient = "in"
	toClient   = "out"
)

// tunnels is what became of WebSockets that lead to a backend.
type tunnels struct {
	open, opened, refused, closed family
	bytes, messages               family
	duration, roundTrip           histogram
}

func newTunnels() tunnels {
	return tunnels{
		open:      gauge("wsfront_tunnels_open", "Tunnels that are open.", "site", "route"),
		opened:    counter("wsfront_tunnels_opened_total", "Handshakes that became a tunnel.", "site", "route"),
		refused:   counter("wsfront_tunnels_refused_total", "Handshakes that became none, by the cause that wsfront failures tells.", "site", "route", "cause"),
		closed:    counter("wsfront_tunnels_closed_total", "Tunnels that ended, by who ended it, the code of the first Close (1006 for none) and why.", "site", "route", "by", "code", "reason"),
		bytes:     counter("wsfront_tunnel_bytes_total", "Bytes in tunnels, in from clients and out to them.", "site", "route", "direction"),
		messages:  counter("wsfront_tunnel_messages_total", "Messages in tunnels, in from clients and out to them.", "site", "route", "direction"),
		duration:  durations("wsfront_tunnel_duration_seconds", "How long those tunnels lived that have ended.", "site", "route"),
		roundTrip: durations("wsfront_tunnel_ping_round_trip_seconds", "How long clients took to answer the pings of tunnels."),
	}
}

// collect tells of a route that had a tunnel or a handshake.
func (f tunnels) collect(to chan<- prometheus.Metric, site, route string, c proxy.TunnelCounts) {
	sendEach(f.refused, to, c.Refused, site, route)
	if len(c.Duration.Counts) == 0 { // it leads to no tunnels
		return
	}
	f.open.send(to, float64(c.Open), site, route)
	f.opened.send(to, float64(c.Opened), site, route)
	for end, n := range c.Closed {
		f.closed.send(to, float64(n), site, route, end.By, strconv.Itoa(end.Code), end.Reason)
	}
	f.bytes.send(to, float64(c.BytesIn), site, route, fromClient)
	f.bytes.send(to, float64(c.BytesOut), site, route, toClient)
	f.messages.send(to, float64(c.MessagesIn), site, route, fromClient)
	f.messages.send(to, float64(c.MessagesOut), site, route, toClient)
	f.duration.send(to, c.Duration, site, route)
}
