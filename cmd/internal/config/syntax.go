package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// example is the least that serves something; it is shown where the file says
// nothing at all.
const example = `sites: [{hosts: [app.example.com], routes: [{path: /, app: "http://127.0.0.1:8080"}]}]`

// Parse reads and checks the text of a configuration file. name is what
// positions call it. The error is Problems with every mistake.
func Parse(name string, data []byte) (*File, error) {
	s := newSource(name, data)
	root, problems := s.syntax(data)
	if root == nil {
		return nil, problems
	}
	f := &File{source: s}
	d := decoder{source: s, problems: problems}
	d.value(root, reflect.ValueOf(f).Elem(), field{typ: reflect.TypeFor[File]()}, "")
	problems = d.problems
	for _, mistake := range f.check() {
		if !d.follows(mistake.Field) {
			problems = append(problems, s.locate(mistake.Field, mistake.Message))
		}
	}
	if len(problems) > 0 {
		problems.sort()
		return nil, problems
	}
	return f, nil
}

// follows reports whether a mistake in a field may only be the consequence of
// one that was reported: of a value in it, or around it, that was misread.
func (d *decoder) follows(field string) bool {
	for _, misread := range d.misread {
		if misread == "" || misread == field || within(misread, field) || within(field, misread) {
			return true
		}
	}
	return false
}

// within reports whether path is a part of the value at outer.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && rest != "" && (rest[0] == '.' || rest[0] == '[')
}

// syntax makes YAML nodes of the text. The node is nil when there is nothing
// that could be read.
func (s *source) syntax(data []byte) (*yaml.Node, Problems) {
	switch {
	case len(data) > maxFileSize:
		return nil, Problems{s.problem(1, 1, "", "the file is larger than 1MiB; name the configuration file")}
	case !utf8.Valid(data):
		line := 1 + bytes.Count(data[:validLength(data)], []byte("\n"))
		return nil, Problems{s.problem(line, 1, "", "the file is not UTF-8 text; save it as UTF-8")}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF) || err == nil && (len(doc.Content) == 0 || doc.Content[0].Tag == "!!null"):
		return nil, Problems{s.problem(1, 1, "", "the file says nothing; write at least "+example)}
	case err != nil:
		return nil, Problems{s.syntaxError(data, err)}
	}
	var problems Problems
	switch err := dec.Decode(&second); {
	case err == nil:
		problems = append(problems, s.problem(second.Line, second.Column, "", "a second document begins here; write everything in one, and remove the line ---"))
	case !errors.Is(err, io.EOF):
		problems = append(problems, s.syntaxError(data, err))
	}
	return doc.Content[0], problems
}

// validLength is the length of the beginning of data that is UTF-8.
func validLength(data []byte) int {
	n := 0
	for n < len(data) {
		r, size := utf8.DecodeRune(data[n:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		n += size
	}
	return n
}

var yamlErrorLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(?s:(.*))$`)

// syntaxError turns an error of the YAML parser, which speaks about its own
// states, into a problem with a place and a remedy.
func (s *source) syntaxError(data []byte, err error) Problem {
	parts := yamlErrorLine.FindStringSubmatch(err.Error())
	noticed, _ := strconv.Atoi(parts[1])
	reason := parts[2]
	line := min(s.firstBad(data, noticed), len(s.lines))
	text := s.lines[line-1]
	indent := len(text) - len(strings.TrimLeft(text, " \t"))
	if tab := strings.IndexByte(text[:indent], '\t'); tab >= 0 {
		return s.problem(line, tab+1, "", "a tab in the indentation; write spaces")
	}
	if strings.Contains(reason, "mapping values are not allowed") && s.lacksColon(line-1) {
		return s.problem(line-1, 1, "", "a key without its colon; write key: value")
	}
	message := fmt.Sprintf("this is not YAML (%s); look at the indentation and the quotes here and in the line before", reason)
	column := indent + 1
	for _, known := range []struct{ reason, at, message string }{
		{"mapping values are not allowed", "", "a second \": \" in one line, or a key deeper than its neighbours; put the value in quotes, or align the keys"},
		{"unknown anchor", "*", "aliases (*name) are not supported; write the value itself, in quotes if it begins with *"},
		{"cannot start any token", "@`%", "a value cannot begin with this character; put it in quotes"},
		{"alphabetic or numeric", "*&", "a value cannot begin with this character; put it in quotes"},
		{"control characters", "", "the line holds a control character; remove it"},
		{"could not find expected ':'", "", "a key without its colon, or a quote that is not closed; write key: value"},
		{"unexpected end of stream", "\"'", "a quote that is opened here is not closed; close it"},
		{"',' or ']'", "[", "a bracket that is opened here is not closed; write ]"},
		{"',' or '}'", "{", "a bracket that is opened here is not closed; write }"},
		{"did not find expected", "", "this line does not fit the indentation of those before; align keys and \"- \" of one level"},
	} {
		if !strings.Contains(reason, known.reason) {
			continue
		}
		message = known.message
		if i := strings.IndexAny(text, known.at); i >= 0 {
			column = utf8.RuneCountInString(text[:i]) + 1
		}
		break
	}
	return s.problem(line, column, "", message)
}

// lacksColon reports whether a line holds words that no colon makes a key.
func (s *source) lacksColon(line int) bool {
	if line < 1 {
		return false
	}
	text, _, _ := strings.Cut(s.lines[line-1], "#")
	return strings.TrimSpace(text) != "" && !strings.ContainsAny(text, ":-[]{}\"'")
}

// firstBad finds the first line with which the text is no longer YAML. The
// parser's own number is where it noticed, which for a bracket that is not
// closed may be far below, or missing.
func (s *source) firstBad(data []byte, noticed int) int {
	// Enough for any file that a person writes; the work is attempts times
	// length.
	const attempts, maxLength = 200, 64 << 10
	lines := bytes.SplitAfter(data, []byte("\n"))
	if noticed < 1 || noticed > len(lines) {
		noticed = len(lines)
	}
	if len(data) > maxLength {
		return noticed
	}
	length := 0
	for _, l := range lines[:min(noticed+1, len(lines))] {
		length += len(l)
	}
	for n, tries := min(noticed+1, len(lines)), 0; n > 0 && tries < attempts; n, tries = n-1, tries+1 {
		var doc yaml.Node
		if err := yaml.Unmarshal(data[:length], &doc); err == nil {
			return min(n+1, len(lines))
		}
		length -= len(lines[n-1])
	}
	if noticed < attempts {
		return 1
	}
	return noticed
}
