package apacheimport

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"wsfront/cmd/internal/apacheconf"
	"wsfront/cmd/internal/config"
)

// Options say what Apache's files do not.
type Options struct {
	// Host is the name of what has no ServerName. Default a placeholder, and a
	// note.
	Host string
	// Push is a path at which pages open a WebSocket of the built-in push
	// service, on each site. Default none.
	Push string
	// AppPort is the port of loopback at which an app that runs inside Apache
	// will listen. Default 8080, or the next one that no vhost and no backend has.
	AppPort int
	// Root is where relative names of files begin, unless the files say so.
	// Default /etc/httpd for files from there, else /etc/apache2.
	Root string
}

// Result is what became of a configuration.
type Result struct {
	// YAML is the configuration for wsfront. Empty when the verdict is
	// Rejected.
	YAML string `json:"yaml,omitempty"`
	// Verdict says whether something was left open.
	Verdict Verdict `json:"verdict"`
	// Notes say of every directive what became of it, and what else is to be
	// known, the most urgent first.
	Notes []Note `json:"notes"`
	// Ways are what to do with apps that run inside Apache.
	Ways []Way `json:"ways,omitempty"`
	// Apache is a file for Apache with the vhosts of those apps as they are
	// behind wsfront, on loopback. Empty where no app runs inside Apache.
	Apache string `json:"apache,omitempty"`
	// Files are the files that were read.
	Files []string `json:"files"`
}

// Defaults of wsfront's own that need not be written.
const (
	defaultAppPort = 8080
	defaultTimeout = 60 * time.Second
	defaultMaxBody = 100 << 20
)

// importer is one import.
type importer struct {
	ledger
	opts       Options
	files      []string
	serverRoot string
	appPort    int

	pending       []reverseLine // ProxyPassReverse
	cookies       []reverseLine // ProxyPassReverseCookiePath, -Domain
	balancers     map[string]*balancer
	balancerOrder []*balancer
	sites         []*site
	skip          []string
	logFormats    map[string]*apacheconf.Directive // LogFormat by its name
	accessForm    string                           // of the access log, "" for combined
	listen, plain []string
	nameless      bool
	hostChanged   []*apacheconf.Directive
	poolHost      []*apacheconf.Directive // that lead to a pool, with ProxyPreserveHost off
}

// Import makes a configuration for wsfront of one for Apache.
func Import(cfg *apacheconf.Config, o Options) *Result {
	im := &importer{opts: o, files: cfg.Files, serverRoot: cmp.Or(o.Root, rootOf(cfg.Files))}
	im.checkOptions()
	all := flatten(cfg.Directives)
	im.appPort = im.freePort(all)
	vhosts := im.gather(cfg.Directives)
	im.mergeBalancers()
	im.skip, im.accessForm = im.skipped(vhosts), im.accessFormat(vhosts)
	im.assemble(vhosts)
	im.addresses(vhosts)
	im.appsTold(vhosts)
	im.reverses()
	im.cookieMaps()
	im.hidden(vhosts)
	im.traps(vhosts)
	im.differences(vhosts)
	if !slices.ContainsFunc(all, isApaches) {
		im.refuse(nil, "there is nothing of Apache's in these files: name a vhost, such as one of /etc/apache2/sites-enabled")
	} else if len(im.sites) == 0 {
		im.refuse(nil, "these files only redirect to https, which wsfront does by itself: name those of the vhosts that serve it as well")
	}
	r := &Result{Files: cfg.Files}
	if len(im.refused) == 0 {
		r.YAML = im.checked()
	}
	if r.YAML == "" { // what it would do does not matter
		im.gaps = nil
		im.remarks = slices.DeleteFunc(im.remarks, func(n Note) bool { return len(n.Positions) == 0 })
	}
	r.Notes = append(im.notes(all), im.unread(cfg.Notes)...)
	sortNotes(r.Notes)
	if r.YAML != "" {
		r.Ways, r.Apache = im.ways(vhosts), im.keptApache(vhosts)
	}
	r.Verdict = verdict(r)
	return r
}

// checkOptions refuses options that no configuration can be made with.
func (im *importer) checkOptions() {
	if h := strings.ToLower(im.opts.Host); h != "" && !hostForm.MatchString(h) && !isAddress(h) {
		im.refuse(nil, "the host "+strconv.Quote(printable(h, 80))+" is no name; give one such as app.example.com")
		im.opts.Host = ""
	}
	if p := im.opts.Push; p != "" {
		if clean, ok := requestPath(strings.TrimSuffix(p, "/{channel}") + "/"); !ok || strings.TrimSuffix(clean, "/") != strings.TrimSuffix(strings.TrimSuffix(p, "/{channel}"), "/") {
			im.refuse(nil, "the path "+strconv.Quote(printable(p, 80))+" of the push service is none that a route can have; give one such as /websocket")
		}
	}
}

// isApaches reports whether a directive is one of Apache's beyond doubt: a few
// names are those of other servers, too.
func isApaches(d *apacheconf.Directive) bool {
	name := strings.ToLower(d.Name)
	if slices.Contains([]string{"listen", "user", "include", "alias", "return", "allow", "deny", "keepalive_timeout"}, name) {
		return false
	}
	_, harmless := harmlessReason(name)
	return handlers[name] != nil || harmless || gapOf(name) != "" || appSetting(name) != "" || d.Section
}

func verdict(r *Result) Verdict {
	if r.YAML == "" {
		return Rejected
	}
	for _, n := range r.Notes {
		if n.Kind == NeedsYou {
			return Gaps
		}
	}
	return Complete
}

// rootOf is where names of files begin that are relative.
func rootOf(files []string) string {
	for _, root := range []string{"/etc/apache2", "/etc/httpd"} {
		for _, f := range files {
			if strings.HasPrefix(f, root+"/") {
				return root
			}
		}
	}
	return "/etc/apache2"
}

// unread are the notes of what could not be read.
func (im *importer) unread(notes []apacheconf.Note) []Note {
	var list []Note
	for _, n := range notes {
		note := Note{Kind: NeedsYou, Positions: []apacheconf.Position{n.Position}, Message: printable(n.Message, 300)}
		if ofCertbot(n.Message) {
			note.Kind, note.Message = NotNeeded, note.Message+": TLS 1.2 and 1.3 with today's ciphers are built in"
		}
		if strings.Contains(n.Message, "is left out") { // as Apache does
			note.Kind = Remark
		}
		list = append(list, note)
	}
	return list
}

// checked is the configuration, without routes that wsfront does not take.
func (im *importer) checked() string {
	const tries = 10 // what is dropped may lead to other mistakes
	for range tries {
		text := im.yaml(im.files)
		_, err := config.Parse("wsfront.yaml", []byte(text))
		var found config.Problems
		if err == nil {
			return text
		}
		if !errors.As(err, &found) || !im.dropAll(found) {
			im.refuse(nil, "no configuration can be made of it: "+printable(err.Error(), 400))
			return ""
		}
	}
	im.refuse(nil, "no configuration can be made of it: too much of it is none that wsfront takes")
	return ""
}

// dropAll takes away what wsfront does not take, from the end of the file, so
// that the places of what stands before stay true. False: nothing could be.
func (im *importer) dropAll(found config.Problems) bool {
	dropped, last := false, ""
	for _, p := range slices.Backward(found) {
		place := routeForm.FindString(p.Field)
		if place != "" && place == last {
			continue // it is gone already
		}
		last = place
		dropped = im.drop(p) || dropped
	}
	return dropped
}

var routeForm = regexp.MustCompile(`^sites\[\d+\]\.routes\[\d+\]`)

// drop takes a route away that wsfront does not take.
func (im *importer) drop(p config.Problem) bool {
	if strings.HasPrefix(p.Field, "listen") || strings.HasPrefix(p.Field, "http_listen") {
		im.gap("the addresses of the vhosts do not go together here, and the default was taken, :443 and :80 (" + printable(p.Message, 200) + "): write listen and http_listen")
		again := im.listen != nil || im.plain != nil
		im.listen, im.plain = nil, nil
		return again
	}
	var i, j int
	if n, _ := fmt.Sscanf(p.Field, "sites[%d].routes[%d]", &i, &j); n == 2 && i < len(im.sites) && j < len(im.sites[i].routes) {
		s := im.sites[i]
		im.left(s.routes[j].from, p.Message)
		s.routes = append(s.routes[:j:j], s.routes[j+1:]...)
		s.fill()
		return true
	}
	if n, _ := fmt.Sscanf(p.Field, "sites[%d].hosts[%d]", &i, &j); n == 2 && i < len(im.sites) && j < len(im.sites[i].hosts) {
		s := im.sites[i]
		for _, d := range s.vhost.nameLines {
			if slices.ContainsFunc(d.Args, func(arg string) bool { return strings.EqualFold(stripPort(arg), s.hosts[j]) }) {
				im.left([]*apacheconf.Directive{d}, p.Message)
			}
		}
		if s.hosts = append(s.hosts[:j:j], s.hosts[j+1:]...); len(s.hosts) == 0 && im.siteOf(placeholder) == nil {
			s.hosts = []string{placeholder}
		}
		return len(s.hosts) > 0
	}
	if n, _ := fmt.Sscanf(p.Field, "sites[%d]", &i); n == 1 && i < len(im.sites) && len(im.sites) > 1 {
		im.left(im.sites[i].from, p.Message)
		im.sites = append(im.sites[:i:i], im.sites[i+1:]...)
		return true
	}
	return false
}

func (im *importer) left(from []*apacheconf.Directive, because string) {
	for i, d := range from {
		switch {
		case d.Section: // it holds for other routes, too
		case d.Is("RewriteCond"):
			im.goesWith(d, from[slices.IndexFunc(from[i:], func(o *apacheconf.Directive) bool { return !o.Is("RewriteCond") })+i])
		default:
			im.needsYou(d, "left out, for wsfront does not take it: "+printable(because, 300))
		}
	}
}

// demote says of a directive that was imported that it is not needed after
// all.
func (im *importer) demote(d *apacheconf.Directive, because string) {
	if f, ok := im.fates[d]; ok && f.kind == Imported {
		im.fates[d] = fate{kind: NotNeeded, message: because}
	}
}

// hidden says of rules that take nothing why.
func (im *importer) hidden(vhosts []*vhost) {
	used := map[*apacheconf.Directive]bool{}
	for _, v := range vhosts {
		for _, r := range v.allRules() {
			for _, d := range r.from {
				used[d] = used[d] || r.used
			}
		}
	}
	for _, v := range vhosts {
		for _, r := range v.allRules() {
			for _, d := range r.from {
				if !used[d] {
					im.demote(d, "another line takes its requests first, in Apache as well")
				}
			}
		}
		if d := v.docRoot; d != nil && !im.served(v) {
			im.demote(d, "every request goes to an app or elsewhere")
		}
	}
}

// served reports whether any route serves files of a vhost's DocumentRoot.
func (im *importer) served(v *vhost) bool {
	for _, s := range im.sites {
		for _, r := range s.routes {
			if s.vhost != v {
				continue
			}
			for _, d := range r.from {
				if d == v.docRoot {
					return true
				}
			}
			if strings.Contains(r.target, v.docRoot.Arg(0)) {
				return true
			}
		}
	}
	return false
}

// localPort finds the ports of backends on this machine.
var localPort = regexp.MustCompile(`//(?:127\.[0-9.]+|localhost|\[::1\]):([0-9]+)`)

// freePort is the port for apps inside Apache: one that nobody else has.
func (im *importer) freePort(all []*apacheconf.Directive) int {
	port := im.opts.AppPort
	if port == 0 {
		port = defaultAppPort
	}
	taken := map[int]bool{}
	for _, d := range all {
		for _, arg := range d.Args {
			if a, ok := parseAddress(arg); ok && (d.Is("VirtualHost") || d.Is("Listen")) {
				taken[a.port] = true
			}
			for _, m := range localPort.FindAllStringSubmatch(arg, -1) {
				taken[parsePort(m[1])] = true
			}
		}
	}
	for taken[port] {
		port++
	}
	return port
}

func isThere(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// named reports whether a file was read.
func (im *importer) named(file string) bool {
	for _, f := range im.files {
		if abs, err := filepath.Abs(f); err == nil && abs == file {
			return true
		}
	}
	return false
}
