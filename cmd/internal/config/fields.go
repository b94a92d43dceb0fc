package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// field is one key of a struct.
type field struct {
	name  string
	index []int // for reflect.Value.FieldByIndex
	size  bool  // a number of bytes
	typ   reflect.Type
}

// fieldsOf lists the keys of a struct by its yaml tags: "name", "name,size"
// and ",inline", which takes over the keys of an embedded struct; a key of the
// struct itself replaces one of the same name that was taken over.
func fieldsOf(t reflect.Type) []field {
	var list []field
	add := func(f field) {
		if i := slices.IndexFunc(list, func(other field) bool { return other.name == f.name }); i >= 0 {
			list[i] = f
			return
		}
		list = append(list, f)
	}
	for i := range t.NumField() {
		sf := t.Field(i)
		name, option, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			for _, f := range fieldsOf(sf.Type) {
				f.index = append([]int{i}, f.index...)
				add(f)
			}
		case sf.IsExported() && name != "-":
			add(field{name: name, index: sf.Index, size: option == "size", typ: sf.Type})
		}
	}
	return list
}

func namesOf(t reflect.Type) []string {
	var names []string
	for _, f := range fieldsOf(t) {
		names = append(names, f.name)
	}
	return names
}

// unknownKey says what to write instead of a key that t does not have, and
// which of its keys was meant, if one is alike.
func unknownKey(key string, t reflect.Type) (message, meant string) {
	names := namesOf(t)
	if meant := nearest(key, names); meant != "" {
		return fmt.Sprintf("unknown key; did you mean %s?", meant), meant
	}
	if elsewhere := pathsOf(key, reflect.TypeFor[File](), ""); len(elsewhere) > 0 {
		return "unknown key here; it belongs to " + strings.Join(elsewhere, " or "), ""
	}
	return "unknown key; the keys here are " + strings.Join(names, ", "), ""
}

// pathsOf lists where a key would be known.
func pathsOf(key string, t reflect.Type, path string) []string {
	var list []string
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		if t.Kind() == reflect.Slice {
			path += "[]"
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == prefixType {
		return nil
	}
	for _, f := range fieldsOf(t) {
		at := join(path, f.name)
		if f.name == key {
			list = append(list, at)
		}
		list = append(list, pathsOf(key, f.typ, at)...)
	}
	return list
}

// nearest finds the name that a misspelt key means, or "".
func nearest(key string, names []string) string {
	best, least := "", 3
	for _, name := range names {
		d := distance(strings.ToLower(strings.ReplaceAll(key, "-", "_")), name)
		if d < least && d*2 < len(name) {
			best, least = name, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove, replace or swap with
// their neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	if len(a) > 40 { // no key is that long
		return len(a)
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
