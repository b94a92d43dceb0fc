package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The events of the log stand in three places: in the constants, whose comments
// name the attributes, in the calls that write the lines, and in the manual. Here
// they are held to each other.

const eventsManual = "../../deploy/docs/logs.md"

// documentedEvent is a row of the manual.
type documentedEvent struct{ levels, attributes []string }

var eventRow = regexp.MustCompile("^\\| `([a-z.]+)` \\| ([a-z, ]+) \\| ([^|]*)\\| [^|]+ \\|$")

func documentedEvents(t *testing.T) map[string]documentedEvent {
	t.Helper()
	text, err := os.ReadFile(eventsManual)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]documentedEvent{}
	for line := range strings.Lines(string(text)) {
		m := eventRow.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			continue
		}
		if _, twice := rows[m[1]]; twice {
			t.Errorf("%s stands there twice", m[1])
		}
		row := documentedEvent{levels: strings.Split(m[2], ", ")}
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(m[3], -1) {
			row.attributes = append(row.attributes, name[1])
		}
		rows[m[1]] = row
	}
	return rows
}

// loggedEvent is a constant, with what is written of it by the calls that name it.
type loggedEvent struct {
	place, comment string
	called         bool
	levels         []string
	certain, maybe []string // attributes
}

// sources are the packages' files that log, by folder.
type sources map[string][]*ast.File

func readSources(t *testing.T) sources {
	t.Helper()
	found := sources{}
	for _, top := range []string{"proxy", "pusher", "cmd"} {
		err := filepath.WalkDir(filepath.Join("../..", top), func(name string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
			found[filepath.Dir(name)] = append(found[filepath.Dir(name)], file)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// events are the constants, by the folder's last name and their own.
func (s sources) events() map[string]map[string]*loggedEvent {
	all := map[string]map[string]*loggedEvent{}
	for dir, files := range s {
		for _, file := range files {
			for _, d := range file.Decls {
				if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
					for _, spec := range g.Specs {
						addEvent(all, dir, g, spec.(*ast.ValueSpec))
					}
				}
			}
		}
	}
	return all
}

func addEvent(all map[string]map[string]*loggedEvent, dir string, g *ast.GenDecl, v *ast.ValueSpec) {
	name := v.Names[0].Name
	value, ok := textOf(slices.Concat(v.Values, []ast.Expr{nil})[0])
	if !ok || !regexp.MustCompile("^[eE]vent[A-Z]").MatchString(name) {
		return
	}
	if all[value] == nil {
		all[value] = map[string]*loggedEvent{}
	}
	all[value][filepath.Base(dir)+"."+name] = &loggedEvent{place: dir, comment: g.Doc.Text() + " " + v.Doc.Text()}
}

func textOf(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// attributesOf are the names in a call's arguments: those that it writes, and
// those that it may, as a function puts them together.
func (s sources) attributesOf(dir string, in *ast.FuncDecl, args []ast.Expr, depth int) (certain, maybe []string) {
	for i := 0; i < len(args); i++ {
		if text, ok := textOf(args[i]); ok {
			certain = append(certain, text)
			i++ // its value
			continue
		}
		call, ok := args[i].(*ast.CallExpr)
		if !ok {
			maybe = append(maybe, s.putTogether(dir, in, depth)...)
			continue
		}
		name, pkg := calleeOf(call)
		switch {
		case pkg == "slog":
			if text, ok := textOf(call.Args[0]); ok {
				certain = append(certain, text)
			}
		case name == "append":
			c, m := s.attributesOf(dir, in, call.Args, depth)
			certain, maybe = append(certain, c...), append(maybe, m...)
		default:
			for _, f := range s.functions(dir, name) {
				maybe = append(maybe, s.putTogether(dir, f, depth-1)...)
			}
		}
	}
	return certain, maybe
}

func calleeOf(call *ast.CallExpr) (name, of string) {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name, ""
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			of = x.Name
		}
		return f.Sel.Name, of
	}
	return "", ""
}

// functions are those of a folder with that name, whosever methods they are.
func (s sources) functions(dir, name string) (list []*ast.FuncDecl) {
	for _, file := range s[dir] {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == name {
				list = append(list, f)
			}
		}
	}
	return list
}

// putTogether are the names in the lists of attributes that a function makes.
func (s sources) putTogether(dir string, f *ast.FuncDecl, depth int) (names []string) {
	if f == nil || depth == 0 {
		return nil
	}
	ast.Inspect(f, func(n ast.Node) bool {
		var items []ast.Expr
		switch n := n.(type) {
		case *ast.CompositeLit:
			if list, ok := n.Type.(*ast.ArrayType); ok {
				if elem, ok := list.Elt.(*ast.Ident); ok && elem.Name == "any" {
					items = n.Elts
				} else if attr, ok := list.Elt.(*ast.SelectorExpr); ok && attr.Sel.Name == "Attr" {
					items = n.Elts
				}
			}
		case *ast.CallExpr:
			name, pkg := calleeOf(n)
			switch {
			case pkg == "slog" && len(n.Args) == 2, name == "append":
				items = n.Args
				if pkg == "slog" {
					items = []ast.Expr{n}
				}
			default:
				if !strings.HasSuffix(strings.ToLower(name), "attributes") && name != "attrs" {
					break
				}
				for _, g := range s.functions(dir, name) {
					names = append(names, s.putTogether(dir, g, depth-1)...)
				}
			}
		}
		certain, _ := s.attributesOf(dir, nil, items, 0)
		names = append(names, certain...)
		return true
	})
	return names
}

// noteCalls notes what the calls of loggers say of events.
func (s sources) noteCalls(all map[string]map[string]*loggedEvent) {
	constants := map[string]*loggedEvent{}
	for _, same := range all {
		for name, e := range same {
			constants[name] = e
		}
	}
	for dir, files := range s {
		for _, file := range files {
			for _, d := range file.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				ast.Inspect(f, func(n ast.Node) bool {
					if call, ok := n.(*ast.CallExpr); ok {
						s.noteCall(constants, dir, f, call)
					}
					return true
				})
			}
		}
	}
}

func (s sources) noteCall(constants map[string]*loggedEvent, dir string, in *ast.FuncDecl, call *ast.CallExpr) {
	method, _ := calleeOf(call)
	if !slices.Contains([]string{"Debug", "Info", "Warn", "Error", "Log", "LogAttrs"}, method) {
		return
	}
	level := strings.ToLower(method)
	for i, arg := range call.Args {
		name := ""
		switch a := arg.(type) {
		case *ast.Ident:
			name = filepath.Base(dir) + "." + a.Name
		case *ast.SelectorExpr:
			if x, ok := a.X.(*ast.Ident); ok {
				name = x.Name + "." + a.Sel.Name
				if l, ok := strings.CutPrefix(name, "slog.Level"); ok {
					level = strings.ToLower(l)
				}
			}
		}
		e := constants[name]
		if e == nil {
			continue
		}
		e.called = true
		if !strings.HasPrefix(level, "log") {
			e.levels = append(e.levels, level)
		}
		certain, maybe := s.attributesOf(dir, in, call.Args[i+1:], 3)
		e.certain, e.maybe = append(e.certain, certain...), append(e.maybe, maybe...)
		return
	}
}

func TestEvents_AreInTheManual(t *testing.T) {
	rows, read := documentedEvents(t), readSources(t)
	all := read.events()
	read.noteCalls(all)
	if len(all) < 60 {
		t.Fatalf("%d events found: is the test looking at the right place?", len(all))
	}
	for event := range rows {
		if all[event] == nil {
			t.Errorf("%s is in the manual, and nowhere else", event)
		}
	}
	for event, same := range all {
		row, ok := rows[event]
		if !ok {
			t.Errorf("%s is not in %s", event, eventsManual)
			continue
		}
		var certain, maybe []string
		called := true
		handedOver := event == "push.refused" || event == "push.recheck" // most come with the refusal
		for name, e := range same {
			called = called && e.called
			certain, maybe = append(certain, e.certain...), append(maybe, e.maybe...)
			for _, l := range e.levels {
				if !slices.Contains(row.levels, l) {
					t.Errorf("%s is logged as %s, and documented as %v", event, l, row.levels)
				}
			}
			for _, a := range ownAttributes(e.comment) {
				if !slices.Contains(row.attributes, a) {
					t.Errorf("%s: the comment of %s names %q, the manual does not", event, name, a)
				}
			}
		}
		for _, a := range certain {
			if !slices.Contains(row.attributes, a) {
				t.Errorf("%s is logged with %q, which is not in the manual", event, a)
			}
		}
		for _, a := range row.attributes {
			if called && !handedOver && !slices.Contains(certain, a) && !slices.Contains(maybe, a) {
				t.Errorf("%s: the manual names %q, which no call has", event, a)
			}
			if !namedInComments(all, same, a) {
				t.Errorf("%s: the manual names %q, and no comment does", event, a)
			}
		}
	}
}

// ownAttributes are the attributes that the comment of a constant names one by
// one.
func ownAttributes(comment string) (names []string) {
	for _, list := range regexp.MustCompile(`(?s)Attributes:(.*?)(?:\.\s|\.$|$)`).FindAllStringSubmatch(comment, -1) {
		plain := regexp.MustCompile(`(?s)\([^)]*\)`).ReplaceAllString(list[1], "")
		for item := range strings.SplitSeq(strings.ReplaceAll(plain, " and ", ", "), ",") {
			if item = strings.TrimSpace(item); regexp.MustCompile("^[a-z_]+$").MatchString(item) {
				names = append(names, item)
			}
		}
	}
	return names
}

// namedInComments reports whether the comment of an event names an attribute, or
// that of another one to which it refers.
func namedInComments(all map[string]map[string]*loggedEvent, same map[string]*loggedEvent, attribute string) bool {
	word := regexp.MustCompile(`\b` + attribute + `\b`)
	for _, e := range same {
		if word.MatchString(e.comment) {
			return true
		}
		for other, events := range all {
			if !strings.Contains(e.comment, other) {
				continue
			}
			for _, o := range events {
				if o.place == e.place && word.MatchString(o.comment) {
					return true
				}
			}
		}
	}
	return false
}
