package apacheimport

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// A RewriteCond is understood by trying it: what it says of the fields of a
// handshake is found out by the handshakes that browsers send, whatever its
// spelling. What it says of paths and files is kept as a condition.

// tri is the outcome of a condition for one request.
type tri int

const (
	never tri = iota
	maybe     // it depends on what is not known here
	always
)

// sample is a request, as far as conditions look at it.
type sample struct {
	upgrade, connection, query string
}

// The requests by which conditions are tried.
var (
	plainRequest = sample{"", "keep-alive", "EIO=4&transport=polling&t=1"}
	handshake    = sample{"websocket", "Upgrade", "EIO=4&transport=websocket"} // as Chromium and Safari send it
	ofFirefox    = sample{"websocket", "keep-alive, Upgrade", "EIO=4&transport=websocket"}
	otherUpgrade = sample{"h2c", "Upgrade", "EIO=4&transport=polling&t=1"}
)

// held is what the conditions of a rule come to.
type held struct {
	plain, upgrade tri
	only           []string                // beginnings of paths, one of which it must be; nil: any
	match          string                  // an expression that the path must match
	except         []string                // beginnings of paths that it must not be
	noFile, isFile bool                    // only what the folder has no file, or has one for
	anyway         []string                // beginnings of paths for which noFile does not count
	loose          []*apacheconf.Directive // those that end within a segment, where prefixes do not
	groups         []string                // %1 and on, where they are known
	unknown        *apacheconf.Directive
}

// conditions puts the RewriteConds of a rule together, for requests of one
// host: those joined by OR first.
func (im *importer) conditions(conds []*apacheconf.Directive, v *vhost, host string) held {
	h := held{plain: always, upgrade: always}
	firefox, other := always, always
	var alternatives []*apacheconf.Directive
	var traps []string
	for _, c := range conds {
		alternatives = append(alternatives, c)
		if hasFlag(c.Arg(2), "or", "ornext") && c != conds[len(conds)-1] {
			continue
		}
		if !h.path(alternatives) && !h.file(alternatives) {
			var plain, upgrade, fire, rest tri
			for _, a := range alternatives {
				if strings.EqualFold(a.Arg(0), "%{REQUEST_URI}") && len(alternatives) > 1 {
					traps = append(traps, "one path is enough for it in Apache, by any request; here a handshake is")
					continue
				}
				t := trial{cond: a, secure: v.secure(), host: host, docRoot: v.docRoot, groups: &h.groups}
				plain, rest = max(plain, t.holds(plainRequest)), max(rest, t.holds(otherUpgrade))
				fire = max(fire, t.holds(ofFirefox))
				u := t.holds(handshake)
				if u == never && t.about() && t.lenient().holds(handshake) == always {
					traps = append(traps, "browsers write websocket and Upgrade in other letters than this condition, so that it never holds without NC; what is meant was imported")
					u, fire = always, max(fire, t.lenient().holds(ofFirefox))
				}
				if wrong, mistaken := t.mistaken(); mistaken {
					traps = append(traps, wrong+" is no field of the request in Apache, %{HTTP:Upgrade} and %{HTTP:Connection} are, so that this condition never sees it; what is meant was imported")
				}
				upgrade = max(upgrade, u)
				if u == maybe || plain == maybe {
					h.unknown = a
				}
			}
			h.plain, h.upgrade = min(h.plain, plain), min(h.upgrade, upgrade)
			firefox, other = min(firefox, fire), min(other, rest)
		}
		alternatives = nil
	}
	if h.upgrade != never && h.plain == never {
		im.condTraps(conds, traps, firefox, other)
	}
	return h
}

// condTraps tells what is wrong with the conditions of a rule for WebSockets.
func (im *importer) condTraps(conds []*apacheconf.Directive, found []string, firefox, other tri) {
	for _, t := range found {
		im.remark(t, conds...)
	}
	if firefox == never {
		im.remark("Firefox sends Connection: keep-alive, Upgrade, which this exact comparison does not take: its WebSockets fail in Apache; they work here", conds...)
	}
	if other == always {
		im.remark("it held for every Connection: Upgrade, whatever the protocol; wsfront tunnels websocket alone", conds...)
	}
	for _, c := range conds {
		if strings.Contains(c.Arg(0), "QUERY_STRING") {
			im.remark("the condition on the query only stood in for the handshake, which wsfront recognises by itself; it was left out", c)
		}
	}
}

// path takes conditions on the path as such. False: they are none.
func (h *held) path(alternatives []*apacheconf.Directive) bool {
	var heads, except []string
	match := ""
	for _, c := range alternatives {
		if !strings.EqualFold(c.Arg(0), "%{REQUEST_URI}") {
			return false
		}
		expr, negated := strings.CutPrefix(c.Arg(1), "!")
		if exact, ok := strings.CutPrefix(expr, "="); ok {
			expr = "^" + regexp.QuoteMeta(exact) + "$"
		}
		found, end, ok := plainPattern(expr)
		if ok && (end == endOpen || end == endRest) && slices.ContainsFunc(found, func(head string) bool {
			return !strings.HasSuffix(head, "/") && !strings.HasPrefix(head, challenges)
		}) {
			h.loose = append(h.loose, c)
		}
		switch {
		case negated && ok && end != endExact && len(alternatives) == 1:
			except = append(except, found...)
		case !negated && ok && end != endExact:
			heads = append(heads, found...)
		case !negated && len(alternatives) == 1 && len(heads) == 0:
			if match = expr; hasFlag(c.Arg(2), "nc", "nocase") {
				match = "(?i)" + expr
			}
		default:
			return false
		}
	}
	if match != "" && h.match != "" || len(heads) > 0 && h.only != nil {
		return false
	}
	if match != "" {
		h.match = match
	}
	if len(heads) > 0 {
		h.only = heads
	}
	h.except = append(h.except, except...)
	return true
}

// pathsBeside parts conditions joined by OR into those on the path, as what it
// begins with, and the rest.
func pathsBeside(alternatives []*apacheconf.Directive) (rest []*apacheconf.Directive, paths []string) {
	for _, c := range alternatives {
		if heads, end, ok := plainPattern(c.Arg(1)); ok && end != endExact && strings.EqualFold(c.Arg(0), "%{REQUEST_URI}") {
			paths = append(paths, heads...)
			continue
		}
		rest = append(rest, c)
	}
	return rest, paths
}

// file takes conditions on whether there is a file for the path.
func (h *held) file(alternatives []*apacheconf.Directive) bool {
	alternatives, anyway := pathsBeside(alternatives)
	for _, c := range alternatives {
		test := strings.NewReplacer("%{DOCUMENT_ROOT}", "", "%{LA-U:REQUEST_FILENAME}", "%{REQUEST_FILENAME}", "/", "").Replace(c.Arg(0))
		if test != "%{REQUEST_FILENAME}" && test != "%{REQUEST_URI}" && test != "%{SCRIPT_FILENAME}" {
			return false
		}
		switch c.Arg(1) {
		case "!-f", "!-d", "!-l", "!-s", "!-F":
			if len(alternatives) > 1 {
				return false
			}
			h.noFile, h.anyway = true, anyway
		case "-f", "-d", "-l", "-s", "-F":
			if len(anyway) > 0 {
				return false
			}
			h.isFile = true
		default:
			return false
		}
	}
	return true
}

// trial tries one condition.
type trial struct {
	cond    *apacheconf.Directive
	secure  bool
	host    string
	docRoot *apacheconf.Directive
	fold    bool
	groups  *[]string
}

func (t trial) lenient() trial { t.fold = true; return t }

// about reports whether a condition looks at the fields of a handshake.
func (t trial) about() bool {
	test := strings.ToUpper(t.cond.Arg(0))
	return strings.Contains(test, "UPGRADE") || strings.Contains(test, "CONNECTION")
}

// mistakenForm is a name for a field of a handshake by which Apache does not
// find it.
var mistakenForm = regexp.MustCompile(`(?i)\$\{HTTP[:_][^}]*\}|%\{HTTP_(UPGRADE|CONNECTION)\}`)

// mistaken is such a name, where a condition has one.
func (t trial) mistaken() (string, bool) {
	wrong := mistakenForm.FindString(t.cond.Raw)
	return wrong, wrong != ""
}

func (t trial) holds(s sample) tri {
	text, ok := t.expand(t.cond.Arg(0), s)
	if !ok {
		return maybe
	}
	expr, negated := strings.CutPrefix(t.cond.Arg(1), "!")
	fold := t.fold || hasFlag(t.cond.Arg(2), "nc", "nocase")
	result := false
	switch exact, compared := strings.CutPrefix(expr, "="); {
	case compared:
		exact = strings.Trim(exact, `"`)
		result = text == exact || fold && strings.EqualFold(text, exact)
	case strings.HasPrefix(expr, "<"), strings.HasPrefix(expr, ">"), strings.HasPrefix(expr, "-") && len(expr) <= 4:
		return maybe
	default:
		re, err := compile(expr, fold)
		if err != nil {
			return maybe
		}
		groups := re.FindStringSubmatch(text)
		if result = groups != nil; result && !negated && t.groups != nil {
			*t.groups = groups
		}
	}
	if result != negated {
		return always
	}
	return never
}

var variableForm = regexp.MustCompile(`[%$]\{([^{}]*)\}`)

// expand fills in what is known of a request. ok is false when there is more.
func (t trial) expand(test string, s sample) (text string, ok bool) {
	ok = true
	text = variableForm.ReplaceAllStringFunc(test, func(found string) string {
		name := strings.ToUpper(found[2 : len(found)-1])
		scheme, port, https := "http", "80", "off"
		if t.secure {
			scheme, port, https = "https", "443", "on"
		}
		switch strings.ReplaceAll(name, "-", "_") {
		case "HTTP:UPGRADE", "HTTP_UPGRADE":
			return s.upgrade
		case "HTTP:CONNECTION", "HTTP_CONNECTION":
			return s.connection
		case "HTTP:SEC_WEBSOCKET_VERSION":
			if s.upgrade == "websocket" {
				return "13"
			}
			return ""
		case "HTTP:SEC_WEBSOCKET_KEY":
			if s.upgrade == "websocket" {
				return "dGhlIHNhbXBsZSBub25jZQ=="
			}
			return ""
		case "HTTPS":
			return https
		case "SERVER_PORT":
			return port
		case "REQUEST_SCHEME":
			return scheme
		case "HTTP_HOST", "SERVER_NAME", "HTTP:HOST":
			return t.host
		case "QUERY_STRING":
			if strings.Contains(t.cond.Arg(1), "transport") {
				return s.query
			}
		case "ENV:REDIRECT_STATUS", "HTTP:X_FORWARDED_PROTO", "HTTP:X_FORWARDED_SSL":
			if !t.secure || name == "ENV:REDIRECT_STATUS" {
				return "" // as a browser sends it
			}
			return scheme
		}
		ok = false
		return ""
	})
	return text, ok
}

// hasFlag reports whether flags in brackets have one of these.
func hasFlag(flags string, names ...string) bool {
	_, ok := flagValue(flags, names...)
	return ok
}

// flagValue is what stands behind a flag's =.
func flagValue(flags string, names ...string) (string, bool) {
	for word := range strings.SplitSeq(strings.Trim(flags, "[]"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(word), "=")
		for _, n := range names {
			if strings.EqualFold(name, n) {
				return value, true
			}
		}
	}
	return "", false
}

// redirectStatus reads the value of R, or of Redirect's first word. 0 is none
// that wsfront answers with.
func redirectStatus(s string) int {
	switch strings.ToLower(s) {
	case "", "temp":
		return 302
	case "permanent":
		return 301
	case "seeother":
		return 303
	case "gone":
		return 410
	}
	switch n, _ := strconv.Atoi(s); n {
	case 301, 302, 303, 307, 308, 403, 404, 410:
		return n
	}
	return 0
}
