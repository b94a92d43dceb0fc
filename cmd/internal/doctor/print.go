package doctor

import (
	"fmt"
	"io"
	"strings"
)

// The colours of a terminal, by the meaning that they have everywhere.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	bold   = "\x1b[1m"
	plain  = "\x1b[0m"
)

// Print writes the report for a person; colour is for terminals.
func (r *Report) Print(w io.Writer, colour bool) error {
	var b strings.Builder
	paint := func(code, text string) string {
		if !colour || code == "" {
			return text
		}
		return code + text + plain
	}
	fmt.Fprintf(&b, "%s\n\n", paint(bold, r.Target))
	width := 0
	for _, s := range r.Steps {
		width = max(width, len(s.Name))
	}
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "  %s  %-*s  %s\n", paint(colourOf(s.Status), fmt.Sprintf("%-7s", s.Status)), width, s.Name, s.Detail)
	}
	b.WriteByte('\n')
	if r.Cause == nil {
		fmt.Fprintf(&b, "%s\n", paint(green, "No finding."))
		_, err := io.WriteString(w, b.String())
		return err
	}
	symptom := ""
	if r.Cause.Symptom != "" {
		symptom = ", " + r.Cause.Symptom
	}
	fmt.Fprintf(&b, "%s (%s%s)\n\nWhat was seen:\n", paint(bold, r.Cause.Sentence), r.Cause.ID, symptom)
	for _, fact := range r.Cause.Evidence {
		fmt.Fprintf(&b, "  - %s\n", fact)
	}
	b.WriteString("\nWhat to do:\n")
	for _, f := range r.Cause.Fixes {
		fmt.Fprintf(&b, "  %s: %s\n", paint(bold, f.For), strings.ReplaceAll(f.Text, "\n", "\n  "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func colourOf(s Status) string {
	switch s {
	case OK:
		return green
	case Warning:
		return yellow
	case Failed:
		return red
	}
	return ""
}
