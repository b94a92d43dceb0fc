package proxy

import (
	"bufio"
	"regexp"
	"strings"

	"wsfront/proxy/http1"
)

var (
	bareLineEnd    = regexp.MustCompile(`[^\r]\n|^\n|\r[^\n]|\r$`)
	foldedLine     = regexp.MustCompile(`\r\n[ \t]`)
	plainHost      = regexp.MustCompile(`(?i)^[a-z0-9.-]+(:[0-9]+)?$`)
	wrongEscape    = regexp.MustCompile(`%([^0-9A-Fa-f]|.[^0-9A-Fa-f]|.?$)`)
	absoluteTarget = regexp.MustCompile(`^(?i:https?)://([^/]*)(/.*)$`)
	answerVersion  = regexp.MustCompile(`^HTTP/1\.[01] [1-5][0-9][0-9]( |$)`)
)

// leniency says what net/http takes, or answers in another way, of what the
// strict way refuses; "" for a script that both must treat alike.
func leniency(s script) string {
	for _, st := range s.client {
		if why := lenientRequests(st.text); why != "" {
			return why
		}
	}
	for _, reply := range s.replies {
		for _, st := range reply {
			if why := lenientAnswer(st.text); why != "" {
				return why
			}
		}
	}
	return ""
}

// lenientRequests goes through pipelined requests one by one.
func lenientRequests(text string) string {
	r := bufio.NewReader(strings.NewReader(text))
	for {
		if _, err := r.Peek(1); err != nil {
			return ""
		}
		line, err := readLine(r)
		if err != nil {
			return "a request line that is none: " + err.Error()
		}
		words := strings.Split(line, " ")
		if len(words) != 3 || words[2] != "HTTP/1.0" && words[2] != "HTTP/1.1" {
			return "a request line that is none"
		}
		fields, err := readFields(r)
		if err != nil {
			return "fields that are none: " + err.Error()
		}
		if why := lenientTarget(words[0], words[1], valuesOf(fields, "host")); why != "" {
			return why
		}
		framing, why := lenientFields(fields, words[2])
		if why != "" {
			return why
		}
		framing.extensions = true
		if _, trailer, err := framing.read(r); err != nil {
			return "a body that breaks the grammar: " + err.Error()
		} else if len(trailer) > 100 {
			return "many trailer fields"
		}
		// Bytes of a tunnel follow a handshake.
		if len(valuesOf(fields, "sec-websocket-key")) > 0 {
			return ""
		}
	}
}

func lenientTarget(method, target string, hosts []string) string {
	if m := absoluteTarget.FindStringSubmatch(target); m != nil && len(hosts) == 1 && strings.EqualFold(m[1], hosts[0]) {
		target = m[2]
	}
	path, _, _ := strings.Cut(target, "?")
	switch {
	case len(method) > 32, len(target) > 8<<10:
		return "a method or target beyond its limit"
	case method == "CONNECT":
		return "CONNECT"
	case !strings.HasPrefix(target, "/"):
		return "a target that is no path"
	case strings.Contains(target, "#"), wrongEscape.MatchString(path):
		return "a target that net/url reads in its own way"
	}
	return ""
}

func lenientFields(fields []seenField, version string) (framing bodyFraming, why string) {
	q := &seenRequest{fields: fields}
	head := 0
	for _, f := range fields {
		head += len(f.name) + len(f.value) + 4
	}
	hosts, codings := valuesOf(fields, "host"), valuesOf(fields, "transfer-encoding")
	switch agents := valuesOf(fields, "user-agent"); {
	case len(fields) > 100, head > 28<<10:
		return framing, "a head beyond its limit"
	case len(hosts) != 1 || !plainHost.MatchString(hosts[0]):
		return framing, "a Host that is none"
	case len(codings) > 0 && version == "HTTP/1.0":
		return framing, "a transfer coding in HTTP/1.0"
	case len(agents) > 0 && agents[0] == "":
		return framing, "an empty User-Agent"
	}
	for i, f := range fields {
		if f.name == "transfer-encoding" {
			q.fields[i].value = strings.ToLower(f.value)
		}
	}
	framing, err := q.framing()
	if err != nil {
		return framing, err.Error()
	}
	return framing, ""
}

// lenientAnswer looks at an answer's head, and for bare line ends at all of it.
func lenientAnswer(text string) string {
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	status, rest, _ := strings.Cut(head, "\r\n")
	lower := strings.ToLower(rest)
	switch {
	case text == "":
		return ""
	case bareLineEnd.MatchString(head), foldedLine.MatchString(head):
		return "lines of an answer that break the grammar"
	case strings.HasPrefix(status, "HTTP/") && !answerVersion.MatchString(status):
		return "a status line that is none"
	case strings.Contains(lower, "transfer-encoding") && (strings.Contains(lower, "content-length") || strings.HasPrefix(status, "HTTP/1.0") ||
		strings.HasPrefix(status, "HTTP/1.1 204") || strings.HasPrefix(status, "HTTP/1.1 1")):
		return "a framing that an answer may not have"
	case regexp.MustCompile(`(?m)^[^:]*[ \t]:`).MatchString(rest):
		return "a space before the colon"
	}
	return ""
}

var badTrailer = regexp.MustCompile(`(?mi)^trailer:[^\r]*(content-length|transfer-encoding|trailer)`)

// strictness says what net/http refuses and the strict way takes.
func strictness(s script) string {
	for _, st := range s.client {
		switch {
		case badTrailer.MatchString(st.text):
			return "a Trailer field that announces framing" // we drop those trailer fields (RFC 9110 §6.5.1)
		case strings.HasPrefix(st.text, "\r\n"), strings.Contains(st.text, "\r\n\r\n\r\n"):
			return "empty lines before a request" // RFC 9112 §2.2
		}
	}
	return ""
}

// unreadBody reports whether the strict way closed the connection behind a
// refusal instead of reading a long body that nobody wanted, as net/http does.
func unreadBody(s script, o *observation) bool {
	size := 0
	for _, st := range s.client {
		size += len(st.text)
	}
	last := len(o.answers) - 1
	return size > http1.BufferSize && o.then == "closed" && last >= 0 && o.answers[last].status >= 400
}
