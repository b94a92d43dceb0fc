package apacheimport

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// appLines are what a vhost says of an app that runs inside Apache.
type appLines struct {
	kind    string // WSGI, PHP, FastCGI, CGI; "" is none
	line    *apacheconf.Directive
	scripts []*apacheconf.Directive // WSGIScriptAlias
	daemons map[string]*apacheconf.Directive
	group   string
	root    *apacheconf.Directive // WSGIPythonPath, WSGIPythonHome
	object  string
	env     []*apacheconf.Directive // SetEnv
}

func (a *appLines) inside() bool { return a.kind != "" }

// whole reports whether the app is what DocumentRoot holds, so that Apache
// takes whatever nothing else does.
func (a *appLines) whole() bool {
	return a.kind != "" && a.kind != "WSGI" && !a.line.Is("ScriptAlias") && !a.line.Is("ProxyPass") && !a.line.Is("Dav")
}

func (a *appLines) inherit(outer appLines) {
	if a.kind == "" {
		a.kind, a.line = outer.kind, outer.line
	}
	a.scripts = append(a.scripts, outer.scripts...)
	for name, d := range outer.daemons {
		a.daemon(name, d)
	}
	if a.group == "" {
		a.group = outer.group
	}
	if a.root == nil {
		a.root = outer.root
	}
	a.env = append(outer.env[:len(outer.env):len(outer.env)], a.env...)
}

func (a *appLines) daemon(name string, d *apacheconf.Directive) {
	if a.daemons == nil {
		a.daemons = map[string]*apacheconf.Directive{}
	}
	if a.daemons[name] == nil {
		a.daemons[name] = d
	}
}

// appInside notes that an app of a vhost runs inside Apache, or is asked by a
// protocol that wsfront does not speak.
func (im *importer) appInside(v *vhost, d *apacheconf.Directive, kind string) {
	if v.app.kind == "" || v.app.kind == "CGI" {
		v.app.kind, v.app.line = kind, d
	}
}

// inApache leads to the app in Apache, which then listens on loopback.
func (im *importer) inApache(d *apacheconf.Directive) *action {
	return &action{kind: toBackend, from: "/", to: "/", app: true, written: d.Raw, address: "127.0.0.1:" + strconv.Itoa(im.appPort)}
}

func isProgram(name string) bool { return programKind(name) != "" }

// programKind says by its ending what kind of program a file is; "" is none.
func programKind(name string) string {
	switch path.Ext(name) {
	case ".php", ".phtml", ".php5", ".php7":
		return "PHP"
	case ".cgi", ".pl", ".fcgi":
		return "CGI"
	}
	return ""
}

// wsgi is a directive of mod_wsgi.
func (im *importer) wsgi(v *vhost, d *apacheconf.Directive, _ *scope) {
	im.note(d, NotNeeded, "settings of the app inside Apache: they go along with it, see below")
	switch strings.ToLower(d.Name) {
	case "wsgiscriptalias", "wsgiscriptaliasmatch":
		im.appInside(v, d, "WSGI")
		v.app.scripts = append(v.app.scripts, d)
		prefix, ok := requestPath(d.Arg(0))
		if d.Is("WSGIScriptAliasMatch") || !ok {
			heads, end, simple := plainPattern(d.Arg(0))
			if !simple || end == endExact {
				im.needsYou(d, "an expression for the app's paths; write a route with app: http://127.0.0.1:"+strconv.Itoa(im.appPort)+" for them")
				return
			}
			prefix = heads[0]
		}
		a := im.inApache(d)
		a.folder = path.Dir(im.absolute(d.Arg(1)))
		v.rules = append(v.rules, &rule{stage: atScript, prefix: prefix, plain: true, upgrade: true, act: a, from: []*apacheconf.Directive{d}})
		im.needsYou(d, "the app runs inside Apache (mod_wsgi), where wsfront cannot reach it: choose one of the two ways below. The route leads to http://"+a.address+", as both do")
	case "wsgidaemonprocess":
		v.app.daemon(d.Arg(0), d)
	case "wsgiprocessgroup":
		v.app.group = d.Arg(0)
	case "wsgipythonpath", "wsgipythonhome":
		v.app.root = d
	case "wsgicallableobject":
		v.app.object = d.Arg(0)
	}
}

// handler is SetHandler, AddHandler, AddType, Action and ScriptAlias: programs
// that Apache runs.
func (im *importer) handler(v *vhost, d *apacheconf.Directive, s *scope) {
	text := strings.ToLower(strings.Join(d.Args, " "))
	kind := ""
	switch {
	case strings.Contains(text, "fcgi") || strings.Contains(text, "fastcgi"):
		kind = "FastCGI"
		if all := strings.ToLower(d.Raw + sectionText(s)); strings.Contains(all, "php") && strings.Contains(text, "://") {
			kind = "PHP-FPM"
		}
	case strings.Contains(text, "php"):
		kind = "PHP"
	case d.Is("ScriptAlias"), d.Is("ScriptAliasMatch"), strings.Contains(text, "cgi"), strings.Contains(text, "perl"), strings.Contains(text, "wsgi"), d.Is("Action"):
		kind = "CGI"
	case d.Is("AddType"), text == "none", text == "default-handler", strings.HasPrefix(text, "type-map"), strings.HasPrefix(text, "send-as-is"):
		im.notNeeded(d, "types of files are known by their endings")
		return
	case strings.Contains(text, "server-status"), strings.Contains(text, "server-info"), strings.Contains(text, "balancer-manager"), strings.Contains(text, "ldap-status"):
		im.notNeeded(d, "Apache's own status: wsfront's is in its log")
		s.kind, s.dealt = inRest, true // nothing there is left to protect
		return
	case strings.HasPrefix(text, "proxy:"):
		im.needsYou(d, "requests are forwarded by a handler; write a route with app for them")
		return
	default:
		im.needsYou(d, "a handler inside Apache: keep Apache on loopback behind wsfront for it, and write a route with app: http://127.0.0.1:"+strconv.Itoa(im.appPort))
		return
	}
	im.appInside(v, d, kind)
	if !d.Is("ScriptAlias") {
		im.appNeeds(v, d, kind)
		return
	}
	prefix, ok := requestPath(d.Arg(0))
	if !ok {
		im.needsYou(d, "write a route with app: http://127.0.0.1:"+strconv.Itoa(im.appPort)+" for these programs")
		return
	}
	a := im.inApache(d)
	v.rules = append(v.rules, &rule{stage: atAlias, prefix: prefix, plain: true, act: a, from: []*apacheconf.Directive{d}})
	im.appNeeds(v, d, kind)
}

// dav is Dav: what is below there, Apache alone can serve.
func (im *importer) dav(v *vhost, d *apacheconf.Directive, s *scope) {
	const kind = "WebDAV"
	switch {
	case strings.EqualFold(d.Arg(0), "off"):
		im.notNeeded(d, "it is off")
		return
	case s.kind == inLocation:
		v.rules = append(v.rules, &rule{stage: atAlias, prefix: s.path, plain: true, act: im.inApache(d), from: []*apacheconf.Directive{d}})
	case s.kind == inDirectory && v.docRoot != nil && s.path == strings.TrimSuffix(v.docRoot.Arg(0), "/"):
		v.rules = append(v.rules, &rule{stage: atAlias, prefix: "/", plain: true, act: im.inApache(d), from: []*apacheconf.Directive{d}})
	}
	im.appInside(v, d, kind)
	im.appNeeds(v, d, kind)
}

func sectionText(s *scope) string {
	if s.section == nil {
		return ""
	}
	return s.section.Raw
}

// appNeeds says that the app stays in Apache.
func (im *importer) appNeeds(v *vhost, d *apacheconf.Directive, kind string) {
	if v.app.line == d {
		instead := ""
		if kind == "AJP" {
			instead = ". Or have Tomcat listen with an HTTP connector, and write its address into the route"
		}
		im.needsYou(d, fmt.Sprintf("the app runs behind Apache (%s), and wsfront speaks HTTP alone: keep Apache for it, on loopback, as below. The route leads to http://127.0.0.1:%d%s", kind, im.appPort, instead))
		return
	}
	im.note(d, NotNeeded, "settings of the app inside Apache: they go along with it, see below")
}

// appsTold says of each app inside Apache that a route leads to that somebody
// has to keep it running, where its line shows no more than that it is there.
func (im *importer) appsTold(vhosts []*vhost) {
	for _, v := range vhosts {
		if !v.app.inside() || v.app.kind == "WSGI" || !im.leadsInside(v) {
			continue
		}
		if told := append(lines(v.app.line), v.app.scripts...); !slices.ContainsFunc(told, func(d *apacheconf.Directive) bool { return im.fates[d].kind == NeedsYou }) {
			im.appNeeds(v, v.app.line, v.app.kind)
		}
	}
}

// setEnv is SetEnv, PassEnv and UnsetEnv.
func (im *importer) setEnv(v *vhost, d *apacheconf.Directive, _ *scope) {
	v.app.env = append(v.app.env, d)
	im.notNeeded(d, "variables for the app, and for Apache's own conditions: no request that wsfront forwards has them")
}
