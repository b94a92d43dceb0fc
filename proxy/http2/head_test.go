package http2

import (
	"testing"

	"golang.org/x/net/http2"
)

func TestHead_MalformedRequestsAreReset(t *testing.T) {
	f := newFront(t, Config{MaxResets: 1000, Handler: hello})
	c := dial(t, f)
	id := uint32(1)
	for name, pairs := range map[string][]string{
		"no method":              {"-:method", ""},
		"no scheme":              {"-:scheme", ""},
		"no path":                {"-:path", ""},
		"empty path":             {":path", ""},
		"path without slash":     {":path", "a"},
		"star for GET":           {":path", "*"},
		"empty method":           {":method", ""},
		"method of two words":    {":method", "GET /"},
		"CONNECT with a path":    {":method", "CONNECT"},
		"path twice":             {":path", "/", ":path", "/"},
		"pseudo-field of answer": {":status", "200"},
		"pseudo-field unknown":   {":protocol", "websocket"},
		"pseudo-field too late":  {"-:path", "", "a", "b", ":path", "/"},
		"capitals":               {"Accept", "x"},
		"empty name":             {"", "x"},
		"space in name":          {"a b", "x"},
		"colon in name":          {"a:b", "x"},
		"NUL in name":            {"a\x00", "x"},
		"NUL in value":           {"a", "x\x00y"},
		"LF in value":            {"a", "x\ny"},
		"CR in value":            {"a", "x\ry"},
		"DEL in value":           {"a", "x\x7f"},
		"ESC in value":           {"a", "x\x1b"},
		"space before value":     {"a", " x"},
		"tab behind value":       {"a", "x\t"},
		"LF in path":             {":path", "/\n"},
		"connection":             {"connection", "x"},
		"keep-alive":             {"keep-alive", "x"},
		"proxy-connection":       {"proxy-connection", "x"},
		"transfer-encoding":      {"transfer-encoding", "chunked"},
		"upgrade":                {"upgrade", "websocket"},
		"te gzip":                {"te", "gzip"},
		"two lengths":            {"content-length", "0", "content-length", "0"},
		"length no number":       {"content-length", "+1"},
		"length without body":    {"content-length", "1"},
	} {
		c.request(id, true, pairs...)
		if code := c.reset(id); code != http2.ErrCodeProtocol {
			t.Errorf("%s: reset with %v", name, code)
		}
		id += 2
	}
	for _, pairs := range [][]string{
		{"te", "trailers"}, {"-:authority", "", "host", "app.test"}, {":method", "OPTIONS", ":path", "*"}, {"content-length", "0"},
		{":method", "CONNECT", "-:scheme", "", "-:path", ""}, {"a", ""}, {"a", "x\ty ä"},
	} {
		c.request(id, true, pairs...)
		c.ends(id)
		id += 2
	}
}

func TestBody_ThatContradictsItsLengthIsReset(t *testing.T) {
	f := newFront(t, Config{Handler: echo})
	c := dial(t, f)
	for i, send := range []func(id uint32) error{
		func(id uint32) error { return c.WriteData(id, true, []byte("abc")) },
		func(id uint32) error { return c.WriteData(id, false, []byte("abcde")) },
		func(id uint32) error { return c.WriteData(id, true, nil) },
		func(id uint32) error { // a trailer ends it
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: true, EndHeaders: true, BlockFragment: []byte{0, 1, 'a', 1, 'b'}})
		},
	} {
		id := uint32(2*i + 1)
		c.request(id, false, "content-length", "4")
		c.check(send(id))
		if code := c.reset(id); code != http2.ErrCodeProtocol {
			t.Errorf("case %d: reset with %v", i, code)
		}
	}
	c.request(99, false, "content-length", "4")
	c.check(c.WriteData(99, false, []byte("ab")))
	c.check(c.WriteDataPadded(99, true, []byte("cd"), []byte{0, 0, 0}))
	c.ends(99)
}

func TestTrailer_MalformedOnesReset(t *testing.T) {
	f := newFront(t, Config{Handler: echo})
	c := dial(t, f)
	id := uint32(1)
	for name, block := range map[string][]byte{
		"pseudo-field": {0x84},
		"capital":      {0, 1, 'A', 1, 'b'},
		"connection":   append([]byte{0, 10}, "connection\x01x"...),
	} {
		c.request(id, false)
		c.check(c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: true, EndHeaders: true, BlockFragment: block}))
		if code := c.reset(id); code != http2.ErrCodeProtocol {
			t.Errorf("%s: reset with %v", name, code)
		}
		id += 2
	}
	c.request(id, false)
	c.check(c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, BlockFragment: []byte{0, 1, 'a', 1, 'b'}}))
	if code := c.reset(id); code != http2.ErrCodeProtocol {
		t.Errorf("without END_STREAM: reset with %v", code)
	}
}
