package apacheimport

import (
	"fmt"
	"path/filepath"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// width is where lines of the report are broken.
const width = 100

// Report is the result for a person: what needs somebody first.
func (r *Result) Report() string {
	var b strings.Builder
	gaps := 0
	for _, n := range r.Notes {
		if n.Kind == NeedsYou {
			gaps++
		}
	}
	switch r.Verdict {
	case Complete:
		b.WriteString("Imported completely.\n")
	case Gaps:
		fmt.Fprintf(&b, "Imported with gaps: %s you.\n", counted(gaps, "thing needs", "things need"))
	default:
		b.WriteString("Refused: there is no configuration.\n")
	}
	single(&b, "Why", r.of(Refused))
	single(&b, "Needs you", r.of(NeedsYou))
	var traps, general []Note
	for _, n := range r.of(Remark) {
		if len(n.Positions) > 0 {
			traps = append(traps, n)
		} else {
			general = append(general, n)
		}
	}
	single(&b, "Good to know", traps)
	single(&b, "Otherwise than in Apache", general)
	grouped(&b, "Imported", r.of(Imported))
	grouped(&b, "Not needed here", r.of(NotNeeded))
	for _, w := range r.Ways {
		fmt.Fprintf(&b, "\n%s\n\n", w.Title)
		for line := range strings.SplitSeq(w.Text, "\n") {
			b.WriteString(strings.TrimRight("  "+line, " ") + "\n")
		}
	}
	return b.String()
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func (r *Result) of(k Kind) []Note {
	var list []Note
	for _, n := range r.Notes {
		if n.Kind == k {
			list = append(list, n)
		}
	}
	return list
}

// single writes notes one by one.
func single(b *strings.Builder, title string, notes []Note) {
	if len(notes) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	for _, n := range notes {
		head := places(n.Positions)
		if n.Directive != "" {
			head += " " + n.Directive
		}
		if head == "" {
			wrap(b, "  - ", n.Message)
			continue
		}
		b.WriteString("  " + head + "\n")
		wrap(b, "      ", n.Message)
	}
}

// grouped writes notes of one reason together.
func grouped(b *strings.Builder, title string, notes []Note) {
	if len(notes) == 0 {
		return
	}
	file := oneFile(notes)
	if file != "" {
		title += " (lines of " + printable(filepath.Base(file), 100) + ")"
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	var reasons []string
	lists := map[string][]string{}
	for _, n := range notes {
		if _, ok := lists[n.Message]; !ok {
			reasons = append(reasons, n.Message)
		}
		where := places(inFolder(n.Positions))
		if file != "" {
			where = strings.TrimPrefix(where, printable(filepath.Base(file), 200)+":")
		}
		lists[n.Message] = append(lists[n.Message], strings.TrimSpace(n.Directive+" "+where))
	}
	for _, reason := range reasons {
		text := strings.Join(lists[reason], "; ")
		if reason == "" {
			wrap(b, "  ", text)
			continue
		}
		wrap(b, "  ", reason+":")
		wrap(b, "      ", text)
	}
}

// oneFile is the file that all notes are about, or "".
func oneFile(notes []Note) string {
	file := ""
	for _, n := range notes {
		for _, p := range n.Positions {
			if file != "" && p.File != file {
				return ""
			}
			file = p.File
		}
	}
	return file
}

// places are positions, those of one file together.
func places(list []apacheconf.Position) string {
	var b strings.Builder
	for i, p := range list {
		switch {
		case i > 0 && list[i-1].File == p.File:
			fmt.Fprintf(&b, ", %d", p.Line)
			continue
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(printable(p.String(), 200))
	}
	return b.String()
}

// inFolder are positions without the folders of their files: enough to find
// what needs nobody.
func inFolder(list []apacheconf.Position) []apacheconf.Position {
	short := make([]apacheconf.Position, len(list))
	for i, p := range list {
		short[i] = apacheconf.Position{File: filepath.Base(p.File), Line: p.Line}
	}
	return short
}

// wrap writes a text in lines that are indented and not too long. The first
// has indent as it is, the others as much space.
func wrap(b *strings.Builder, indent, text string) {
	space := strings.Repeat(" ", len(indent))
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width && len(line) > len(indent) {
			b.WriteString(line + "\n")
			line = space
		}
		if len(line) > len(indent) {
			line += " "
		}
		line += word
	}
	if len(line) > len(indent) {
		b.WriteString(line + "\n")
	}
}
