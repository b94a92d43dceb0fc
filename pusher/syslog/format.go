package syslog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/template"
	"time"
)

// Message is a log line in its parts, which are those of RFC 5424 §6. It is
// what a template is executed on; the names in JSON are those of the tags. No
// text in it has control characters or is other than UTF-8; line ends and tabs
// have become spaces.
type Message struct {
	// Facility is 0 to 23, what kind of program speaks (RFC 5424 §6.2.1). 1,
	// user, where the line does not say (RFC 3164 §4.3.3).
	Facility int `json:"facility"`
	// Severity is 0, emergency, to 7, debug. 5, notice, where the line does not
	// say.
	Severity int `json:"severity"`
	// Timestamp is when the line was written, as it says itself; in the form of
	// RFC 3164, which has neither year nor zone, the nearest such time of this
	// machine's zone. Where it says nothing, when it was received.
	Timestamp time.Time `json:"timestamp"`
	// Hostname is the machine that the line names, or else the address it came
	// from; for a unix socket this machine's name.
	Hostname string `json:"hostname"`
	// AppName is the program, or empty: kernel, sshd.
	AppName string `json:"app_name,omitempty"`
	// ProcID is the program's process, or empty.
	ProcID string `json:"procid,omitempty"`
	// MsgID is the kind of message, or empty; RFC 5424 alone has it.
	MsgID string `json:"msgid,omitempty"`
	// StructuredData is nil or has parameters by element and name; RFC 5424
	// alone has it.
	StructuredData map[string]map[string]string `json:"structured_data,omitempty"`
	// Msg is the text.
	Msg string `json:"msg"`
}

// String is the line as /var/log/syslog has it, in the zone of this machine:
// Nov 27 10:00:00 host app[123]: text.
func (m Message) String() string {
	var b strings.Builder
	b.WriteString(m.Timestamp.Local().Format(time.Stamp))
	b.WriteByte(' ')
	b.WriteString(m.Hostname)
	if m.AppName != "" {
		b.WriteByte(' ')
		b.WriteString(m.AppName)
		if m.ProcID != "" {
			b.WriteString("[" + m.ProcID + "]")
		}
		b.WriteByte(':')
	}
	if m.Msg != "" {
		b.WriteByte(' ')
		b.WriteString(m.Msg)
	}
	return b.String()
}

// format writes a Message for the channel.
type format func(Message) ([]byte, error)

// newFormat understands Config.Format.
func newFormat(text string) (format, error) {
	switch {
	case text == "" || text == "line":
		return func(m Message) ([]byte, error) { return []byte(m.String()), nil }, nil
	case text == "json":
		return func(m Message) ([]byte, error) { return json.Marshal(m) }, nil
	case !strings.Contains(text, "{{"):
		return nil, fmt.Errorf(`%q is neither line, json nor a template; write one of them, such as "{{.Hostname}} {{.Msg}}"`, text)
	}
	t, err := template.New("format").Parse(text)
	if err == nil {
		err = t.Execute(io.Discard, example) // finds fields that are not there
	}
	if err != nil {
		return nil, fmt.Errorf(`%w; write a template over .Facility, .Severity, .Timestamp, .Hostname, .AppName, .ProcID, .MsgID, .StructuredData and .Msg`, err)
	}
	return func(m Message) ([]byte, error) {
		var b bytes.Buffer
		err := t.Execute(&b, m)
		return b.Bytes(), err
	}, nil
}

// example is what templates are tried on.
var example = Message{
	Facility: 3, Severity: 6, Timestamp: time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC),
	Hostname: "host.example.com", AppName: "app", ProcID: "123", MsgID: "ID47",
	StructuredData: map[string]map[string]string{"example@32473": {"key": "value"}},
	Msg:            "a line of some length, such as programs write into their logs",
}
