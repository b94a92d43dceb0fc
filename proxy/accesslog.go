package proxy

import (
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// apacheTime is the %t of Apache's mod_log_config.
	apacheTime = "[02/Jan/2006:15:04:05 -0700]"
	// jsonTime is RFC 3339 with milliseconds.
	jsonTime = "2006-01-02T15:04:05.000Z07:00"

	// statusNone stands in the log for an exchange that was cut before its
	// answer began. It is nginx's number for that, which log readers know.
	statusNone = 499

	// maxPooledLine keeps the buffer of one very long line from staying.
	maxPooledLine = 16 << 10
)

// accessLog writes one line for each exchange, with one Write for each line
// and nothing held back, so that the last lines are never lost. It may be used
// concurrently.
type accessLog struct {
	format func(b []byte, x *exchange, r *http.Request) []byte // nil when off
	lines  sync.Pool                                           // of *[]byte

	mu  sync.Mutex // whole lines, whatever out is
	out io.Writer
}

func newAccessLog(format AccessFormat, out io.Writer) *accessLog {
	a := &accessLog{out: out, lines: sync.Pool{New: func() any { return new([]byte) }}}
	switch {
	case out == nil, format == AccessOff:
	case format == AccessJSON:
		a.format = appendJSONLine
	default:
		a.format = appendCombinedLine
	}
	return a
}

// write logs an exchange that is over.
func (a *accessLog) write(x *exchange, r *http.Request) {
	if a.format == nil {
		return
	}
	line := a.lines.Get().(*[]byte)
	*line = a.format((*line)[:0], x, r)
	a.mu.Lock()
	_, _ = a.out.Write(*line) // a log that cannot be written must not end the service
	a.mu.Unlock()
	if cap(*line) <= maxPooledLine {
		a.lines.Put(line)
	}
}

// appendCombinedLine is Apache's combined form,
//
//	%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"
//
// with the client address that trusted proxies told, and the request line as
// the client sent it.
func appendCombinedLine(b []byte, x *exchange, r *http.Request) []byte {
	b = appendClient(b, x)
	b = append(b, " - "...)
	b = appendBare(b, user(r))
	b = append(b, ' ')
	b = x.begin.AppendFormat(b, apacheTime)
	b = append(b, ` "`...)
	b = appendApache(b, r.Method)
	b = append(b, ' ')
	b = appendApache(b, r.RequestURI)
	b = append(b, ' ')
	b = appendApache(b, r.Proto)
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(x.loggedStatus()), 10)
	b = append(b, ' ')
	if n := x.loggedBytes(r); n > 0 {
		b = strconv.AppendInt(b, n, 10)
	} else {
		b = append(b, '-')
	}
	b = appendQuoted(b, merged(r.Header["Referer"]))
	b = appendQuoted(b, merged(r.Header["User-Agent"]))
	return append(b, '\n')
}

// appendJSONLine writes one object with the same fields in the same order each
// time, but for bytes_in, which only what became a tunnel has. It is written
// by hand since one object for each request is worth no reflection.
func appendJSONLine(b []byte, x *exchange, r *http.Request) []byte {
	b = append(b, `{"time":"`...)
	b = x.begin.AppendFormat(b, jsonTime)
	b = append(b, '"')
	b = appendField(b, "id", x.id)
	b = append(b, `,"client":"`...)
	b = appendClient(b, x)
	b = append(b, '"')
	b = appendField(b, "user", user(r))
	b = appendField(b, "method", r.Method)
	b = appendField(b, "host", x.host)
	b = appendField(b, "uri", r.RequestURI)
	b = appendField(b, "proto", r.Proto)
	version := ""
	if r.TLS != nil {
		version = tls.VersionName(r.TLS.Version)
	}
	b = appendField(b, "tls", version)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(x.loggedStatus()), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, x.loggedBytes(r), 10)
	if x.status == http.StatusSwitchingProtocols {
		b = append(b, `,"bytes_in":`...)
		b = strconv.AppendInt(b, x.received, 10)
	}
	b = append(b, `,"duration_seconds":`...)
	b = strconv.AppendFloat(b, time.Since(x.begin).Seconds(), 'f', 6, 64)
	b = appendField(b, "site", x.site.name)
	route := ""
	if x.route != nil {
		route = x.route.name
	}
	b = appendField(b, "route", route)
	b = appendField(b, "referer", merged(r.Header["Referer"]))
	b = appendField(b, "user_agent", merged(r.Header["User-Agent"]))
	return append(b, "}\n"...)
}

func (x *exchange) loggedStatus() int {
	if x.status == 0 {
		return statusNone
	}
	return x.status
}

// loggedBytes is what went out as the answer's body: net/http swallows what a
// handler writes in answer to HEAD.
func (x *exchange) loggedBytes(r *http.Request) int64 {
	if r.Method == http.MethodHead {
		return 0
	}
	return x.sent
}

// user is the name of Basic authentication (RFC 7617), as claimed: it is the
// backend that verifies it. The password goes nowhere.
func user(r *http.Request) string {
	name, _, _ := r.BasicAuth()
	return name
}

// merged is a field's value; several lines are one list (RFC 9110 §5.3).
func merged(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return strings.Join(values, ", ")
}

// appendClient writes the client's address, without the zone of a link-local
// one, which may hold any character.
func appendClient(b []byte, x *exchange) []byte {
	if !x.client.IsValid() {
		return append(b, '-') // a Unix socket has no address
	}
	return x.client.WithZone("").AppendTo(b)
}

func appendQuoted(b []byte, s string) []byte {
	b = append(b, ` "`...)
	if s == "" {
		b = append(b, '-')
	} else {
		b = appendApache(b, s)
	}
	return append(b, '"')
}

// appendBare writes a field without quotes around it. A space would begin the
// next field, and with it a forged line: it is escaped, unlike in Apache, where
// only names that passed authentication are logged.
func appendBare(b []byte, s string) []byte {
	if s == "" {
		return append(b, '-')
	}
	for i := range len(s) {
		if s[i] == ' ' {
			b = append(b, `\x20`...)
		} else {
			b = appendApacheByte(b, s[i])
		}
	}
	return b
}

func appendApache(b []byte, s string) []byte {
	for i := range len(s) {
		b = appendApacheByte(b, s[i])
	}
	return b
}

// appendApacheByte escapes as Apache's ap_escape_logitem does, byte by byte:
// quotes and backslashes, and whatever is not printable ASCII.
func appendApacheByte(b []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	case '\v':
		return append(b, '\\', 'v')
	}
	if c < 0x20 || c > 0x7e {
		return append(b, '\\', 'x', hex[c>>4], hex[c&15])
	}
	return append(b, c)
}

// appendField writes a member of a JSON object that is not its first.
func appendField(b []byte, name, value string) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":"`...)
	b = appendJSONText(b, value)
	return append(b, '"')
}

// appendJSONText escapes as RFC 8259 §7 asks; bytes that are not UTF-8 become
// the replacement character. U+2028 and U+2029 end a line for some readers of
// JSON lines, so that they are escaped too, like U+0085.
func appendJSONText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			case c < 0x20 || c == 0x7f:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			default:
				b = append(b, c)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch r {
		case '\u0085':
			b = append(b, `\u0085`...)
		case '\u2028':
			b = append(b, `\u2028`...)
		case '\u2029':
			b = append(b, `\u2029`...)
		default:
			b = utf8.AppendRune(b, r) // the replacement character for what is none
		}
		i += size
	}
	return b
}
