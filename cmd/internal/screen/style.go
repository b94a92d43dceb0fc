package screen

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Style is how that is written to which the text goes.
type Style struct {
	// Width is how many columns there are, 0 where there is no end to a line: in a
	// file or pipe.
	Width int
	// Colour says that the escapes of a terminal may be used. Nothing is told by
	// them alone.
	Colour bool
}

// Tone is what a text is to be taken for.
type Tone string

// The tones, by the escapes that have this meaning everywhere.
const (
	Plain  Tone = ""
	Strong Tone = "\x1b[1m"
	Faint  Tone = "\x1b[2m"
	Chosen Tone = "\x1b[7m"
	Bad    Tone = "\x1b[31m"
	Good   Tone = "\x1b[32m"
	Uneasy Tone = "\x1b[33m"

	endTone = "\x1b[0m"
)

// Paint gives a clean text its tone.
func (s Style) Paint(tone Tone, clean string) string {
	if !s.Colour || tone == Plain || clean == "" {
		return clean
	}
	return string(tone) + clean + endTone
}

// Cut shortens a clean text to the width.
func (s Style) Cut(clean string) string {
	if s.Width <= 0 {
		return clean
	}
	return fit(clean, s.Width)
}

// fit shortens a clean text to some columns, by an ellipsis.
func fit(clean string, columns int) string {
	if len(clean) <= columns || textWidth(clean) <= columns {
		return clean
	}
	return ansi.Truncate(clean, columns, "…")
}

// textWidth is how many columns a text takes.
func textWidth(clean string) int {
	if plain(clean) {
		return len(clean)
	}
	return ansi.StringWidth(clean)
}

// Paragraph writes a text behind a label, in lines of the width that begin below
// the text's beginning. Lines of the text that begin with a space are to be copied
// by the reader, and stay as they are.
func (s Style) Paragraph(label, text string) string {
	indent := strings.Repeat(" ", textWidth(label))
	room := s.Width - len(indent)
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = Clean(strings.TrimRight(line, "\n"))
		pieces := []string{line}
		if s.Width > 0 && room > 10 && !strings.HasPrefix(line, " ") {
			pieces = strings.Split(ansi.Wrap(line, room, ""), "\n")
		}
		for _, piece := range pieces {
			b.WriteString(label + piece + "\n")
			label = indent
		}
	}
	return b.String()
}
