package apacheimport

import (
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// logLines are what is left out of the access log.
type logLines struct {
	quiet  map[string][]string                // by variable: the paths for which it is set
	lines  map[string][]*apacheconf.Directive // that set it
	wanted []string                           // variables whose requests the log leaves out
	from   []*apacheconf.Directive
}

func (l *logLines) inherit(outer logLines) {
	l.wanted = append(l.wanted, outer.wanted...)
	l.from = append(l.from, outer.from...)
	for name, paths := range outer.quiet {
		l.set(name, paths, outer.lines[name])
	}
}

func (l *logLines) set(name string, paths []string, lines []*apacheconf.Directive) {
	if l.quiet == nil {
		l.quiet, l.lines = map[string][]string{}, map[string][]*apacheconf.Directive{}
	}
	l.quiet[name] = append(l.quiet[name], paths...)
	l.lines[name] = append(l.lines[name], lines...)
}

// setEnvIf is SetEnvIf and its like: paths that are not to be logged are what
// is known of it.
func (im *importer) setEnvIf(v *vhost, d *apacheconf.Directive, s *scope) {
	const forApp = "variables for the app, and for Apache's own conditions: no request that wsfront forwards has them"
	if len(d.Args) == 3 && strings.EqualFold(d.Arg(0), "Request_URI") && s.kind == inServer {
		if heads, end, ok := plainPattern(d.Arg(1)); ok && end != endExact {
			v.logs.set(strings.ToLower(d.Arg(2)), heads, []*apacheconf.Directive{d})
		}
	}
	im.notNeeded(d, forApp)
}

// customLog is CustomLog.
func (im *importer) customLog(v *vhost, d *apacheconf.Directive, _ *scope) {
	const here = "the access log goes to standard output (journalctl -u wsfront), in Apache's combined form; access_log: {file: /var/log/wsfront/access.log} puts it into a file"
	im.notNeeded(d, here)
	for _, word := range d.Args {
		if name, ok := strings.CutPrefix(strings.ToLower(word), "env=!"); ok {
			v.logs.wanted = append(v.logs.wanted, name)
			v.logs.from = append(v.logs.from, d)
		}
	}
}

// skipped are the paths that get no line in the access log.
func (im *importer) skipped(vhosts []*vhost) []string {
	var skip []string
	for _, v := range vhosts {
		for _, name := range v.logs.wanted {
			for _, p := range v.logs.quiet[name] {
				skip = appendNew(skip, p)
			}
			for _, d := range v.logs.lines[name] {
				im.imported(d)
			}
		}
		if len(skip) > 0 {
			for _, d := range v.logs.from {
				im.imported(d)
			}
		}
	}
	return skip
}
