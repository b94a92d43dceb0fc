package apacheimport

import (
	"fmt"
	"slices"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// Way is one of the ways to reach an app that runs inside Apache.
type Way struct {
	// Title says which app, and which way.
	Title string `json:"title"`
	// Text is what to do, with the lines to write.
	Text string `json:"text"`
}

// ways are what to do with the apps inside Apache that routes lead to.
func (im *importer) ways(vhosts []*vhost) []Way {
	var list []Way
	for _, v := range vhosts {
		if v.app.inside() && im.leadsInside(v) {
			list = append(list, Way{im.nameOf(v) + ": keep Apache, on loopback behind wsfront", im.keepApache(v)})
			if v.app.kind == "WSGI" {
				list = append(list, Way{im.nameOf(v) + ": or run the app by itself, without Apache", im.withoutApache(v)})
			}
		}
	}
	return list
}

// leadsInside reports whether a route of a vhost's sites leads to its app.
func (im *importer) leadsInside(v *vhost) bool {
	own := plain(fmt.Sprintf("http://127.0.0.1:%d", im.appPort))
	for _, s := range im.sites {
		for _, r := range s.routes {
			if s.vhost == v && r.target == own {
				return true
			}
		}
	}
	return false
}

// keepApache is the vhost as it is behind wsfront.
func (im *importer) keepApache(v *vhost) string {
	var b strings.Builder
	fmt.Fprintf(&b, "In ports.conf, or where Listen stands, in place of Listen 80 and Listen 443:\n\n    Listen 127.0.0.1:%d\n\nThe vhost, in place of %s:\n\n", im.appPort, v.place())
	for line := range strings.Lines(im.keptVhost(v)) {
		b.WriteString("    " + line)
	}
	b.WriteString("\n")
	if v.app.kind != "WSGI" {
		b.WriteString("Then: a2enmod remoteip; apache2ctl configtest && systemctl restart apache2, and start wsfront.")
	} else {
		b.WriteString("Then: apache2ctl configtest && systemctl restart apache2, and start wsfront.")
	}
	return b.String()
}

// keptVhost is the text of a vhost behind wsfront, with what may only stand
// outside of one before it.
func (im *importer) keptVhost(v *vhost) string {
	var b strings.Builder
	if v.section == nil {
		writeDirectives(&b, slices.DeleteFunc(slices.Clone(v.own), func(d *apacheconf.Directive) bool { return !serverOnly(d) }), 0)
	}
	fmt.Fprintf(&b, "<VirtualHost 127.0.0.1:%d>\n", im.appPort)
	if v.section == nil && len(v.names) == 0 {
		fmt.Fprintf(&b, "    ServerName %s\n", im.nameOf(v))
	}
	writeDirectives(&b, im.behind(v, v.own), 4)
	b.WriteString("    # wsfront says who asks, and that it was by https.\n")
	if v.app.kind == "WSGI" {
		b.WriteString("    WSGITrustedProxies 127.0.0.1\n    WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Proto\n")
	} else {
		b.WriteString("    RemoteIPHeader X-Forwarded-For\n    RemoteIPInternalProxy 127.0.0.1\n    SetEnvIf X-Forwarded-Proto \"^https$\" HTTPS=on\n")
	}
	b.WriteString("</VirtualHost>\n")
	return b.String()
}

// keptApache is a file for Apache with all vhosts that stay behind wsfront, or "".
func (im *importer) keptApache(vhosts []*vhost) string {
	var b strings.Builder
	for _, v := range vhosts {
		if v.app.inside() && im.leadsInside(v) {
			b.WriteString("\n" + im.keptVhost(v))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return fmt.Sprintf("# Made by wsfront import apache: what stays in Apache, behind wsfront.\nListen 127.0.0.1:%d\n", im.appPort) + b.String()
}

// place is where a vhost stands.
func (v *vhost) place() string {
	if v.section != nil {
		return "that of " + printable(v.section.Position.String(), 200)
	}
	return "these lines"
}

func (im *importer) nameOf(v *vhost) string {
	if len(v.names) > 0 {
		return v.names[0]
	}
	for _, s := range im.sites {
		if s.vhost == v {
			return s.hosts[0]
		}
	}
	return placeholder
}

// behind are the directives that Apache keeps behind wsfront: those for which
// wsfront does the work are left out.
func (im *importer) behind(v *vhost, list []*apacheconf.Directive) []*apacheconf.Directive {
	var kept []*apacheconf.Directive
	for _, d := range list {
		if im.takenOver(d) || v.section == nil && im.fates[d].message == ofProcess || v.app.kind == "WSGI" && im.asksHere(d) {
			continue
		}
		if v.app.kind == "WSGI" && d.Is("Require") && strings.EqualFold(d.Arg(0), "valid-user") && im.fates[d].kind == Imported {
			d = &apacheconf.Directive{Name: d.Name, Raw: "Require all granted"}
		}
		if d.Section {
			children := im.behind(v, d.Children)
			if len(children) == 0 && len(d.Children) > 0 {
				continue
			}
			part := *d
			part.Children = children
			d = &part
		}
		kept = append(kept, d)
	}
	return kept
}

// takenOver reports whether wsfront does what a directive says, so that Apache
// behind it must not.
func (im *importer) takenOver(d *apacheconf.Directive) bool {
	name := strings.ToLower(d.Name)
	f := im.fates[d]
	switch {
	case serverOnly(d):
		return true
	case name == "proxypassreverse" && slices.ContainsFunc(d.Args, isScript):
		return false
	case strings.HasPrefix(name, "ssl"), strings.HasPrefix(name, "md"), strings.HasPrefix(name, "proxy") && name != "proxypassmatch" && name != "proxypass" && !d.Section,
		name == "listen", name == "loadmodule", name == "virtualhost", name == "balancermember", name == "wsgitrustedproxies", name == "wsgitrustedproxyheaders",
		strings.HasPrefix(name, "remoteip"):
		return true
	case name == "proxypass", name == "proxypassmatch":
		return !slices.ContainsFunc(d.Args, func(arg string) bool { return arg == "!" || isScript(arg) })
	case name == "rewriterule", name == "rewritecond":
		return f.message != partOfApp && f.message != setsVariables && f.message != keepsTarget
	case name == "redirect", name == "redirectpermanent", name == "redirecttemp", name == "redirectmatch":
		return f.kind != NeedsYou
	case name == "header":
		return strings.Contains(strings.ToLower(d.Raw), "strict-transport-security") || f.kind == Imported
	case name == "requestheader":
		return true
	case d.Section && name == "proxy":
		return strings.HasPrefix(strings.ToLower(d.Arg(0)), "balancer:")
	}
	return false
}

// serverOnly reports whether a directive of an app cannot stand in a vhost.
func serverOnly(d *apacheconf.Directive) bool {
	return slices.Contains([]string{"wsgipythonpath", "wsgipythonhome", "wsgisocketprefix", "wsgilazyinitialization", "wsgirestrictembedded"}, strings.ToLower(d.Name))
}

// asksHere reports whether a directive is a part of asking for a password,
// which wsfront does: it sends no Authorization on.
func (im *importer) asksHere(d *apacheconf.Directive) bool {
	return slices.Contains([]string{"authtype", "authname", "authuserfile", "authbasicprovider"}, strings.ToLower(d.Name)) && im.fates[d].kind == Imported
}

func writeDirectives(b *strings.Builder, list []*apacheconf.Directive, indent int) {
	space := strings.Repeat(" ", indent)
	for _, d := range list {
		b.WriteString(space + printable(d.Raw, 2000) + "\n")
		if d.Section {
			writeDirectives(b, d.Children, indent+4)
			b.WriteString(space + "</" + printable(d.Name, 40) + ">\n")
		}
	}
}
