package diagnosis

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// declared are the causes that cause.go declares.
func declared(t *testing.T) []Cause {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "cause.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []Cause
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Cause" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, Cause(text))
		}
		return true
	})
	return all
}

func TestCauses_EachIsExplained(t *testing.T) {
	places := []string{ForWsfront, ForApache, ForNginx, ForHAProxy, ForCaddy, ForTraefik, ForApp, ForPage}
	id, symptom := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`), regexp.MustCompile(`^D([1-9]|[12][0-9]|3[0-5])$`)
	all := declared(t)
	for _, c := range all {
		if !c.Known() || !id.MatchString(string(c)) {
			t.Errorf("%q is not explained, or no id", c)
			continue
		}
		if s := c.Sentence(); !strings.HasSuffix(s, ".") || strings.Count(s, ". ") > 0 || strings.ContainsAny(s, "\n;") {
			t.Errorf("%s: %q is not one sentence, fit for a field", c, s)
		}
		if s := c.Symptom(); s != "" && !symptom.MatchString(s) {
			t.Errorf("%s: symptom %q", c, s)
		}
		if len(c.Fixes()) == 0 {
			t.Errorf("%s: no fix", c)
		}
		seen := map[string]bool{}
		for _, f := range c.Fixes() {
			if !slices.Contains(places, f.For) || seen[f.For] || f.Text == "" {
				t.Errorf("%s: fix for %q", c, f.For)
			}
			seen[f.For] = true
			for _, text := range []string{f.Text, c.Sentence()} {
				if i := strings.IndexFunc(text, func(r rune) bool { return r > '~' || r < ' ' && r != '\n' }); i >= 0 {
					t.Errorf("%s: not ASCII: %q", c, text[i:])
				}
			}
		}
	}
	if known := len(network) + len(refusals) + len(backends) + len(tunnels); known != len(all) {
		t.Errorf("%d causes are explained, %d declared", known, len(all))
	}
}

func TestCause_Unknown(t *testing.T) {
	c := Cause("rain")
	if c.Known() || c.Sentence() != "" || c.Symptom() != "" || c.Fixes() != nil {
		t.Errorf("%v %q %q %v", c.Known(), c.Sentence(), c.Symptom(), c.Fixes())
	}
}
