package syslog

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// received is when the lines of these tests came.
var received = time.Date(2026, 11, 27, 10, 0, 7, 123456789, time.Local)

// forms are what rsyslog 8.2302 and logger of util-linux 2.38 were seen to send,
// and others that are about; each with what a person gets to read.
var forms = []struct{ name, line, want string }{
	{"rsyslog", "<13>Nov 27 09:57:46 vm app: text one", "Nov 27 09:57:46 vm app: text one"},
	{"rsyslog by TCP", "<13>Nov 27 09:57:46 vm app[10071]: text ä [x] two\n", "Nov 27 09:57:46 vm app[10071]: text ä [x] two"},
	{"rsyslog escapes control characters", "<13>Nov 27 09:57:46 vm app: multi#012line", "Nov 27 09:57:46 vm app: multi#012line"},
	{"RSYSLOG_ForwardFormat", "<13>2026-11-27T09:57:46.927056+00:00 vm app: text", stamp("2026-11-27T09:57:46Z") + " vm app: text"},
	{"another zone", "<13>2026-11-27T09:57:46+05:30 vm app: text", stamp("2026-11-27T09:57:46+05:30") + " vm app: text"},
	{"RSYSLOG_SyslogProtocol23Format", "<13>1 2026-11-27T09:57:46.929866+00:00 vm app 10071 - -  text\n", stamp("2026-11-27T09:57:46Z") + " vm app[10071]: text"},
	{"RSYSLOG_TraditionalFileFormat", "Nov 27 09:57:46 vm app: text", "Nov 27 09:57:46 vm app: text"},
	{"RSYSLOG_FileFormat", "2026-11-27T09:57:46.927056+00:00 vm app: text", stamp("2026-11-27T09:57:46Z") + " vm app: text"},
	{"logger -u", "<13>Nov 27 09:57:46 app[10077]: text", "Nov 27 09:57:46 from app[10077]: text"},
	{"logger -n", `<13>1 2026-11-27T09:57:46.940181+00:00 vm app - - [timeQuality tzKnown="1" isSynced="0"] text`, stamp("2026-11-27T09:57:46Z") + " vm app: text"},
	{"logger --rfc3164", "<13>Nov 27 09:57:46 vm app[10089]: text", "Nov 27 09:57:46 vm app[10089]: text"},
	{"logger --rfc5424 through rsyslog", "<13>Nov 27 09:57:46 vm 1 2026-11-27T09:57:46+00:00 vm app - M1 - text", "Nov 27 09:57:46 vm 1 2026-11-27T09:57:46+00:00 vm app - M1 - text"},
	{"kernel", "<4>Nov 27 09:57:46 vm kernel: [   12.345] eth0: link up", "Nov 27 09:57:46 vm kernel: [   12.345] eth0: link up"},
	{"indented", "<13>Nov 27 09:57:46 vm app:     at main", "Nov 27 09:57:46 vm app:     at main"},
	{"Python's SysLogHandler", "<14>text\x00", "Nov 27 10:00:07 from text"},
	{"Python's SysLogHandler with ident", "<14>app: text\x00", "Nov 27 10:00:07 from app: text"},
	{"a tag that is none", "<14>12:30 is noon", "Nov 27 10:00:07 from 12:30 is noon"},
	{"a tag that ends in nothing", "<14>Nov 27 09:57:46 vm app[12]: ", "Nov 27 09:57:46 vm app[12]:"},
	{"a tag without its colon", "<14>Nov 27 09:57:46 vm app[12] text", "Nov 27 09:57:46 vm app[12] text"},
	{"a tag without its space", "<14>Nov 27 09:57:46 vm app:text", "Nov 27 09:57:46 vm app:text"},
	{"no tag", "<14>Nov 27 09:57:46 vm some text", "Nov 27 09:57:46 vm some text"},
	{"a host by IPv6", "<14>Nov 27 09:57:46 2001:db8::1 app[1]: text", "Nov 27 09:57:46 2001:db8::1 app[1]: text"},
	{"an address behind a tag", "<14>Nov 27 09:57:46 app: 2001:db8::1 is away", "Nov 27 09:57:46 from app: 2001:db8::1 is away"},
	{"day with a zero", "<14>Nov 07 09:57:46 vm app: text", "Nov  7 09:57:46 vm app: text"},
	{"nothing known by RFC 5424", "<14>1 - - - - - - text", "Nov 27 10:00:07 from text"},
	{"BOM", "<14>1 - vm app - - - \ufefftext", "Nov 27 10:00:07 vm app: text"},
	{"empty message", "<14>1 - vm app - - -", "Nov 27 10:00:07 vm app:"},
	{"nanoseconds are not RFC 5424", "<14>1 2026-11-27T09:57:46.123456789Z vm app - - - text", "Nov 27 10:00:07 from 1 2026-11-27T09:57:46.123456789Z vm app - - - text"},
	{"structured data is broken", `<14>1 - vm app - - [x y text`, `Nov 27 10:00:07 from 1 - vm app - - [x y text`},
	{"priority too high", "<192>Nov 27 09:57:46 vm app: text", "Nov 27 10:00:07 from <192>Nov 27 09:57:46 vm app: text"},
	{"a line of any text", "hello, everybody", "Nov 27 10:00:07 from hello, everybody"},
	{"control characters", "<14>Nov 27 09:57:46 vm app: a\x1b[31mb\u009bc\td\ne\x7f", "Nov 27 09:57:46 vm app: a[31mbc d e"},
	{"Latin-1", "<14>Nov 27 09:57:46 vm app: M\xfcller", "Nov 27 09:57:46 vm app: M\ufffdller"},
}

// stamp is a time as String writes it.
func stamp(rfc3339 string) string {
	at, err := time.Parse(time.RFC3339, rfc3339)
	if err != nil {
		panic(err)
	}
	return at.Local().Format(time.Stamp)
}

func TestParse_FormsAsTheyAreSent(t *testing.T) {
	p := newParser()
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			m, ok := p.parse(line{[]byte(f.line), "from", received})
			if !ok || m.String() != f.want {
				t.Errorf("%q\n got %q\nwant %q", f.line, m.String(), f.want)
			}
		})
	}
}

func TestParse_NothingToSee(t *testing.T) {
	for _, text := range []string{"", "\n", " \x00\t", "<13>", "<13> \n"} {
		if m, ok := newParser().parse(line{[]byte(text), "from", received}); ok {
			t.Errorf("%q is %+v", text, m)
		}
	}
}

func TestParse_PartsInJSON(t *testing.T) {
	inJSON, err := newFormat("json")
	if err != nil {
		t.Fatal(err)
	}
	at := received.Truncate(time.Microsecond).Format(time.RFC3339Nano)
	for text, want := range map[string]string{
		`<165>1 2026-11-27T10:00:00.003Z host app 123 ID47 [x@1 a="b\"c"] text`: `{"facility":20,"severity":5,"timestamp":"2026-11-27T10:00:00.003Z","hostname":"host",` +
			`"app_name":"app","procid":"123","msgid":"ID47","structured_data":{"x@1":{"a":"b\"c"}},"msg":"text"}`,
		`<0>app: text`: `{"facility":0,"severity":0,"timestamp":"` + at + `","hostname":"from","app_name":"app","msg":"text"}`,
		`text`:         `{"facility":1,"severity":5,"timestamp":"` + at + `","hostname":"from","msg":"text"}`,
	} {
		m, _ := newParser().parse(line{[]byte(text), "from", received})
		if got, err := inJSON(m); err != nil || string(got) != want {
			t.Errorf("%s\n got %s, %v\nwant %s", text, got, err, want)
		}
	}
}

func TestParse_YearAndZoneOfRFC3164(t *testing.T) {
	p := newParser()
	for _, c := range []struct{ now, text, want string }{
		{"2026-12-31T23:59:59Z", "Jan  1 00:00:00", "2027-01-01T00:00:00Z"},
		{"2027-01-01T00:00:01Z", "Dec 31 23:59:59", "2026-12-31T23:59:59Z"},
		{"2028-02-29T12:00:00Z", "Feb 29 11:59:59", "2028-02-29T11:59:59Z"},
		{"2026-11-27T10:00:00+01:00", "Nov 27 10:00:00.5", "2026-11-27T10:00:00.5+01:00"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		m, _ := p.parse(line{[]byte("<13>" + c.text + " host app: text"), "from", now})
		if got := m.Timestamp.Format(time.RFC3339Nano); got != c.want {
			t.Errorf("%s at %s is %s, want %s", c.text, c.now, got, c.want)
		}
	}
}

func TestFormat_Template(t *testing.T) {
	write, err := newFormat(`{{if lt .Severity 4}}!{{end}}{{.AppName}}@{{.Hostname}} {{.Msg}} ({{.}})`)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := newParser().parse(line{[]byte("<11>Nov 27 09:57:46 vm app: text"), "from", received})
	if got, err := write(m); err != nil || string(got) != "!app@vm text (Nov 27 09:57:46 vm app: text)" {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzLine(f *testing.F) {
	for _, form := range forms {
		f.Add([]byte(form.line))
	}
	inJSON, err := newFormat("json")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := newParser().parse(line{b, "from", received})
		text := clean(b)
		if _, rest := cutPriority(text); ok != (rest != "") {
			t.Fatalf("there is something to see in %q: %v", text, ok)
		}
		if !ok {
			return
		}
		shown := m.String()
		if !utf8.ValidString(shown) || strings.ContainsFunc(shown, unicode.IsControl) {
			t.Errorf("%q is shown as %q", b, shown)
		}
		if m.Facility < 0 || m.Facility > 23 || m.Severity < 0 || m.Severity > 7 || m.Hostname == "" {
			t.Errorf("%q is %+v", b, m)
		}
		// Nothing that a program said is lost: the message is the line's end,
		// but where a header is all there is.
		if !strings.HasSuffix(text, m.Msg) {
			t.Errorf("%q has the message %q", b, m.Msg)
		}
		if m.Msg == "" && !strings.HasPrefix(text, "<") && m.StructuredData == nil {
			t.Errorf("%q has no message: %+v", b, m)
		}
		if _, err := inJSON(m); err != nil {
			t.Errorf("%q: %v", b, err)
		}
	})
}

// A Message that went out as JSON is the one that comes back.
func TestMessage_JSONIsWhole(t *testing.T) {
	data, err := json.Marshal(example)
	if err != nil {
		t.Fatal(err)
	}
	var back Message
	if err := json.Unmarshal(data, &back); err != nil || back.String() != example.String() || back.MsgID != example.MsgID || back.StructuredData == nil {
		t.Errorf("%s is %+v, %v", data, back, err)
	}
}
