package proxy

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Client sends frames that no client of net/http sends.
type http2Client struct {
	*http2.Framer
	t      *testing.T
	conn   net.Conn
	stream uint32
	coded  bytes.Buffer
	hpack  *hpack.Encoder
}

// dialHTTP2 connects to the front's port with TLS.
func dialHTTP2(t *testing.T, f *front) *http2Client {
	t.Helper()
	conn, err := tls.Dial("tcp", f.listeners[1].Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &http2Client{Framer: http2.NewFramer(conn, conn), t: t, conn: conn, stream: 1}
	c.AllowIllegalWrites = true
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.hpack = hpack.NewEncoder(&c.coded)
	_, err = io.WriteString(conn, http2.ClientPreface)
	c.check(err)
	c.check(c.WriteSettings())
	return c
}

func (c *http2Client) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// begin sends the head of a request: name=value, parted by semicolons, and what a
// request needs besides but for names that follow a hyphen.
func (c *http2Client) begin(fields string, ends bool) (stream uint32) {
	c.t.Helper()
	c.coded.Reset()
	list := strings.Split(fields, ";")
	for _, must := range []string{":method=GET", ":scheme=https", ":authority=a.test", ":path=/"} {
		name, value, _ := strings.Cut(must, "=")
		given := false
		for _, f := range list {
			given = given || strings.HasPrefix(strings.TrimPrefix(f, "-"), name+"=")
		}
		if !given {
			_ = c.hpack.WriteField(hpack.HeaderField{Name: name, Value: value})
		}
	}
	for _, f := range list {
		if name, value, ok := strings.Cut(f, "="); ok && name[0] != '-' {
			_ = c.hpack.WriteField(hpack.HeaderField{Name: name, Value: value})
		}
	}
	stream = c.stream
	c.stream += 2
	block := c.coded.Bytes()
	first := block[:min(len(block), 16<<10)]
	block = block[len(first):]
	c.check(c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: ends, EndHeaders: len(block) == 0}))
	for len(block) > 0 {
		next := block[:min(len(block), 16<<10)]
		block = block[len(next):]
		c.check(c.WriteContinuation(stream, len(block) == 0, next))
	}
	return stream
}

// http2Answer is what has come of an answer.
type http2Answer struct {
	status string
	body   string
	fields []hpack.HeaderField // those of a trailer last
	reset  http2.ErrCode       // NO_ERROR too, if it was
	ended  bool
}

// ask sends a request and takes the answer.
func (c *http2Client) ask(fields string, ends bool) http2Answer {
	c.t.Helper()
	return c.answer(c.begin(fields, ends))
}

// answer waits for the end of an answer.
func (c *http2Client) answer(stream uint32) (a http2Answer) {
	c.t.Helper()
	for !a.ended {
		f, err := c.ReadFrame()
		c.check(err)
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			c.t.Fatalf("GOAWAY %v", f.ErrCode)
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				a.reset = f.ErrCode
				return a
			}
		case *http2.MetaHeadersFrame:
			if f.StreamID == stream {
				if s := f.PseudoValue("status"); s != "" {
					a.status = s
				}
				a.fields = append(a.fields, f.RegularFields()...)
				a.ended = f.StreamEnded()
			}
		case *http2.DataFrame:
			if f.StreamID == stream {
				a.body += string(f.Data())
				a.ended = f.StreamEnded()
			}
		}
	}
	return a
}
