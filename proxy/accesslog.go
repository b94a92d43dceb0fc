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
	"unicode/utf8"

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

// accessForm writes the three parts of a line. Only the middle one has to wait
// until all is over: a tunnel, which may last for days, keeps the text of the
// others and nothing else.
type accessForm struct {
	head    func(b []byte, x *exchange) []byte
	figures func(b []byte, f figures) []byte
	tail    func(b []byte, x *exchange) []byte
}

// figures are what is known of an exchange once it is over.
type figures struct {
	status         int
	received, sent int64
	duration       time.Duration
}

var (
	combinedForm = accessForm{appendCombinedHead, appendCombinedFigures, appendCombinedTail}
	jsonForm     = accessForm{appendJSONHead, appendJSONFigures, appendJSONTail}
)

// newAccessLog opens the file, if there is one; else the lines go to out. That
// they cannot be written goes to log.
func newAccessLog(cfg AccessLog, out io.Writer, log *slog.Logger) (*accessLog, error) {
	a := &accessLog{log: log, out: out, skip: cfg.Skip, lines: sync.Pool{New: func() any { return new([]byte) }}}
	if cfg.File != "" {
		f, err := openAccessFile(cfg.File)
		if err != nil {
			return nil, FieldError{"access_log.file", err.Error()}
		}
		a.out, a.file, a.path = f, f, cfg.File
	}
	switch {
	case a.out == nil, cfg.Format == AccessOff:
	case cfg.Format == AccessJSON:
		a.form = &jsonForm
	default:
		a.form = &combinedForm
	}
	return a, nil
}

// write logs an exchange that is over.
func (a *accessLog) write(x *exchange) {
	if a.form == nil || a.skips(x) {
		return
	}
	a.put(func(line []byte) []byte {
		line = a.form.head(line, x)
		line = a.form.figures(line, x.figures())
		return a.form.tail(line, x)
	})
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

// accessEntry is the line of an exchange that outlasts its request.
type accessEntry struct {
	text []byte // head and tail, none for one that gets no line
	gap  int    // where the figures belong
}

// keep begins the line of an exchange whose end is to come.
func (a *accessLog) keep(x *exchange) (e accessEntry) {
	if a.form == nil || a.skips(x) {
		return e
	}
	text := a.form.head(nil, x)
	e.gap = len(text)
	text = a.form.tail(text, x)
	e.text = append(make([]byte, 0, len(text)), text...)
	return e
}

// finish writes the line that keep began.
func (a *accessLog) finish(e accessEntry, f figures) {
	if a.form == nil || e.text == nil {
		return
	}
	a.put(func(line []byte) []byte {
		line = append(line, e.text[:e.gap]...)
		line = a.form.figures(line, f)
		return append(line, e.text[e.gap:]...)
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
	b = appendApache(b, x.req.Method)
	b = append(b, ' ')
	b = appendApache(b, x.shownTarget())
	b = append(b, ' ')
	b = appendApache(b, x.proto)
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
// the same order each time, but for bytes_in, which only what became a tunnel
// has. It is written by hand since one object for each request is worth no
// reflection.
func appendJSONHead(b []byte, x *exchange) []byte {
	b = append(b, `{"time":"`...)
	b = x.begin.AppendFormat(b, jsonTime)
	b = append(b, '"')
	b = appendField(b, "id", x.id[:])
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

func appendQuoted(b []byte, s []byte) []byte {
	b = append(b, ` "`...)
	if len(s) == 0 {
		b = append(b, '-')
	} else {
		b = appendApache(b, s)
	}
	return append(b, '"')
}

// appendBare writes a field without quotes around it. A space would begin the
// next field, and with it a forged line: it is escaped, unlike in Apache, where
// only names that passed authentication are logged.
func appendBare(b []byte, s []byte) []byte {
	if len(s) == 0 {
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

func appendApache[T ~string | ~[]byte](b []byte, s T) []byte {
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
func appendField[T ~string | ~[]byte](b []byte, name string, value T) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":"`...)
	b = appendJSONText(b, value)
	return append(b, '"')
}

// appendJSONText escapes as RFC 8259 §7 asks; bytes that are not UTF-8 become
// the replacement character. U+2028 and U+2029 end a line for some readers of
// JSON lines, so that they are escaped too, like U+0085.
func appendJSONText[T ~string | ~[]byte](b []byte, s T) []byte {
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
		r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
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
