package apacheimport

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"wsfront/cmd/internal/apacheconf"
)

// emitter writes YAML: the little of it that a configuration needs.
type emitter struct{ b strings.Builder }

func (e *emitter) line(indent int, text string) {
	e.b.WriteString(strings.Repeat(" ", indent) + text + "\n")
}

// comment names the lines that what follows comes from.
func (e *emitter) comment(indent int, from []*apacheconf.Directive) {
	for _, d := range from {
		e.line(indent, "# "+printable(d.Position.String(), 120)+" "+printable(d.Raw, 160))
	}
}

// plainForm is text that means itself in YAML, in flow lists as well when
// there is no colon in it.
var plainForm = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9/._~@=+-]*(:[A-Za-z0-9/._~@=+-]+)*$`)

// special are words that YAML takes for something else than text.
var special = regexp.MustCompile(`(?i)^(null|~|true|false|yes|no|on|off|y|n|[-+0-9.]+(e[-+0-9]+)?|0x[0-9a-f]+)$`)

// plain is a text in a place of its own.
func plain(s string) string {
	if plainForm.MatchString(s) && !special.MatchString(s) {
		return s
	}
	return quoted(s)
}

// inFlow is a text within brackets or braces.
func inFlow(s string) string {
	if strings.Contains(s, ":") {
		return quoted(s)
	}
	return plain(s)
}

func flowList(list []string) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = inFlow(s)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// quoted is a text in double quotes. Bytes that are no text become U+FFFD.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == utf8.RuneError || unicode.IsPrint(c):
			b.WriteRune(c)
		case c < 0x100:
			fmt.Fprintf(&b, `\x%02x`, c)
		case c < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// printable is a text on one line, cut when it is long, without what a
// terminal would obey.
func printable(s string, most int) string {
	var b strings.Builder
	count := 0
	for _, c := range s {
		if count == most {
			return b.String() + "..."
		}
		count++
		if c == '\t' || !unicode.IsPrint(c) {
			c = ' '
		}
		b.WriteRune(c)
	}
	return b.String()
}

// accessLog writes what is said of the access log.
func (im *importer) accessLog(e *emitter) {
	form := "combined"
	if im.accessForm != "" {
		form = quoted(im.accessForm)
	}
	switch {
	case len(im.skip) > 0:
		e.line(0, "access_log: {format: "+form+", skip: "+flowList(im.skip)+"}")
	case im.accessForm != "":
		e.line(0, "access_log: "+form)
	}
}

// yaml is the whole configuration.
func (im *importer) yaml(files []string) string {
	e := &emitter{}
	e.line(0, "# Made by wsfront import apache of")
	for _, f := range files {
		e.line(0, "#   "+printable(f, 200))
	}
	e.line(0, "# wsfront check says whether it is right, deploy/docs/configuration.md what the options mean.")
	im.listeners(e)
	im.accessLog(e)
	written := false
	for _, b := range im.balancerOrder {
		if !b.used || b.alias != nil || b.onlyOne() {
			continue
		}
		if !written {
			e.line(0, "pools:")
			written = true
		}
		b.yaml(e)
	}
	e.line(0, "sites:")
	for _, s := range im.sites {
		s.yaml(e)
	}
	return e.b.String()
}

// yaml is one site.
func (s *site) yaml(e *emitter) {
	e.comment(2, s.from)
	e.line(2, "- hosts: "+flowList(s.hosts))
	if s.tls != "" {
		e.line(4, "tls: "+s.tls)
	}
	for _, o := range s.options {
		e.line(4, o.name+": "+o.value)
	}
	e.line(4, "routes:")
	for _, r := range s.routes {
		r.yaml(e)
	}
}

// yaml is one route.
func (r route) yaml(e *emitter) {
	if r.why != "" {
		e.line(6, "# "+printable(r.why, 200))
	}
	e.comment(6, r.from)
	if r.match != "" {
		e.line(6, "- match: "+quoted(r.match))
	} else {
		e.line(6, "- path: "+plain(r.path))
	}
	e.line(8, r.kind+": "+r.target)
	for _, o := range r.options {
		e.line(8, o.name+": "+o.value)
	}
}
