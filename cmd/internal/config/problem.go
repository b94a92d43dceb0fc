package config

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Position is a place in the configuration file. Line and Column begin at 1
// and count characters.
type Position struct {
	File   string
	Line   int
	Column int
}

func (p Position) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Problem is one mistake in the configuration file.
type Problem struct {
	Position
	// Field is the path to the value, such as sites[0].routes[2].app; empty
	// when the file is wrong as a whole.
	Field string
	// Message says what is wrong and what to write instead.
	Message string
	// Source is the text of the line.
	Source string
}

// Error is the position, the field and the message, and below it the line with
// a caret under the place.
func (p Problem) Error() string {
	head := p.Position.String() + ": "
	if p.Field != "" {
		head += p.Field + ": "
	}
	return head + p.Message + p.excerpt()
}

// maxExcerpt is how much of a line is shown, in characters.
const maxExcerpt = 120

func (p Problem) excerpt() string {
	line := []rune(p.Source)
	if len(line) == 0 {
		return ""
	}
	column := min(p.Column-1, len(line))
	if column > maxExcerpt/2 && len(line) > maxExcerpt {
		cut := column - maxExcerpt/2
		line, column = line[cut:], maxExcerpt/2
	}
	line = line[:min(len(line), maxExcerpt)]
	under := make([]rune, 0, column)
	for i, r := range line {
		if r != '\t' && !unicode.IsPrint(r) {
			line[i] = '?'
		}
		if i >= column {
			continue
		}
		if r != '\t' { // a tab under a tab is as wide as it
			r = ' '
		}
		under = append(under, r)
	}
	number := fmt.Sprintf("%5d", p.Line)
	return fmt.Sprintf("\n%s | %s\n%s | %s^", number, string(line), strings.Repeat(" ", utf8.RuneCountInString(number)), string(under))
}

// Problems are all the mistakes in a configuration file, in the order of their
// positions.
type Problems []Problem

func (p Problems) Error() string {
	texts := make([]string, len(p))
	for i, problem := range p {
		texts[i] = problem.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap gives errors.As each Problem.
func (p Problems) Unwrap() []error {
	list := make([]error, len(p))
	for i, problem := range p {
		list[i] = problem
	}
	return list
}

func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// source is the text of a configuration file and the places of its values.
type source struct {
	name   string
	digest string // SHA-256 of the text as it was read, in hexadecimal
	lines  []string
	places map[string]place // by field path; "" is the whole file
}

// place is where a value stands.
type place struct {
	line, column int
	single       bool // a single value, not a mapping or a list
}

func newSource(name string, data []byte) *source {
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	return &source{name: name, digest: fmt.Sprintf("%x", sha256.Sum256(data)), lines: strings.Split(text, "\n"), places: map[string]place{}}
}

// problem makes a Problem at a line and column.
func (s *source) problem(line, column int, field, message string) Problem {
	p := Problem{Position: Position{s.name, max(line, 1), max(column, 1)}, Field: field, Message: message}
	if p.Line <= len(s.lines) {
		p.Source = withoutSecrets(strings.ToValidUTF8(s.lines[p.Line-1], "?"))
	}
	return p
}

// inlineSecret is a secret that stands in the file itself.
var inlineSecret = regexp.MustCompile(`\bsecret:\s*("[^"]*"?|'[^']*'?|[^\s,}]+)`)

// withoutSecrets has stars in their place: a line that is shown goes to logs and, of
// a reload that is refused, to the admin listener. Columns stay what they are.
func withoutSecrets(line string) string {
	return inlineSecret.ReplaceAllStringFunc(line, func(found string) string {
		value := inlineSecret.FindStringSubmatch(found)[1]
		return strings.TrimSuffix(found, value) + strings.Repeat("*", utf8.RuneCountInString(value))
	})
}

// locate makes a Problem of a field. A field that is not in the file is
// reported where it would stand, at the nearest value around it.
func (s *source) locate(field, message string) Problem {
	for path := field; ; path = parent(path) {
		at, ok := s.places[path]
		if !ok && path != "" {
			continue
		}
		if at.single {
			field = path // listen: 443 is no list in the file
		}
		return s.problem(at.line, at.column, field, message)
	}
}

// parent cuts the last .name or [index] from a path.
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}
