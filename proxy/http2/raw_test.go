package http2

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rawClient sends frames as a test wants them.
type rawClient struct {
	*http2.Framer
	t  testing.TB
	nc net.Conn

	coded bytes.Buffer
	hpack *hpack.Encoder
}

// dial connects, and has exchanged settings when it returns.
func dial(t testing.TB, f *front, settings ...http2.Setting) *rawClient {
	t.Helper()
	c := dialBare(t, f)
	_, err := io.WriteString(c.nc, preface)
	c.check(err)
	c.check(c.WriteSettings(settings...))
	c.until(func(f http2.Frame) bool {
		s, ok := f.(*http2.SettingsFrame)
		return ok && s.IsAck()
	})
	return c
}

// dialBare only connects.
func dialBare(t testing.TB, f *front) *rawClient {
	t.Helper()
	nc, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	c := &rawClient{Framer: http2.NewFramer(nc, nc), t: t, nc: nc}
	c.AllowIllegalWrites = true
	c.SetReuseFrames()
	c.hpack = hpack.NewEncoder(&c.coded)
	return c
}

func (c *rawClient) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// block encodes names and values in turn; what a request needs and is missing
// comes first.
func (c *rawClient) block(pairs ...string) []byte {
	c.coded.Reset()
	given := map[string]bool{}
	for i := 0; i < len(pairs); i += 2 {
		given[pairs[i]] = true
	}
	for _, p := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "app.test"}, {":path", "/"}} {
		if !given[p[0]] && !given["-"+p[0]] {
			_ = c.hpack.WriteField(hpack.HeaderField{Name: p[0], Value: p[1]})
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if !strings.HasPrefix(pairs[i], "-") {
			_ = c.hpack.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
		}
	}
	return c.coded.Bytes()
}

// request sends a request's head, of fields as block has them.
func (c *rawClient) request(stream uint32, ends bool, pairs ...string) {
	c.t.Helper()
	c.check(c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block(pairs...), EndStream: ends, EndHeaders: true}))
}

// until reads frames until one is what is looked for.
func (c *rawClient) until(found func(http2.Frame) bool) {
	c.t.Helper()
	for {
		f, err := c.ReadFrame()
		if err != nil {
			c.t.Fatalf("waiting for a frame: %v", err)
		}
		if found(f) {
			return
		}
	}
}

// goAway waits for the end of the connection, and returns the code of its last
// GOAWAY.
func (c *rawClient) goAway() http2.ErrCode {
	c.t.Helper()
	code, seen := http2.ErrCode(0), false
	for {
		f, err := c.ReadFrame()
		if err != nil {
			if !seen {
				c.t.Fatalf("no GOAWAY: %v", err)
			}
			var n net.Error
			if errors.As(err, &n) && n.Timeout() {
				c.t.Fatal("the connection is not closed")
			}
			return code
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			code, seen = g.ErrCode, true
		}
	}
}

// reset waits for a stream to be reset.
func (c *rawClient) reset(stream uint32) (code http2.ErrCode) {
	c.t.Helper()
	c.until(func(f http2.Frame) bool {
		r, ok := f.(*http2.RSTStreamFrame)
		if ok && r.StreamID == stream {
			code = r.ErrCode
			return true
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			c.t.Fatalf("GOAWAY %v, not RST_STREAM", g.ErrCode)
		}
		return false
	})
	return code
}

// ends waits for the end of a stream's answer.
func (c *rawClient) ends(stream uint32) {
	c.t.Helper()
	c.until(func(f http2.Frame) bool {
		if r, ok := f.(*http2.RSTStreamFrame); ok && r.StreamID == stream {
			c.t.Fatalf("stream %d was reset: %v", stream, r.ErrCode)
		}
		h := f.Header()
		return h.StreamID == stream && (h.Type == http2.FrameData || h.Type == http2.FrameHeaders) && h.Flags&flagEndStream != 0
	})
}

// decoder is for ReadMetaHeaders.
func (c *rawClient) decoder() *hpack.Decoder { return hpack.NewDecoder(tableSize, nil) }
