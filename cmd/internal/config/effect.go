package config

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"wsfront/proxy"
	"wsfront/pusher/natsbroker"
)

// Name is that of the file it was read from, or "".
func (f *File) Name() string {
	if f.source == nil {
		return ""
	}
	return f.source.name
}

// Version is the same for the same configuration: the beginning of the file's
// SHA-256, as sha256sum prints it. One that was not read from a file has that of
// its options.
func (f *File) Version() string {
	const digits = 12
	if f.source != nil {
		return f.source.digest[:digits]
	}
	return fmt.Sprintf("%x", sha256.Sum256(f.text(func(_, value string) string { return value })))[:digits]
}

// Redacted is the configuration as a file would have it, without comments and
// without what is at its default. What is secret is *** there; names of files
// with secrets are not.
func (f *File) Redacted() []byte { return f.text(redact) }

// RedactedPush is the section push in one line, as Redacted shows it.
func (f *File) RedactedPush() string {
	n := encoder{redact}.value(reflect.ValueOf(f.Push), "push")
	if n == nil {
		return "{}"
	}
	n.Style = yaml.FlowStyle
	return strings.TrimSpace(string(marshal(n)))
}

// hidden stands for what is secret.
const hidden = "***"

// secretFields are the options whose values are secret.
var secretFields = []string{
	"sites[].routes[].push.token.keys[].secret",
	"sites[].routes[].request_headers.set", // the app may believe whoever has them
}

// urlFields are the options whose values may have a password in front of the host,
// or a key in the query.
var urlFields = []string{
	"pools[].backends[].url",
	"sites[].routes[].app",
	"sites[].routes[].tunnel.backend",
	"sites[].routes[].push.token.jwks",
	"acme.ca",
	"acme.on_demand.ask",
	"push.webhooks.url",
	listField,
}

var (
	itemNumber = regexp.MustCompile(`\[\d+\]`)
	// userinfo is what stands before the host of a URL, and listedUserinfo before
	// that of each one in a list. A password may have a comma in it (RFC 3986 §3.2.1),
	// but not in a list.
	userinfo       = regexp.MustCompile(`(^|//)[^/]*@`)
	listedUserinfo = regexp.MustCompile(`(^|//|,)[^/,]*@`)
)

// listField is the one of urlFields that has a list.
const listField = "push.history.url"

// redact is what is shown of a value at a path.
func redact(path, value string) string {
	at := itemNumber.ReplaceAllString(path, "[]")
	switch {
	case slices.Contains(secretFields, at):
		return hidden
	case !slices.Contains(urlFields, at):
		return value
	}
	before := userinfo
	if at == listField {
		before = listedUserinfo
	}
	value = before.ReplaceAllString(value, "${1}"+hidden+"@")
	if base, _, ok := strings.Cut(value, "?"); ok {
		value = base + "?" + hidden
	}
	return value
}

// text writes what is not at its default, each text as show gives it.
func (f *File) text(show func(path, value string) string) []byte {
	e := encoder{show}
	n := e.value(reflect.ValueOf(f).Elem(), "")
	if n == nil {
		return []byte("{}\n")
	}
	return marshal(n)
}

func marshal(n *yaml.Node) []byte {
	text, err := yaml.Marshal(n)
	if err != nil {
		panic(err) // the nodes are of our own making
	}
	return text
}

// encoder makes YAML nodes of structs: decoder's other way.
type encoder struct {
	show func(path, value string) string
}

// value is the node for v, or nil where v is what a file means that does not have
// the key.
func (e encoder) value(v reflect.Value, path string) *yaml.Node {
	switch value := v.Interface().(type) {
	case proxy.TLS:
		if value.Cert == "" && value.Key == "" {
			return e.scalar(path, string(value.Mode))
		}
	case proxy.Addresses:
		if value != nil && len(value) == 0 {
			return e.scalar(path, "off")
		}
	case proxy.ByteRate:
		if value == proxy.RateOff {
			return e.scalar(path, "off")
		}
	case natsbroker.Sync:
		if value == natsbroker.SyncAlways {
			return e.scalar(path, "always")
		}
		return e.value(reflect.ValueOf(time.Duration(value)), path)
	case netip.Prefix:
		return e.scalar(path, value.String())
	case map[string]string:
		return e.texts(value, path)
	case time.Duration:
		if value == 0 {
			return nil
		}
		return e.scalar(path, value.String())
	}
	switch v.Kind() {
	case reflect.Pointer:
		return e.given(v, path)
	case reflect.Struct:
		return e.mapping(v, path)
	case reflect.Slice:
		return e.list(v, path)
	case reflect.String:
		return e.scalar(path, v.String())
	case reflect.Bool:
		if v.Bool() {
			return literal("true")
		}
		return nil
	}
	if v.IsZero() {
		return nil
	}
	return literal(strconv.FormatInt(v.Int(), 10))
}

// given is an option for which nothing and a zero value differ.
func (e encoder) given(v reflect.Value, path string) *yaml.Node {
	if v.IsNil() {
		return nil
	}
	if n := e.value(v.Elem(), path); n != nil {
		return n
	}
	switch kind := v.Elem().Kind(); {
	case v.Elem().Type() == durationType:
		return literal("0s")
	case kind == reflect.Bool:
		return literal("false")
	case kind == reflect.Struct:
		return &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	}
	return literal("0")
}

func (e encoder) mapping(v reflect.Value, path string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fieldsOf(v.Type()) {
		if value := e.value(v.FieldByIndex(f.index), join(path, f.name)); value != nil {
			n.Content = append(n.Content, literal(f.name), value)
		}
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}

func (e encoder) list(v reflect.Value, path string) *yaml.Node {
	if v.IsNil() {
		return nil
	}
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range v.Len() {
		item := e.value(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		if item == nil {
			item = &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		}
		n.Content = append(n.Content, item)
	}
	return n
}

func (e encoder) texts(texts map[string]string, path string) *yaml.Node {
	if texts == nil {
		return nil
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		n.Content = append(n.Content, text(key), text(e.show(path, texts[key])))
	}
	return n
}

// scalar is a single value, or nil where it is "".
func (e encoder) scalar(path, value string) *yaml.Node {
	if value == "" {
		return nil
	}
	return text(e.show(path, value))
}

// text is a value that is quoted where it would be read as something else.
func text(value string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(value)
	return n
}

// literal is a value that is written as it stands.
func literal(value string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: value} }
