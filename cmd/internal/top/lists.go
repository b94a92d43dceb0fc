package top

import (
	"fmt"
	"strings"

	"wsfront/cmd/internal/screen"
	"wsfront/proxy"
	"wsfront/pusher"
)

// tab is a list of which one is shown at a time.
type tab int

const (
	tunnelsTab tab = iota
	channelsTab
	failuresTab
	routesTab
	tabs // how many there are
)

func (t tab) String() string {
	return [...]string{"Tunnels", "Channels", "Failures", "Routes"}[t]
}

// tunnelTable is the table of these tunnels.
func (f *Frame) tunnelTable(tunnels []*Tunnel) *screen.Table {
	t := &screen.Table{Columns: []screen.Column{
		{Head: "ID"}, {Head: "CLIENT"}, {Head: "ROUTE", Least: 10}, {Head: "AGE", Right: true}, {Head: "IDLE", Right: true, Drop: 2},
		{Head: "MSG/S IN", Right: true, Drop: 1}, {Head: "IN/S", Right: true}, {Head: "MSG/S OUT", Right: true, Drop: 1}, {Head: "OUT/S", Right: true},
		{Head: "IN", Right: true, Drop: 3}, {Head: "OUT", Right: true, Drop: 3}, {Head: "PING", Right: true, Drop: 4}, {Head: "USER AGENT", Least: 10, Drop: 5},
	}}
	for _, o := range tunnels {
		t.Row(o.ID, o.Client, o.Site+" "+o.Route, screen.Age(f.age(o.Opened)), screen.Age(f.age(o.Moved)),
			screen.Rate(o.MessageInRate), screen.Bytes(o.ByteInRate), screen.Rate(o.MessageOutRate), screen.Bytes(o.ByteOutRate),
			screen.Bytes(o.BytesIn), screen.Bytes(o.BytesOut), screen.Ping(o.PingSeconds), o.UserAgent)
	}
	return t
}

func (t *Tunnel) matches(filter string) bool {
	return matches(filter, t.ID, t.Client, t.Site+" "+t.Route, t.Backend, t.UserAgent)
}

// routeTable is the table of these routes.
func routeTable(routes []Route) *screen.Table {
	t := &screen.Table{Columns: []screen.Column{
		{Head: "ROUTE", Least: 14}, {Head: "KIND", Drop: 1}, {Head: "HEALTH"}, {Head: "REQ/S", Right: true}, {Head: "FAILED/S", Right: true},
		{Head: "TUNNELS", Right: true}, {Head: "MSG/S", Right: true}, {Head: "BYTES/S", Right: true, Drop: 2}, {Head: "TO", Least: 10, Drop: 3},
	}}
	for _, r := range routes {
		t.Rows = append(t.Rows, []screen.Cell{
			{Text: r.Site + " " + r.Route}, {Text: r.Kind}, screen.HealthOf(r.Health), {Text: screen.Rate(r.RequestRate)}, {Text: screen.Rate(r.FailedRate)},
			{Text: screen.Count(r.Tunnels)}, {Text: screen.Rate(r.MessageRate)}, {Text: screen.Bytes(r.ByteRate)}, {Text: r.To},
		})
	}
	return t
}

func (r Route) matches(filter string) bool {
	return matches(filter, r.Site+" "+r.Route, r.Kind, r.Health, r.To)
}

// channelTable is the table of these channels.
func channelTable(channels []pusher.ChannelState) *screen.Table {
	t := &screen.Table{Columns: []screen.Column{{Head: "CHANNEL", Least: 10}, {Head: "CLIENTS", Right: true}, {Head: "STORED", Right: true}, {Head: "POSITION", Least: 8, Drop: 1}}}
	for _, c := range channels {
		t.Row(c.Name, screen.Count(c.Subscribers), screen.Count(c.Messages), c.Position)
	}
	return t
}

// failureTable is the table of these failures.
func (f *Frame) failureTable(failures []proxy.FailureState) *screen.Table {
	t := &screen.Table{Columns: []screen.Column{
		{Head: "AGO", Right: true}, {Head: "TIMES", Right: true}, {Head: "KIND"}, {Head: "STATUS", Right: true}, {Head: "CLIENT"}, {Head: "ASKED", Least: 10}, {Head: "WHY", Least: 16},
	}}
	for _, x := range failures {
		status := "-"
		if x.Status != 0 {
			status = fmt.Sprint(x.Status)
		}
		why, _ := screen.WhyOf(x)
		t.Row(screen.Age(f.age(x.Time)), screen.Count(x.Count), x.Kind, status, x.Client, x.Host+x.Path, why)
	}
	return t
}

func failureMatches(x proxy.FailureState, filter string) bool {
	return matches(filter, x.Kind, x.Client, x.Site+" "+x.Route, x.Host+x.Path, x.Cause, x.Sentence, x.Reason)
}

// failureKey tells failures apart: it stays when others come.
func failureKey(x proxy.FailureState) string {
	return strings.Join([]string{x.Time.String(), x.ID, x.Client, x.Path}, "\n")
}
