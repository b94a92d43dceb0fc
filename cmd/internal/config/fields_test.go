package config

import (
	"encoding"
	"reflect"
	"testing"
)

// A field of a type that the decoder cannot fill would show only when
// somebody writes it.
func TestFields_EveryTypeIsOneThatTheDecoderFills(t *testing.T) {
	var walk func(typ reflect.Type, f field, path string)
	walk = func(typ reflect.Type, f field, path string) {
		switch {
		case typ.Kind() == reflect.Pointer:
			walk(typ.Elem(), f, path)
		case typ.Kind() == reflect.Slice:
			walk(typ.Elem(), field{}, path+"[]")
		case typ == textsType || typ == durationType || typ == prefixType || typ.Kind() == reflect.Bool || typ.Kind() == reflect.Int:
		case typ.Kind() == reflect.Int64:
			if own := reflect.PointerTo(typ).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()); !f.size && !own {
				t.Errorf("%s is a number that is no size", path)
			}
		case typ.Kind() == reflect.String:
			if reflect.PointerTo(typ).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
				t.Errorf("%s: a word with its own reading", path)
			}
		case typ.Kind() == reflect.Struct:
			for _, f := range fieldsOf(typ) {
				if f.name == "" {
					t.Errorf("%s has a field without a key", path)
				}
				walk(f.typ, f, join(path, f.name))
			}
		default:
			t.Errorf("%s has the type %s", path, typ)
		}
	}
	walk(reflect.TypeFor[File](), field{}, "")
}

func TestFields_OuterKeyReplacesTheInlinedOne(t *testing.T) {
	for _, f := range fieldsOf(reflect.TypeFor[File]()) {
		if f.name == "sites" && f.typ != reflect.TypeFor[[]Site]() {
			t.Errorf("sites is %s", f.typ)
		}
	}
}
