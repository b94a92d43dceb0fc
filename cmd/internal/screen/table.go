package screen

import (
	"slices"
	"strings"
)

// gap is between two columns.
const gap = 2

// Column is a column of a table.
type Column struct {
	Head  string
	Right bool // for figures
	// Least is how narrow it may become where there is no room, 0 for one that is
	// not to be cut.
	Least int
	// Drop is for what can be left out where there is no room: the greatest goes
	// first, 0 stays.
	Drop int
}

// Cell is a text of a table, as it came.
type Cell struct {
	Text string
	Tone Tone
}

// Table lays cells out in columns.
type Table struct {
	Columns []Column
	Rows    [][]Cell
}

// Row adds a row of texts without a tone.
func (t *Table) Row(texts ...string) {
	row := make([]Cell, len(texts))
	for i, text := range texts {
		row[i].Text = text
	}
	t.Rows = append(t.Rows, row)
}

// Lines writes the table for a style: its head, and a line for each row. The
// cells are cleaned.
func (t *Table) Lines(s Style) []string {
	for _, row := range t.Rows {
		for i := range row {
			row[i].Text = Clean(row[i].Text)
		}
	}
	shown, widths := t.layout(s.Width)
	lines := make([]string, 0, len(t.Rows)+1)
	head := make([]Cell, len(t.Columns))
	for i, c := range t.Columns {
		head[i] = Cell{c.Head, Strong}
	}
	lines = append(lines, t.line(s, head, shown, widths))
	for _, row := range t.Rows {
		lines = append(lines, t.line(s, row, shown, widths))
	}
	return lines
}

// layout says which columns are shown, and how wide each is.
func (t *Table) layout(width int) (shown, widths []int) {
	widths = make([]int, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = textWidth(c.Head)
		for _, row := range t.Rows {
			widths[i] = max(widths[i], textWidth(row[i].Text))
		}
		shown = append(shown, i)
	}
	if width <= 0 {
		return shown, widths
	}
	for t.least(shown, widths) > width {
		last := slices.MaxFunc(shown, func(a, b int) int { return t.Columns[a].Drop - t.Columns[b].Drop })
		if t.Columns[last].Drop == 0 {
			break
		}
		shown = slices.DeleteFunc(shown, func(i int) bool { return i == last })
	}
	excess := gap*(len(shown)-1) - width
	for _, i := range shown {
		excess += widths[i]
	}
	for ; excess > 0; excess-- { // from the widest of those that can be cut
		widest := -1
		for _, i := range shown {
			if c := t.Columns[i]; c.Least > 0 && widths[i] > c.Least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return shown, widths
}

// least is how narrow these columns can become together.
func (t *Table) least(shown, widths []int) int {
	sum := gap * (len(shown) - 1)
	for _, i := range shown {
		if least := t.Columns[i].Least; least > 0 {
			sum += min(widths[i], least)
		} else {
			sum += widths[i]
		}
	}
	return sum
}

// line writes a row.
func (t *Table) line(s Style, row []Cell, shown, widths []int) string {
	var b strings.Builder
	used := 0
	for n, i := range shown {
		width := widths[i]
		if s.Width > 0 { // where there is no room at all
			width = max(min(width, s.Width-used), 0)
		}
		text := fit(row[i].Text, width)
		space := strings.Repeat(" ", max(width-textWidth(text), 0))
		last := n == len(shown)-1
		switch {
		case t.Columns[i].Right:
			b.WriteString(space + s.Paint(row[i].Tone, text))
		case last:
			b.WriteString(s.Paint(row[i].Tone, text))
		default:
			b.WriteString(s.Paint(row[i].Tone, text) + space)
		}
		used += widths[i] + gap
		if last || s.Width > 0 && used >= s.Width {
			break
		}
		b.WriteString(strings.Repeat(" ", gap))
	}
	return strings.TrimRight(b.String(), " ")
}
