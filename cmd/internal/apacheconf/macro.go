package apacheconf

import "strings"

// macro is a <Macro> of mod_macro.
type macro struct {
	name   string // as written
	params []string
	lines  []line
}

// macro reads a macro's lines off the stream, up to its </Macro>.
func (r *reader) macro(s *stream, at Position, args []string) {
	m := &macro{}
	for nested := 0; ; {
		l, ok := s.next()
		if !ok {
			r.note(at, "<Macro> is not closed; it ends with the file, or write </Macro>")
			break
		}
		if !r.spend(l.Position, len(l.text)) {
			return
		}
		if strings.HasPrefix(l.text, "<") {
			name, _, _ := head(l.text)
			if strings.EqualFold(name, "Macro") {
				nested++
			} else if strings.EqualFold(name, "/Macro") {
				nested--
			}
		}
		if nested < 0 {
			break
		}
		m.lines = append(m.lines, l)
	}
	if len(args) == 0 {
		r.note(at, "<Macro> has no name; it is left out")
		return
	}
	m.name = args[0]
	for _, param := range args[1:] {
		// /IgnoreEmpty and /IgnoreBadNesting only silence warnings.
		if param != "" && param[0] != '/' {
			m.params = append(m.params, param)
		}
	}
	r.macros[strings.ToLower(m.name)] = m
}

// use puts the lines of a macro, its parameters filled in, before those that
// follow Use.
func (r *reader) use(s *stream, at Position, args []string) {
	if len(args) == 0 {
		r.note(at, "Use names no macro")
		return
	}
	name, args := args[0], args[1:]
	m, known := r.macros[strings.ToLower(name)]
	switch {
	case !known:
		r.note(at, "Use %s: no such macro is defined before this line; what it stands for is missing", name)
		return
	case len(args) != len(m.params):
		r.note(at, "Use %s with %d arguments instead of %d; what it stands for is missing", m.name, len(args), len(m.params))
		return
	case s.uses(m):
		r.note(at, "macro %s uses itself; it is not expanded again", m.name)
		return
	case len(s.spans) > maxDepth:
		r.note(at, "Use %s is not followed: it is the %dth within another", m.name, maxDepth)
		return
	}
	lines := make([]line, len(m.lines))
	for i, l := range m.lines {
		text := m.fill(l.text, args)
		if !r.spend(l.Position, len(text)) {
			return
		}
		lines[i] = line{l.Position, text}
	}
	s.spans = append(s.spans, span{lines, m})
}

// fill replaces the parameters in text: the one that stands first, the longest
// of several at one place. They are texts, not words: $name is found in
// $names. One with @ in front is put in quotes.
func (m *macro) fill(text string, args []string) string {
	var b strings.Builder
	for b.Len() <= maxLine {
		which, at := -1, 0
		for i, param := range m.params {
			found := strings.Index(text, param)
			if found >= 0 && (which < 0 || found < at || found == at && len(param) > len(m.params[which])) {
				which, at = i, found
			}
		}
		if which < 0 {
			break
		}
		b.WriteString(text[:at])
		if m.params[which][0] == '@' {
			b.WriteString(`"` + quoteEscapes.Replace(args[which]) + `"`)
		} else {
			b.WriteString(args[which])
		}
		text = text[at+len(m.params[which]):]
	}
	b.WriteString(text)
	return b.String()
}

var quoteEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
