package apacheimport

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// handler is what knows a directive.
type handler func(im *importer, v *vhost, d *apacheconf.Directive, s *scope)

// handlers are the directives that mean something here, by lower-case name.
var handlers = map[string]handler{
	"servername": (*importer).serverName, "serveralias": (*importer).serverName,

	"proxypass": (*importer).proxyPass, "proxypassmatch": (*importer).proxyPassMatch,
	"proxypassreverse": (*importer).proxyPassReverse, "proxypassreversecookiedomain": (*importer).proxyPassReverse,
	"proxypassreversecookiepath": (*importer).proxyPassReverse,
	"proxyrequests":              (*importer).proxyRequests,
	"proxypreservehost":          scalar(func(s *scope) **apacheconf.Directive { return &s.keepHost }),
	"proxytimeout":               scalar(func(s *scope) **apacheconf.Directive { return &s.timeout }),
	"timeout":                    (*importer).serverTimeout,
	"limitrequestbody":           scalar(func(s *scope) **apacheconf.Directive { return &s.maxBody }),
	"allowencodedslashes":        scalar(func(s *scope) **apacheconf.Directive { return &s.slashes }),
	"balancermember":             (*importer).balancerMember, "proxyset": (*importer).proxySet,

	"rewriteengine": (*importer).rewriteDirective, "rewritecond": (*importer).rewriteDirective,
	"rewriterule": (*importer).rewriteDirective, "rewritebase": (*importer).rewriteDirective,

	"sslengine": (*importer).tlsDirective, "sslcertificatefile": (*importer).tlsDirective,
	"sslcertificatekeyfile": (*importer).tlsDirective, "sslcertificatechainfile": (*importer).tlsDirective,
	"sslverifyclient": (*importer).tlsDirective, "sslrequiressl": (*importer).tlsDirective,
	"mdomain": (*importer).tlsDirective, "mdmember": (*importer).tlsDirective, "mdmembers": (*importer).tlsDirective,
	"mdcertificateagreement": (*importer).tlsDirective,

	"sslproxyengine": (*importer).proxyTLS, "sslproxyverify": (*importer).proxyTLS, "sslproxycheckpeername": (*importer).proxyTLS,
	"sslproxycheckpeercn": (*importer).proxyTLS, "sslproxycheckpeerexpire": (*importer).proxyTLS,
	"sslproxycacertificatefile": (*importer).proxyTLS, "sslproxymachinecertificatefile": (*importer).proxyTLS,
	"sslproxymachinecertificatechainfile": (*importer).proxyTLS,

	"header": (*importer).header, "requestheader": (*importer).requestHeader,

	"documentroot": (*importer).documentRoot, "alias": (*importer).alias, "aliasmatch": (*importer).aliasMatch,
	"fallbackresource": (*importer).fallbackResource, "directoryindex": (*importer).directoryIndex,
	"redirect": (*importer).redirectDirective, "redirectpermanent": (*importer).redirectDirective,
	"redirecttemp": (*importer).redirectDirective, "redirectmatch": (*importer).redirectMatch,

	"require": (*importer).accessDirective, "order": (*importer).accessDirective, "allow": (*importer).accessDirective,
	"deny": (*importer).accessDirective, "satisfy": (*importer).accessDirective, "authtype": (*importer).accessDirective,
	"authname": (*importer).accessDirective, "authuserfile": (*importer).accessDirective,
	"authbasicprovider": (*importer).accessDirective,

	"customlog": (*importer).customLog, "logformat": (*importer).logFormat, "setenvif": (*importer).setEnvIf, "setenvifnocase": (*importer).setEnvIf,
	"browsermatch": (*importer).setEnvIf, "setenv": (*importer).setEnv, "passenv": (*importer).setEnv, "unsetenv": (*importer).setEnv,

	"wsgiscriptalias": (*importer).wsgi, "wsgiscriptaliasmatch": (*importer).wsgi, "wsgidaemonprocess": (*importer).wsgi,
	"wsgiprocessgroup": (*importer).wsgi, "wsgipythonpath": (*importer).wsgi, "wsgipythonhome": (*importer).wsgi,
	"wsgicallableobject": (*importer).wsgi,
	"sethandler":         (*importer).handler, "addhandler": (*importer).handler, "addtype": (*importer).handler,
	"action": (*importer).handler, "scriptalias": (*importer).handler, "scriptaliasmatch": (*importer).handler,

	"include": (*importer).missing,

	"dav": (*importer).dav, "allowoverride": (*importer).allowOverride, "options": (*importer).options, "serverroot": (*importer).serverRootLine,
}

// scalar keeps the last directive of a name in its scope.
func scalar(place func(*scope) **apacheconf.Directive) handler {
	return func(im *importer, _ *vhost, d *apacheconf.Directive, s *scope) {
		*place(s) = d
		if s.kind == inPattern || s.kind == inRest {
			im.needsYou(d, "it holds for requests that cannot be told by their path; write the option at a route for them")
			return
		}
		im.imported(d)
	}
}

// walk reads the directives of a scope.
func (im *importer) walk(v *vhost, list []*apacheconf.Directive, s *scope) {
	for _, d := range list {
		name := strings.ToLower(d.Name)
		if filepath.Base(d.File) == ".htaccess" && s.kind == inServer {
			im.walkHtaccess(v, d)
			continue
		}
		if d.Section {
			im.section(v, d, s)
			continue
		}
		if h, ok := handlers[name]; ok {
			h(im, v, d, s)
			continue
		}
		if why, ok := harmlessReason(name); ok {
			im.notNeeded(d, why)
			continue
		}
		if kind := appSetting(name); kind != "" {
			im.appInside(v, d, kind)
			im.appNeeds(v, d, kind)
			continue
		}
		if strings.EqualFold(d.Arg(0), "off") && len(d.Args) == 1 {
			im.notNeeded(d, "it is off")
			continue
		}
		if todo := gapOf(name); todo != "" {
			im.needsYou(d, todo)
			continue
		}
		im.needsYou(d, unknownDirective)
		if s.narrow() && asksWho.MatchString(name) {
			s.access.cannotTell(d)
		}
	}
	for _, c := range s.conds {
		im.needsYou(c, "no RewriteRule follows it")
	}
	s.conds = nil
}

// asksWho are names of directives that may say who may come.
var asksWho = regexp.MustCompile(`auth|access|acl`)

// saysWho reports whether a directive says, or may say, who may come.
func saysWho(d *apacheconf.Directive) bool {
	name := strings.ToLower(d.Name)
	return asksWho.MatchString(name) || slices.Contains([]string{"require", "deny", "include"}, name)
}

// byManners is a condition on what anybody may send: what it refuses is
// unwanted, not kept from strangers.
var byManners = regexp.MustCompile(`^\s*%\{HTTP_(?:USER_AGENT|REFERER)\}[^%]*$`)

// missing is an Include of a file that was not there. In a section it may say
// who may come.
func (im *importer) missing(_ *vhost, d *apacheconf.Directive, s *scope) {
	im.notNeeded(d, ofProcess) // a note of the reader's tells
	if s.narrow() && !ofCertbot(d.Arg(0)) {
		s.access.cannotTell(d)
	}
}

// ofCertbot reports whether a file is one of those that certbot writes.
func ofCertbot(text string) bool {
	return strings.Contains(text, "options-ssl-apache.conf") || strings.Contains(text, "letsencrypt")
}

// walkHtaccess reads a directive of a .htaccess file, which holds for its
// folder.
func (im *importer) walkHtaccess(v *vhost, d *apacheconf.Directive) {
	var s *scope
	for _, other := range v.scopes {
		if other.file == d.File {
			s = other
		}
	}
	if s == nil {
		folder, err := filepath.Abs(filepath.Dir(d.File))
		if err != nil {
			folder = filepath.Dir(d.File)
		}
		s = &scope{kind: inDirectory, path: folder, file: d.File, global: true}
		v.scopes = append(v.scopes, s)
	}
	switch h := handlers[strings.ToLower(d.Name)]; {
	case d.Section:
		im.section(v, d, s)
	case h != nil:
		h(im, v, d, s)
	default:
		im.walk(v, []*apacheconf.Directive{d}, &scope{kind: inRest, section: d})
	}
}

// onUpgrade is an <If> that holds for WebSocket handshakes.
var onUpgrade = regexp.MustCompile(`(?i)^\s*%\{HTTP:Upgrade\}\s*(==|=~|=|-strmatch|-strcmatch)\s*['"/m#*^]*websocket[*$'"/#i]*\s*$`)

// section reads a section.
func (im *importer) section(v *vhost, d *apacheconf.Directive, outer *scope) {
	switch name := strings.ToLower(d.Name); name {
	case "requireany", "requireall", "requirenone":
		im.imported(d)
		was := outer.access.grouped
		if was != "" && was != name {
			outer.access.unknown = d // groups in groups
		}
		outer.access.grouped = name
		im.walk(v, d.Children, outer)
		return
	case "limit", "limitexcept":
		im.limit(v, d, outer)
		return
	case "if", "elseif", "else":
		if onUpgrade.MatchString(d.Arg(0)) && name == "if" && (outer.kind == inServer || outer.kind == inLocation) {
			im.imported(d)
			s := &scope{kind: outer.kind, path: outer.path, section: d, global: outer.global, handshakes: true}
			im.walk(v, d.Children, s)
			v.scopes = append(v.scopes, s)
			return
		}
		im.needsYou(d, "what it asks for is worked out for each request; write a route for what it is meant to do, see deploy/docs/configuration.md")
		for _, inner := range flatten(d.Children) {
			im.goesWith(inner, d)
		}
		if !byManners.MatchString(d.Arg(0)) && slices.ContainsFunc(flatten(d.Children), saysWho) {
			outer.access.cannotTell(d)
		}
		return
	case "mdomainset":
		v.tls.managed = true
		im.notNeeded(d, "tls: auto obtains and renews certificates, as mod_md did")
		for _, inner := range flatten(d.Children) {
			im.notNeeded(inner, "tls: auto obtains and renews certificates, as mod_md did")
		}
		return
	case "location", "locationmatch", "directory", "directorymatch", "files", "filesmatch", "proxy", "proxymatch":
		s := im.enter(d, outer)
		if s.kind == inProxy && strings.HasPrefix(strings.ToLower(s.path), "balancer://") {
			im.balancer(s.path[len("balancer://"):]).lines = append(im.balancer(s.path[len("balancer://"):]).lines, d)
		}
		im.walk(v, d.Children, s)
		v.scopes = append(v.scopes, s)
		for _, path := range s.also {
			same := *s
			same.path = path
			v.scopes = append(v.scopes, &same)
		}
		return
	}
	im.needsYou(d, "this importer does not know the section; look up what it does, and whether the app or wsfront needs it")
	for _, inner := range flatten(d.Children) {
		im.goesWith(inner, d)
	}
}

// limit is <Limit> and <LimitExcept>: what is said there holds for some
// methods. Who may come is asked for every method here, which is more; what
// only refuses methods has no counterpart.
func (im *importer) limit(v *vhost, d *apacheconf.Directive, outer *scope) {
	s := &scope{kind: inRest, section: d, global: outer.global, path: outer.path}
	im.imported(d)
	im.walk(v, d.Children, s)
	if a := &s.access; a.login || len(a.ranges) > 0 || a.unknown != nil {
		im.remark("it holds for some methods in Apache, and for all of them here", d)
		im.walk(v, d.Children, outer)
		return
	}
	v.scopes = append(v.scopes, s)
}

// proxyRequests is ProxyRequests.
func (im *importer) proxyRequests(_ *vhost, d *apacheconf.Directive, _ *scope) {
	if strings.EqualFold(d.Arg(0), "on") {
		im.refuse(d, "this server is an open proxy: anybody who can reach it can send requests through it, to your network and to the world, in your name. A reverse proxy does not need it. Write ProxyRequests Off, restart Apache, look into its access log for requests that begin with GET http://, and import again")
	}
	im.notNeeded(d, "wsfront is no forward proxy and cannot become one")
}

// serverTimeout is Timeout, which is how long backends may take as well.
func (im *importer) serverTimeout(_ *vhost, d *apacheconf.Directive, s *scope) {
	s.general = d
	im.notNeeded(d, "slow clients are cut off by wsfront's own limits; backends have response_timeout, and silent tunnels live on")
}

// allowOverride is AllowOverride: files that hold more directives.
func (im *importer) allowOverride(_ *vhost, d *apacheconf.Directive, s *scope) {
	none := len(d.Args) == 0 || strings.EqualFold(d.Arg(0), "none")
	file := filepath.Join(s.path, ".htaccess")
	if !none && s.kind == inDirectory && isThere(file) && !im.named(file) {
		im.needsYou(d, file+" holds for this folder as well: name it as a further FILE of this command")
		return
	}
	im.notNeeded(d, "wsfront reads no .htaccess files: name them as further FILEs of this command where there are any")
}

// options is Options.
func (im *importer) options(v *vhost, d *apacheconf.Directive, _ *scope) {
	for _, word := range d.Args {
		switch strings.ToLower(strings.TrimLeft(word, "+")) {
		case "execcgi":
			im.appInside(v, d, "CGI")
		case "indexes", "all":
			im.remark("wsfront lists no folders: one without index.html is answered with 404", d)
		case "includes":
			im.remark("it allows server-side includes, which have no counterpart: where pages have some (.shtml), keep Apache on loopback behind wsfront for them", d)
		}
	}
	im.notNeeded(d, "files are served as they are; links that lead out of their folder are not followed")
}

func (im *importer) serverRootLine(_ *vhost, d *apacheconf.Directive, _ *scope) {
	if filepath.IsAbs(d.Arg(0)) {
		im.serverRoot = filepath.Clean(d.Arg(0))
	}
	im.notNeeded(d, ofProcess)
}

// appSetting says of which kind of app inside Apache a directive is a setting.
func appSetting(name string) string {
	switch {
	case strings.HasPrefix(name, "php_"):
		return "PHP"
	case strings.HasPrefix(name, "passenger"), strings.HasPrefix(name, "rails"), strings.HasPrefix(name, "rack"):
		return "Passenger"
	case strings.HasPrefix(name, "perl"):
		return "mod_perl"
	}
	return ""
}
