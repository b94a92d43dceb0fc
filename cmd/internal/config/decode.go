package config

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
	textsType    = reflect.TypeFor[map[string]string]()
)

// decoder fills structs from YAML nodes. It goes on behind a mistake, so that
// all of them are found.
type decoder struct {
	source   *source
	problems Problems
	// misread are the fields whose value is not what the file means, so that
	// what validation says about them would only confuse.
	misread []string
}

func (d *decoder) failf(n *yaml.Node, path, format string, args ...any) {
	d.problems = append(d.problems, d.source.problem(n.Line, n.Column, path, fmt.Sprintf(format, args...)))
	d.misread = append(d.misread, path)
}

// value reads node n into v, which stands at path.
func (d *decoder) value(n *yaml.Node, v reflect.Value, f field, path string) {
	d.source.places[path] = place{n.Line, n.Column, n.Kind == yaml.ScalarNode}
	if !d.plain(n, f, path) {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	text, short := v.Addr().Interface().(encoding.TextUnmarshaler)
	short = short && v.Type() != prefixType
	switch {
	case short && n.Kind == yaml.ScalarNode:
		if err := text.UnmarshalText([]byte(word(n))); err != nil {
			d.failf(n, path, "%s", err)
		}
	case v.Kind() == reflect.Struct && v.Type() != prefixType && n.Kind == yaml.MappingNode:
		d.mapping(n, v, path)
	case v.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, item := range n.Content {
			d.value(item, v.Index(i), field{typ: v.Type().Elem()}, fmt.Sprintf("%s[%d]", path, i))
		}
	case v.Type() == textsType && n.Kind == yaml.MappingNode:
		d.texts(n, v, path)
	case isScalar(v.Type()) && n.Kind == yaml.ScalarNode:
		if err := setScalar(v, f, n.Value); err != nil {
			d.failf(n, path, "%s", err)
		}
	default:
		d.failf(n, path, "%s does not fit here; write %s", kindOf(n), wanted(f.typ, n))
	}
}

// word is a scalar's text. Programs that speak YAML 1.1, such as Ansible and Helm,
// read off as a boolean and write it as false.
func word(n *yaml.Node) string {
	if n.Tag == "!!bool" && strings.EqualFold(n.Value, "false") {
		return "off"
	}
	return n.Value
}

// plain refuses what YAML has beyond plain values: nothing of it is needed
// here, and each would make the file harder to read than it has to be.
func (d *decoder) plain(n *yaml.Node, f field, path string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.failf(n, path, "aliases (*%s) are not supported; write the value itself", n.Value)
	case n.Style&yaml.TaggedStyle != 0:
		d.failf(n, path, "tags (%s) are not supported; remove it", n.Tag)
	case n.Tag == "!!null":
		what := "one"
		if f.typ.Kind() != reflect.String {
			what = wanted(f.typ, n)
		}
		d.failf(n, path, "has no value; write %s, or remove the key", what)
	default:
		return true
	}
	return false
}

// mapping reads the keys of a struct.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	known := map[string]field{}
	for _, f := range fieldsOf(v.Type()) {
		known[f.name] = f
	}
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		f, ok := known[key.Value]
		switch {
		case key.Tag == "!!merge":
			d.failf(key, at, "merge keys are not supported; write the keys out")
			d.misread = append(d.misread, path)
		case key.Kind != yaml.ScalarNode:
			d.failf(key, path, "%s cannot be a key; write one of %s", kindOf(key), strings.Join(namesOf(v.Type()), ", "))
		case !ok:
			message, meant := unknownKey(key.Value, v.Type())
			d.failf(key, at, "%s", message)
			if meant != "" {
				d.misread = append(d.misread, join(path, meant))
			}
		case first[key.Value] != nil:
			d.failf(key, at, "given twice, first in line %d; remove one of them", first[key.Value].Line)
		default:
			first[key.Value] = key
			d.value(value, v.FieldByIndex(f.index), f, at)
		}
	}
}

// texts reads a mapping whose keys are the writer's own, such as names of header
// fields.
func (d *decoder) texts(n *yaml.Node, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(textsType))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		switch _, twice := d.source.places[at]; {
		case key.Tag == "!!merge":
			d.failf(key, path, "merge keys are not supported; write the keys out")
		case key.Kind != yaml.ScalarNode:
			d.failf(key, path, "%s cannot be a key; write a name", kindOf(key))
		case twice:
			d.failf(key, at, "given twice; remove one of them")
		default:
			text := reflect.New(textsType.Elem()).Elem()
			d.value(value, text, field{typ: textsType.Elem()}, at)
			v.SetMapIndex(reflect.ValueOf(key.Value), text)
		}
	}
}

// isScalar reports whether setScalar can fill a type.
func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int64, reflect.Int:
		return true
	}
	return t == prefixType
}

// setScalar reads one value from its text. Whether YAML takes the text for a
// number or for a word does not matter: the field says what it is.
func setScalar(v reflect.Value, f field, text string) error {
	switch {
	case v.Type() == durationType:
		t, err := parseDuration(text)
		v.SetInt(int64(t))
		return err
	case v.Type() == prefixType:
		p, err := parsePrefix(text)
		v.Set(reflect.ValueOf(p))
		return err
	case v.Kind() == reflect.Bool:
		b, err := parseBool(text)
		v.SetBool(b)
		return err
	case f.size:
		n, err := parseSize(text)
		v.SetInt(n)
		return err
	case v.Kind() == reflect.Int:
		n, err := parseCount(text)
		v.SetInt(n)
		return err
	}
	v.SetString(text)
	return nil
}

// kindOf names what stands in the file.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%q", n.Value)
}

// wanted says what to write for a type, given what stands there.
func wanted(t reflect.Type, n *yaml.Node) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	_, short := reflect.New(t).Interface().(encoding.TextUnmarshaler)
	switch {
	case t == durationType:
		return "a time with its unit, such as 30s"
	case t == prefixType:
		return "an address or a range of them, such as 10.0.0.0/8"
	case t.Kind() == reflect.Bool:
		return "on or off"
	case t.Kind() == reflect.Int64 && !short:
		return "a size such as 100MiB"
	case t.Kind() == reflect.Int:
		return "a number such as 100"
	case t.Kind() == reflect.Slice && short:
		return "one value, or a list in brackets"
	case t.Kind() == reflect.Slice && isScalar(t.Elem()) && n.Kind == yaml.ScalarNode && n.Value != "":
		return fmt.Sprintf("a list: [%s]", n.Value)
	case t.Kind() == reflect.Slice && isScalar(t.Elem()):
		return "a list in brackets"
	case t.Kind() == reflect.Slice:
		return fmt.Sprintf("a list, each item begun by \"- \", with the keys %s", strings.Join(namesOf(t.Elem()), ", "))
	case t == textsType:
		return "a mapping of names to values, such as {X-Frame-Options: DENY}"
	case t.Kind() == reflect.Struct && short:
		return fmt.Sprintf("one value, or a mapping with the keys %s", strings.Join(namesOf(t), ", "))
	case t.Kind() == reflect.Struct:
		return "a mapping with the keys " + strings.Join(namesOf(t), ", ")
	}
	return "a single value"
}
