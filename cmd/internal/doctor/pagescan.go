package doctor

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// scanTags goes over a page: tag gets what is between < and > of each tag, and
// script what is between <script> and </script>, each with its line. It is no
// HTML parser; a page that it misreads is one in which something is overlooked.
func scanTags(text string, tag, script func(text string, line int)) {
	line := 1
	forward := func(n int) string {
		piece := text[:n]
		line += strings.Count(piece, "\n")
		text = text[n:]
		return piece
	}
	for {
		begin := strings.IndexByte(text, '<')
		if begin < 0 {
			return
		}
		forward(begin)
		if strings.HasPrefix(text, "<!--") {
			end := strings.Index(text, "-->")
			if end < 0 {
				return
			}
			forward(end)
			continue
		}
		end := strings.IndexByte(text, '>')
		if end < 0 {
			return
		}
		at := line
		inside := forward(end + 1)
		inside = inside[1 : len(inside)-1]
		tag(inside, at)
		if !strings.HasPrefix(strings.ToLower(inside), "script") || strings.HasSuffix(inside, "/") {
			continue
		}
		end = strings.Index(strings.ToLower(text), "</script")
		if end < 0 {
			end = len(text)
		}
		at = line
		script(forward(end), at)
	}
}

// insecureSockets are the places in a page that name a ws:// URL: its scripts,
// and attributes of its tags, which scripts read. What is written for people to
// read is left out.
func insecureSockets(name, text string) (found []string) {
	scanTags(text, func(tag string, line int) {
		if i := strings.Index(tag, "ws://"); i > 0 && strings.ContainsRune(`"'=`, rune(tag[i-1])) && !isLocal(tag[i:]) {
			found = append(found, place(name, line, tag))
		}
	}, func(script string, line int) {
		found = append(found, inScript(name, script, line)...)
	})
	return found
}

// insecureURL is the beginning of a ws:// URL in a string of a script, or of JSON
// as PHP writes it, ws:\/\/.
var insecureURL = regexp.MustCompile("[\"'`]ws:\\\\?/\\\\?/")

// secureNear is how far from ws:// a choice between it and wss:// is looked for.
const secureNear = 200

// inScript are the places in a script that open ws:// whatever the page is. Where
// wss: stands near, the script chooses; comments and this machine do not count.
func inScript(name, script string, line int) (found []string) {
	for _, at := range insecureURL.FindAllStringIndex(script, -1) {
		begin, end := at[0], at[1]
		near := script[max(0, begin-secureNear):min(len(script), end+secureNear)]
		start := strings.LastIndexByte(script[:begin], '\n') + 1
		if strings.Contains(near, "wss:") || isComment(script[start:begin]) || isLocal(script[begin+1:]) {
			continue
		}
		stop := len(script)
		if i := strings.IndexByte(script[end:], '\n'); i >= 0 {
			stop = end + i
		}
		// Of a script in one line, what is around it is enough to find it.
		start, stop = max(start, begin-60), min(stop, end+60)
		found = append(found, place(name, line+strings.Count(script[:begin], "\n"), script[start:stop]))
	}
	return found
}

// isComment reports whether what stands before in the line begins a comment.
func isComment(before string) bool {
	before = strings.TrimSpace(before)
	return strings.HasPrefix(before, "//") || strings.HasPrefix(before, "*") || strings.HasPrefix(before, "/*") || strings.Contains(before, " // ")
}

// isLocal reports whether a URL names this machine, which browsers take for
// trustworthy.
func isLocal(url string) bool {
	rest := strings.TrimLeft(strings.TrimPrefix(url, "ws:"), `\/`)
	return strings.HasPrefix(rest, "localhost") || strings.HasPrefix(rest, "127.") || strings.HasPrefix(rest, "[::1]")
}

func place(name string, line int, text string) string {
	return fmt.Sprintf("%s line %d: %s", visible(name), line, visible(strings.TrimSpace(text)))
}

var sourceOf = regexp.MustCompile(`(?i)\ssrc\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)`)

// linkedScripts are the scripts of the page's own host that it names.
func linkedScripts(t target, text string) (all []target) {
	base, err := url.Parse(t.String())
	if err != nil {
		return nil
	}
	scanTags(text, func(tag string, _ int) {
		m := sourceOf.FindStringSubmatch(tag)
		if m == nil || !strings.HasPrefix(strings.ToLower(tag), "script") {
			return
		}
		source, err := base.Parse(strings.Trim(m[1], `"'`))
		if err != nil {
			return
		}
		if script, err := parseTarget(source.String()); err == nil && script.host == t.host && script.scheme == t.scheme {
			all = append(all, script)
		}
	}, func(string, int) {})
	return all
}
