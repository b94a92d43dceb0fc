package config

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wsfront/proxy"
)

// plainFields are the texts that may be shown. A new option is in here, or in one
// of the lists of what is secret.
var plainFields = []string{
	"listen[]", "http_listen[]", "pools[].name", "pools[].sticky", "sites[].hosts[]", "sites[].tls.cert", "sites[].tls.key",
	"sites[].headers.set", "sites[].headers.add", "sites[].headers.remove[]", "sites[].routes[].path", "sites[].routes[].tunnel.mode",
	"sites[].routes[].files", "sites[].routes[].fallback", "sites[].routes[].redirect.to", "sites[].routes[].match", "sites[].routes[].host",
	"sites[].routes[].backend_tls.ca", "sites[].routes[].backend_tls.server_name", "sites[].routes[].basic_auth.file",
	"sites[].routes[].basic_auth.realm", "sites[].routes[].headers.set", "sites[].routes[].headers.add", "sites[].routes[].headers.remove[]",
	"sites[].routes[].request_headers.remove[]", "sites[].routes[].push.channel", "sites[].routes[].push.auth.path",
	"sites[].routes[].push.token.keys[].id", "sites[].routes[].push.token.keys[].alg", "sites[].routes[].push.token.keys[].secret_file",
	"sites[].routes[].push.token.keys[].public_key_file", "sites[].routes[].push.token.issuer", "sites[].routes[].push.token.audience",
	"sites[].routes[].push.token.cookie", "sites[].routes[].push.token.query", "sites[].routes[].push.channels[]",
	"sites[].routes[].push.inbound", "sites[].routes[].push.origins[]", "state", "acme.email", "acme.ca_root", "access_log.format",
	"access_log.file", "access_log.skip[]", "traceparent", "push.slow", "push.webhooks.events[]", "push.webhooks.secret_file", "push.history.mode",
	"push.history.dir", "push.history.name", "push.publish.listen", "push.publish.key_file", "push.publish.keys[].name",
	"push.publish.keys[].key_file", "push.publish.keys[].channels[]", "push.publish.keys[].rights[]", "push.syslog[].listen",
	"push.syslog[].channel", "push.syslog[].format", "push.schedules[].channel", "push.schedules[].cron", "push.schedules[].zone",
	"push.schedules[].message", "admin.listen", "admin.token_file", "admin.ready.backends", "log.level", "log.format",
}

// fill puts a text into each option that takes one, and returns their paths.
func fill(v reflect.Value, path string, text func(path string) string) (paths []string) {
	switch {
	case v.Type() == prefixType:
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return fill(v.Elem(), path, text)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		return fill(v.Index(0), path+"[]", text)
	case v.Kind() == reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			paths = append(paths, fill(v.FieldByIndex(f.index), join(path, f.name), text)...)
		}
	case v.Type() == textsType:
		v.Set(reflect.ValueOf(map[string]string{"X-Name": text(path)}))
		return []string{path}
	case v.Kind() == reflect.String:
		v.SetString(text(path))
		return []string{path}
	}
	return paths
}

func TestRedacted_ShowsNothingSecret(t *testing.T) {
	var f File
	paths := fill(reflect.ValueOf(&f).Elem(), "", func(path string) string {
		if slices.Contains(urlFields, path) {
			return "https://user:Hush-pass@host/path?key=Hush-key&Hush"
		}
		if slices.Contains(secretFields, path) {
			return "Hush"
		}
		return "shown at " + path
	})
	known := slices.Concat(secretFields, urlFields, plainFields)
	for _, path := range paths {
		if !slices.Contains(known, path) {
			t.Errorf("%s: is it secret? It is in none of secretFields, urlFields and, in this test, plainFields", path)
		}
	}
	for _, path := range known {
		if !slices.Contains(paths, path) {
			t.Errorf("there is no option %s", path)
		}
	}
	text := string(f.Redacted())
	if strings.Contains(text, "Hush") || strings.Contains(text, "user") {
		t.Errorf("something secret is shown:\n%s", text)
	}
	for _, path := range plainFields {
		if !strings.Contains(text, "shown at "+path) {
			t.Errorf("%s is not shown", path)
		}
	}
	if n := strings.Count(text, hidden); n != len(secretFields)+2*len(urlFields) {
		t.Errorf("%d values are hidden:\n%s", n, text)
	}
}

func TestRedact_URLs(t *testing.T) {
	for value, want := range map[string]string{
		"http://127.0.0.1:8080":                "http://127.0.0.1:8080",
		"https://u:p@host/a@b":                 "https://***@host/a@b",
		"nats://token@one:4222,nats://u:p@two": "nats://***@one:4222,nats://***@two",
		"u:p@host:4222":                        "***@host:4222",
		"unix:/run/app.sock":                   "unix:/run/app.sock",
		"https://u:p@@host?x":                  "https://***@host?***",
	} {
		if got := redact("push.history.url", value); got != want {
			t.Errorf("%s: got %s, want %s", value, got, want)
		}
	}
}

// A password may have a comma in it where a URL stands alone.
func TestRedact_CommaInAPassword(t *testing.T) {
	if got := redact("acme.on_demand.ask", "https://u:Hush,hush@host/ask"); got != "https://***@host/ask" {
		t.Error(got)
	}
}

func TestRedactedPush_IsOneLineWithoutSecrets(t *testing.T) {
	f, err := Load("../../../testdata/config/good/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f.Push.History.URL = "nats://Hush@127.0.0.1:4222"
	if text := f.RedactedPush(); strings.Contains(text, "Hush") || strings.Contains(text, "\n") || !strings.HasPrefix(text, "{ping_interval: 20s, ") || !strings.Contains(text, "nats://***@127.0.0.1:4222") {
		t.Error(text)
	}
	if text := new(File).RedactedPush(); text != "{}" {
		t.Error(text)
	}
}

// What is written is a configuration file that means the same.
func TestText_IsReadAsTheSame(t *testing.T) {
	for _, path := range yamlFiles(t, "good") {
		f, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		text := f.text(func(_, value string) string { return value })
		again, err := Parse("again", text)
		if err != nil {
			t.Errorf("%s: %v\n%s", path, err, text)
			continue
		}
		again.source, f.source = nil, nil
		if !reflect.DeepEqual(f, again) {
			t.Errorf("%s: is read otherwise from\n%s", path, text)
		}
	}
}

func TestVersion_IsThatOfTheText(t *testing.T) {
	text := []byte("sites: [{hosts: [a.example.com], routes: [{path: /, app: \"http://127.0.0.1:1\"}]}]\n")
	f, err := Parse("wsfront.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	g, err := Parse("wsfront.yaml", bytes.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	if f.Name() != "wsfront.yaml" || len(f.Version()) != 12 || f.Version() == g.Version() {
		t.Errorf("%s: %s and %s", f.Name(), f.Version(), g.Version())
	}
	one, two, other := File{}, File{}, File{Config: proxy.Config{State: "/elsewhere"}}
	if one.Name() != "" || one.Version() != two.Version() || one.Version() == other.Version() {
		t.Error(fmt.Sprint(one.Version(), two.Version(), other.Version()))
	}
}
