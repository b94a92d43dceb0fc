package top

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"wsfront/cmd/internal/screen"
)

// View draws the screen: how the server fares, its routes, and one list.
func (m *model) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	return v
}

// The least of a terminal in which something can be shown.
const (
	leastWidth  = 20
	leastHeight = 8
)

// lines are those of the screen, as many as it has.
func (m *model) lines() []string {
	style := screen.Style{Width: m.width, Colour: m.colour}
	var lines []string
	switch {
	case m.width < leastWidth || m.height < leastHeight:
		lines = []string{style.Cut("too small")}
	case m.help:
		lines = m.helpLines(style)
	default:
		lines = m.overview(style)
		lines = append(lines, m.list(style, m.height-len(lines)-1)...)
	}
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	lines = lines[:max(min(len(lines), m.height-1), 0)]
	return append(lines, m.bottom(style))
}

// silence says that the server does not answer, in the place of its state.
func (m *model) silence(style screen.Style) []string {
	text := fmt.Sprintf("NO ANSWER for %s, asking again: %v", screen.Age(time.Since(m.failedSince)), m.failed)
	return []string{style.Paint(screen.Bad, style.Cut(screen.Clean(text)))}
}

// overview is what is above the list.
func (m *model) overview(style screen.Style) []string {
	f := &m.frame
	var lines []string
	if m.failed != nil {
		lines = m.silence(style)
	}
	lines = append(lines, f.head(style)...)
	wrong := f.wrong(style)
	if room := max(m.height/6, 1); len(wrong) > room {
		wrong = append(wrong[:room:room], style.Cut(fmt.Sprintf("... and %d more: wsfront status", len(wrong)-room)))
	}
	lines = append(lines, wrong...)
	if room := m.height / 5; m.tab != routesTab && room > 1 && len(m.routes) > 0 {
		shown := m.routes[:min(len(m.routes), room)]
		lines = append(lines, "")
		lines = append(lines, routeTable(shown).Lines(style)...)
		if more := len(m.routes) - len(shown); more > 0 {
			lines = append(lines, style.Cut(fmt.Sprintf("... and %d more: tab", more)))
		}
	}
	return append(lines, "", m.tabLine(style))
}

// head is how the server fares as a whole.
func (f *Frame) head(style screen.Style) []string {
	st, r := &f.Status, &f.Rates
	state, tone := screen.StateOf(*st)
	first := fmt.Sprintf("wsfront %s, process %d, up %s: ", screen.Clean(st.Version), st.PID, screen.Age(f.age(st.Started)))
	lines := []string{style.Cut(first + state)}
	if style.Width == 0 || len(first)+len(state) <= style.Width {
		lines[0] = first + style.Paint(tone, state)
	}
	texts := []string{
		fmt.Sprintf("Requests  %s/s, %s/s failed", screen.Rate(r.Requests), screen.Rate(r.Failed)),
		fmt.Sprintf("Tunnels   %s open, %s/s opened; messages %s/s in, %s/s out", screen.Count(f.Open), screen.Rate(r.Opened), screen.Rate(r.MessagesIn), screen.Rate(r.MessagesOut)),
		fmt.Sprintf("Bytes     %s/s in, %s/s out", screen.Bytes(r.BytesIn), screen.Bytes(r.BytesOut)),
	}
	if p := st.Push; p != nil {
		clients := 0
		for _, n := range p.Clients {
			clients += n
		}
		texts = append(texts, fmt.Sprintf("Push      clients %s, channels %s; %s/s published, %s/s delivered", screen.Count(clients), screen.Count(p.Channels), screen.Rate(r.Published), screen.Rate(r.Delivered)))
	}
	for _, text := range texts {
		lines = append(lines, style.Cut(text))
	}
	return lines
}

// wrong is what is not as it should be, a line each.
func (f *Frame) wrong(style screen.Style) []string {
	var lines []string
	for _, w := range screen.WrongIn(f.Status) {
		lines = append(lines, style.Paint(screen.Bad, style.Cut(screen.Clean("WRONG "+w.What+": "+w.Text))))
	}
	return lines
}

// tabLine names the lists, the one that is shown in brackets.
func (m *model) tabLine(style screen.Style) string {
	var parts []string
	for t := range tabs {
		part := fmt.Sprintf(" %s %s ", t, screen.Count(len(m.lists[t].keys)))
		if t == m.tab {
			part = "[" + part[1:len(part)-1] + "]"
		}
		parts = append(parts, part)
	}
	text := strings.Join(parts, " ")
	if m.tab == tunnelsTab {
		text += "  first by " + string(m.order)
		if listed := len(m.frame.Tunnels); listed < m.frame.Open {
			text += fmt.Sprintf(" (%s of %s)", screen.Count(listed), screen.Count(m.frame.Open))
		}
	}
	if m.filter != "" || m.editing {
		text += "  with: " + m.filter
		if m.editing {
			text += "_"
		}
	}
	return style.Paint(screen.Strong, style.Cut(screen.Clean(text)))
}

// list is the list that is shown, in so many lines.
func (m *model) list(style screen.Style, room int) []string {
	p := &m.lists[m.tab]
	detail := m.detail(style, room/2)
	m.room = max(room-1-len(detail), 1)
	from, to := p.view(m.room)
	marked := style
	marked.Width = max(style.Width-2, 1)
	lines := m.table(from, to).Lines(marked)
	for i := range lines {
		lines[i] = "  " + lines[i]
	}
	if len(p.keys) > 0 { // the chosen one, without the colours of its cells
		plain := m.table(from, to).Lines(screen.Style{Width: marked.Width})
		lines[1+p.row-from] = style.Paint(screen.Chosen, "> "+plain[1+p.row-from])
	}
	if len(p.keys) == 0 {
		lines = append(lines, "  none")
	}
	for len(lines) < room-len(detail) {
		lines = append(lines, "")
	}
	return append(lines, detail...)
}

// table is that of the shown list, with these rows.
func (m *model) table(from, to int) *screen.Table {
	switch m.tab {
	case channelsTab:
		return channelTable(m.channels[from:to])
	case failuresTab:
		return m.frame.failureTable(m.failures[from:to])
	case routesTab:
		return routeTable(m.routes[from:to])
	}
	return m.frame.tunnelTable(m.tunnels[from:to])
}

// detail is more of the chosen row, below the list.
func (m *model) detail(style screen.Style, room int) []string {
	p := &m.lists[m.tab]
	if len(p.keys) == 0 || room < 2 {
		return nil
	}
	var text string
	switch m.tab {
	case failuresTab:
		text = screen.Style{Width: style.Width}.Failures(m.frame.Status.Time, m.failures[p.row:p.row+1])
	case tunnelsTab:
		t := m.tunnels[p.row]
		text = fmt.Sprintf("%s %s to %s, %s messages (%s) in, %s (%s) out\n%s\n", t.Site, t.Route, t.Backend,
			screen.Count(t.MessagesIn), screen.Bytes(t.BytesIn), screen.Count(t.MessagesOut), screen.Bytes(t.BytesOut), t.UserAgent)
	default:
		return nil
	}
	lines := []string{""}
	for line := range strings.Lines(text) {
		lines = append(lines, style.Cut(screen.Clean(strings.TrimRight(line, "\n"))))
	}
	return lines[:min(len(lines), room)]
}

// bottom is the last line: a question, what came of an order, or the keys.
func (m *model) bottom(style screen.Style) string {
	switch {
	case m.closing != "":
		return style.Paint(screen.Strong, style.Cut("Close the tunnel "+screen.Clean(m.closing)+"? y closes it, any other key does not."))
	case m.editing:
		return style.Cut("Type a text; enter keeps it, esc ends it.")
	case m.note != "":
		return style.Cut(screen.Clean(m.note))
	case m.help:
		return style.Cut("Any key goes back.")
	}
	return style.Paint(screen.Faint, style.Cut("tab list  j k row  s order  / filter  x close  ? help  q end"))
}

func (m *model) helpLines(style screen.Style) []string {
	lines := []string{style.Paint(screen.Strong, "Keys of wsfront top"), ""}
	for _, k := range keys() {
		lines = append(lines, style.Cut(fmt.Sprintf("  %-16s %s", k[0], k[1])))
	}
	return lines
}
