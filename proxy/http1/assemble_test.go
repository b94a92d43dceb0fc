package http1

import (
	"errors"
	"testing"
)

func TestAssemble_AsksForWhatParseAsksFor(t *testing.T) {
	field := func(name, value string) Field {
		return Field{Known: Lookup(name), Name: []byte(name), Value: []byte(value)}
	}
	long := make([]byte, 9000)
	for i := range long {
		long[i] = 'a'
	}
	for name, c := range map[string]struct {
		method, path, authority string
		fields                  []Field
		status                  int // 0: accepted
	}{
		"plain":               {"GET", "/a?b", "app.test", nil, 0},
		"Host alone":          {"GET", "/", "", []Field{field("host", "app.test:443")}, 0},
		"Host the same":       {"GET", "/", "app.test", []Field{field("host", "APP.test")}, 0},
		"server as a whole":   {"OPTIONS", "*", "app.test", nil, 0},
		"no host":             {"GET", "/", "", nil, 400},
		"Host another":        {"GET", "/", "app.test", []Field{field("host", "other.test")}, 400},
		"two Hosts":           {"GET", "/", "", []Field{field("host", "a"), field("host", "a")}, 400},
		"user in the host":    {"GET", "/", "me@app.test", nil, 400},
		"two hosts by comma":  {"GET", "/", "a,b", nil, 400},
		"space in the path":   {"GET", "/a b", "a", nil, 400},
		"fragment":            {"GET", "/a#b", "a", nil, 400},
		"bad escape":          {"GET", "/%zz", "a", nil, 400},
		"absolute target":     {"GET", "http://a/", "a", nil, 400},
		"star for GET":        {"GET", "*", "a", nil, 400},
		"no path":             {"GET", "", "a", nil, 400},
		"CONNECT":             {"CONNECT", "", "a:443", nil, 501},
		"long method":         {string(long[:40]), "/", "a", nil, 400},
		"long target":         {"GET", "/" + string(long), "a", nil, 414},
		"another expectation": {"GET", "/", "a", []Field{field("expect", "tea")}, 417},
	} {
		var r Request
		err := r.Assemble(&Parts{Method: []byte(c.method), Path: []byte(c.path), Authority: []byte(c.authority), Fields: c.fields, ContentLength: -1}, Limits{})
		var refused *Error
		switch {
		case c.status == 0 && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.status != 0 && (!errors.As(err, &refused) || refused.Status != c.status):
			t.Errorf("%s: %v, not %d", name, err, c.status)
		}
	}
}

func TestAssemble_TellsWhatParseTells(t *testing.T) {
	var r Request
	parts := Parts{Method: []byte("POST"), Path: []byte("/a?b=c"), Authority: []byte("app.test"), ContentLength: -1, HasBody: true,
		Fields: []Field{{Known: Expect, Name: []byte("expect"), Value: []byte("100-Continue")}}}
	if err := r.Assemble(&parts, Limits{}); err != nil {
		t.Fatal(err)
	}
	if string(r.Path) != "/a" || string(r.Query) != "b=c" || !r.HasQuery || string(r.HostValue) != "app.test" || !r.Chunked || !r.ExpectContinue || r.Framing() != ChunkedBody {
		t.Errorf("%+v", r)
	}
	r.Reset()
	parts.ContentLength, parts.HasBody = 0, false
	if err := r.Assemble(&parts, Limits{}); err != nil {
		t.Fatal(err)
	}
	if r.Chunked || r.ExpectContinue || r.ContentLength != 0 || r.Framing() != Length {
		t.Errorf("%+v", r)
	}
}
