package proxy

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// http2Case is one case of HTTP/2: the frames that a client sends, and the one
// outcome that is right.
type http2Case struct {
	script
	name, rfc string
	at        string // file and line
	frames    []http2Step
	streams   []wantStream
	others    bool     // streams that are not listed may have any outcome
	goAway    []string // any of these codes, or none; empty where the connection must not end
	settings  map[string]uint32
	sees      []wantRequest
	seesNone  bool
	atMost    int // requests that may reach a backend, where sees lists none; -1 for no such bound
	then      []string
}

// http2Step is a frame that the client sends, or a word in angle brackets.
type http2Step struct {
	do       string // a frame's type, or the word
	stream   uint32
	relative string // next or last instead of a number
	flags    http2.Flags
	pad      int // bytes of padding; -1 for none
	first    int // bytes of the header block that this frame takes; -1 for all that there are
	n        int // a type, an error code or a count
	numbers  map[string]uint32
	payload  []byte
	fields   []http2Field
	steps    []http2Step // of a repetition
}

// http2Field is a field of a header block, or bytes of HPACK as they are.
type http2Field struct {
	name, value string
	raw         []byte
}

// wantStream is what a stream must get in the end: one of its outcomes.
type wantStream struct {
	id       uint32
	outcomes []wantOutcome
	fields   wantFields
	trailer  wantFields
}

// wantOutcome is an answer, a reset, or nothing.
type wantOutcome struct {
	nothing bool
	status  int
	interim []int  // in order, before status
	cut     bool   // the answer ends by RST_STREAM, which must not be NO_ERROR
	reset   string // the code of an RST_STREAM without an answer
	body    *string
}

// readHTTP2Corpus reads the cases of testdata/conformance/http2*.txt.
func readHTTP2Corpus(t testing.TB) []http2Case {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(conformanceDir, "http2*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", conformanceDir, err)
	}
	var all []http2Case
	names := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases, err := parseHTTP2Cases(filepath.Base(file), string(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			if other, twice := names[c.name]; twice {
				t.Fatalf("%s: %q is the name of %s as well", c.at, c.name, other)
			}
			names[c.name] = c.at
		}
		all = append(all, cases...)
	}
	return all
}

// parseHTTP2Cases understands one file of cases.
func parseHTTP2Cases(file, text string) (cases []http2Case, err error) {
	var c *http2Case
	var block string // the key that indented lines belong to
	for number, line := range strings.Split(text, "\n") {
		at := fmt.Sprintf("%s:%d", file, number+1)
		name, begins := strings.CutPrefix(line, "=== ")
		switch {
		case strings.TrimSpace(line) == "", line[0] == '#':
			continue
		case begins:
			if c != nil {
				err = c.check()
			}
			cases = append(cases, http2Case{name: name, at: at, atMost: -1, settings: map[string]uint32{}})
			c, block = &cases[len(cases)-1], ""
		case c == nil:
			err = fmt.Errorf("no case has begun: === NAME")
		case strings.HasPrefix(line, "  "):
			err = c.addLine(block, line[2:])
		default:
			key, value, ok := strings.Cut(line, ":")
			if block = key; !ok {
				err = fmt.Errorf("%q is no KEY: VALUE", line)
			} else {
				err = c.set(key, strings.TrimSpace(value))
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
	}
	if c == nil {
		return nil, fmt.Errorf("%s: holds no case", file)
	}
	return cases, c.check()
}

var http2RFC = regexp.MustCompile(`^(9113|9110|7541|9218|6585) §[0-9]`)

// check finds what a case lacks.
func (c *http2Case) check() error {
	bounded := 0
	for _, said := range []bool{c.seesNone, len(c.sees) > 0, c.atMost >= 0} {
		if said {
			bounded++
		}
	}
	switch {
	case !http2RFC.MatchString(c.rfc):
		return fmt.Errorf("%s: rfc: %q names no section", c.at, c.rfc)
	case len(c.frames) == 0:
		return fmt.Errorf("%s: the client does nothing", c.at)
	case bounded != 1:
		return fmt.Errorf("%s: sees: lists each request, or says nothing or at most N", c.at)
	case len(c.then) == 0:
		return fmt.Errorf("%s: then: says kept or closed", c.at)
	case len(c.streams) == 0 && len(c.goAway) == 0 && len(c.settings) == 0 && !c.others:
		return fmt.Errorf("%s: gets: says nothing", c.at)
	}
	return nil
}

// set understands the line of a key.
func (c *http2Case) set(key, value string) (err error) {
	switch key {
	case "rfc":
		c.rfc = value
	case "client":
	case "backend":
		c.replies = append(c.replies, nil)
	case "gets":
		err = c.addGets(value)
	case "others":
		if c.others = value == "any"; !c.others {
			return fmt.Errorf("others: %q is not any", value)
		}
	case "sees":
		bound, bounded := strings.CutPrefix(value, "at most ")
		switch {
		case value == "nothing":
			c.seesNone = true
		case bounded:
			c.atMost, err = strconv.Atoi(bound)
		default:
			var want wantRequest
			want, err = parseSees(value)
			c.sees = append(c.sees, want)
		}
	case "then":
		c.then = strings.Split(value, "|")
		for _, fate := range c.then {
			if fate != "kept" && fate != "closed" {
				return fmt.Errorf("then: %q is not kept or closed", fate)
			}
		}
	default:
		return fmt.Errorf("%s: is not known", key)
	}
	return err
}

// addGets understands "GOAWAY CODE[|CODE…]", "SETTINGS NAME=N…" and "STREAM OUTCOME
// [or OUTCOME…]".
func (c *http2Case) addGets(value string) error {
	word, rest, _ := strings.Cut(value, " ")
	switch word {
	case "GOAWAY":
		c.goAway = strings.Split(rest, "|")
		for _, code := range c.goAway {
			if code != "none" && !isHTTP2Code(code) {
				return fmt.Errorf("gets: GOAWAY %q is no error code", code)
			}
		}
		return nil
	case "SETTINGS":
		for word := range strings.FieldsSeq(rest) {
			name, n, err := parseSetting(word)
			if err != nil {
				return err
			}
			c.settings[name] = n
		}
		return nil
	}
	id, err := strconv.ParseUint(word, 10, 31)
	if err != nil {
		return fmt.Errorf("gets: %q is no stream, GOAWAY or SETTINGS", word)
	}
	want := wantStream{id: uint32(id), fields: wantFields{}, trailer: wantFields{}}
	for text := range strings.SplitSeq(rest, " or ") {
		outcome, err := parseOutcome(text)
		if err != nil {
			return err
		}
		want.outcomes = append(want.outcomes, outcome)
	}
	c.streams = append(c.streams, want)
	return nil
}

// parseOutcome understands "nothing", "RST_STREAM CODE", and
// "[INTERIM…] STATUS [cut] ["body"]".
func parseOutcome(text string) (want wantOutcome, err error) {
	if code, ok := strings.CutPrefix(strings.TrimSpace(text), "RST_STREAM "); ok {
		if want.reset = code; !isHTTP2Code(code) {
			err = fmt.Errorf("gets: RST_STREAM %q is no error code", code)
		}
		return want, err
	}
	head, quoted, err := cutQuoted(text)
	want.body = quoted
	for word := range strings.FieldsSeq(head) {
		status, e := strconv.Atoi(word)
		switch {
		case word == "nothing":
			want.nothing = true
		case word == "cut":
			want.cut = true
		case e != nil || want.status != 0:
			return want, fmt.Errorf("gets: %q is not known", word)
		case status < 200:
			want.interim = append(want.interim, status)
		default:
			want.status = status
		}
	}
	if err == nil && want.nothing == (want.status != 0) {
		err = fmt.Errorf("gets: %q has no outcome", text)
	}
	return want, err
}

func isHTTP2Code(name string) bool { return http2CodeNamed(name) >= 0 }

// http2CodeNamed is the number of an error code (RFC 9113 §7), or -1.
func http2CodeNamed(name string) int {
	for code := range 14 {
		if http2.ErrCode(code).String() == name {
			return code
		}
	}
	return -1
}

// addLine understands an indented line below a key.
func (c *http2Case) addLine(key, line string) error {
	switch key {
	case "client":
		return addHTTP2Line(&c.frames, line)
	case "backend":
		s, err := parseStep(line)
		if err != nil {
			return err
		}
		last := &c.replies[len(c.replies)-1]
		*last = addStep(*last, s)
		return nil
	case "gets":
		if len(c.streams) > 0 {
			want := &c.streams[len(c.streams)-1]
			return addExpectation(line, &want.fields, &want.trailer, nil)
		}
	case "sees":
		if len(c.sees) > 0 {
			want := &c.sees[len(c.sees)-1]
			return addExpectation(line, &want.fields, &want.trailer, map[string]**string{"body": &want.body})
		}
	}
	return fmt.Errorf("%s: has no lines", key)
}

// addHTTP2Line adds a line of the client: a field of the last frame where it is
// indented further, the step of a repetition, or a step of its own.
func addHTTP2Line(steps *[]http2Step, line string) error {
	if last := len(*steps) - 1; strings.HasPrefix(line, "  ") && last >= 0 {
		s := &(*steps)[last]
		if s.do == "repeat" {
			return addHTTP2Line(&s.steps, line[2:])
		}
		if s.do != "HEADERS" && s.do != "CONTINUATION" {
			return fmt.Errorf("%s has no fields", s.do)
		}
		fields, err := parseHTTP2Field(line[2:])
		s.fields = append(s.fields, fields...)
		return err
	}
	s, err := parseHTTP2Step(line)
	*steps = append(*steps, s)
	return err
}

// parseHTTP2Field understands "NAME: VALUE", "= METHOD PATH" for the four pseudo
// fields that every request has, and "hpack HEX".
func parseHTTP2Field(line string) ([]http2Field, error) {
	if request, ok := strings.CutPrefix(line, "= "); ok {
		method, path, ok := strings.Cut(request, " ")
		if !ok {
			return nil, fmt.Errorf("%q: write = METHOD PATH", line)
		}
		path, err := expandText(path)
		return []http2Field{{name: ":method", value: method}, {name: ":scheme", value: "https"},
			{name: ":authority", value: "app.test"}, {name: ":path", value: path}}, err
	}
	if digits, ok := strings.CutPrefix(line, "hpack "); ok {
		digits, err := expandText(strings.ReplaceAll(digits, " ", ""))
		if err != nil {
			return nil, err
		}
		raw, err := hex.DecodeString(digits)
		return []http2Field{{raw: raw}}, err
	}
	var f http2Field
	i := strings.Index(line, ": ")
	if i < 0 && strings.HasSuffix(line, ":") {
		i = len(line) - 1
	}
	if i < 0 {
		return nil, fmt.Errorf("%q is no NAME: VALUE", line)
	}
	var err error
	if f.name, err = expandText(line[:i]); err != nil {
		return nil, err
	}
	f.value, err = expandText(strings.TrimPrefix(line[i+1:], " "))
	return []http2Field{f}, err
}
