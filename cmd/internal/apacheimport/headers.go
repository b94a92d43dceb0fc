package apacheimport

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"wsfront/cmd/internal/apacheconf"
)

// field is a name and a value.
type field struct{ name, value string }

// fields are changes to the fields of answers, or of requests.
type fields struct {
	set, add []field
	remove   []string
	hsts     time.Duration
	lines    []*apacheconf.Directive
}

// join is what f says and then what other says.
func (f fields) join(other fields) fields {
	for _, s := range other.set {
		f.put(s.name, s.value)
	}
	for _, a := range other.add {
		f.add = append(f.add[:len(f.add):len(f.add)], a)
	}
	for _, name := range other.remove {
		f.take(name)
	}
	f.hsts = max(f.hsts, other.hsts)
	f.lines = append(f.lines[:len(f.lines):len(f.lines)], other.lines...)
	return f
}

func (f *fields) put(name, value string) {
	f.forget(name)
	f.set = append(f.set, field{name, value})
}

func (f *fields) take(name string) {
	f.forget(name)
	f.remove = append(f.remove, name)
}

// forget takes back what was said of a name.
func (f *fields) forget(name string) {
	same := func(other field) bool { return strings.EqualFold(other.name, name) }
	f.set = slices.DeleteFunc(slices.Clone(f.set), same)
	f.add = slices.DeleteFunc(slices.Clone(f.add), same)
	f.remove = slices.DeleteFunc(slices.Clone(f.remove), func(other string) bool { return strings.EqualFold(other, name) })
}

// option is the fields as an option; ok is false when they say nothing.
func (f fields) option(name string) (o option, ok bool) {
	var parts []string
	mapping := func(key string, list []field) {
		if len(list) == 0 {
			return
		}
		pairs := make([]string, len(list))
		for i, x := range list {
			pairs[i] = inFlow(x.name) + ": " + inFlow(x.value)
		}
		parts = append(parts, key+": {"+strings.Join(pairs, ", ")+"}")
	}
	mapping("set", f.set)
	mapping("add", f.add)
	if len(f.remove) > 0 {
		parts = append(parts, "remove: "+flowList(f.remove))
	}
	return option{name, "{" + strings.Join(parts, ", ") + "}"}, len(parts) > 0
}

var fieldName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^`|~-]+$")

// header is Header: a change to the fields of answers.
func (im *importer) header(_ *vhost, d *apacheconf.Directive, s *scope) {
	args := d.Args
	if len(args) > 0 && (strings.EqualFold(args[0], "always") || strings.EqualFold(args[0], "onsuccess")) {
		args = args[1:]
	}
	if len(args) < 2 {
		im.needsYou(d, "it names no field; write headers at the site or the route")
		return
	}
	verb, name := strings.ToLower(args[0]), strings.TrimSuffix(args[1], ":")
	value, rest := "", []string(nil)
	if len(args) > 2 {
		value, rest = args[2], args[3:]
	}
	lower := strings.ToLower(name)
	switch {
	case lower == "set-cookie" && strings.Contains(value, "BALANCER_WORKER_ROUTE"):
		im.imported(d) // sticky, at the pool
		return
	case strings.HasPrefix(lower, "sec-websocket-"):
		im.remark("a "+name+" of the proxy's own breaks the handshake: the backend chooses it, and browsers refuse one that they did not ask for; it was left out", d)
		im.notNeeded(d, "the backend's own answer to the handshake is passed on")
		return
	case slices.Contains([]string{"connection", "upgrade", "keep-alive", "transfer-encoding", "content-length"}, lower):
		im.notNeeded(d, "fields of the connection itself are set by wsfront")
		return
	case s.kind != inServer && s.kind != inLocation && s.kind != inDirectory && s.kind != inProxy:
		im.needsYou(d, "it holds for requests that cannot be told by their path; write headers at a route for them, or have the app set it")
		return
	case slices.Contains([]string{"edit", "edit*", "echo", "note", "setifempty"}, verb):
		im.needsYou(d, "wsfront sets, adds and removes fields, and does not "+verb+" them: have the app send what is meant, or write headers: {set: {...}}")
		return
	case len(rest) > 0 || strings.Contains(value, "%{") || strings.HasPrefix(value, "expr=") || regexp.MustCompile(`(^|[^%])%[tDlbi]`).MatchString(value):
		im.needsYou(d, "its value or condition is worked out for each answer; wsfront sets fixed values: write headers with one, or have the app set it")
		return
	case !fieldName.MatchString(name):
		im.needsYou(d, strconv.Quote(printable(name, 40))+" is no name of a field that wsfront sends; write one with - in place of what is odd in it")
		return
	}
	value = strings.ReplaceAll(value, "%%", "%")
	switch {
	case lower == "strict-transport-security":
		im.hsts(d, s, verb, value)
	case verb == "set":
		s.fields.put(name, value)
	case verb == "add", verb == "append", verb == "merge":
		if slices.ContainsFunc(s.fields.add, func(f field) bool { return strings.EqualFold(f.name, name) }) {
			im.needsYou(d, "headers can add one field of a name; write both values into it, with a comma between")
			return
		}
		s.fields.add = append(s.fields.add, field{name, value})
	case verb == "unset":
		s.fields.take(name)
	default:
		im.needsYou(d, "wsfront sets, adds and removes fields, and does not "+printable(verb, 20)+" them: have the app send what is meant, or write headers: {set: {...}}")
		return
	}
	s.fields.lines = append(s.fields.lines, d)
	im.imported(d)
}

var maxAge = regexp.MustCompile(`(?i)max-age\s*=\s*"?([0-9]{1,10})`)

// hsts is Strict-Transport-Security.
func (im *importer) hsts(d *apacheconf.Directive, s *scope, verb, value string) {
	m := maxAge.FindStringSubmatch(value)
	switch {
	case verb == "unset":
		s.fields.hsts = 0
		return
	case m == nil:
		im.needsYou(d, "it has no max-age; write hsts: 365d at the site")
		return
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	s.fields.hsts = time.Duration(min(n, 100*365*24*3600)) * time.Second
	if lower := strings.ToLower(value); strings.Contains(lower, "includesubdomains") || strings.Contains(lower, "preload") {
		im.remark("hsts says max-age alone, without includeSubDomains and preload: write hsts at the sites of the subdomains, too", d)
	}
	if s.kind != inServer {
		im.remark("hsts holds for the whole site here, as it does in browsers", d)
	}
}

// builtInFields are those that wsfront tells the app by itself.
var builtInFields = []string{
	"x-forwarded-proto", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "x-request-id", "x-forwarded-server",
}

// requestHeader is RequestHeader.
func (im *importer) requestHeader(v *vhost, d *apacheconf.Directive, s *scope) {
	args := d.Args
	if len(args) > 0 && strings.EqualFold(args[len(args)-1], "early") {
		args = args[:len(args)-1]
	}
	if len(args) < 2 {
		im.needsYou(d, "it names no field; write request_headers at the route")
		return
	}
	verb, name := strings.ToLower(args[0]), strings.TrimSuffix(args[1], ":")
	lower := strings.ReplaceAll(strings.ToLower(name), "_", "-") // apps see no difference
	value := ""
	if len(args) > 2 {
		value = args[2]
	}
	switch {
	case lower == "x-forwarded-scheme":
		im.fixedScheme(v, d, s, name, value)
	case slices.Contains(builtInFields, lower):
		im.notNeeded(d, "the app is told by itself: X-Forwarded-For, -Proto, -Host, X-Real-IP, Forwarded, X-Request-ID")
		if strings.EqualFold(lower, "x-forwarded-proto") {
			v.toldScheme = true
		}
	case lower == "upgrade" || lower == "connection" || strings.HasPrefix(lower, "sec-websocket-"):
		im.notNeeded(d, "the fields of handshakes are passed on by themselves")
	case lower == "proxy":
		im.notNeeded(d, "the field Proxy never reaches the app")
	case lower == "host":
		im.needsYou(d, "write host: "+printable(value, 60)+" at the route")
	case s.kind == inPattern || s.kind == inRest:
		im.needsYou(d, "it holds for requests that cannot be told by their path; write request_headers at a route for them")
	case !fieldName.MatchString(name):
		im.needsYou(d, strconv.Quote(printable(name, 40))+" is no name of a field that wsfront sends; write one with - in place of what is odd in it")
	case verb == "unset" && len(args) == 2:
		s.request.take(name)
		s.request.lines = append(s.request.lines, d)
		im.imported(d)
	case verb != "set" || len(args) > 3 || strings.Contains(value, "%{") || strings.HasPrefix(value, "expr="):
		im.needsYou(d, "its value or condition is worked out for each request; wsfront sets fixed values: write request_headers: {set: {"+name+": VALUE}} at the route, or have the app do without")
	default:
		s.request.put(name, strings.ReplaceAll(value, "%%", "%"))
		s.request.lines = append(s.request.lines, d)
		im.imported(d)
	}
}

// fixedScheme is a field that says https in words of its own, which some apps
// ask for.
func (im *importer) fixedScheme(v *vhost, d *apacheconf.Directive, s *scope, name, value string) {
	if strings.Contains(value, "%{") {
		value = map[bool]string{true: "https", false: "http"}[v.secure()]
	}
	s.request.put(name, value)
	s.request.lines = append(s.request.lines, d)
	im.imported(d)
}

// days is a time in the words of the configuration.
func days(t time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case t%day == 0:
		return strconv.Itoa(int(t/day)) + "d"
	case t%time.Hour == 0:
		return strconv.Itoa(int(t/time.Hour)) + "h"
	case t%time.Minute == 0:
		return strconv.Itoa(int(t/time.Minute)) + "m"
	case t%time.Second == 0:
		return strconv.Itoa(int(t/time.Second)) + "s"
	}
	return fmt.Sprintf("%dms", t.Milliseconds())
}
