package syslog

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	syslog "github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/rfc3164"
	"github.com/leodido/go-syslog/v4/rfc5424"
)

// line is one as it came, between the socket and publishing.
type line struct {
	text   []byte
	source string // the sender's address, or this machine's name
	at     time.Time
}

// parser finds the parts of lines. It is for one goroutine.
type parser struct {
	bsd  syslog.Machine // RFC 3164, which describes what is seen rather than a form
	ietf syslog.Machine // RFC 5424
}

func newParser() *parser {
	return &parser{
		bsd: rfc3164.NewMachine(rfc3164.WithRFC3339(), rfc3164.WithSecondFractions(), rfc3164.WithLenientDay(),
			rfc3164.WithOptionalPriority()),
		ietf: rfc5424.NewMachine(),
	}
}

const (
	userNotice  = 13 // the priority of a line that names none (RFC 3164 §4.3.3)
	maxPriority = 191
)

// parse finds the parts of l. ok is false when there is nothing to be seen in
// it.
func (p *parser) parse(l line) (m Message, ok bool) {
	text := clean(l.text)
	priority, rest := cutPriority(text)
	if rest == "" {
		return Message{}, false
	}
	m = Message{
		Facility: priority / 8, Severity: priority % 8,
		Timestamp: l.at.Truncate(time.Microsecond), Hostname: l.source, Msg: rest, // RFC 5424 §6.2.3
	}
	if !p.parseIETF(&m, text) && !p.parseBSD(&m, rest, l.at) {
		// Without a time, such as Python's SysLogHandler sends it: there may
		// be a tag all the same.
		p.parseTag(&m, rest)
	}
	m.Msg = strings.TrimPrefix(m.Msg, "\ufeff") // RFC 5424 §6.4
	return m, true
}

// clean makes text of b in which the parsers find nothing that they stop at and
// pages nothing that they cannot show.
func clean(b []byte) string {
	text := strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r // an invalid byte comes as U+FFFD
	}, string(b))
	return strings.TrimRight(text, " ")
}

// cutPriority cuts "<13>" from the beginning.
func cutPriority(text string) (priority int, rest string) {
	inside, found := strings.CutPrefix(text, "<")
	digits, rest, ok := strings.Cut(inside, ">")
	n, err := strconv.ParseUint(digits, 10, 8)
	if !found || !ok || err != nil || n > maxPriority {
		return userNotice, text
	}
	return int(n), rest
}

// parseIETF reads the form of RFC 5424. False: it is another one.
func (p *parser) parseIETF(m *Message, text string) bool {
	parsed, err := p.ietf.Parse([]byte(text))
	found, ok := parsed.(*rfc5424.SyslogMessage)
	if err != nil || !ok {
		return false
	}
	m.take(&found.Base)
	if found.StructuredData != nil {
		m.StructuredData = *found.StructuredData
	}
	// rsyslog keeps the space behind a tag in its messages, and sends it.
	m.Msg = strings.TrimPrefix(m.Msg, " ")
	return true
}

// parseBSD reads the form of RFC 3164. False: it has no time at its beginning.
func (p *parser) parseBSD(m *Message, text string, now time.Time) bool {
	found := p.readBSD(text)
	if found == nil {
		return false
	}
	m.take(found)
	if m.Timestamp.Year() == 0 { // no year
		m.Timestamp = nearest(m.Timestamp, now)
	}
	m.mendTag(text)
	// The parser takes an IPv6 address for a tag.
	first, rest, more := strings.Cut(m.Msg, " ")
	if ip, err := netip.ParseAddr(first); err == nil && ip.Is6() && more && found.Hostname == nil && m.AppName == "" {
		m.Hostname = first
		p.parseTag(m, rest)
	}
	return true
}

// parseTag reads text that begins with what stands behind the host's name.
func (p *parser) parseTag(m *Message, text string) {
	const header = "Jan  1 00:00:00 host "
	m.Msg = text
	found := p.readBSD(header + text)
	if found == nil {
		return
	}
	found.Timestamp, found.Hostname = nil, nil
	m.take(found)
	m.mendTag(header + text)
}

// readBSD returns nil for a text that the parser does not know. It may do the
// same, without an error.
func (p *parser) readBSD(text string) *syslog.Base {
	parsed, err := p.bsd.Parse([]byte(text))
	found, ok := parsed.(*rfc3164.SyslogMessage)
	if err != nil || !ok {
		return nil
	}
	return &found.Base
}

// take takes over what was found. Without a message there is none.
func (m *Message) take(found *syslog.Base) {
	set := func(to, from *string) {
		if from != nil {
			*to = *from
		}
	}
	if found.Timestamp != nil {
		m.Timestamp = *found.Timestamp
	}
	set(&m.Hostname, found.Hostname)
	set(&m.AppName, found.Appname)
	set(&m.ProcID, found.ProcID)
	set(&m.MsgID, found.MsgID)
	m.Msg = ""
	set(&m.Msg, found.Message)
}

// mendTag undoes what the parser takes for a tag, though no colon and space
// follow, as in "12:30 is noon" and "app[12] says"; in the latter it also cuts
// the message in the middle. The message is the end of text.
func (m *Message) mendTag(text string) {
	head := strings.TrimSuffix(text, m.Msg)
	if m.AppName == "" || strings.HasSuffix(head, ": ") {
		return
	}
	if strings.HasSuffix(head, m.AppName+"[") {
		m.Msg = m.AppName + "[" + m.Msg
	}
	m.AppName, m.ProcID = "", ""
}

// nearest gives a time without year and zone the year with which it is nearest
// to now, in the zone of now.
func nearest(t, now time.Time) time.Time {
	var best time.Time
	for year := now.Year() - 1; year <= now.Year()+1; year++ {
		in := time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), now.Location())
		if best.IsZero() || in.Sub(now).Abs() < best.Sub(now).Abs() {
			best = in
		}
	}
	return best
}
