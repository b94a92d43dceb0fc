package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	reflector "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"wsfront/proxy"
	"wsfront/pusher"
	"wsfront/pusher/natsbroker"
)

const schemaFile = "../../../deploy/wsfront.schema.json"

// The schema is made of the structs that the file is read into, so that the
// two cannot part.
func TestSchema_IsWhatTheStructsSay(t *testing.T) {
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(generateSchema(t)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s is out of date; write it anew with: go test ./cmd/internal/config -update", filepath.Clean(schemaFile))
	}
}

func TestSchema_AcceptsGoodFiles(t *testing.T) {
	schema := compileSchema(t)
	for _, path := range yamlFiles(t, "good") {
		if err := schema.Validate(instance(t, path)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSchema_RefusesUnknownKeysAndWrongTypes(t *testing.T) {
	schema := compileSchema(t)
	for _, name := range []string{
		"access-log-keys", "admin", "allow", "basic-auth", "durations", "just-a-word", "limits", "log", "many-at-once", "match-and-path", "no-sites", "not-a-mapping", "null-values", "numbers", "pools", "publish-keys", "redirect-status", "route-kinds", "schedules", "sites-a-mapping",
		"sizes", "syslog", "tls-cert-without-key", "tls-mapping-unknown-key", "tls-word", "trusted-proxies", "tunnel-mode", "tunnel-without-backend",
		"unknown-keys", "wrong-types",
	} {
		if err := schema.Validate(instance(t, testdata+"bad/"+name+".yaml")); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Every description is there: it is the reference that editors show.
func TestSchema_DescribesEveryOption(t *testing.T) {
	var walk func(s *reflector.Schema, path string)
	walk = func(s *reflector.Schema, path string) {
		for _, branch := range append(s.OneOf, s.Items) {
			if branch != nil {
				walk(branch, path)
			}
		}
		if s.Properties == nil {
			return
		}
		for pair := s.Properties.Oldest(); pair != nil; pair = pair.Next() {
			at := join(path, pair.Key)
			if pair.Value.Description == "" {
				t.Errorf("%s has no description", at)
			}
			walk(pair.Value, at)
		}
	}
	walk(generateSchema(t), "")
}

func generateSchema(t *testing.T) *reflector.Schema {
	t.Helper()
	r := &reflector.Reflector{Anonymous: true, DoNotReference: true, RequiredFromJSONSchemaTags: true, FieldNameTag: "yaml"}
	comments := &reflector.Reflector{}
	working, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("../../..") // AddGoComments makes import paths of the paths it walks
	for _, dir := range []string{"proxy", "pusher", "cmd/internal/config"} {
		if err := comments.AddGoComments("wsfront", dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(working)
	r.LookupComment = func(typ reflect.Type, field string) string {
		if field == "" {
			return ""
		}
		text := strings.Join(strings.Fields(comments.CommentMap[typ.PkgPath()+"."+typ.Name()+"."+field]), " ")
		if rest, ok := strings.CutPrefix(text, field+" "); ok { // the file has another name for it
			sf, _ := typ.FieldByName(field)
			key, _, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
			return key + " " + rest
		}
		return text
	}
	r.Mapper = func(typ reflect.Type) *reflector.Schema { return schemaOf(r, typ) }

	s := r.Reflect(File{})
	s.Title = "wsfront.yaml"
	s.Required = []string{"sites"}
	site := property(t, s, "sites").Items
	site.Required = []string{"hosts", "routes"}
	route := property(t, site, "routes").Items
	for _, choice := range [][]string{{"path", "match"}, {"app", "tunnel", "files", "redirect", "push"}} {
		one := &reflector.Schema{}
		for _, key := range choice {
			one.OneOf = append(one.OneOf, &reflector.Schema{Required: []string{key}})
		}
		route.AllOf = append(route.AllOf, one)
	}
	property(t, s, "pools").Items.Required = []string{"name", "backends"}
	push := property(t, s, "push")
	property(t, push, "syslog").Items.Required = []string{"listen", "channel"}
	property(t, push, "schedules").Items.Required = []string{"channel", "message"}
	property(t, property(t, push, "publish"), "keys").Items.Required = []string{"name", "key_file", "channels"}
	property(t, property(t, property(t, s, "admin"), "ready"), "backends").Enum = []any{"any", "all", "off"}
	property(t, property(t, s, "log"), "level").Enum = []any{"debug", "info", "warn", "error"}
	property(t, property(t, s, "log"), "format").Enum = []any{"text", "json"}
	return s
}

// schemaOf is the schema of the types that the file writes in its own way.
func schemaOf(r *reflector.Reflector, typ reflect.Type) *reflector.Schema {
	words := func(list ...any) *reflector.Schema { return &reflector.Schema{Type: "string", Enum: list} }
	switch typ {
	case reflect.TypeFor[bool]():
		return &reflector.Schema{OneOf: []*reflector.Schema{{Type: "boolean"}, words("on", "off")}}
	case reflect.TypeFor[int64]():
		return &reflector.Schema{OneOf: []*reflector.Schema{
			{Type: "integer", Minimum: "1"},
			{Type: "string", Pattern: `^[0-9]+ *(B|KiB|MiB|GiB|TiB)?$`},
		}}
	case reflect.TypeFor[int]():
		return &reflector.Schema{Type: "integer", Minimum: "1", Maximum: "2147483647"}
	case durationType:
		return &reflector.Schema{Type: "string", Pattern: `^([0-9]+d|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`}
	case textsType:
		return &reflector.Schema{Type: "object", AdditionalProperties: &reflector.Schema{OneOf: []*reflector.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}}
	case prefixType:
		return &reflector.Schema{Type: "string", Pattern: `^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$`}
	case reflect.TypeFor[proxy.Addresses]():
		address := &reflector.Schema{Type: "string", Pattern: `:[0-9]+$`}
		return &reflector.Schema{OneOf: []*reflector.Schema{words("off"), address, {Type: "array", Items: address}}}
	case reflect.TypeFor[proxy.TLS]():
		return &reflector.Schema{OneOf: []*reflector.Schema{words("auto", "internal", "off"), longForm(r, typ, "cert", "key")}}
	case reflect.TypeFor[proxy.AccessLog]():
		format := schemaOf(r, reflect.TypeFor[proxy.AccessFormat]())
		return &reflector.Schema{OneOf: []*reflector.Schema{format, longForm(r, typ)}}
	case reflect.TypeFor[proxy.BasicAuth]():
		return &reflector.Schema{OneOf: []*reflector.Schema{{Type: "string"}, longForm(r, typ, "file")}}
	case reflect.TypeFor[proxy.Tunnel]():
		return &reflector.Schema{OneOf: []*reflector.Schema{{Type: "string"}, longForm(r, typ, "backend")}}
	case reflect.TypeFor[proxy.PoolBackend]():
		return &reflector.Schema{OneOf: []*reflector.Schema{{Type: "string"}, longForm(r, typ, "url")}}
	case reflect.TypeFor[proxy.Redirect]():
		long := longForm(r, typ)
		status, _ := long.Properties.Get("status")
		status.Minimum, status.Maximum, status.Enum = "", "", []any{301, 302, 303, 307, 308, 403, 404, 410}
		return &reflector.Schema{OneOf: []*reflector.Schema{{Type: "string"}, long}}
	case reflect.TypeFor[proxy.ByteRate]():
		return &reflector.Schema{OneOf: []*reflector.Schema{{Type: "integer", Minimum: "0", Maximum: "2147483647"}, words("off")}}
	case reflect.TypeFor[proxy.TunnelMode]():
		return words("raw", "message")
	case reflect.TypeFor[proxy.AccessFormat]():
		return &reflector.Schema{OneOf: []*reflector.Schema{words("combined", "json", "off"), {Type: "string", Pattern: "%"}}}
	case reflect.TypeFor[proxy.Traceparent]():
		return words("begin", "pass")
	case reflect.TypeFor[Sampling]():
		return &reflector.Schema{OneOf: []*reflector.Schema{words("off"), longForm(r, typ)}}
	case reflect.TypeFor[pusher.Right]():
		return words("publish", "read", "manage")
	case reflect.TypeFor[natsbroker.Sync]():
		return &reflector.Schema{OneOf: []*reflector.Schema{words("always"), schemaOf(r, durationType)}}
	case reflect.TypeFor[History]():
		return &reflector.Schema{OneOf: []*reflector.Schema{words("memory", "durable"), longForm(r, typ)}}
	case reflect.TypeFor[pusher.AppAuth]():
		return &reflector.Schema{OneOf: []*reflector.Schema{{Type: "string"}, longForm(r, typ, "path")}}
	case reflect.TypeFor[pusher.Slow]():
		return words("cut", "skip")
	case reflect.TypeFor[pusher.Inbound]():
		return words("drop", "echo", "publish", "app")
	}
	return nil
}

// longForm is the mapping that a type may be written as beside its short form.
func longForm(r *reflector.Reflector, typ reflect.Type, required ...string) *reflector.Schema {
	inner := *r
	inner.Mapper = func(t reflect.Type) *reflector.Schema {
		if t == typ {
			return nil // its fields
		}
		return schemaOf(r, t)
	}
	s := inner.ReflectFromType(typ)
	s.Version, s.Required = "", required
	return s
}

func property(t *testing.T, s *reflector.Schema, name string) *reflector.Schema {
	t.Helper()
	p, ok := s.Properties.Get(name)
	if !ok {
		t.Fatalf("no property %s", name)
	}
	return p
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// instance is a YAML file as an editor's schema checker sees it.
func instance(t *testing.T, path string) any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	v, err = jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}
