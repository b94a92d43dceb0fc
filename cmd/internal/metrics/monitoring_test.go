package metrics

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rule is one of deploy/monitoring/wsfront.rules.yml.
type rule struct {
	Alert, Record, Expr string
	Labels              map[string]string
	Annotations         map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []rule }
	}
	if err := yaml.Unmarshal([]byte(documents(t, "monitoring/wsfront.rules.yml")), &file); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 20 {
		t.Fatalf("only %d rules found", len(all))
	}
	return all
}

// panel is one of deploy/monitoring/dashboard.json.
type panel struct {
	ID          int
	Type, Title string
	Datasource  struct{ Type, UID string }
	GridPos     struct{ H, W, X, Y int }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct {
		RefID, Expr string
		Datasource  struct{ UID string }
	}
}

type dashboard struct {
	UID, Title string
	Panels     []panel
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Annotations struct {
		List []struct{ Expr string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(documents(t, "monitoring/dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) < 40 {
		t.Fatalf("only %d panels found", len(d.Panels))
	}
	return d
}

var (
	// metricName is a metric in a query, or one that a rule records.
	metricName = regexp.MustCompile(`\b(?:[a-z_]+:)?(?:wsfront|process|go|promhttp)_[a-z0-9_]+(?::[a-z0-9]+)?`)
	// selected is a metric with what is asked of its labels.
	selected = regexp.MustCompile(`\b((?:wsfront|process|go|promhttp)_[a-z0-9_]+)\{([^}]*)\}`)
	asked    = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"`)
	grouped  = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
)

// base is the name in the docs of a series of a histogram or summary.
func base(docs map[string]documented, name string) string {
	for _, end := range []string{"_bucket", "_count", "_sum"} {
		if of, cut := strings.CutSuffix(name, end); cut && docs[of].kind != "" {
			return of
		}
	}
	return name
}

// wantQuery wants a query to ask for metrics and labels that there are.
func wantQuery(t *testing.T, docs map[string]documented, recorded []string, where, query string) {
	t.Helper()
	known := []string{"job", "instance", "le"}
	found := metricName.FindAllString(query, -1)
	for _, name := range found {
		one := docs[base(docs, name)]
		if one.kind == "" && !slices.Contains(recorded, name) {
			t.Errorf("%s asks for %s, which is not in metrics.md", where, name)
		}
		known = append(known, one.labels...)
	}
	if len(found) == 0 && !strings.Contains(query, "up{") {
		t.Errorf("%s asks for no metric: %s", where, query)
	}
	for _, one := range selected.FindAllStringSubmatch(query, -1) {
		labels := append([]string{"job", "instance", "le"}, docs[base(docs, one[1])].labels...)
		for _, l := range asked.FindAllStringSubmatch(one[2], -1) {
			if !slices.Contains(labels, l[1]) {
				t.Errorf("%s asks for the label %s of %s, which has %q", where, l[1], one[1], labels)
			}
		}
	}
	for _, by := range grouped.FindAllStringSubmatch(query, -1) {
		for l := range strings.SplitSeq(by[1], ",") {
			if l = strings.TrimSpace(l); !slices.Contains(known, l) && !strings.Contains(query, ":") {
				t.Errorf("%s groups by %s, which none of its metrics has", where, l)
			}
		}
	}
}

func TestMonitoring_QueriesAskForWhatExists(t *testing.T) {
	docs := documentedMetrics(t)
	var recorded []string
	for _, r := range rules(t) {
		if r.Record != "" {
			recorded = append(recorded, r.Record)
		}
	}
	for _, r := range rules(t) {
		wantQuery(t, docs, recorded, "rule "+r.Alert+r.Record, r.Expr)
	}
	d := readDashboard(t)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			wantQuery(t, docs, recorded, "panel "+p.Title, target.Expr)
		}
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			wantQuery(t, docs, recorded, "variable "+v.Name, v.Definition)
		}
	}
}

// Each metric of wsfront's own is to be seen on the dashboard.
func TestDashboard_ShowsEveryMetric(t *testing.T) {
	docs, d := documentedMetrics(t), readDashboard(t)
	shown := map[string]bool{"promhttp_metric_handler_errors_total": true} // an alert
	add := func(query string) {
		for _, name := range metricName.FindAllString(query, -1) {
			shown[base(docs, name)] = true
		}
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			add(target.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		add(a.Expr)
	}
	for _, r := range rules(t) {
		add(r.Expr)
	}
	for name := range docs {
		if strings.HasPrefix(name, "wsfront_") && !shown[name] {
			t.Errorf("%s is neither on the dashboard nor in a rule", name)
		}
	}
}

func TestDashboard_CanBeImportedAnywhere(t *testing.T) {
	d := readDashboard(t)
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] {
			t.Errorf("panel %q has the id %d, which is another one's or none", p.Title, p.ID)
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.X < 0 || g.X+g.W > 24 || g.W <= 0 || g.H <= 0 {
			t.Errorf("panel %q is at %+v; the dashboard is 24 wide", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("panel %q lies on %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.FieldConfig.Defaults.Unit == "" || p.Title == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d, %q, has no unit, title or query", p.ID, p.Title)
		}
		for _, target := range p.Targets {
			if p.Datasource.UID != "${datasource}" || target.Datasource.UID != "${datasource}" {
				t.Errorf("panel %q asks %q; write ${datasource}, as its uid is another one everywhere", p.Title, target.Datasource.UID)
			}
			if strings.Contains(target.Expr, "{") && !strings.Contains(target.Expr, `job="$job"`) {
				t.Errorf("panel %q is not of the job chosen: %s", p.Title, target.Expr)
			}
		}
	}
}

func TestRules_SayWhatToDo(t *testing.T) {
	sections := anchors(documents(t, "docs/operate.md"))
	tests := documents(t, "monitoring/wsfront.rules.test.yml")
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s has the severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s has no summary or no description", r.Alert)
		}
		file, section, _ := strings.Cut(r.Annotations["runbook"], "#")
		if file != "operate.md" || !slices.Contains(sections, section) {
			t.Errorf("%s has the runbook %q, which is no section of operate.md: %q", r.Alert, r.Annotations["runbook"], sections)
		}
		if !regexp.MustCompile(`alertname: ` + r.Alert + `\n +exp_alerts:\n`).MatchString(tests) {
			t.Errorf("%s never fires in wsfront.rules.test.yml", r.Alert)
		}
	}
}

// anchors are those of a text's headings.
func anchors(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if title, is := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); is && strings.HasPrefix(line, "##") {
			title = regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			all = append(all, strings.ReplaceAll(title, " ", "-"))
		}
	}
	return all
}

// Whoever reads operate.md while something burns is not to look for what does not
// exist.
func TestOperate_NamesWhatExists(t *testing.T) {
	docs, text := documentedMetrics(t), documents(t, "docs/operate.md")
	for _, name := range metricName.FindAllString(text, -1) {
		if docs[name].kind == "" {
			t.Errorf("operate.md names the metric %s, which is not in metrics.md", name)
		}
	}
	for _, match := range selected.FindAllStringSubmatch(text, -1) {
		for _, l := range asked.FindAllStringSubmatch(match[2], -1) {
			if !slices.Contains(docs[match[1]].labels, l[1]) {
				t.Errorf("operate.md asks for the label %s of %s", l[1], match[1])
			}
		}
	}
	events := loggedEvents(t)
	for _, match := range regexp.MustCompile("`([a-z]+(?:\\.[a-z]+)+)`").FindAllStringSubmatch(text, -1) {
		family, _, _ := strings.Cut(match[1], ".")
		isEvent := slices.ContainsFunc(events, func(e string) bool { return strings.HasPrefix(e, family+".") })
		if isEvent && !slices.Contains(events, match[1]) && !slices.Contains(options(), match[1]) {
			t.Errorf("operate.md names the event %s, which nobody logs", match[1])
		}
	}
	for _, match := range regexp.MustCompile(`\]\(([a-z]*(?:\.md)?)#([a-z0-9-]+)\)`).FindAllStringSubmatch(text, -1) {
		file := match[1]
		if file == "" {
			file = "operate.md"
		}
		if !slices.Contains(anchors(documents(t, "docs/"+file)), match[2]) {
			t.Errorf("operate.md links to %s#%s, which is no section", file, match[2])
		}
	}
}

// options are keys of the configuration that look like events.
func options() []string {
	return []string{"push.history", "push.webhooks.queue", "admin.listen", "admin.pprof"}
}

// loggedEvents are the events that the sources have as constants.
func loggedEvents(t *testing.T) []string {
	t.Helper()
	constant := regexp.MustCompile(`(?m)^\s*[eE]vent[A-Za-z0-9]+\s+= "([a-z]+(?:\.[a-z]+)*)"$`)
	var events []string
	root := filepath.Join("..", "..", "..")
	for _, folder := range []string{"proxy", "pusher", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(name string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			text, err := os.ReadFile(name)
			for _, match := range constant.FindAllStringSubmatch(string(text), -1) {
				events = append(events, match[1])
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(events) < 40 {
		t.Fatalf("only %d events found: is the form of the constants another one?", len(events))
	}
	return events
}
