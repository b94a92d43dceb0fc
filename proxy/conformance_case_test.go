package proxy

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// conformanceDir holds the cases; its README tells their form.
const conformanceDir = "../testdata/conformance"

// conformanceCase is one case of the corpus: what both sides send, and the one
// outcome that is right.
type conformanceCase struct {
	script
	name, rfc string
	at        string // file and line
	differs   string // why the two ways may differ here; "" when they may not
	gets      []wantAnswer
	sees      []wantRequest
	seesNone  bool
	then      []string // any of kept, closed and tunnel
	raw       string   // through the tunnel to the client
}

// wantAnswer is an answer that the client must get.
type wantAnswer struct {
	method   string // of its request
	statuses []int
	optional bool // may as well not come
	cut      bool // the body breaks off
	body     *string
	fields   wantFields
	trailer  wantFields
}

// wantRequest is a request that a backend must see.
type wantRequest struct {
	push           bool // by the tunnel route's backend
	method, target string
	cut            bool // breaks off
	early          bool // may break off, as the answer came before its end
	reused, fresh  bool // by a connection that had a request before, or had none
	body, raw      *string
	fields         wantFields
	trailer        wantFields
}

// wantFields are the values of each field in order: none where it must be
// absent, "*" for one of any value.
type wantFields map[string][]string

// readCorpus reads every case of testdata/conformance.
func readCorpus(t testing.TB) []conformanceCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(conformanceDir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", conformanceDir, err)
	}
	var all []conformanceCase
	names := map[string]string{}
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "http2") {
			continue // they have a form of their own: readHTTP2Corpus
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases, err := parseCases(filepath.Base(file), string(text))
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

// parseCases understands one file of cases.
func parseCases(file, text string) ([]conformanceCase, error) {
	var cases []conformanceCase
	var c *conformanceCase
	var block string // the key that indented lines belong to
	for number, line := range strings.Split(text, "\n") {
		at := fmt.Sprintf("%s:%d", file, number+1)
		var err error
		name, begins := strings.CutPrefix(line, "=== ")
		switch {
		case strings.TrimSpace(line) == "", line[0] == '#':
			continue
		case begins:
			if c != nil {
				if err := c.check(); err != nil {
					return nil, err
				}
			}
			cases = append(cases, conformanceCase{name: name, at: at})
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

// check finds what a case lacks.
func (c *conformanceCase) check() error {
	switch {
	case !strings.HasPrefix(c.rfc, "9110 §") && !strings.HasPrefix(c.rfc, "9112 §") && !strings.HasPrefix(c.rfc, "6455 §") &&
		!strings.HasPrefix(c.rfc, "8297 §") && !strings.HasPrefix(c.rfc, "7239 §") && !strings.HasPrefix(c.rfc, "3986 §") &&
		!strings.HasPrefix(c.rfc, "3875 §") && !strings.HasPrefix(c.rfc, "6585 §") && !strings.HasPrefix(c.rfc, "trace-context §"):
		return fmt.Errorf("%s: rfc: %q names no section", c.at, c.rfc)
	case len(c.client) == 0:
		return fmt.Errorf("%s: the client does nothing", c.at)
	case c.seesNone == (len(c.sees) > 0):
		return fmt.Errorf("%s: sees: lists each request, or says nothing", c.at)
	case len(c.then) == 0:
		return fmt.Errorf("%s: then: says kept, closed or tunnel", c.at)
	}
	for _, want := range c.gets {
		if want.statuses[0] >= 200 || want.statuses[0] == http.StatusSwitchingProtocols {
			c.methods = append(c.methods, want.method)
		}
	}
	return nil
}

// set understands the line of a key.
func (c *conformanceCase) set(key, value string) error {
	switch key {
	case "rfc":
		c.rfc = value
	case "differs":
		c.differs = value
	case "config":
		for word := range strings.FieldsSeq(value) {
			switch word {
			case "trusted":
				c.config.trusted = true
			case "anyhost":
				c.config.anyHost = true
			default:
				return fmt.Errorf("config: %q is not known", word)
			}
		}
	case "client":
	case "backend":
		c.replies = append(c.replies, nil)
	case "gets":
		want, err := parseGets(value)
		c.gets = append(c.gets, want)
		return err
	case "sees":
		if value == "nothing" {
			c.seesNone = true
			return nil
		}
		want, err := parseSees(value)
		c.sees = append(c.sees, want)
		return err
	case "then":
		for fate := range strings.SplitSeq(value, "|") {
			if fate != "kept" && fate != "closed" && fate != "tunnel" {
				return fmt.Errorf("then: %q is not kept, closed or tunnel", fate)
			}
			c.then = append(c.then, fate)
		}
	case "raw":
		text, err := expandText(value)
		c.raw = text
		return err
	default:
		return fmt.Errorf("%s: is not known", key)
	}
	return nil
}

// addLine understands an indented line below a key.
func (c *conformanceCase) addLine(key, line string) error {
	switch key {
	case "client", "backend":
		s, err := parseStep(line)
		if err != nil {
			return err
		}
		if key == "client" {
			c.client = addStep(c.client, s)
		} else {
			last := &c.replies[len(c.replies)-1]
			*last = addStep(*last, s)
		}
		return nil
	case "gets":
		want := &c.gets[len(c.gets)-1]
		return addExpectation(line, &want.fields, &want.trailer, map[string]**string{"body": &want.body})
	case "sees":
		if len(c.sees) > 0 {
			want := &c.sees[len(c.sees)-1]
			return addExpectation(line, &want.fields, &want.trailer, map[string]**string{"body": &want.body, "raw": &want.raw})
		}
	}
	return fmt.Errorf("%s: has no lines", key)
}

var stepForm = regexp.MustCompile(`^<([a-z]+)(?: ([0-9]+))?>$`)

// parseStep understands one line of a client or a backend.
func parseStep(line string) (step, error) {
	if m := stepForm.FindStringSubmatch(line); m != nil {
		n, _ := strconv.Atoi(m[2]) // "" is 0
		known := []string{"await", "body", "close", "early", "end", "new", "raw", "reset", "seen", "silent"}
		if !slices.Contains(known, m[1]) {
			return step{}, fmt.Errorf("<%s> is not known", m[1])
		}
		return step{do: m[1], n: n}, nil
	}
	text, err := expandText(line)
	return step{do: "send", text: text}, err
}

// addStep joins what is sent together: one write, whatever its lines.
func addStep(steps []step, s step) []step {
	if last := len(steps) - 1; s.do == "send" && last >= 0 && steps[last].do == "send" {
		steps[last].text += s.text
		return steps
	}
	return append(steps, s)
}

// parseGets understands "[METHOD] [none|]STATUS[|STATUS…] [cut] ["body"]".
func parseGets(value string) (wantAnswer, error) {
	want := wantAnswer{method: "GET", fields: wantFields{}, trailer: wantFields{}}
	head, quoted, err := cutQuoted(value)
	want.body = quoted
	if err != nil {
		return want, err
	}
	for word := range strings.FieldsSeq(head) {
		switch {
		case word == "cut":
			want.cut = true
		case word[0] >= '1' && word[0] <= '5' || strings.HasPrefix(word, "none|"):
			word, want.optional = strings.CutPrefix(word, "none|")
			for s := range strings.SplitSeq(word, "|") {
				status, err := strconv.Atoi(s)
				if err != nil {
					return want, err
				}
				want.statuses = append(want.statuses, status)
			}
		default:
			want.method = word
		}
	}
	if want.statuses == nil {
		return want, fmt.Errorf("gets: %q has no status", value)
	}
	return want, nil
}

// parseSees understands "[push] METHOD TARGET [cut|early] [reused|fresh] ["body"]".
func parseSees(value string) (wantRequest, error) {
	want := wantRequest{fields: wantFields{}, trailer: wantFields{}}
	head, quoted, err := cutQuoted(value)
	want.body = quoted
	if err != nil {
		return want, err
	}
	words := strings.Fields(head)
	if words[0] == "push" {
		want.push, words = true, words[1:]
	}
	if len(words) < 2 {
		return want, fmt.Errorf("sees: %q has no method and target", value)
	}
	want.method = words[0]
	if want.target, err = expandText(words[1]); err != nil {
		return want, err
	}
	for _, word := range words[2:] {
		switch word {
		case "cut":
			want.cut = true
		case "early":
			want.early = true
		case "reused":
			want.reused = true
		case "fresh":
			want.fresh = true
		default:
			return want, fmt.Errorf("sees: %q is not known", word)
		}
	}
	return want, nil
}

// addExpectation understands a line below gets: or sees: - a field's value, a
// field that must be absent, a trailer field, or a body.
func addExpectation(line string, fields, trailer *wantFields, texts map[string]**string) error {
	if word, _, ok := strings.Cut(line, " "); ok && texts[word] != nil {
		_, quoted, err := cutQuoted(line)
		*texts[word] = quoted
		return err
	}
	into := *fields
	if rest, ok := strings.CutPrefix(line, "trailer "); ok {
		into, line = *trailer, rest
	}
	if name, ok := strings.CutPrefix(line, "-"); ok {
		into[strings.ToLower(name)] = nil
		return nil
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return fmt.Errorf("%q is no field", line)
	}
	value, err := expandText(strings.TrimSpace(value))
	into[strings.ToLower(name)] = append(into[strings.ToLower(name)], value)
	return err
}

// cutQuoted takes a text in quotation marks off the end of a line.
func cutQuoted(line string) (before string, quoted *string, err error) {
	before, rest, ok := strings.Cut(line, `"`)
	if !ok {
		return line, nil, nil
	}
	rest, closed := strings.CutSuffix(rest, `"`)
	if !closed {
		return line, nil, fmt.Errorf("%q: the quotation mark is not closed", line)
	}
	text, err := expandText(rest)
	return before, &text, err
}

var repeatForm = regexp.MustCompile(`^\\\{([0-9]+)\*([^}]*)\}`)

// expandText understands \r \n \t \0 \s (a space) \\ \xHH and \{N*TEXT}, which
// is TEXT N times.
func expandText(line string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		if line[i] != '\\' {
			b.WriteByte(line[i])
			continue
		}
		if i+1 == len(line) {
			return "", fmt.Errorf("%q ends in a backslash", line)
		}
		i++
		switch c := line[i]; c {
		case 'r', 'n', 't', '0', 's', '\\':
			b.WriteByte("\r\n\t\x00 \\"[strings.IndexByte("rnt0s\\", c)])
		case 'x':
			if i+2 >= len(line) {
				return "", fmt.Errorf("%q ends within \\x", line)
			}
			n, err := strconv.ParseUint(line[i+1:i+3], 16, 8)
			if err != nil {
				return "", err
			}
			b.WriteByte(byte(n))
			i += 2
		case '{':
			m := repeatForm.FindStringSubmatch(line[i-1:])
			if m == nil {
				return "", fmt.Errorf("%q: a repetition is written \\{N*TEXT}", line)
			}
			n, err := strconv.Atoi(m[1])
			if err != nil {
				return "", err
			}
			text, err := expandText(m[2])
			if err != nil {
				return "", err
			}
			b.WriteString(strings.Repeat(text, n))
			i += len(m[0]) - 2
		default:
			return "", fmt.Errorf("\\%c is no escape", c)
		}
	}
	return b.String(), nil
}

func TestConformanceCase_Mistakes(t *testing.T) {
	good := "=== n\nrfc: 9112 §3\nclient:\n  GET / HTTP/1.1\\r\\n\ngets: 200\nsees: nothing\nthen: kept\n"
	if _, err := parseCases("f", good); err != nil {
		t.Fatalf("a good case: %v", err)
	}
	for _, change := range [][2]string{
		{"=== n\n", ""}, {"rfc: 9112 §3\n", ""}, {"then: kept\n", ""}, {"then: kept", "then: open"}, {"sees: nothing\n", ""}, {"gets: 200", "gets: GET"},
		{`\r\n`, `\q`}, {`\r\n`, `\`}, {"gets:", "got:"}, {"gets: 200", `gets: 200 "x`}, {"sees: nothing", "sees: GET"}, {"  GET", "  <wait 1>\n  GET"},
		{"sees: nothing", "sees: nothing\nsees: GET /"}, {"\\r\\n", `\{x*a}`},
	} {
		if _, err := parseCases("f", strings.Replace(good, change[0], change[1], 1)); err == nil {
			t.Errorf("%q instead of %q is taken", change[1], change[0])
		}
	}
}
