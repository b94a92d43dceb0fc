package apacheimport

import (
	"regexp"
	"strings"

	"wsfront/cmd/internal/apacheconf"
	"wsfront/cmd/internal/config"
)

// logLines are what is left out of the access log.
type logLines struct {
	quiet  map[string][]string                // by variable: the paths for which it is set
	lines  map[string][]*apacheconf.Directive // that set it
	wanted []string                           // variables whose requests the log leaves out
	from   []*apacheconf.Directive

	customs, outer []*apacheconf.Directive // CustomLog here, and outside, which holds where there is none
}

func (l *logLines) inherit(outer logLines) {
	l.wanted = append(l.wanted, outer.wanted...)
	l.from = append(l.from, outer.from...)
	l.outer = outer.customs
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
	v.logs.customs = append(v.logs.customs, d)
	for _, word := range d.Args {
		if name, ok := strings.CutPrefix(strings.ToLower(word), "env=!"); ok {
			v.logs.wanted = append(v.logs.wanted, name)
			v.logs.from = append(v.logs.from, d)
		}
	}
}

// logFormat is LogFormat: a format and its name.
func (im *importer) logFormat(_ *vhost, d *apacheconf.Directive, _ *scope) {
	im.notNeeded(d, "the access log has Apache's combined form, or that of the CustomLog that all vhosts have")
	if len(d.Args) == 2 {
		if im.logFormats == nil {
			im.logFormats = map[string]*apacheconf.Directive{}
		}
		im.logFormats[d.Arg(1)] = d
	}
}

// usualFormat is the combined form and what it holds: common, and Debian's, whose
// bytes are counted with the answer's head.
var usualFormat = regexp.MustCompile(`^%h %l %u %t "%r" %>s %[bO]( "%\{Referer\}i" "%\{User-[aA]gent\}i")?$`)

// accessFormat is the form of the access log's lines: that of all CustomLogs, if
// it is one and wsfront knows its directives, else "" for the combined one.
func (im *importer) accessFormat(vhosts []*vhost) string {
	var formats []string
	var lines []*apacheconf.Directive
	for _, v := range vhosts {
		customs := v.logs.customs
		if len(customs) == 0 {
			customs = v.logs.outer
		}
		for _, d := range customs {
			format := d.Arg(1)
			lines = appendNew(lines, d)
			if named := im.logFormats[format]; named != nil {
				format, lines = named.Arg(0), appendNew(lines, named)
			}
			if !strings.Contains(format, "%") || usualFormat.MatchString(format) {
				format = "combined"
			}
			formats = appendNew(formats, format)
		}
	}
	if len(formats) == 0 || len(formats) == 1 && formats[0] == "combined" {
		return ""
	}
	if len(formats) > 1 {
		im.remark("the logs have different forms, and wsfront has one access log: its lines have the combined form; write another one as access_log: {format: ...}", lines...)
		return ""
	}
	var f config.File
	err := f.AccessLog.UnmarshalText([]byte(formats[0]))
	if err == nil {
		err = f.AccessLog.Format.Validate()
	}
	if err != nil {
		im.remark("wsfront's access log has no such lines, but the combined form: "+err.Error(), lines...)
		return ""
	}
	for _, d := range lines {
		im.imported(d)
	}
	im.remark("the lines have the form that they have here, but go to standard output (journalctl -u wsfront); for a file write access_log: {format: ..., file: /var/log/wsfront/access.log}", lines...)
	return formats[0]
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
