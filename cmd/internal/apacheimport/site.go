package apacheimport

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"wsfront/cmd/internal/apacheconf"
)

// site is a site as it will be written.
type site struct {
	hosts   []string
	tls     string // as in YAML; "" is auto
	options []option
	routes  []route
	from    []*apacheconf.Directive
	vhost   *vhost
	// elsewhere is where a site that only redirects leads, with its path kept.
	elsewhere string
}

// placeholder is the name of what has none.
const placeholder = "app.example.com"

// assemble makes the sites of the vhosts: first those served by https, for
// those of plain http often only lead there.
func (im *importer) assemble(vhosts []*vhost) {
	for _, v := range vhosts {
		if v.secure() {
			for _, s := range im.sitesOf(v) {
				im.addSite(s)
			}
		}
	}
	for _, v := range vhosts {
		if !v.secure() {
			for _, s := range im.sitesOf(v) {
				im.addPlain(s)
			}
			im.settle(v)
		}
	}
	for _, s := range im.sites {
		im.finishSite(s)
	}
}

// sitesOf makes the sites of a vhost: names for which all routes are the same
// share one.
func (im *importer) sitesOf(v *vhost) []*site {
	im.fallbacksOf(v)
	im.accessOfRest(v)
	var list []*site
	bodies := map[string]*site{}
	for _, host := range im.hostsOf(v) {
		asked := strings.Replace(host, "*.", "any.", 1)
		if host == "*" && len(v.names) > 0 {
			asked = v.names[0]
		}
		routes := im.routesOf(v, asked)
		key := textOf(routes)
		if s := bodies[key]; s != nil {
			s.hosts = append(s.hosts, host)
			continue
		}
		s := &site{hosts: []string{host}, routes: routes, vhost: v, elsewhere: elsewhere(routes)}
		if v.section != nil {
			s.from = append(s.from, v.section)
		}
		bodies[key] = s
		list = append(list, s)
	}
	return list
}

func textOf(routes []route) string {
	e := &emitter{}
	for _, r := range routes {
		r.yaml(e)
	}
	return e.b.String()
}

// elsewhere is where routes lead that do nothing but redirect with the path
// kept.
func elsewhere(routes []route) string {
	for _, r := range routes {
		if r.path != "/" || r.kind != "redirect" {
			return ""
		}
	}
	if len(routes) != 1 {
		return ""
	}
	_, to, ok := strings.Cut(routes[0].target, "https://")
	if !ok {
		return ""
	}
	end := strings.IndexAny(to, `",} `)
	if end >= 0 {
		to = to[:end]
	}
	if strings.ContainsAny(to, "/?") {
		return ""
	}
	return strings.TrimSuffix(to, ":443")
}

// hostsOf are the names of a vhost's sites.
func (im *importer) hostsOf(v *vhost) []string {
	named := slices.Concat(v.names, v.wildcards)
	own := "" // the certificate of a file serves whatever name there is
	if v.secure() {
		own = im.certificate(v, named)
	}
	switch {
	case v.every && (!v.secure() || strings.HasPrefix(own, "{")):
		return []string{"*"}
	case v.every:
		im.needsYou(v.nameLines[len(v.nameLines)-1], "a certificate of every name is not to be had beforehand: list the names in hosts, or set acme.on_demand.ask")
	case len(named) > 0:
	case im.opts.Host != "":
		return []string{strings.ToLower(im.opts.Host)}
	case v.section != nil && (!v.secure() || strings.HasPrefix(own, "{")):
		return []string{"*"} // Apache's vhost for whatever name is asked for
	case len(v.nameLines) > 0: // which told that it has names that are none
	case v.section != nil:
		im.needsYou(v.section, "it has no ServerName: write the names that it serves into hosts in place of "+placeholder)
	default:
		im.nameless = true
	}
	if len(named) == 0 {
		return []string{placeholder}
	}
	if own != "" || !v.secure() {
		return named
	}
	for _, w := range v.wildcards {
		im.needsYou(v.nameLines[len(v.nameLines)-1], "tls: auto gets no certificate for "+w+": list the names in hosts, set acme.on_demand.ask, or write tls: {cert: FILE, key: FILE}")
	}
	if len(v.names) == 0 {
		return []string{placeholder}
	}
	return v.names
}

// siteOf is the site that has a name already.
func (im *importer) siteOf(host string) *site {
	for _, s := range im.sites {
		if slices.Contains(s.hosts, host) {
			return s
		}
	}
	return nil
}

// addSite takes a site without the names that an earlier one has.
func (im *importer) addSite(s *site) {
	var kept []string
	for _, h := range s.hosts {
		other := im.siteOf(h)
		if other == nil {
			kept = append(kept, h)
			continue
		}
		if s.vhost.section == nil || other.vhost.section == nil || other.vhost == s.vhost {
			continue
		}
		if !slices.Equal(s.vhost.addresses, other.vhost.addresses) {
			im.needsYou(s.vhost.section, h+" is the name of "+other.vhost.section.Position.String()+" as well, at another address; wsfront tells sites by their names alone: give one of them another name")
			continue
		}
		im.remark(h+" is the name of "+other.vhost.section.Position.String()+", which Apache takes as well: this vhost is never asked for it", s.vhost.section)
		im.unused(s.vhost, "the vhost is never asked for its name")
	}
	if s.hosts = kept; len(kept) > 0 {
		im.sites = append(im.sites, s)
	}
}

// addPlain takes a site of plain http. wsfront redirects to https by itself.
func (im *importer) addPlain(s *site) {
	var rest []string
	for _, h := range s.hosts {
		twin := im.siteOf(h)
		switch own := s.elsewhere == h || slices.Contains(s.vhost.names, s.elsewhere); {
		case s.elsewhere != "" && h == "*", s.elsewhere != "" && twin != nil:
			im.redirectsItself(s)
		case s.elsewhere != "" && own && im.join(s, h):
			im.redirectsItself(s)
		case s.elsewhere != "" && own:
			im.redirectsItself(s)
			im.alone(s, h)
		case twin != nil && twin.tls != "off" && twin.vhost.secure():
			if lost := s.beside(twin); len(lost) > 0 {
				im.gap("wsfront redirects http to https for " + h + ", where " + strings.Join(lost, ", ") + " of " + s.vhost.section.Position.String() + " is not served in Apache: write routes for it at the site")
			}
			im.remark("the pages of "+h+" at plain http are left out: wsfront redirects http to https for a name that is served by https", s.vhost.section)
			im.unused(s.vhost, "wsfront redirects http to https for these names")
		default:
			rest = append(rest, h)
		}
	}
	if s.hosts = rest; len(rest) > 0 {
		s.tls = "off"
		im.addSite(s)
	}
}

// beside are the paths at which a site has an app or files, and its twin by https
// has nothing of the kind.
func (s *site) beside(twin *site) []string {
	var lost []string
	for _, r := range s.routes {
		serves := func(t route) bool {
			return t.kind != "redirect" && (t.match != "" && t.match == r.match || t.path == r.path || t.path != "" && covers(t.path, r.path) && t.body() == r.body())
		}
		if r.kind != "redirect" && !slices.ContainsFunc(twin.routes, serves) {
			lost = append(lost, cmp.Or(r.path, r.match))
		}
	}
	return lost
}

// unused says of the lines of a vhost why nothing came of them.
func (im *importer) unused(v *vhost, because string) {
	for _, d := range flatten(v.own) {
		im.demote(d, because)
	}
	im.noApp(v, because)
}

// settle says that nobody has to care for what a vhost of plain http says when
// there is no site of it.
func (im *importer) settle(v *vhost) {
	if v.section == nil || slices.ContainsFunc(im.sites, func(s *site) bool { return s.vhost == v }) {
		return
	}
	for _, d := range flatten(v.own) {
		if f := im.fates[d]; f.kind == NeedsYou && !d.Is("ServerName") && !d.Is("ServerAlias") {
			im.fates[d] = fate{kind: NotNeeded, message: "wsfront redirects http to https for these names"}
		}
	}
}

// noApp says that nothing leads to the app inside a vhost.
func (im *importer) noApp(v *vhost, because string) {
	for _, d := range append(lines(v.app.line), v.app.scripts...) {
		if f := im.fates[d]; f.kind == NeedsYou && slices.Contains(flatten(v.own), d) {
			im.fates[d] = fate{kind: NotNeeded, message: because}
		}
	}
}

// redirectsItself notes the lines that redirect to https.
func (im *importer) redirectsItself(s *site) {
	const because = "wsfront redirects http to https by itself, and refuses WebSockets on plain http with a line in the log, as no browser follows a redirect for them"
	for _, r := range s.routes {
		for _, d := range r.from {
			im.demote(d, because)
		}
	}
	im.noApp(s.vhost, because)
}

// join adds a name to the https site of one of its other names.
func (im *importer) join(s *site, host string) bool {
	for _, other := range append([]string{s.elsewhere}, s.vhost.names...) {
		if t := im.siteOf(other); t != nil && t.vhost.secure() && t.elsewhere == "" {
			t.hosts = appendNew(t.hosts, host)
			return true
		}
	}
	return false
}

// alone is for a name that only redirects to a vhost that was not read.
func (im *importer) alone(s *site, host string) {
	im.needsYou(s.vhost.section0(), "it redirects to https, and the vhost that serves its names there is not in these files: name its file as well")
	for _, t := range im.sites {
		if t.vhost == s.vhost {
			t.hosts = append(t.hosts, host)
			return
		}
	}
	im.sites = append(im.sites, &site{hosts: []string{host}, vhost: s.vhost, from: s.from})
}

// section0 is a directive that stands for a vhost.
func (v *vhost) section0() *apacheconf.Directive {
	if v.section != nil {
		return v.section
	}
	if len(v.nameLines) > 0 {
		return v.nameLines[0]
	}
	return v.rewrites[0].line
}

// finishSite adds what holds for the whole site.
func (im *importer) finishSite(s *site) {
	v := s.vhost
	if s.tls != "off" {
		s.tls = im.certificate(v, s.hosts)
	}
	s.from = append(s.from, lines(v.tls.cert)...)
	all := fields{}.join(v.server.fields)
	age := all.hsts
	for _, sc := range v.scopes {
		age = max(age, sc.fields.hsts)
	}
	if age >= time.Second && s.tls != "off" {
		s.options = append(s.options, option{"hsts", days(age)})
	}
	if o, ok := all.option("headers"); ok {
		s.options = append(s.options, o)
	}
	if im.opts.Push != "" && s.elsewhere == "" {
		s.addPush(im)
	}
	s.fill()
}

// fill gives a site without routes one.
func (s *site) fill() {
	if len(s.routes) == 0 {
		s.routes = []route{{path: "/", kind: "redirect", target: "{status: 404}", why: "nothing of this vhost could be imported: put a route in place of this one"}}
	}
}

// addPush adds the route of the push service that was asked for.
func (s *site) addPush(im *importer) {
	for _, r := range s.routes {
		if r.path == im.opts.Push && r.kind == "tunnel" {
			im.remark("the WebSockets of " + im.opts.Push + " go to a backend of their own already, so that --push was left out for " + s.hosts[0])
			return
		}
	}
	target := "{channel: board}"
	if strings.HasSuffix(im.opts.Push, "/{channel}") {
		target = "{}"
	}
	s.routes = append([]route{{path: im.opts.Push, kind: "push", target: target, why: "by --push: what wsfront publish board sends"}}, s.routes...)
}
