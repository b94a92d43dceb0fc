package screen

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"wsfront/cmd/internal/admin"
	"wsfront/proxy"
)

// someFailures is how many of the last failures stand in a status: all ten do not
// fit on a screen.
const someFailures = 3

// mostWrong is how much of what is wrong stands there, the worst.
const mostWrong = 10

// Status tells all of a server that fits on one screen, and first what is wrong.
func (s Style) Status(st admin.Status) string {
	var b strings.Builder
	head := fmt.Sprintf("wsfront %s, process %d, up %s: ", Clean(st.Version), st.PID, Age(st.Time.Sub(st.Started)))
	state, tone := StateOf(st)
	b.WriteString(head + s.Paint(tone, state) + "\n")
	if wrong := WrongIn(st); len(wrong) > 0 {
		b.WriteString("\n" + s.Paint(Bad, "WRONG") + "\n")
		for _, w := range wrong[:min(len(wrong), mostWrong)] {
			b.WriteString(s.Paragraph("  "+Clean(w.What)+": ", w.Text))
			if w.Fix != "" {
				b.WriteString(s.Paragraph("    fix: ", w.Fix))
			}
		}
		if more := len(wrong) - mostWrong; more > 0 {
			b.WriteString(s.Cut(fmt.Sprintf("  ... and %s more: wsfront status --json", Count(more))) + "\n")
		}
	}
	b.WriteByte('\n')
	for _, line := range totals(st) {
		b.WriteString(s.Paragraph(fmt.Sprintf("%-12s", line[0]), line[1]))
	}
	if len(st.Sites) > 0 {
		b.WriteString("\n" + s.routes(st))
	}
	if len(st.Certificates) > 0 {
		b.WriteString("\n" + s.someCertificates(st.Time, st.Certificates))
	}
	if len(st.Failures) > 0 {
		b.WriteString("\n" + s.someFailures(st))
	}
	return b.String()
}

// StateOf says in a word whether a server should get traffic.
func StateOf(st admin.Status) (string, Tone) {
	switch {
	case st.State == "draining":
		return "DRAINING", Uneasy
	case len(st.NotReady) > 0:
		return "NOT READY", Bad
	}
	return "ready", Good
}

// totals are the lines of figures, each with its label.
func totals(st admin.Status) [][2]string {
	config := "by flags"
	if st.Config.File != "" {
		config = st.Config.File
	}
	if st.Config.Version != "" {
		config += ", version " + st.Config.Version
	}
	if !st.Config.Loaded.IsZero() {
		config += ", loaded " + ago(st.Time, st.Config.Loaded)
	}
	t := st.Tunnels
	lines := [][2]string{
		{"Config", config},
		{"Connections", tally(st.Connections, "none")},
		{"Requests", fmt.Sprintf("%s, %s failed; %s in, %s out", Count(st.Requests.Total), Count(st.Requests.Failed), Bytes(st.Requests.BytesIn), Bytes(st.Requests.BytesOut))},
		{"Tunnels", fmt.Sprintf("%s open, %s opened, %s refused", Count(t.Open), Count(t.Opened), Count(t.Refused))},
		{"Messages", fmt.Sprintf("%s (%s) in, %s (%s) out", Count(t.MessagesIn), Bytes(t.BytesIn), Count(t.MessagesOut), Bytes(t.BytesOut))},
	}
	if p := st.Push; p != nil {
		text := fmt.Sprintf("%s; %s; %s published, %s delivered", tally(p.Clients, "no client"), plural(p.Channels, "channel", "channels"), Count(p.Published), Count(p.Delivered))
		if p.Cut > 0 {
			text += fmt.Sprintf(", %s cut off since they did not read", plural(p.Cut, "client", "clients"))
		}
		lines = append(lines, [2]string{"Push", text})
	}
	if len(st.Limits) > 0 {
		var reached []string
		for _, name := range slices.Sorted(maps.Keys(st.Limits)) {
			if n := st.Limits[name]; n > 0 {
				reached = append(reached, name+" "+plural(n, "time", "times"))
			}
		}
		if len(reached) > 0 {
			lines = append(lines, [2]string{"Limits", "reached since the start: " + strings.Join(reached, ", ")})
		}
	}
	return lines
}

// tally writes what there is of each kind, without those of which there is none.
func tally(all map[string]int, none string) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		if n := all[kind]; n != 0 {
			parts = append(parts, Count(n)+" "+kind)
		}
	}
	if len(parts) == 0 {
		return none
	}
	return strings.Join(parts, ", ")
}

// routes is the table of all routes, under their sites.
func (s Style) routes(st admin.Status) string {
	t := Table{Columns: []Column{
		{Head: "  ROUTE", Least: 12}, {Head: "KIND", Drop: 1}, {Head: "TO", Least: 12}, {Head: "HEALTH"},
		{Head: "TUNNELS", Right: true}, {Head: "REQUESTS", Right: true}, {Head: "FAILED", Right: true},
	}}
	for _, site := range st.Sites {
		for _, r := range site.Routes {
			t.Rows = append(t.Rows, []Cell{
				{Text: "  " + r.Route}, {Text: r.Kind}, {Text: r.To}, HealthOf(r.Health),
				{Text: Count(r.Tunnels)}, {Text: Count(r.Requests)}, {Text: Count(r.Failed)},
			})
		}
	}
	lines := t.Lines(s)
	var b strings.Builder
	b.WriteString(lines[0] + "\n")
	lines = lines[1:]
	for _, site := range st.Sites {
		b.WriteString(s.Cut(Clean(site.Name+", tls: "+site.TLS)) + "\n")
		for range site.Routes {
			b.WriteString(lines[0] + "\n")
			lines = lines[1:]
		}
	}
	return b.String()
}

// HealthOf is the cell for a route's health.
func HealthOf(health string) Cell {
	switch health {
	case "up":
		return Cell{health, Good}
	case "degraded":
		return Cell{health, Uneasy}
	case "down":
		return Cell{"DOWN", Bad}
	case "":
		return Cell{"-", Plain}
	}
	return Cell{health, Plain}
}

// someFailures are the last few, in two lines each.
func (s Style) someFailures(st admin.Status) string {
	var b strings.Builder
	b.WriteString(s.Paint(Strong, "LAST FAILURES") + "  (in full: wsfront failures)\n")
	told := map[string]bool{}
	for _, f := range st.Failures[:min(len(st.Failures), someFailures)] {
		why, fix := WhyOf(f)
		b.WriteString(s.Cut(Clean(fmt.Sprintf("%s, %s: %s", ago(st.Time, f.Time), placeOf(st, f), why))) + "\n")
		if fix != "" && !told[fix] {
			told[fix] = true
			b.WriteString(s.Cut(Clean("  fix, "+fix)) + "\n")
		}
	}
	return b.String()
}

// placeOf says where something failed: the site is left out where there is one.
func placeOf(st admin.Status, f proxy.FailureState) string {
	place := f.Path
	if len(st.Sites) != 1 || place == "" {
		place = cmp.Or(f.Host, f.Site) + place
	}
	place = cmp.Or(place, f.Client)
	var more []string
	if f.Status != 0 {
		more = append(more, strconv.Itoa(f.Status))
	} else {
		more = append(more, f.Kind)
	}
	if f.Count > 1 {
		more = append(more, Count(f.Count)+" times")
	}
	return place + " (" + strings.Join(more, ", ") + ")"
}
