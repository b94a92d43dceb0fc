package apacheconf

import (
	"slices"
	"strings"
)

// frame is a section that is being read.
type frame struct {
	name string
	at   Position
	into *[]*Directive // where its content goes
	left bool          // its content is left out, but for the nesting of sections
}

// stream is the lines that are being carried out: those of a file, and before
// them those of the macros in use, innermost last.
type stream struct {
	spans []span
}

type span struct {
	lines []line
	macro *macro // nil for a file
}

// next takes the next line off the stream.
func (s *stream) next() (line, bool) {
	for len(s.spans) > 0 {
		last := &s.spans[len(s.spans)-1]
		if len(last.lines) > 0 {
			l := last.lines[0]
			last.lines = last.lines[1:]
			return l, true
		}
		s.spans = s.spans[:len(s.spans)-1]
	}
	return line{}, false
}

// uses says whether m is being carried out.
func (s *stream) uses(m *macro) bool {
	return slices.ContainsFunc(s.spans, func(x span) bool { return x.macro == m })
}

// run carries out the lines within the section around. Sections end in the
// file in which they begin.
func (r *reader) run(s *stream, around frame) {
	sections := []frame{around}
	for {
		l, ok := s.next()
		if !ok {
			break
		}
		if !r.spend(l.Position, len(l.text)) {
			break
		}
		inner := sections[len(sections)-1]
		switch {
		case strings.HasPrefix(l.text, "</"):
			sections = r.end(l, sections)
		case inner.left:
			if strings.HasPrefix(l.text, "<") {
				name, _, _ := head(l.text)
				sections = append(sections, frame{name: name, at: l.Position, left: true})
			}
		default:
			if f, begun := r.directive(s, l, inner, len(sections)); begun {
				sections = append(sections, f)
			}
		}
	}
	for _, f := range slices.Backward(sections[1:]) {
		r.note(f.at, "<%s> is not closed; it ends with the file, or write </%s>", f.name, f.name)
	}
}

// end closes the section that l names. One that is open further out ends those
// within it as well.
func (r *reader) end(l line, sections []frame) []frame {
	name, behind, _ := strings.Cut(strings.TrimPrefix(l.text, "</"), ">")
	name = strings.Trim(name, space)
	if strings.Trim(behind, space) != "" {
		r.note(l.Position, "text behind </%s>, with which Apache does not start", name)
	}
	for i := len(sections) - 1; i > 0; i-- {
		if !strings.EqualFold(sections[i].name, name) {
			continue
		}
		for _, f := range slices.Backward(sections[i+1:]) {
			r.note(l.Position, "</%s> closes the <%s> of %v as well, which is still open; write </%s> before it", name, f.name, f.at, f.name)
		}
		return sections[:i]
	}
	r.note(l.Position, "</%s> without a <%s> before it in this file", name, name)
	return sections
}

// directive carries out a line that is no section's end: into is where it
// stands, nesting how many sections it stands in. It returns the section that
// the line begins, if any.
func (r *reader) directive(s *stream, l line, inner frame, nesting int) (begun frame, section bool) {
	text := r.expand(l.Position, l.text)
	if len(text) > maxLine {
		r.note(l.Position, "with its variables expanded the line has more than %d bytes; it is left out", maxLine)
		return frame{}, false
	}
	if !r.spend(l.Position, len(text)) {
		return frame{}, false
	}
	if strings.HasPrefix(text, "<") {
		return r.begin(s, l, text, inner, nesting)
	}
	name, rest, _ := word(strings.TrimLeft(text, space))
	if name == "" {
		return frame{}, false
	}
	args := r.args(l.Position, rest)
	switch strings.ToLower(name) {
	case "include", "includeoptional":
		r.include(l, args, strings.EqualFold(name, "IncludeOptional"), inner)
		return frame{}, false
	case "use":
		r.use(s, l.Position, args)
		return frame{}, false
	case "define", "undefine", "undefmacro":
		r.name(l.Position, name, args)
		return frame{}, false
	case "error":
		r.note(l.Position, "Apache does not start with this configuration: it says %q here", strings.Join(args, " "))
		return frame{}, false
	case "loadmodule":
		r.load(args)
	case "serverroot":
		if len(args) == 1 {
			r.serverRoot = args[0]
			r.environment = nil
		}
	}
	*inner.into = append(*inner.into, &Directive{Position: l.Position, Name: name, Args: args, Raw: l.text})
	return frame{}, false
}

// begin begins a section: text is the line with its variables expanded.
func (r *reader) begin(s *stream, l line, text string, inner frame, nesting int) (frame, bool) {
	name, rest, closed := head(text)
	if !closed {
		r.note(l.Position, "<%s has no \">\" at its end; write one", name)
	}
	if strings.EqualFold(name, "Macro") {
		r.macro(s, l.Position, r.args(l.Position, rest))
		return frame{}, false
	}
	f := frame{name: name, at: l.Position, into: inner.into}
	if name == "" {
		r.note(l.Position, "a section without a name; it is left out")
		f.left = true
		return f, true
	}
	if conditional(name) {
		f.left = !r.met(l.Position, name, rest)
		return f, true
	}
	if nesting > maxNesting {
		r.note(l.Position, "<%s> is the %dth section within a section; it is left out", name, nesting)
		f.left = true
		return f, true
	}
	d := &Directive{Position: l.Position, Name: name, Args: r.args(l.Position, rest), Raw: l.text, Section: true}
	*inner.into = append(*inner.into, d)
	f.into = &d.Children
	return f, true
}

// head cuts the first line of a section into its name and what stands behind
// it, up to the last ">". closed says whether that is there.
func head(text string) (name, rest string, closed bool) {
	text = strings.TrimPrefix(text, "<")
	end := strings.IndexAny(text, space)
	if end < 0 {
		end = len(text)
	}
	if name, closed = strings.CutSuffix(text[:end], ">"); closed {
		return name, "", true
	}
	rest = text[end:]
	last := strings.LastIndexByte(rest, '>')
	if last < 0 {
		return name, strings.Trim(rest, space), false
	}
	return name, strings.Trim(rest[:last], space), true
}

// args are the words of s.
func (r *reader) args(at Position, s string) []string {
	all, open := words(s)
	if open {
		r.note(at, "a quote is not closed; Apache reads on to the end of the line")
	}
	return all
}
