package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"wsfront/proxy"
	"wsfront/pusher"
)

const openAPIFile = "../../../deploy/openapi-admin.yaml"

// openAPI is the file.
type openAPI struct {
	t        *testing.T
	doc      map[string]any
	compiler *jsonschema.Compiler
	shown    map[string]bool // the operations with status and type that were seen
}

func readOpenAPI(t *testing.T) *openAPI {
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
	o := &openAPI{t: t, doc: doc.(map[string]any), compiler: jsonschema.NewCompiler(), shown: map[string]bool{}}
	o.compiler.AssertFormat()
	if err := o.compiler.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return o
}

// at follows keys, and references on the way; nil is what is not there.
func (o *openAPI) at(from any, keys ...string) map[string]any {
	object, _ := from.(map[string]any)
	for {
		if ref, ok := object["$ref"].(string); ok {
			object = o.at(o.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
		if len(keys) == 0 || object == nil {
			return object
		}
		object, _ = object[keys[0]].(map[string]any)
		keys = keys[1:]
	}
}

// everything are sources that all endpoints have something of, good or bad.
func everything(fail bool) Sources {
	order := func() error {
		if fail {
			return errors.New("wsfront.yaml:1:1: no sites")
		}
		return nil
	}
	page := http.NewServeMux()
	page.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<!doctype html>") })
	page.HandleFunc("GET /page/{file}", func(w http.ResponseWriter, r *http.Request) {
		kind := map[string]string{"page.css": "text/css", "main.js": "text/javascript", "icon.svg": "image/svg+xml"}[r.PathValue("file")]
		if kind == "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", kind)
	})
	page.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		if fail {
			http.Error(w, "too many", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		if r.Header.Get("Accept") == "application/json" {
			writeJSON(w, http.StatusOK, struct{}{})
		}
	})
	s := Sources{
		Status:      func(context.Context) Status { return filled[Status]() },
		NotReady:    func(context.Context) []string { return nil },
		Tunnels:     func() []proxy.TunnelState { return []proxy.TunnelState{filled[proxy.TunnelState]()} },
		CloseTunnel: func(id string) bool { return id == "one" },
		Channels: func(context.Context, int) (ChannelList, error) {
			if fail {
				return ChannelList{}, errors.New("the history is away")
			}
			return ChannelList{Channels: []pusher.ChannelState{filled[pusher.ChannelState]()}, More: true}, nil
		},
		Certificates: func() []proxy.CertificateState { return []proxy.CertificateState{filled[proxy.CertificateState]()} },
		Failures:     func() []proxy.FailureState { return []proxy.FailureState{filled[proxy.FailureState]()} },
		Config:       func() []byte { return []byte("state: /srv\n") },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if fail {
				http.Error(w, "too many", http.StatusServiceUnavailable)
				return
			}
			someMetrics(w, nil)
		}),
		Page: page, Pprof: true, Reload: order, Upgrade: order,
	}
	if fail {
		s.NotReady = func(context.Context) []string { return []string{"no backend"} }
	}
	return s
}

// filled has something in each field; words of which there are only some are given
// here.
func filled[T any]() T {
	var v T
	fillValue(reflect.ValueOf(&v).Elem(), "")
	return v
}

func fillValue(v reflect.Value, name string) {
	words := map[string]string{"State": StateServing, "TLS": "auto", "Kind": "app", "Health": "up", "Source": "auto"}
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1_800_000_000, 0)))
			return
		}
		for i := range v.NumField() {
			fillValue(v.Field(i), v.Type().Field(i).Name)
			if t := v.Type(); t == reflect.TypeFor[proxy.FailureState]() && t.Field(i).Name == "Kind" {
				v.Field(i).SetString("handshake")
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(v.Elem(), name)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillValue(v.Index(0), name)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		fillValue(value, name)
		v.SetMapIndex(reflect.ValueOf("key"), value)
	case reflect.String:
		v.SetString("text")
		if word := words[name]; word != "" {
			v.SetString(word)
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1.5)
	default:
		if v.CanUint() {
			v.SetUint(7)
		} else {
			v.SetInt(7)
		}
	}
}

func TestOpenAPI_HasWhatIsServedAndNothingElse(t *testing.T) {
	o := readOpenAPI(t)
	served := []string{"POST /login"}
	for _, e := range endpoints(everything(false)) {
		if !e.served {
			t.Errorf("%s is not served", e.pattern)
		}
		served = append(served, strings.ReplaceAll(e.pattern, "{$}", ""))
	}
	var told []string
	for path := range o.at(o.doc, "paths") {
		for method := range o.at(o.doc, "paths", path) {
			told = append(told, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(told)
	if !slices.Equal(served, told) {
		t.Errorf("served: %q\nin the file: %q", served, told)
	}
}

var variable = regexp.MustCompile(`\{\w+\}`)

// check holds an answer against the file.
func (o *openAPI) check(method, path string, res *http.Response, body string) {
	o.t.Helper()
	template, exact := "", false
	for one := range o.at(o.doc, "paths") {
		if one == path {
			template, exact = one, true
		} else if !exact && regexp.MustCompile("^"+variable.ReplaceAllString(one, "[^/]+")+"$").MatchString(path) {
			template = one
		}
	}
	name := fmt.Sprintf("%s %s %d", method, template, res.StatusCode)
	response := o.at(o.doc, "paths", template, strings.ToLower(method), "responses", fmt.Sprint(res.StatusCode))
	if response == nil {
		o.t.Errorf("%s is not in the file", name)
		return
	}
	contents := o.at(response, "content")
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if contents == nil {
		o.shown[name] = true
		return
	}
	content, ok := contents[media].(map[string]any)
	if !ok {
		o.t.Errorf("%s: %s is not in the file", name, media)
		return
	}
	o.shown[name+" "+media] = true
	reference, _ := o.at(content)["schema"].(map[string]any)
	if ref, ok := reference["$ref"].(string); ok && media == "application/json" {
		o.validate(name, ref, body)
	}
}

func (o *openAPI) validate(name, ref, text string) {
	o.t.Helper()
	schema, err := o.compiler.Compile("openapi.json" + ref)
	if err != nil {
		o.t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		o.t.Errorf("%s: %v in %s", name, err, text)
	} else if err := schema.Validate(value); err != nil {
		o.t.Errorf("%s: %v\nin %s", name, err, text)
	}
}

// promised lists each operation's answers, with their types.
func (o *openAPI) promised() (all []string) {
	for path := range o.at(o.doc, "paths") {
		for method := range o.at(o.doc, "paths", path) {
			responses := o.at(o.doc, "paths", path, method, "responses")
			for status := range responses {
				name := strings.ToUpper(method) + " " + path + " " + status
				contents := o.at(responses, status, "content")
				if contents == nil {
					all = append(all, name)
				}
				for media := range contents {
					all = append(all, name+" "+media)
				}
			}
		}
	}
	return all
}

func TestOpenAPI_SaysWhatTheServerAnswers(t *testing.T) {
	o := readOpenAPI(t)
	good, bad, empty := serveAt(t, everything(false), Access{}), serveAt(t, everything(true), Access{}), serveAt(t, emptied(), Access{})
	for _, path := range []string{"/healthz", "/readyz", "/status", "/tunnels", "/channels", "/certificates", "/failures", "/config", "/metrics", "/",
		"/page/page.css", "/page/main.js", "/page/icon.svg", "/page/none", "/events", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/heap?debug=1",
		"/debug/pprof/none", "/debug/pprof/profile?seconds=1", "/debug/pprof/profile?seconds=0", "/tunnels?sort=x", "/channels?limit=x", "/readyz JSON", "/events JSON"} {
		path, asJSON := strings.CutSuffix(path, " JSON")
		accept := "*/*"
		if asJSON {
			accept = "application/json"
		}
		bare, _, _ := strings.Cut(path, "?")
		for _, r := range []*rig{good, bad, empty} {
			if r != good && strings.Contains(path, "seconds=1") {
				continue
			}
			res, text := r.ask("GET", path, "Accept", accept)
			o.check("GET", bare, res, text)
		}
	}
	for _, path := range []string{"/reload", "/upgrade"} {
		for _, r := range []*rig{good, bad} {
			res, text := r.ask("POST", path)
			o.check("POST", path, res, text)
		}
	}
	for _, id := range []string{"one", "other"} {
		res, text := good.ask("DELETE", "/tunnels/"+id)
		o.check("DELETE", "/tunnels/"+id, res, text)
	}
	checkLogins(o)
	checkSecondProfile(o, good)
	untold := slices.DeleteFunc(o.promised(), func(what string) bool { return o.shown[what] })
	if slices.Sort(untold); len(untold) > 0 {
		t.Errorf("in the file, but shown by no answer:\n%s", strings.Join(untold, "\n"))
	}
}

// emptied are sources that have nothing to tell.
func emptied() Sources {
	s := everything(false)
	s.Status = func(context.Context) Status {
		return Status{State: StateDraining, Connections: map[string]int{}, Limits: map[string]uint64{}}
	}
	s.Tunnels = func() []proxy.TunnelState { return nil }
	s.Channels = func(context.Context, int) (ChannelList, error) { return ChannelList{}, nil }
	s.Certificates = func() []proxy.CertificateState { return nil }
	s.Failures = func() []proxy.FailureState { return nil }
	return s
}

func checkLogins(o *openAPI) {
	r, path, token, _ := tokened(o.t)
	for _, try := range []string{token, "wrong", strings.Repeat("x", maxLogin)} {
		res, text := r.login(try)
		o.check("POST", "/login", res, text)
	}
	for range maxMisses {
		res, text := r.login("wrong")
		o.check("POST", "/login", res, text)
	}
	if err := os.Remove(path); err != nil {
		o.t.Fatal(err)
	}
	res, text := r.send("POST", "/login", url.Values{"token": {token}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	o.check("POST", "/login", res, text)
}

// checkSecondProfile asks for a profile of the CPU while one is made.
func checkSecondProfile(o *openAPI, r *rig) {
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		o.t.Fatal(err)
	}
	defer pprof.StopCPUProfile()
	res, text := r.ask("GET", "/debug/pprof/profile")
	o.check("GET", "/debug/pprof/profile", res, text)
}
