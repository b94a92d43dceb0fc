package pusher

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

type set map[string]bool

func (s set) add(names ...string) {
	for _, name := range names {
		s[name] = true
	}
}

// event is a constant of events.go as its comment tells of it.
type event struct {
	message string
	attrs   set
}

// documented are the events by the names of their constants.
var documented = sync.OnceValues(func() (map[string]event, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "events.go", nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	events, lists := map[string]event{}, map[string][]string{}
	for _, decl := range file.Decls {
		for _, spec := range decl.(*ast.GenDecl).Specs {
			constant := spec.(*ast.ValueSpec)
			message, err := strconv.Unquote(constant.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				return nil, err
			}
			if lists[message], err = attributesIn(constant.Doc.Text()); err != nil {
				return nil, fmt.Errorf("%s: %w", constant.Names[0], err)
			}
			events[constant.Names[0].Name] = event{message, set{}}
		}
	}
	for name, e := range events {
		if err := expand(e.attrs, e.message, lists); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return events, nil
})

var (
	brackets  = regexp.MustCompile(`\([^)]*\)`)
	listed    = regexp.MustCompile(`(?s)Attributes: (.*?)\.(\s|$)`)
	attribute = regexp.MustCompile(`^([a-z_]+|those of [a-z.]+)$`)
)

// attributesIn reads the list in a comment.
func attributesIn(comment string) ([]string, error) {
	text := strings.Join(strings.Fields(brackets.ReplaceAllString(comment, "")), " ")
	found := listed.FindStringSubmatch(text)
	if found == nil {
		return nil, nil // a line without
	}
	var names []string
	for name := range strings.SplitSeq(found[1], ",") {
		if name = strings.TrimSpace(name); !attribute.MatchString(name) {
			return nil, fmt.Errorf("%q is no attribute; write names divided by commas, what they mean in brackets", name)
		}
		names = append(names, name)
	}
	return names, nil
}

func expand(into set, message string, lists map[string][]string) error {
	list, known := lists[message]
	if !known {
		return fmt.Errorf("there is no event %s", message)
	}
	for _, name := range list {
		if other, ok := strings.CutPrefix(name, "those of "); ok {
			if err := expand(into, other, lists); err != nil {
				return err
			}
			continue
		}
		into.add(name)
	}
	return nil
}

// The functions that make attributes and do not name the event, and what they are
// of; all others that do so make those of a Refusal.
var attributesOf = map[string][]string{
	"client.attrs":       nil, // of who calls it
	"hookTally.write":    {"EventHookRetry", "EventHookLost"},
	"question.attrs":     {"EventRefused", "EventRecheck"},
	"question.refused":   {"EventRefused", "EventRecheck"},
	"question.unusable":  {"EventRefused", "EventRecheck"},
	"appAuth.unanswered": {"EventRefused", "EventRecheck"},
}

// speaker is a function that logs, or makes attributes.
type speaker struct {
	events, attrs set            // each of these with each of those
	calls         map[string]set // what calls such as Warn log, by their event
	client        bool           // it calls client.attrs
}

// speakerOf looks for what a function logs.
func speakerOf(f *ast.FuncDecl, events map[string]event) speaker {
	s := speaker{events: set{}, attrs: set{}, calls: map[string]set{}}
	ast.Inspect(f, func(n ast.Node) bool {
		if name := constantIn(n, events); name != "" {
			s.events.add(name)
		}
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		called, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		from, _ := called.X.(*ast.Ident)
		switch {
		case from != nil && from.Name == "slog" && len(call.Args) == 2:
			s.attrs.add(literal(call.Args[0])...)
		case called.Sel.Name == "attrs" && (from == nil || from.Name != "q"):
			s.client = true
		case len(call.Args) > 0 && slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, called.Sel.Name):
			name := constantIn(call.Args[0], events)
			if name == "" {
				return true // http.Error
			}
			if s.calls[name] == nil {
				s.calls[name] = set{}
			}
			for i := 1; i < len(call.Args); i += 2 {
				s.calls[name].add(literal(call.Args[i])...)
			}
		}
		return true
	})
	return s
}

// constantIn is the event that n names, or "".
func constantIn(n ast.Node, events map[string]event) string {
	if of, ok := n.(*ast.SelectorExpr); ok {
		n = of.Sel
	}
	if id, ok := n.(*ast.Ident); ok && events[id.Name].message != "" {
		return id.Name
	}
	return ""
}

// literal is the string that stands there, if one does.
func literal(e ast.Expr) []string {
	if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
		text, _ := strconv.Unquote(lit.Value)
		return []string{text}
	}
	return nil
}

// nameOf is Type.method, or the name of a function alone.
func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	return fmt.Sprintf("%v.%s", of, f.Name.Name)
}

// logged are the attributes of each event, as the code of this package and of
// natsbroker has them.
func logged(t *testing.T, events map[string]event) map[string]set {
	t.Helper()
	own, _ := filepath.Glob("*.go")
	store, _ := filepath.Glob("natsbroker/*.go")
	all, ofClient := map[string]set{}, set{}
	var speakers []speaker
	for _, path := range append(own, store...) {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			s, name := speakerOf(f, events), nameOf(f)
			if name == "client.attrs" {
				ofClient = s.attrs
			}
			if of, known := attributesOf[name]; known {
				s.events.add(of...)
			} else if len(s.events) == 0 {
				s.events.add("EventRefused")
			}
			speakers = append(speakers, s)
		}
	}
	into := func(name string, attrs set) {
		if all[name] == nil {
			all[name] = set{}
		}
		maps.Copy(all[name], attrs)
	}
	for _, s := range speakers {
		for name := range s.events {
			into(name, s.attrs)
			if s.client {
				into(name, ofClient)
			}
		}
		for name, attrs := range s.calls {
			into(name, attrs)
		}
	}
	return all
}

func TestEvents_HaveTheAttributesThatTheirCommentsName(t *testing.T) {
	events, err := documented()
	if err != nil {
		t.Fatal(err)
	}
	all := logged(t, events)
	for name, e := range events {
		got, want := slices.Sorted(maps.Keys(all[name])), slices.Sorted(maps.Keys(e.attrs))
		if all[name] == nil {
			t.Errorf("%s is logged nowhere", name)
		} else if !slices.Equal(got, want) {
			t.Errorf("%s is logged with %q, and its comment names %q", name, got, want)
		}
	}
}

// check looks at the lines that were really logged.
func (j *journal) check(t *testing.T) {
	t.Helper()
	events, err := documented()
	if err != nil {
		t.Error(err)
		return
	}
	attrs := map[string]set{}
	for _, e := range events {
		attrs[e.message] = e.attrs
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.records {
		if attrs[r.Message] == nil {
			t.Errorf("%s is not among the events", r.Message)
		}
		r.Attrs(func(a slog.Attr) bool {
			if !attrs[r.Message][a.Key] {
				t.Errorf("%s was logged with %s, which its comment does not name", r.Message, a)
			}
			return true
		})
	}
}
