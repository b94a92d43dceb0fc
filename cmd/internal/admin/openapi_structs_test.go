package admin

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// The schemas have the fields that the structs have, with their types, and ask for
// those that are always there.
func TestOpenAPI_SchemasAreTheStructs(t *testing.T) {
	o := readOpenAPI(t)
	seen := map[string]bool{"Text": true}
	for _, root := range []reflect.Type{reflect.TypeFor[Readiness](), reflect.TypeFor[Status](), reflect.TypeFor[TunnelList](),
		reflect.TypeFor[ChannelList](), reflect.TypeFor[CertificateList](), reflect.TypeFor[FailureList]()} {
		o.compare(root, seen)
	}
	for name := range o.at(o.doc, "components", "schemas") {
		if !seen[name] {
			t.Errorf("the schema %s is of no struct", name)
		}
	}
}

func (o *openAPI) compare(t reflect.Type, seen map[string]bool) {
	if seen[t.Name()] {
		return
	}
	seen[t.Name()] = true
	schema := o.at(o.doc, "components", "schemas", t.Name())
	if schema == nil {
		o.t.Errorf("there is no schema %s", t.Name())
		return
	}
	var all, always []string
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		all = append(all, name)
		if option == "" {
			always = append(always, name)
		}
		property, _ := o.at(schema, "properties")[name].(map[string]any)
		o.compareType(t.Name()+"."+name, t.Field(i).Type, property, seen)
	}
	for name := range o.at(schema, "properties") {
		if !slices.Contains(all, name) {
			o.t.Errorf("%s.%s is in the schema alone", t.Name(), name)
		}
	}
	var required []string
	for _, name := range schema["required"].([]any) {
		required = append(required, name.(string))
	}
	slices.Sort(required)
	slices.Sort(always)
	if !slices.Equal(required, always) {
		o.t.Errorf("%s: required %q, always there %q", t.Name(), required, always)
	}
}

func (o *openAPI) compareType(at string, t reflect.Type, schema map[string]any, seen map[string]bool) {
	want := map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Float64: "number", reflect.Slice: "array", reflect.Map: "object",
		reflect.Int: "integer", reflect.Int64: "integer", reflect.Uint64: "integer"}[t.Kind()]
	switch {
	case schema == nil:
		o.t.Errorf("%s is not in the schema", at)
	case t == reflect.TypeFor[time.Time]():
		if schema["type"] != "string" || schema["format"] != "date-time" {
			o.t.Errorf("%s: %v", at, schema)
		}
	case t.Kind() == reflect.Pointer:
		choice, _ := schema["anyOf"].([]any)
		if len(choice) != 2 {
			o.t.Errorf("%s: %v", at, schema)
			return
		}
		o.compareType(at, t.Elem(), choice[0].(map[string]any), seen)
	case t.Kind() == reflect.Struct:
		if schema["$ref"] != "#/components/schemas/"+t.Name() {
			o.t.Errorf("%s: %v", at, schema)
		}
		o.compare(t, seen)
	case schema["type"] != want:
		o.t.Errorf("%s: %v, want %s", at, schema["type"], want)
	case t.Kind() == reflect.Slice:
		items, _ := schema["items"].(map[string]any)
		o.compareType(at+"[]", t.Elem(), items, seen)
	case t.Kind() == reflect.Map:
		values, _ := schema["additionalProperties"].(map[string]any)
		o.compareType(at+"{}", t.Elem(), values, seen)
	}
}
