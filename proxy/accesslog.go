package proxy

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"wsfront/proxy/http1"
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
	form  *accessForm // nil when off
	skip  []string    // what gets no line
	lines sync.Pool   // of *[]byte

	mu      sync.Mutex // whole lines, whatever out is
	out     io.Writer
	file    *os.File      // out, where that is a file of our own
	path    string        // of file
	lost    int           // lines since the last one that was written
	allLost atomic.Uint64 // lines that could not be written
	torn    bool          // half a line was written
	log     *slog.Logger
}

// figures are what is known of an exchange once it is over.
type figures struct {
	status         int
	received, sent int64
	duration       time.Duration
}

// newAccessLog opens the file, if there is one; else the lines go to out. That
// they cannot be written goes to log.
func newAccessLog(cfg AccessLog, out io.Writer, log *slog.Logger) (*accessLog, error) {
	form, err := cfg.Format.form()
	if err != nil {
		return nil, FieldError{"access_log.format", err.Error()}
	}
	a := &accessLog{log: log, out: out, form: form, skip: cfg.Skip, lines: sync.Pool{New: func() any { return new([]byte) }}}
	if cfg.File != "" {
		f, err := openAccessFile(cfg.File)
		if err != nil {
			return nil, FieldError{"access_log.file", err.Error()}
		}
		a.out, a.file, a.path = f, f, cfg.File
	}
	if a.out == nil {
		a.form = nil
	}
	return a, nil
}

// write logs an exchange that is over.
func (a *accessLog) write(x *exchange) {
	if a.form == nil || a.skips(x) {
		return
	}
	f := x.figures()
	a.put(func(line []byte) []byte { return a.form.line(line, x, f) })
}

// put writes the line that form makes.
func (a *accessLog) put(form func([]byte) []byte) {
	line := a.lines.Get().(*[]byte)
	*line = form((*line)[:0])
	a.mu.Lock()
	a.print(*line)
	a.mu.Unlock()
	if cap(*line) <= maxPooledLine {
		a.lines.Put(line)
	}
}

// accessEntry is the line of an exchange that outlasts its request: the texts of
// its parts, with a figureGap for each figure. It is "" for one that gets no line.
type accessEntry string

// keep begins the line of an exchange whose end is to come.
func (a *accessLog) keep(x *exchange) accessEntry {
	if a.form == nil || a.skips(x) {
		return ""
	}
	var text []byte
	for i := range a.form.parts {
		if p := &a.form.parts[i]; p.text != nil {
			text = p.text(text, x)
		} else {
			text = append(text, figureGap)
		}
	}
	return accessEntry(text)
}

// finish writes the line that keep began.
func (a *accessLog) finish(e accessEntry, f figures) {
	if a.form == nil || e == "" {
		return
	}
	a.put(func(line []byte) []byte {
		rest := e
		for i := range a.form.parts {
			if p := &a.form.parts[i]; p.figure != nil {
				gap := strings.IndexByte(string(rest), figureGap)
				line = p.figure(append(line, rest[:gap]...), f)
				rest = rest[gap+1:]
			}
		}
		return append(line, rest...)
	})
}

// figures are those of an exchange that is over. There is no body in answer to
// HEAD, whatever was written.
func (x *exchange) figures() figures {
	f := figures{status: x.status, received: x.received, sent: x.sent, duration: time.Since(x.begin)}
	if f.status == 0 {
		f.status = statusNone
	}
	if x.isHead() {
		f.sent = 0
	}
	return f
}

// appendCombinedHead and what follows it are Apache's combined form,
//
//	%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"
//
// with the client address that trusted proxies told, and the request line as
// the client sent it.
func appendCombinedHead(b []byte, x *exchange) []byte {
	b = appendClient(b, x)
	b = append(b, " - "...)
	b = appendBare(b, x.claimedUser())
	b = append(b, ' ')
	b = x.begin.AppendFormat(b, apacheTime)
	b = append(b, ` "`...)
	b = appendRequestLine(b, x)
	return append(b, `" `...)
}

func appendCombinedFigures(b []byte, f figures) []byte {
	b = strconv.AppendInt(b, int64(f.status), 10)
	b = append(b, ' ')
	if f.sent > 0 {
		return strconv.AppendInt(b, f.sent, 10)
	}
	return append(b, '-')
}

func appendCombinedTail(b []byte, x *exchange) []byte {
	b = appendQuoted(b, x.merged(http1.Referer))
	b = appendQuoted(b, x.merged(http1.UserAgent))
	return append(b, '\n')
}

// appendJSONHead and what follows it write one object with the same fields in
// the same order each time, but for those that not every request has: request_id,
// which a trusted proxy gave, trace, and bytes_in, of what became a tunnel. It is
// written by hand since one object for each request is worth no reflection.
func appendJSONHead(b []byte, x *exchange) []byte {
	b = append(b, `{"time":"`...)
	b = x.begin.AppendFormat(b, jsonTime)
	b = append(b, '"')
	b = appendField(b, "id", x.id[:])
	if id := x.givenID(); id != nil {
		b = appendField(b, "request_id", id)
	}
	if id := x.traceID(); id != nil {
		b = appendField(b, "trace", id)
	}
	b = append(b, `,"client":"`...)
	b = appendClient(b, x)
	b = append(b, '"')
	b = appendField(b, "user", x.claimedUser())
	b = appendField(b, "method", x.req.Method)
	b = appendField(b, "host", x.host)
	b = appendField(b, "uri", x.shownTarget())
	b = appendField(b, "proto", x.proto)
	version := ""
	if x.tls != 0 {
		version = tls.VersionName(x.tls)
	}
	return appendField(b, "tls", version)
}

func appendJSONFigures(b []byte, f figures) []byte {
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(f.status), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, f.sent, 10)
	if f.status == http.StatusSwitchingProtocols {
		b = append(b, `,"bytes_in":`...)
		b = strconv.AppendInt(b, f.received, 10)
	}
	b = append(b, `,"duration_seconds":`...)
	return strconv.AppendFloat(b, f.duration.Seconds(), 'f', 6, 64)
}

func appendJSONTail(b []byte, x *exchange) []byte {
	b = appendField(b, "site", x.site.name)
	route := ""
	if x.route != nil {
		route = x.route.name
	}
	b = appendField(b, "route", route)
	b = appendField(b, "referer", x.merged(http1.Referer))
	b = appendField(b, "user_agent", x.merged(http1.UserAgent))
	return append(b, "}\n"...)
}

// claimedUser is the name of Basic authentication (RFC 7617), as claimed: it is
// the route's basic_auth or the backend that verifies it, and the status that
// tells. The password goes nowhere.
func (x *exchange) claimedUser() []byte {
	value, n := http1.Get(x.req.Fields, http1.Authorization)
	if n != 1 {
		return nil
	}
	name, _, ok := basicCredentials(value)
	if !ok {
		return nil
	}
	return name
}

// shownTarget is the request's target without the secret that its query may hold.
func (x *exchange) shownTarget() []byte {
	if x.route == nil || x.route.SecretQuery == "" {
		return x.req.Target
	}
	path, query, ok := bytes.Cut(x.req.Target, []byte{'?'})
	if !ok {
		return x.req.Target
	}
	shown := append(bytes.Clone(path), '?')
	for i, item := range bytes.Split(query, []byte{'&'}) {
		if i > 0 {
			shown = append(shown, '&')
		}
		name, _, _ := bytes.Cut(item, []byte{'='})
		if plain, err := url.QueryUnescape(string(name)); err != nil || plain == x.route.SecretQuery {
			item = append(bytes.Clone(name), "=***"...)
		}
		shown = append(shown, item...)
	}
	return shown
}

// merged is a field's value; several lines are one list (RFC 9110 §5.3).
func (x *exchange) merged(known http1.Known) []byte {
	value, n := http1.Get(x.req.Fields, known)
	if n > 1 {
		return []byte(strings.Join(x.values(known), ", "))
	}
	return value
}

// appendClient writes the client's address, without the zone of a link-local
// one, which may hold any character.
func appendClient(b []byte, x *exchange) []byte {
	if !x.client.IsValid() {
		return append(b, '-') // a Unix socket has no address
	}
	return appendAddr(b, x.client)
}
