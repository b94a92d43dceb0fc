package proxy

import (
	"fmt"
	"strings"

	"wsfront/proxy/http1"
)

// accessForm is the form of a line: its parts, one behind the other. It is made
// once, and never changed.
type accessForm struct {
	parts []accessPart
	// answers are the fields of answers that parts show: see noteAnswer.
	answers []fieldName
}

// accessPart writes a part of a line, by one of its functions. A figure has to
// wait until all is over; a tunnel, which may last for days, keeps the text of all
// other parts and nothing else.
type accessPart struct {
	text   func(b []byte, x *exchange) []byte
	figure func(b []byte, f figures) []byte
}

// figureGap stands for a figure in a line that is kept. All texts are escaped,
// so that none holds it.
const figureGap = 0

var (
	combinedForm = accessForm{parts: []accessPart{{text: appendCombinedHead}, {figure: appendCombinedFigures}, {text: appendCombinedTail}}}
	jsonForm     = accessForm{parts: []accessPart{{text: appendJSONHead}, {figure: appendJSONFigures}, {text: appendJSONTail}}}
)

// isOwn reports whether a form is written by directives.
func (f AccessFormat) isOwn() bool { return strings.Contains(string(f), "%") }

// Validate says what is wrong with a format, and what to write instead.
func (f AccessFormat) Validate() error {
	_, err := f.form()
	return err
}

// form makes the form that is described, nil for off. Its error says what to
// write instead.
func (f AccessFormat) form() (*accessForm, error) {
	switch {
	case f == AccessOff:
		return nil, nil
	case f == AccessJSON:
		return &jsonForm, nil
	case f == AccessCombined, f == "":
		return &combinedForm, nil
	case f.isOwn():
		return compileAccessForm(string(f))
	}
	return nil, fmt.Errorf("%q is no form of the access log; write combined, json or off, or a format of your own such as '%%h %%t \"%%r\" %%>s %%b %%L'", f)
}

// compileAccessForm reads a format with the directives of Apache's
// mod_log_config.
func compileAccessForm(format string) (*accessForm, error) {
	f := &accessForm{}
	for rest := format; rest != ""; {
		if rest[0] != '%' {
			literal, _, _ := strings.Cut(rest, "%")
			rest = rest[len(literal):]
			literal = strings.ReplaceAll(literal, `\t`, "\t")
			if err := checkLiteral(literal); err != nil {
				return nil, err
			}
			f.literal(literal)
			continue
		}
		directive, n, err := cutDirective(rest)
		if err != nil {
			return nil, err
		}
		if err := f.add(directive); err != nil {
			return nil, fmt.Errorf("%s %w", rest[:n], err)
		}
		rest = rest[n:]
	}
	f.literal("\n")
	return f, nil
}

func checkLiteral(literal string) error {
	switch {
	case strings.Contains(literal, `\n`), strings.Contains(literal, "\n"):
		return fmt.Errorf("a request has one line, which ends by itself; remove the line's end")
	case hasControl(strings.ReplaceAll(literal, "\t", "")):
		return fmt.Errorf("%q holds a control character; write spaces, or \\t for a tab", literal)
	}
	return nil
}

// accessDirective is a directive, such as %{Referer}i, in its parts.
type accessDirective struct {
	argument string
	braces   bool // there is one
	verb     byte
}

// cutDirective reads the directive at the beginning of a text, and how long it
// is. Apache's < and > ask for the request before or after an internal redirect,
// of which there are none here.
func cutDirective(text string) (d accessDirective, n int, err error) {
	for n = 1; n < len(text) && (text[n] == '<' || text[n] == '>'); n++ {
	}
	if n < len(text) && (text[n] == '!' || '0' <= text[n] && text[n] <= '9') {
		return d, n, fmt.Errorf("%s: a condition on the status is not known here; remove it, and filter when reading", beginning(text))
	}
	if n < len(text) && text[n] == '{' {
		end := strings.IndexByte(text[n:], '}')
		if end < 0 {
			return d, n, fmt.Errorf("%s has no end; write a } as in %%{Referer}i", beginning(text))
		}
		d.argument, d.braces = text[n+1:n+end], true
		n += end + 1
	}
	if n >= len(text) {
		return d, n, fmt.Errorf("%s is no directive; write %%%% for a %%", text)
	}
	d.verb = text[n]
	return d, n + 1, nil
}

// beginning is as much of a format as a message shows.
func beginning(text string) string {
	if len(text) > 20 {
		return text[:20] + "..."
	}
	return text
}

// line writes a whole line.
func (f *accessForm) line(b []byte, x *exchange, known figures) []byte {
	for i := range f.parts {
		if p := &f.parts[i]; p.text != nil {
			b = p.text(b, x)
		} else {
			b = p.figure(b, known)
		}
	}
	return b
}

// literal adds a text that stands for itself.
func (f *accessForm) literal(text string) {
	f.parts = append(f.parts, accessPart{text: func(b []byte, _ *exchange) []byte { return append(b, text...) }})
}

// add adds a directive's part.
func (f *accessForm) add(d accessDirective) error {
	switch {
	case d.verb == '%' && !d.braces:
		f.literal("%")
		return nil
	case d.verb == 't':
		return f.addTime(d.argument)
	case d.verb == 'T' && d.braces:
		return f.addDuration(d.argument)
	case d.verb == 'i' && d.braces:
		return f.addRequestField(d.argument)
	case d.verb == 'o' && d.braces:
		return f.addAnswerField(d.argument)
	}
	name := string(d.verb)
	if d.braces {
		name = "{" + d.argument + "}" + name
	}
	if text := accessTexts(name); text != nil {
		f.parts = append(f.parts, accessPart{text: text})
		return nil
	}
	if figure := accessFigures(name); figure != nil {
		f.parts = append(f.parts, accessPart{figure: figure})
		return nil
	}
	return fmt.Errorf("is unknown; %s", accessAdvice(d))
}

// accessAdvice says what to write instead of a directive that is none here.
func accessAdvice(d accessDirective) string {
	switch d.verb {
	case 'i', 'o':
		return "write a field's name, as in %{Referer}" + string(d.verb)
	case 'C':
		return "write %{Cookie}i for all cookies"
	case 'e', 'n':
		return "write %L for the id of the request, or remove it: there are no variables and notes here"
	case 'S', 'I':
		return "write %B for the bytes of the answer's body, or %{in}L for what came through a tunnel"
	case 'A', 'f', 'k', 'P', 'R', 'X', 'Q':
		return "remove it: it says nothing here; %{route}L names the route that answered"
	}
	return "remove it, or write one of %a %b %B %D %h %H %{NAME}i %l %L %m %{NAME}o %O %p %q %r %s %t %T %u %U %v %V, and %% for a %"
}

func (f *accessForm) addRequestField(name string) error {
	known := http1.Lookup(name)
	switch {
	case !isToken(name):
		return fmt.Errorf("%q is no field name; write one such as %%{Referer}i", name)
	case known == http1.Authorization, known == http1.ProxyAuthorization:
		return fmt.Errorf("would write passwords to the log; write %%u for the user's name")
	}
	looked := fieldName{known: known, lower: strings.ToLower(name)}
	f.parts = append(f.parts, accessPart{text: func(b []byte, x *exchange) []byte { return appendListed(b, x.req.Fields, looked) }})
	return nil
}

func (f *accessForm) addAnswerField(name string) error {
	if !isToken(name) {
		return fmt.Errorf("%q is no field name; write one such as %%{Content-Type}o", name)
	}
	i := len(f.answers)
	f.answers = append(f.answers, fieldName{known: http1.Lookup(name), lower: strings.ToLower(name)})
	f.parts = append(f.parts, accessPart{text: func(b []byte, x *exchange) []byte {
		if i < len(x.noted) {
			return append(b, x.noted[i]...)
		}
		return append(b, '-')
	}})
	return nil
}

// isField reports whether a field is the one that is looked for.
func (n fieldName) isField(f *http1.Field) bool {
	return f.Known == n.known && (n.known != http1.Other || equalFold(f.Name, n.lower))
}

// appendListed writes the values of a field as one list (RFC 9110 §5.3), or a
// dash.
func appendListed(b []byte, fields []http1.Field, name fieldName) []byte {
	before := len(b)
	for i := range fields {
		if f := &fields[i]; name.isField(f) {
			if len(b) > before {
				b = append(b, ", "...)
			}
			b = appendApache(b, f.Value)
		}
	}
	if len(b) == before {
		b = append(b, '-')
	}
	return b
}

// noteAnswer keeps the fields of an answer that its line shows: when that is
// written, their memory is another answer's.
func (a *accessLog) noteAnswer(x *exchange) {
	if a == nil || a.form == nil || len(a.form.answers) == 0 {
		return
	}
	x.noted = x.noted[:0]
	for _, name := range a.form.answers {
		from := len(x.scratch)
		x.scratch = appendListed(x.scratch, x.fields, name)
		x.noted = append(x.noted, x.scratch[from:len(x.scratch):len(x.scratch)])
	}
}
