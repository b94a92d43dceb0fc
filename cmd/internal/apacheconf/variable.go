package apacheconf

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// debian has the values that Debian's Apache is started with when nobody has
// changed its envvars.
var debian = map[string]string{
	"APACHE_RUN_USER":  "www-data",
	"APACHE_RUN_GROUP": "www-data",
	"APACHE_PID_FILE":  "/var/run/apache2/apache2.pid",
	"APACHE_RUN_DIR":   "/var/run/apache2",
	"APACHE_LOCK_DIR":  "/var/lock/apache2",
	"APACHE_LOG_DIR":   "/var/log/apache2",
}

// define gives name a value. <IfDefine> looks at the name as it stands, ${NAME}
// in any letter case, as in Apache.
func (r *reader) define(name, value string) {
	r.defined[name] = true
	r.values[strings.ToLower(name)] = value
}

// name carries out Define, UnDefine and UndefMacro.
func (r *reader) name(at Position, directive string, args []string) {
	switch {
	case len(args) == 0 || len(args) > 2 || len(args) == 2 && !strings.EqualFold(directive, "Define"):
		r.note(at, "%s with %d arguments, with which Apache does not start; quote a value that has spaces", directive, len(args))
	case strings.EqualFold(directive, "UndefMacro"):
		delete(r.macros, strings.ToLower(args[0]))
	case strings.Contains(args[0], ":"):
		r.note(at, "%s %s: a name must not contain a colon", directive, args[0])
	case strings.EqualFold(directive, "UnDefine"):
		delete(r.defined, args[0])
		delete(r.values, strings.ToLower(args[0]))
	case len(args) == 1:
		r.defined[args[0]] = true
	default:
		r.define(args[0], args[1])
	}
}

// expand replaces ${NAME} by its value, in quotes and out of them, before the
// line is cut into words, as Apache does: a value may be several words. What
// has no value stays as it stands. The value is not expanded again.
func (r *reader) expand(at Position, text string) string {
	if !strings.Contains(text, "${") {
		return text
	}
	var b strings.Builder
	missing := map[string]bool{}
	for b.Len() <= maxLine {
		before, behind, found := strings.Cut(text, "${")
		name, rest, closed := strings.Cut(behind, "}")
		if !found || !closed {
			break
		}
		b.WriteString(before)
		text = rest
		value, known := r.value(name)
		if !known {
			value = "${" + name + "}"
			// With a colon it is no variable: ${map:key} is a RewriteMap's.
			if !missing[name] && !strings.Contains(name, ":") {
				r.note(at, "${%s} is not defined; it stays as it stands", name)
			}
			missing[name] = true
		}
		b.WriteString(value)
	}
	b.WriteString(text)
	return b.String()
}

func (r *reader) value(name string) (string, bool) {
	if v, ok := r.values[strings.ToLower(name)]; ok {
		return v, true
	}
	if r.environment == nil {
		r.environment = r.envvars()
	}
	if v, ok := r.environment[name]; ok {
		return v, true
	}
	v, ok := debian[name]
	return v, ok
}

// envvars reads the script by which Debian sets the environment of Apache, as
// far as its lines are plain assignments.
func (r *reader) envvars() map[string]string {
	all := map[string]string{}
	for _, root := range r.roots() {
		data, err := readRegular(filepath.Join(root, "envvars"))
		if err != nil {
			continue
		}
		for text := range strings.Lines(string(data)) {
			name, value, ok := assignment(text, all)
			if ok {
				all[name] = value
			}
		}
		break
	}
	return all
}

var (
	assignmentForm = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=("[^"]*"|'[^']*'|[^\s"';&|]*)\s*(?:[;#].*)?$`)
	plainVariable  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// assignment reads a line NAME=value of a shell script, with or without
// export. ok is false for anything that a shell would have to work out, but the
// value of a name in known, or of none.
func assignment(text string, known map[string]string) (name, value string, ok bool) {
	m := assignmentForm.FindStringSubmatch(strings.TrimRight(text, space))
	if m == nil {
		return "", "", false
	}
	name, value = m[1], m[2]
	if strings.HasPrefix(value, "'") {
		return name, strings.Trim(value, "'"), true
	}
	value = strings.Trim(value, `"`)
	if strings.ContainsAny(value, "`\\") || strings.Contains(value, "$(") {
		return "", "", false
	}
	ok = true
	value = os.Expand(value, func(v string) string {
		ok = ok && plainVariable.MatchString(v)
		return known[v]
	})
	return name, value, ok && len(value) <= maxLine
}
