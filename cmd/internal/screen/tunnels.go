package screen

import (
	"fmt"
	"strings"
	"time"

	"wsfront/cmd/internal/admin"
)

// Tunnels tells which tunnels are open, how much each moved, and how much those
// shown moved together; route is that of which they were asked for, "" for all.
func (s Style) Tunnels(now time.Time, list admin.TunnelList, route string) string {
	switch {
	case len(list.Tunnels) > 0:
	case route != "":
		return s.Paragraph("", fmt.Sprintf("No tunnel of the route %s is open; wsfront status has the routes as they are to be written.", Clean(route)))
	default:
		return "No tunnel is open.\n"
	}
	t := Table{Columns: []Column{
		{Head: "ID"}, {Head: "CLIENT"}, {Head: "ROUTE", Least: 10}, {Head: "BACKEND", Least: 12, Drop: 4}, {Head: "AGE", Right: true}, {Head: "IDLE", Right: true, Drop: 2},
		{Head: "MSG IN", Right: true, Drop: 1}, {Head: "BYTES IN", Right: true}, {Head: "MSG OUT", Right: true, Drop: 1}, {Head: "BYTES OUT", Right: true},
		{Head: "PING", Right: true, Drop: 3}, {Head: "USER AGENT", Least: 10, Drop: 5},
	}}
	var in, out, messagesIn, messagesOut int64
	for _, o := range list.Tunnels {
		t.Row(o.ID, o.Client, o.Site+" "+o.Route, o.Backend, Age(now.Sub(o.Opened)), Age(now.Sub(o.Moved)),
			Count(o.MessagesIn), Bytes(o.BytesIn), Count(o.MessagesOut), Bytes(o.BytesOut), Ping(o.PingSeconds), o.UserAgent)
		in, out = in+o.BytesIn, out+o.BytesOut
		messagesIn, messagesOut = messagesIn+o.MessagesIn, messagesOut+o.MessagesOut
	}
	total := plural(len(list.Tunnels), "tunnel", "tunnels")
	if len(list.Tunnels) < list.Open {
		total += " of " + Count(list.Open) + " open"
	} else {
		total += " open"
	}
	total += fmt.Sprintf(": %s (%s) in, %s (%s) out", plural(messagesIn, "message", "messages"), Bytes(in), plural(messagesOut, "message", "messages"), Bytes(out))
	return strings.Join(t.Lines(s), "\n") + "\n\n" + s.Paragraph("", total)
}
