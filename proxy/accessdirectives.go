package proxy

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// accessTexts is the directive of that name which can be written before an
// exchange is over, or nil.
func accessTexts(name string) func(b []byte, x *exchange) []byte {
	switch name {
	case "a", "h":
		return appendClient
	case "{c}a":
		return func(b []byte, x *exchange) []byte {
			if !x.peer.IsValid() {
				return append(b, '-')
			}
			return appendAddr(b, x.peer)
		}
	case "l":
		return func(b []byte, _ *exchange) []byte { return append(b, '-') }
	case "u":
		return func(b []byte, x *exchange) []byte { return appendBare(b, x.claimedUser()) }
	case "r":
		return appendRequestLine
	case "m":
		return func(b []byte, x *exchange) []byte { return appendOrDash(b, x.req.Method) }
	case "U":
		return func(b []byte, x *exchange) []byte {
			path, _, _ := bytes.Cut(x.req.Target, []byte{'?'})
			return appendOrDash(b, path)
		}
	case "q":
		return func(b []byte, x *exchange) []byte {
			if _, query, ok := bytes.Cut(x.shownTarget(), []byte{'?'}); ok {
				b = appendApache(append(b, '?'), query)
			}
			return b
		}
	case "H":
		return func(b []byte, x *exchange) []byte { return appendOrDash(b, x.proto) }
	case "v", "{site}L":
		return func(b []byte, x *exchange) []byte { return appendOrDash(b, x.site.name) }
	case "V":
		return func(b []byte, x *exchange) []byte { return appendOrDash(b, hostname(string(x.host))) }
	case "p":
		return appendPort
	case "{remote}p":
		return func(b []byte, x *exchange) []byte { return appendInt(b, int64(x.port)) }
	case "{SSL_PROTOCOL}x":
		return appendTLSVersion
	}
	return ourAccessTexts(name)
}

// ourAccessTexts are those that Apache does not have, or for another thing: its
// %L is the id by which its error log knows the request, as ours is, and
// mod_unique_id's variable stands in many formats for the same purpose.
func ourAccessTexts(name string) func(b []byte, x *exchange) []byte {
	switch name {
	case "L", "{UNIQUE_ID}e":
		return func(b []byte, x *exchange) []byte { return append(b, x.id[:]...) }
	case "{request}L":
		return func(b []byte, x *exchange) []byte { return appendApache(b, x.requestID()) }
	case "{trace}L":
		return func(b []byte, x *exchange) []byte { return appendOrDash(b, x.traceID()) }
	case "{route}L":
		return func(b []byte, x *exchange) []byte {
			if x.route == nil {
				return append(b, '-')
			}
			return appendOrDash(b, x.route.name)
		}
	}
	return nil
}

// accessFigures is the directive of that name which is known once all is over,
// or nil.
func accessFigures(name string) func(b []byte, f figures) []byte {
	switch name {
	case "s":
		return func(b []byte, f figures) []byte { return appendInt(b, int64(f.status)) }
	case "b":
		return func(b []byte, f figures) []byte {
			if f.sent == 0 {
				return append(b, '-')
			}
			return appendInt(b, f.sent)
		}
	case "B", "O":
		return func(b []byte, f figures) []byte { return appendInt(b, f.sent) }
	case "{in}L":
		return func(b []byte, f figures) []byte { return appendInt(b, f.received) }
	case "D":
		return func(b []byte, f figures) []byte { return appendInt(b, f.duration.Microseconds()) }
	case "T":
		return func(b []byte, f figures) []byte { return appendInt(b, int64(f.duration/time.Second)) }
	}
	return nil
}

func appendOrDash[T ~string | ~[]byte](b []byte, s T) []byte {
	if len(s) == 0 {
		return append(b, '-')
	}
	return appendApache(b, s)
}

func appendRequestLine(b []byte, x *exchange) []byte {
	b = appendApache(b, x.req.Method)
	b = append(b, ' ')
	b = appendApache(b, x.shownTarget())
	b = append(b, ' ')
	return appendApache(b, x.proto)
}

// appendPort writes the port that the client asked for, as Apache's canonical one.
func appendPort(b []byte, x *exchange) []byte {
	if i := bytes.LastIndexByte(x.host, ':'); i > bytes.LastIndexByte(x.host, ']') {
		if n, err := strconv.ParseUint(string(x.host[i+1:]), 10, 16); err == nil {
			return appendInt(b, int64(n))
		}
	}
	if x.https() {
		return append(b, "443"...)
	}
	return append(b, "80"...)
}

// appendTLSVersion writes the version as mod_ssl does, such as TLSv1.3.
func appendTLSVersion(b []byte, x *exchange) []byte {
	if x.tls < 0x0301 {
		return append(b, '-')
	}
	b = append(b, "TLSv1."...)
	return appendInt(b, int64(x.tls-0x0301))
}

// addDuration adds %{UNIT}T.
func (f *accessForm) addDuration(unit string) error {
	unitOf := map[string]time.Duration{"s": time.Second, "ms": time.Millisecond, "us": time.Microsecond}[unit]
	if unitOf == 0 {
		return fmt.Errorf("is unknown; write %%{ms}T, %%{us}T or %%{s}T")
	}
	f.parts = append(f.parts, accessPart{figure: func(b []byte, f figures) []byte { return appendInt(b, int64(f.duration/unitOf)) }})
	return nil
}

// addTime adds %t, or %{FORMAT}t with one of Apache's words or a format of
// strftime: the time at which the request came.
func (f *accessForm) addTime(format string) error {
	format, _ = strings.CutPrefix(format, "begin:")
	counted := map[string]func(time.Time) int64{"sec": time.Time.Unix, "msec": time.Time.UnixMilli, "usec": time.Time.UnixMicro}[format]
	switch {
	case format == "":
		f.addLayout(apacheTime)
		return nil
	case strings.HasPrefix(format, "end:"):
		return fmt.Errorf("is unknown: lines have the time at which the request came; write %%t, and %%D for how long it took")
	case counted != nil:
		f.parts = append(f.parts, accessPart{text: func(b []byte, x *exchange) []byte { return appendInt(b, counted(x.begin)) }})
		return nil
	case format == "msec_frac":
		f.addFraction(1e6)
		return nil
	case format == "usec_frac":
		f.addFraction(1e3)
		return nil
	}
	return f.addStrftime(format)
}

// addFraction adds the parts of a second that so many nanoseconds have, with
// leading zeros.
func (f *accessForm) addFraction(unit int) {
	f.parts = append(f.parts, accessPart{text: func(b []byte, x *exchange) []byte {
		for place, n := 1_000_000_000/unit/10, x.begin.Nanosecond()/unit; place > 0; place /= 10 {
			b = append(b, byte('0'+n/place%10))
		}
		return b
	}})
}

func (f *accessForm) addLayout(layout string) {
	f.parts = append(f.parts, accessPart{text: func(b []byte, x *exchange) []byte { return x.begin.AppendFormat(b, layout) }})
}

// addStrftime adds a time by strftime's conversions.
func (f *accessForm) addStrftime(format string) error {
	for format != "" {
		literal, rest, found := strings.Cut(format, "%")
		if literal != "" {
			if err := checkLiteral(literal); err != nil {
				return err
			}
			f.literal(literal)
		}
		if !found {
			return nil
		}
		if rest == "" {
			return fmt.Errorf("ends in a %%; write %%%% for one")
		}
		if rest[0] == '%' {
			f.literal("%")
		} else if layout := strftimeLayout(rest[0]); layout != "" {
			f.addLayout(layout)
		} else {
			return fmt.Errorf("has %%%c, which is unknown; write %%Y-%%m-%%dT%%H:%%M:%%S%%z, or others of strftime such as %%b, %%T and %%Z", rest[0])
		}
		format = rest[1:]
	}
	return nil
}

// strftimeLayout is a conversion of strftime in the words of package time, or "".
func strftimeLayout(conversion byte) string {
	switch conversion {
	case 'Y':
		return "2006"
	case 'y':
		return "06"
	case 'm':
		return "01"
	case 'd':
		return "02"
	case 'e':
		return "_2"
	case 'j':
		return "002"
	case 'b', 'h':
		return "Jan"
	case 'B':
		return "January"
	case 'a':
		return "Mon"
	case 'A':
		return "Monday"
	case 'H':
		return "15"
	case 'I':
		return "03"
	case 'M':
		return "04"
	case 'S':
		return "05"
	case 'p':
		return "PM"
	case 'z':
		return "-0700"
	case 'Z':
		return "MST"
	case 'T':
		return "15:04:05"
	case 'R':
		return "15:04"
	case 'F':
		return "2006-01-02"
	case 'D':
		return "01/02/06"
	}
	return ""
}
