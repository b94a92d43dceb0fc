package top

import (
	"time"

	"wsfront/cmd/internal/admin"
	"wsfront/proxy"
	"wsfront/pusher"
)

// Frame is what is shown: the last reading, and how much there was in a second
// since the one before. wsfront top --once --json writes it.
type Frame struct {
	Status admin.Status `json:"status"`
	// Seconds are those between the two readings, 0 where there was only one, or the
	// server was started anew between them: then all rates are 0.
	Seconds  float64               `json:"seconds"`
	Rates    Rates                 `json:"rates"`
	Routes   []Route               `json:"routes"`
	Open     int                   `json:"open"` // tunnels, of which Tunnels may be a part
	Tunnels  []*Tunnel             `json:"tunnels"`
	Channels []pusher.ChannelState `json:"channels"`
	Failures []proxy.FailureState  `json:"failures"`
}

// Rates are those of the server as a whole, each in a second.
type Rates struct {
	Requests float64 `json:"requests"`
	Failed   float64 `json:"failed"` // requests
	Opened   float64 `json:"opened"` // tunnels
	// Messages are those in tunnels.
	MessagesIn  float64 `json:"messages_in"`
	MessagesOut float64 `json:"messages_out"`
	// Bytes are those of requests, answers and tunnels.
	BytesIn   float64 `json:"bytes_in"`
	BytesOut  float64 `json:"bytes_out"`
	Published float64 `json:"published"`
	Delivered float64 `json:"delivered"`
}

// Route is a route with its rates.
type Route struct {
	Site string `json:"site"`
	proxy.RouteState
	RequestRate float64 `json:"request_rate"`
	FailedRate  float64 `json:"failed_rate"`
	// MessageRate and ByteRate are those of its tunnels that are listed, both ways.
	MessageRate float64 `json:"message_rate"`
	ByteRate    float64 `json:"byte_rate"`
}

// Tunnel is a tunnel with its rates.
type Tunnel struct {
	proxy.TunnelState
	MessageInRate  float64 `json:"message_in_rate"`
	MessageOutRate float64 `json:"message_out_rate"`
	ByteInRate     float64 `json:"byte_in_rate"`
	ByteOutRate    float64 `json:"byte_out_rate"`
}

type routeID struct{ site, route string }

// newFrame makes the frame of a reading, and of the one before it, which may be
// nil.
func newFrame(before *reading, now reading) Frame {
	f := Frame{Status: now.status, Open: now.tunnels.Open, Channels: now.channels.Channels, Failures: now.failures}
	if before == nil || !before.status.Started.Equal(now.status.Started) || before.status.PID != now.status.PID {
		before = nil
	} else if f.Seconds = now.status.Time.Sub(before.status.Time).Seconds(); f.Seconds <= 0 {
		f.Seconds, before = 0, nil
	}
	if before == nil {
		before = &reading{status: now.status, tunnels: now.tunnels}
	}
	f.Rates = rates(&before.status, &now.status, f.Seconds)
	f.tunnels(before, now)
	f.routes(before.status, now.status)
	return f
}

// rate is how much there was in a second.
func rate[N int64 | uint64](before, now N, seconds float64) float64 {
	if seconds == 0 || now < before {
		return 0
	}
	return float64(now-before) / seconds
}

func rates(b, n *admin.Status, seconds float64) Rates {
	r := Rates{
		Requests:    rate(b.Requests.Total, n.Requests.Total, seconds),
		Failed:      rate(b.Requests.Failed, n.Requests.Failed, seconds),
		Opened:      rate(b.Tunnels.Opened, n.Tunnels.Opened, seconds),
		MessagesIn:  rate(b.Tunnels.MessagesIn, n.Tunnels.MessagesIn, seconds),
		MessagesOut: rate(b.Tunnels.MessagesOut, n.Tunnels.MessagesOut, seconds),
		BytesIn:     rate(b.Requests.BytesIn, n.Requests.BytesIn, seconds) + rate(b.Tunnels.BytesIn, n.Tunnels.BytesIn, seconds),
		BytesOut:    rate(b.Requests.BytesOut, n.Requests.BytesOut, seconds) + rate(b.Tunnels.BytesOut, n.Tunnels.BytesOut, seconds),
	}
	if b.Push != nil && n.Push != nil {
		r.Published = rate(b.Push.Published, n.Push.Published, seconds)
		r.Delivered = rate(b.Push.Delivered, n.Push.Delivered, seconds)
	}
	return r
}

func (f *Frame) tunnels(before *reading, now reading) {
	old := make(map[string]*proxy.TunnelState, len(before.tunnels.Tunnels))
	for i := range before.tunnels.Tunnels {
		old[before.tunnels.Tunnels[i].ID] = &before.tunnels.Tunnels[i]
	}
	all := make([]Tunnel, len(now.tunnels.Tunnels))
	f.Tunnels = make([]*Tunnel, len(all))
	for i, t := range now.tunnels.Tunnels {
		then := old[t.ID]
		switch {
		case then != nil:
		case t.Opened.After(before.status.Time): // all it moved, it moved since
			then = &proxy.TunnelState{}
		default: // it was not listed
			then = &t
		}
		all[i] = Tunnel{
			TunnelState:    t,
			MessageInRate:  rate(then.MessagesIn, t.MessagesIn, f.Seconds),
			MessageOutRate: rate(then.MessagesOut, t.MessagesOut, f.Seconds),
			ByteInRate:     rate(then.BytesIn, t.BytesIn, f.Seconds),
			ByteOutRate:    rate(then.BytesOut, t.BytesOut, f.Seconds),
		}
		f.Tunnels[i] = &all[i]
	}
}

func (f *Frame) routes(before, now admin.Status) {
	old := map[routeID]proxy.RouteState{}
	for _, s := range before.Sites {
		for _, r := range s.Routes {
			old[routeID{s.Name, r.Route}] = r
		}
	}
	moved := map[routeID][2]float64{} // messages, bytes
	for _, t := range f.Tunnels {
		id := routeID{t.Site, t.Route}
		sum := moved[id]
		moved[id] = [2]float64{sum[0] + t.messages(), sum[1] + t.bytes()}
	}
	f.Routes = []Route{}
	for _, s := range now.Sites {
		for _, r := range s.Routes {
			id := routeID{s.Name, r.Route}
			then, was := old[id]
			if !was {
				then = r
			}
			f.Routes = append(f.Routes, Route{
				Site: s.Name, RouteState: r,
				RequestRate: rate(then.Requests, r.Requests, f.Seconds), FailedRate: rate(then.Failed, r.Failed, f.Seconds),
				MessageRate: moved[id][0], ByteRate: moved[id][1],
			})
		}
	}
}

// messages are those in a second, both ways, as are bytes.
func (t *Tunnel) messages() float64 { return t.MessageInRate + t.MessageOutRate }
func (t *Tunnel) bytes() float64    { return t.ByteInRate + t.ByteOutRate }

// age is how long ago something was, by the server's clock.
func (f *Frame) age(t time.Time) time.Duration { return f.Status.Time.Sub(t) }
