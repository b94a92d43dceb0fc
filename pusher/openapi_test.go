package pusher

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

const openAPIFile = "../deploy/openapi.yaml"

// openAPI is what the file says of the API, and what of it has been tried.
type openAPI struct {
	t        *testing.T
	doc      map[string]any
	compiler *jsonschema.Compiler
	tried    map[string]bool // operations with status, parameters, fields
}

func newOpenAPI(t *testing.T) *openAPI {
	t.Helper()
	text, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	var read any
	if err := yaml.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(read)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	o := &openAPI{t: t, doc: doc.(map[string]any), compiler: jsonschema.NewCompiler(), tried: map[string]bool{}}
	o.compiler.AssertFormat()
	if err := o.compiler.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return o
}

// at follows keys, and references on the way.
func (o *openAPI) at(from any, keys ...string) any {
	for {
		object, _ := from.(map[string]any)
		if ref, ok := object["$ref"].(string); ok {
			from = o.at(o.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			continue
		}
		if len(keys) == 0 || object == nil {
			return from
		}
		from, keys = object[keys[0]], keys[1:]
	}
}

var templateVariable = regexp.MustCompile(`\{\w+\}`)

// operation finds the template that a path is of.
func (o *openAPI) operation(method, path string) (template string, op map[string]any) {
	for template := range o.at(o.doc, "paths").(map[string]any) {
		pattern := "^" + templateVariable.ReplaceAllString(template, "[^/]+") + "$"
		if op, ok := o.at(o.doc, "paths", template, strings.ToLower(method)).(map[string]any); ok && regexp.MustCompile(pattern).MatchString(path) {
			return template, op
		}
	}
	o.t.Fatalf("%s %s is not in the file", method, path)
	return "", nil
}

// check holds an answer against the file.
func (o *openAPI) check(request *http.Request, answer *http.Response) {
	o.t.Helper()
	template, op := o.operation(request.Method, request.URL.EscapedPath())
	name := fmt.Sprintf("%s %s %d", request.Method, template, answer.StatusCode)
	body := bodyOf(o.t, answer)
	described, ok := o.at(op, "responses", fmt.Sprint(answer.StatusCode)).(map[string]any)
	if !ok {
		o.t.Errorf("%s is not in the file: %s", name, body)
		return
	}
	o.tried[name] = true
	for _, p := range o.parameters(template, op) {
		key := o.at(p, "name").(string)
		if in := o.at(p, "in"); in == "path" || in == "query" && request.URL.Query().Has(key) || in == "header" && request.Header.Get(key) != "" {
			o.tried[fmt.Sprintf("%s %s parameter %s", request.Method, template, key)] = true
		}
	}
	for header := range maps.Keys(orEmpty(described["headers"])) {
		if answer.Header.Get(header) == "" {
			o.t.Errorf("%s: no %s", name, header)
		}
	}
	contents := orEmpty(described["content"])
	if len(contents) == 0 {
		if body != "" {
			o.t.Errorf("%s: body %q", name, body)
		}
		return
	}
	media, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	schema, ok := o.at(contents, media, "schema").(map[string]any)
	if !ok {
		o.t.Errorf("%s: %s is not in the file", name, media)
		return
	}
	o.tried[name+" "+media] = true
	switch media {
	case "application/json":
		o.validate(name, contents[media].(map[string]any)["schema"], schema, body)
	case "application/x-ndjson":
		for line := range strings.Lines(body) {
			o.validate(name, contents[media].(map[string]any)["schema"], schema, line)
		}
	default:
		quoted, _ := json.Marshal(strings.TrimSuffix(body, "\n"))
		o.validate(name, contents[media].(map[string]any)["schema"], schema, string(quoted))
	}
}

func orEmpty(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func (o *openAPI) parameters(template string, op map[string]any) []any {
	shared, _ := o.at(o.doc, "paths", template, "parameters").([]any)
	own, _ := op["parameters"].([]any)
	return slices.Concat(shared, own)
}

// validate checks text against the schema that reference points at, and notes
// which fields it has.
func (o *openAPI) validate(name string, reference any, schema map[string]any, text string) {
	o.t.Helper()
	compiled, err := o.compiler.Compile("openapi.json" + reference.(map[string]any)["$ref"].(string))
	if err != nil {
		o.t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		o.t.Errorf("%s: %v in %s", name, err, text)
		return
	}
	if err := compiled.Validate(value); err != nil {
		o.t.Errorf("%s: %v\nin %s", name, err, text)
	}
	o.fields(strings.TrimPrefix(reference.(map[string]any)["$ref"].(string), "#/components/schemas/"), schema, value)
}

// fields notes the properties that a value has, or with no value lists all that
// a schema has.
func (o *openAPI) fields(path string, schema map[string]any, value any) (all []string) {
	for key, property := range orEmpty(schema["properties"]) {
		at := path + "." + key
		all = append(all, at)
		inner, has := orEmpty(value)[key]
		if has {
			o.tried[at] = true
		}
		all = append(all, o.fields(at, orEmpty(o.at(property)), inner)...)
	}
	if items, ok := o.at(schema["items"]).(map[string]any); ok {
		all = append(all, o.fields(path+"[]", items, nil)...)
		list, _ := value.([]any)
		for _, item := range list {
			o.fields(path+"[]", items, item)
		}
	}
	return all
}

// untried lists what the file has and no request has shown.
func (o *openAPI) untried() []string {
	var all []string
	for template, item := range o.at(o.doc, "paths").(map[string]any) {
		for method, op := range orEmpty(item) {
			if method == "parameters" {
				continue
			}
			name := strings.ToUpper(method) + " " + template
			for status, response := range orEmpty(o.at(op, "responses")) {
				all = append(all, name+" "+status)
				for media := range orEmpty(o.at(response, "content")) {
					all = append(all, name+" "+status+" "+media)
				}
			}
			for _, p := range o.parameters(template, op.(map[string]any)) {
				all = append(all, name+" parameter "+o.at(p, "name").(string))
			}
		}
	}
	for name := range o.at(o.doc, "components", "schemas").(map[string]any) {
		if name != "Line" { // requests' own
			all = append(all, o.fields(name, o.at(o.doc, "components", "schemas", name).(map[string]any), nil)...)
		}
	}
	return slices.DeleteFunc(all, func(what string) bool { return o.tried[what] })
}

// fullStore is a broker that takes nothing any more.
type fullStore struct{ Broker }

func (fullStore) Append(context.Context, string, Draft) (Appended, error) {
	return Appended{}, ErrStoreFull
}

// exercise is a request, with one header where it has a name, and the status of
// its answer.
type exercise struct {
	at                  *service
	key, method, path   string
	header, value, body string
	status              int
}

// exercises use all that the file tells of, at a service, at one whose store has
// failed, at one whose store is full, and at one that others publish through.
func exercises(good, broken, full, crowded *service) []exercise {
	return []exercise{
		{good, "all", "POST", "/channels/board", "Idempotency-Key", "1", "hi", 200},
		{good, "all", "POST", "/channels/board", "Idempotency-Key", "1", "hi", 200},
		{good, "all", "POST", "/channels/board", "TTL", "90", "hi", 200},
		{good, "all", "POST", "/channels/board", "Content-Type", "image/png", "\xff", 200},
		{good, "all", "POST", "/channels/board", "TTL", "90s", "hi", 400},
		{good, "no", "POST", "/channels/board", "", "", "hi", 401},
		{good, "none", "POST", "/channels/board", "", "", "hi", 403},
		{good, "all", "POST", "/channels/board", "", "", strings.Repeat("x", 1001), 413},
		{broken, "all", "POST", "/channels/board", "", "", "hi", 503},
		{full, "all", "POST", "/channels/board", "", "", "hi", 507},

		{good, "all", "POST", "/publish", "", "", `{"channel":"board","data":"x","id":"1"}` + "\n{}\n" + `{"channels":["news","board"],"data":{},"ttl":9}`, 200},
		{good, "none", "POST", "/publish", "", "", `{"channel":"board","data":"x"}`, 200},
		{crowded, "all", "POST", "/publish", "", "", `{"channel":"board","data":"x"}`, 503},
		{broken, "all", "POST", "/publish", "", "", `{"channel":"board","data":"x"}`, 200},
		{full, "all", "POST", "/publish", "", "", `{"channel":"board","data":"x"}`, 200},
		{good, "all", "POST", "/publish", "", "", strings.Repeat("{}\n", maxBatchLines+1), 400},
		{good, "all", "POST", "/publish", "Content-Type", "multipart/form-data", "x", 400},
		{good, "no", "POST", "/publish", "", "", "", 401},
		{good, "reader", "POST", "/publish", "", "", "", 403},

		{good, "all", "GET", "/channels?prefix=b&limit=5", "", "", "", 200},
		{good, "all", "GET", "/channels?limit=1", "", "", "", 200},
		{good, "all", "GET", "/channels?limit=x", "", "", "", 400},
		{good, "no", "GET", "/channels", "", "", "", 401},
		{good, "none", "GET", "/channels", "", "", "", 403},
		{broken, "all", "GET", "/channels", "", "", "", 503},

		{good, "all", "GET", "/channels/board?last=5", "", "", "", 200},
		{good, "all", "GET", "/channels/board?last=x", "", "", "", 400},
		{good, "no", "GET", "/channels/board", "", "", "", 401},
		{good, "none", "GET", "/channels/board", "", "", "", 403},
		{broken, "all", "GET", "/channels/board", "", "", "", 503},

		{good, "all", "GET", "/channels/board/presence?limit=5", "", "", "", 200},
		{good, "all", "GET", "/channels/board/presence?limit=1", "", "", "", 200},
		{good, "all", "GET", "/channels/board/presence?limit=x", "", "", "", 400},
		{good, "no", "GET", "/channels/board/presence", "", "", "", 401},
		{good, "none", "GET", "/channels/board/presence", "", "", "", 403},

		{good, "all", "DELETE", "/channels/board/history", "", "", "", 204},
		{good, "all", "DELETE", "/channels/the%20board/history", "", "", "", 400},
		{good, "no", "DELETE", "/channels/board/history", "", "", "", 401},
		{good, "none", "DELETE", "/channels/board/history", "", "", "", 403},
		{broken, "all", "DELETE", "/channels/board/history", "", "", "", 503},

		{good, "all", "DELETE", "/clients/1?channel=board&reason=bye", "", "", "", 200},
		{good, "all", "DELETE", "/clients/1?channel=a%20b", "", "", "", 400},
		{good, "no", "DELETE", "/clients/1", "", "", "", 401},
		{good, "none", "DELETE", "/clients/1", "", "", "", 403},

		{good, "all", "DELETE", "/users/ann?channel=board&reason=bye", "", "", "", 200},
		{good, "all", "DELETE", "/users/ann?reason=%C3%A9", "", "", "", 400},
		{good, "no", "DELETE", "/users/ann", "", "", "", 401},
		{good, "none", "DELETE", "/users/ann", "", "", "", 403},
	}
}

func TestOpenAPI_SaysWhatTheServerDoes(t *testing.T) {
	o := newOpenAPI(t)
	s := newService(t, Config{MaxMessage: 1000}, Endpoint{})
	s.dial("/push/board")
	s.dial("/push/board")
	s.dial("/push/news?channel=board")
	s.claim("board", "ann", "bob", "ann")
	all := []Right{RightPublish, RightRead, RightManage}
	keys := Keys{{Name: "all", Secret: "all", Channels: []string{"*"}, Rights: all}, {Name: "none", Secret: "none", Channels: []string{"x"}},
		{Name: "reader", Secret: "reader", Channels: []string{"*"}, Rights: []Right{RightRead}}}
	good := s.withKeys(keys)
	crowded := newService(t, Config{}, Endpoint{}).withKeys(keys)
	crowded.taken.Store(crowded.cfg.PublishTotal)
	broken := newService(t, Config{}, Endpoint{}).withKeys(keys)
	if err := broken.broker.Close(); err != nil {
		t.Fatal(err)
	}
	hub, err := New(Config{}, fullStore{NewMemory(History{})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	full := (&service{Hub: hub, t: t}).withKeys(keys)

	for _, c := range exercises(good, broken, full, crowded) {

		request, err := http.NewRequest(c.method, c.at.server.URL+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-API-Key", c.key)
		if c.header != "" {
			request.Header.Set(c.header, c.value)
		}
		answer, err := c.at.server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != c.status {
			t.Errorf("%s %s as %s: got %d, want %d", c.method, c.path, c.key, answer.StatusCode, c.status)
		}
		o.check(request, answer)
	}
	untried := o.untried()
	slices.Sort(untried)
	if len(untried) > 0 {
		t.Errorf("in the file, but not shown by any request:\n%s", strings.Join(untried, "\n"))
	}
}

// What the file says of a batch's lines is what the parser takes.
func TestOpenAPI_LinesAreWhatTheParserTakes(t *testing.T) {
	o := newOpenAPI(t)
	schema, err := o.compiler.Compile("openapi.json#/components/schemas/Line")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`{"channel":"a","data":"x"}`, `{"channels":["a","b"],"data":{"n":1},"id":"1","ttl":90}`, `{"channel":"a","base64":"/w=="}`, `{"channel":"a","data":null}`,
		`{}`, `{"channel":"a"}`, `{"data":"x"}`, `{"channel":"a b","data":"x"}`, `{"channels":[],"data":"x"}`, `{"channels":["a","a"],"data":"x"}`,
		`{"channel":"a","channels":["b"],"data":"x"}`, `{"channel":"a","data":"x","base64":""}`, `{"channel":"a","data":"x","id":""}`,
		`{"channel":"a","data":"x","ttl":"90s"}`, `{"channel":"a","data":"x","ttl":-1}`, `{"channel":"a","data":"x","ttl":3153600001}`, `{"channel":"a","data":"x","time":1}`,
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		_, problem := parseBatchLine([]byte(line))
		if err := schema.Validate(value); (err == nil) != (problem == "") {
			t.Errorf("%s: the file says %v, the parser %q", line, err, problem)
		}
	}
}
